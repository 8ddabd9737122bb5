//! Sessions: a random token that is shown once and kept only as its hash.

use tallystick_api::Bytes;
use tallystick_kernel::hash::sha256;
use tallystick_kernel::limits::SESSION_LIFE;
use tallystick_kernel::{Codec as _, DurationMs, HolderId, Reader, Reason, TimeMs, Writer};
use tallystick_store::{Batch, Kind, Store};
use zeroize::Zeroizing;

use crate::http::gate::{Later, Sessions};
use crate::source;

const SESSION: Kind = Kind("session");
const DAY: DurationMs = DurationMs::minutes(24 * 60);

/// The sessions of a party.
#[derive(Clone)]
pub struct StoredSessions(Store);

impl StoredSessions {
    /// In this store.
    pub fn new(store: Store) -> StoredSessions {
        StoredSessions(store)
    }

    /// Begins a session of a holder who has logged in; gives the token and its end.
    pub async fn begin(
        &self,
        holder: HolderId,
        now: TimeMs,
    ) -> Result<(Zeroizing<String>, TimeMs), Reason> {
        let secret = Zeroizing::new(source::random::<32>()?);
        let token = Zeroizing::new(format!("{PREFIX}{}", Bytes::encode(secret.as_slice())));
        let expiry = now.after(SESSION_LIFE);
        let mut out = Writer::new();
        out.array(2).value(&holder).value(&expiry);
        let key = sha256(token.as_bytes());
        let indexes = [("day", day(expiry))];
        self.0.write(Batch::new().put(SESSION, key, 0, out.finish(), &indexes)).await?;
        Ok((token, expiry))
    }

    /// Removes sessions that ended the day before yesterday.
    pub async fn sweep(&self, now: TimeMs) -> Result<(), Reason> {
        for back in 2..4 {
            let ended = day(TimeMs(now.0.saturating_sub(back * DAY.0)));
            for record in self.0.find(SESSION, "day", &ended, None, 1000).await? {
                self.0.write(Batch::new().delete(SESSION, record.key, record.version)).await?;
            }
        }
        Ok(())
    }
}

impl Sessions for StoredSessions {
    fn holder<'a>(&'a self, token: &'a str, now: TimeMs) -> Later<'a, Result<HolderId, Reason>> {
        Box::pin(async move {
            // The store looks for a hash, so its timing tells nothing about tokens.
            let found = self.0.read(SESSION, &sha256(token.as_bytes())).await?;
            let record = found.ok_or(Reason::Unauthenticated)?;
            let (holder, expiry) = read(&record.bytes).map_err(|_| Reason::StorageCorrupt)?;
            if now < expiry { Ok(holder) } else { Err(Reason::Unauthenticated) }
        })
    }
}

fn day(time: TimeMs) -> Vec<u8> {
    (time.0 / DAY.0).to_be_bytes().to_vec()
}

fn read(bytes: &[u8]) -> Result<(HolderId, TimeMs), Reason> {
    let mut input = Reader::new(bytes);
    input.tuple(2)?;
    Ok((HolderId::decode(&mut input)?, TimeMs::decode(&mut input)?))
}

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
        let (now, holder) = (TimeMs(1_800_000_000_000), HolderId([1; 32]));
        let (token, end) = sessions.begin(holder, now).await.unwrap();
        assert_eq!(sessions.holder(&token, now).await, Ok(holder));
        assert_eq!(sessions.holder(&token, TimeMs(end.0 - 1)).await, Ok(holder));
        assert_eq!(sessions.holder(&token, end).await, Err(Reason::Unauthenticated));
        assert_eq!(sessions.holder("tls_other", now).await, Err(Reason::Unauthenticated));
        sessions.sweep(end).await.unwrap();
        assert_eq!(sessions.holder(&token, now).await, Ok(holder));
        sessions.sweep(TimeMs(end.0 + 2 * DAY.0)).await.unwrap();
        assert_eq!(sessions.holder(&token, now).await, Err(Reason::Unauthenticated));
    }
}
