//! The durable memory of things that serve once: identifiers of proofs of possession.

use tallystick_kernel::{Reason, TimeMs};
use tallystick_store::{Batch, Store};

use crate::http::gate::{Later, ReplayWindow};
use crate::source;

/// Where the store keeps them.
const SPACE: &str = "proof";

/// The replay window of a party.
#[derive(Clone)]
pub struct StoredReplays(Store);

impl StoredReplays {
    /// In this store.
    pub fn new(store: Store) -> StoredReplays {
        StoredReplays(store)
    }
}

impl ReplayWindow for StoredReplays {
    fn spend<'a>(&'a self, id: &'a str, until: TimeMs) -> Later<'a, Result<(), Reason>> {
        let batch = Batch::new().once(SPACE, id, until, source::now(), Reason::CodeReplayed);
        Box::pin(self.0.write(batch))
    }
}

#[cfg(test)]
mod tests {
    use tallystick_kernel::DurationMs;

    use super::*;

    #[tokio::test]
    async fn an_identifier_serves_once_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("party.db").display());
        let until = source::now().after(DurationMs::minutes(1));
        let replays = StoredReplays::new(Store::open(&url, "issuer").await.unwrap());
        assert_eq!(replays.spend("a", until).await, Ok(()));
        assert_eq!(replays.spend("a", until).await, Err(Reason::CodeReplayed));
        let again = StoredReplays::new(Store::open(&url, "issuer").await.unwrap());
        assert_eq!(again.spend("a", until).await, Err(Reason::CodeReplayed));
        assert_eq!(again.spend("b", until).await, Ok(()));
    }
}
