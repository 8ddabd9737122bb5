//! Sessions: a random token that is shown once and kept only as its hash.

use tallystick_api::Bytes;
use tallystick_kernel::hash::sha256;
use tallystick_kernel::limits::SESSION_LIFE;
use tallystick_kernel::{Codec as _, HolderId, Reader, Reason, TimeMs, Writer};
use tallystick_store::{Batch, Kind, Store};
use zeroize::Zeroizing;

use super::sweeping::{DAY_INDEX, day, sweep_ended};
use crate::http::gate::{Later, Sessions, Subject};
use crate::source;

const SESSION: Kind = Kind("session");

/// The sessions of a party.
#[derive(Clone)]
pub struct StoredSessions(Store);

impl StoredSessions {
    /// In this store.
    pub fn new(store: Store) -> StoredSessions {
        StoredSessions(store)
    }

    /// Begins a session of someone who has logged in; gives the token and its end.
    pub async fn begin(
        &self,
        subject: &Subject,
        now: TimeMs,
    ) -> Result<(Zeroizing<String>, TimeMs), Reason> {
        let secret = Zeroizing::new(source::random::<32>()?);
        let token = Zeroizing::new(format!("{PREFIX}{}", Bytes::encode(secret.as_slice())));
        let expiry = now.after(SESSION_LIFE);
        let key = sha256(token.as_bytes());
        let indexes = [(DAY_INDEX, day(expiry))];
        let batch = Batch::new().put(SESSION, key, 0, write(subject, expiry), &indexes);
        self.0.write(batch).await?;
        Ok((token, expiry))
    }

    /// Ends a session; one that is over stays over.
    pub async fn end(&self, token: &str) -> Result<(), Reason> {
        let Some(record) = self.0.read(SESSION, &sha256(token.as_bytes())).await? else {
            return Ok(());
        };
        match self.0.write(Batch::new().delete(SESSION, record.key, record.version)).await {
            Ok(()) | Err(Reason::Conflict) => Ok(()),
            Err(reason) => Err(reason),
        }
    }

    /// Removes sessions that ended the day before yesterday.
    pub async fn sweep(&self, now: TimeMs) -> Result<(), Reason> {
        sweep_ended(&self.0, SESSION, now).await
    }
}

impl Sessions for StoredSessions {
    fn subject<'a>(&'a self, token: &'a str, now: TimeMs) -> Later<'a, Result<Subject, Reason>> {
        Box::pin(async move {
            // The store looks for a hash, so its timing tells nothing about tokens.
            let found = self.0.read(SESSION, &sha256(token.as_bytes())).await?;
            let record = found.ok_or(Reason::Unauthenticated)?;
            let (subject, expiry) = read(&record.bytes).map_err(|_| Reason::StorageCorrupt)?;
            if now < expiry { Ok(subject) } else { Err(Reason::Unauthenticated) }
        })
    }
}

fn write(subject: &Subject, expiry: TimeMs) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(3);
    match subject {
        Subject::Holder(holder) => out.u64(0).value(holder),
        Subject::Key(name) => out.u64(1).text(name),
    };
    out.value(&expiry);
    out.finish()
}

fn read(bytes: &[u8]) -> Result<(Subject, TimeMs), Reason> {
    let mut input = Reader::new(bytes);
    input.tuple(3)?;
    let subject = match input.u64()? {
        0 => Subject::Holder(HolderId::decode(&mut input)?),
        1 => Subject::Key(input.text(KEY_NAME_BYTES_MAX)?.to_owned()),
        _ => return Err(Reason::Malformed),
    };
    Ok((subject, TimeMs::decode(&mut input)?))
}

const KEY_NAME_BYTES_MAX: usize = 256;
const PREFIX: &str = "tls_";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_opens_with_its_token_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("party.db").display());
        let store = Store::open(&url, "issuer").await.unwrap();
        let sessions = StoredSessions::new(store.clone());
        let (now, holder) = (TimeMs(1_800_000_000_000), Subject::Holder(HolderId([1; 32])));
        let (token, end) = sessions.begin(&holder, now).await.unwrap();
        assert_eq!(sessions.subject(&token, now).await, Ok(holder.clone()));
        assert_eq!(sessions.subject(&token, TimeMs(end.0 - 1)).await, Ok(holder.clone()));
        assert_eq!(sessions.subject(&token, end).await, Err(Reason::Unauthenticated));
        assert_eq!(sessions.subject("tls_other", now).await, Err(Reason::Unauthenticated));
        sessions.sweep(end).await.unwrap();
        assert_eq!(sessions.subject(&token, now).await, Ok(holder.clone()));
        sessions.sweep(TimeMs(end.0 + 2 * 24 * 60 * 60 * 1000)).await.unwrap();
        assert_eq!(sessions.subject(&token, now).await, Err(Reason::Unauthenticated));
    }

    #[tokio::test]
    async fn a_session_that_was_ended_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("party.db").display());
        let sessions = StoredSessions::new(Store::open(&url, "merchant").await.unwrap());
        let (now, till) = (TimeMs(1_800_000_000_000), Subject::Key("till".to_owned()));
        let (token, _) = sessions.begin(&till, now).await.unwrap();
        assert_eq!(sessions.subject(&token, now).await, Ok(till));
        sessions.end(&token).await.unwrap();
        assert_eq!(sessions.subject(&token, now).await, Err(Reason::Unauthenticated));
        assert_eq!(sessions.end(&token).await, Ok(()));
    }
}
