//! Answers to keyed writes, kept for a day.
//!
//! Invariant: which keys are being answered is known in this process only; after a crash a request
//! that was never answered may be begun again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tallystick_kernel::limits::IDEMPOTENCY_LIFE;
use tallystick_kernel::{Digest, Reader, Reason, TimeMs, Writer};
use tallystick_store::{Batch, Store};
use tokio::sync::watch;

use crate::http::gate::Later;
use crate::http::idempotency::{Answers, Begun, StoredAnswer, WriteKey};
use crate::source;

/// The answers of a party.
#[derive(Clone)]
pub struct StoredAnswers {
    store: Store,
    under_way: Arc<Mutex<HashMap<String, UnderWay>>>,
}

/// A request that is being answered.
struct UnderWay {
    fingerprint: Digest,
    /// Closed when it is not any longer.
    ended: watch::Sender<()>,
}

impl StoredAnswers {
    /// In this store.
    pub fn new(store: Store) -> StoredAnswers {
        StoredAnswers { store, under_way: Arc::default() }
    }

    /// Takes a key, or gives what to wait for while someone else has it.
    fn take(
        &self,
        key: &WriteKey,
        fingerprint: Digest,
    ) -> Result<Option<watch::Receiver<()>>, Reason> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        match under_way.get(&key.0) {
            Some(other) if other.fingerprint != fingerprint => Err(Reason::IdempotencyKeyReused),
            Some(other) => Ok(Some(other.ended.subscribe())),
            None => {
                let taken = UnderWay { fingerprint, ended: watch::Sender::new(()) };
                under_way.insert(key.0.clone(), taken);
                Ok(None)
            }
        }
    }

    async fn wait_and_take(&self, key: &WriteKey, fingerprint: Digest) -> Result<(), Reason> {
        let end = tokio::time::Instant::now() + WAIT_MAX;
        while let Some(mut other) = self.take(key, fingerprint)? {
            // It is never written to: it changes by being closed.
            let closed = tokio::time::timeout_at(end, other.changed()).await;
            closed.map_err(|_| Reason::InProgress)?.unwrap_or_default();
        }
        Ok(())
    }

    fn fingerprint(&self, key: &WriteKey) -> Option<Digest> {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.get(&key.0).map(|taken| taken.fingerprint)
    }

    fn leave(&self, key: &WriteKey) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&key.0);
    }
}

/// A key that was taken, and is given back unless it is kept.
struct Held<'a> {
    answers: &'a StoredAnswers,
    key: &'a WriteKey,
    is_kept: bool,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.answers.leave(self.key);
        }
    }
}

impl Answers for StoredAnswers {
    fn begin<'a>(
        &'a self,
        key: &'a WriteKey,
        fingerprint: Digest,
        now: TimeMs,
    ) -> Later<'a, Result<Begun, Reason>> {
        Box::pin(async move {
            self.wait_and_take(key, fingerprint).await?;
            // Whoever stops waiting here gives the key back.
            let mut held = Held { answers: self, key, is_kept: false };
            // Whoever holds the key now sees an answer that was stored before it was taken.
            let stored = self.store.answer(key.0.as_bytes(), now).await;
            match stored {
                Ok(None) => {
                    held.is_kept = true;
                    Ok(Begun::First)
                }
                Ok(Some(answer)) => {
                    if answer.fingerprint != fingerprint {
                        return Err(Reason::IdempotencyKeyReused);
                    }
                    read(&answer.bytes).map(Begun::Again).map_err(|_| Reason::StorageCorrupt)
                }
                Err(reason) => Err(reason),
            }
        })
    }

    fn finish<'a>(
        &'a self,
        key: &'a WriteKey,
        answer: StoredAnswer,
    ) -> Later<'a, Result<(), Reason>> {
        Box::pin(async move {
            let fingerprint = self.fingerprint(key).unwrap_or_default();
            let expiry = source::now().after(IDEMPOTENCY_LIFE);
            let batch = Batch::new().answer(key.0.as_str(), fingerprint, write(&answer), expiry);
            let written = self.store.write(batch).await;
            self.leave(key);
            written
        })
    }

    fn abandon(&self, key: &WriteKey) {
        self.leave(key);
    }
}

/// How long a request waits for the first one with its key.
const WAIT_MAX: Duration = Duration::from_secs(20);

fn write(answer: &StoredAnswer) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(3).u64(u64::from(answer.status)).text(&answer.media_type).bytes(&answer.body);
    out.finish()
}

fn read(bytes: &[u8]) -> Result<StoredAnswer, Reason> {
    let mut input = Reader::new(bytes);
    input.tuple(3)?;
    let status = input.u16()?;
    let media_type = input.text(256)?.to_owned();
    Ok(StoredAnswer { status, media_type, body: input.bytes(bytes.len())?.to_vec() })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn whoever_goes_away_while_a_key_is_looked_up_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("party.db").display());
        let answers = StoredAnswers::new(Store::open(&url, "issuer").await.unwrap());
        let (key, now) = (WriteKey("k".to_owned()), source::now());
        let cut_short = answers.begin(&key, [1; 32], now).now_or_never();
        assert!(cut_short.is_none(), "a store answers from another thread");
        assert_eq!(answers.begin(&key, [2; 32], now).await, Ok(Begun::First));
    }

    #[tokio::test]
    async fn a_key_has_one_answer_one_request_and_one_worker() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("party.db").display());
        let store = Store::open(&url, "issuer").await.unwrap();
        let answers = StoredAnswers::new(store.clone());
        let (key, now) = (WriteKey("k".to_owned()), source::now());
        let begin = |print| answers.begin(&key, [print; 32], now);
        assert_eq!(begin(1).await, Ok(Begun::First));
        assert_eq!(begin(2).await, Err(Reason::IdempotencyKeyReused));
        // Who comes meanwhile waits, and takes over when the first gives up.
        let (second, ()) = futures::join!(begin(1), async {
            answers.abandon(&key);
        });
        assert_eq!(second, Ok(Begun::First));
        let answer =
            StoredAnswer { status: 201, media_type: "a/b".to_owned(), body: b"x".to_vec() };
        let (third, finished) = futures::join!(begin(1), answers.finish(&key, answer.clone()));
        finished.unwrap();
        assert_eq!(third, Ok(Begun::Again(answer.clone())));
        let restarted = StoredAnswers::new(store);
        for answers in [&answers, &restarted] {
            let again = answers.begin(&key, [1; 32], now).await;
            assert_eq!(again, Ok(Begun::Again(answer.clone())));
            let other = answers.begin(&key, [2; 32], now).await;
            assert_eq!(other, Err(Reason::IdempotencyKeyReused));
        }
    }
}
