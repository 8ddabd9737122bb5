//! Durable storage in a folder, on fjall.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use fjall::{Database, Iter, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use tallystick_kernel::Reason;
use tallystick_ledger::StateChange;
use tallystick_ledger::state_key::Visit;

use crate::folder_check;
use crate::kv::{Kv, View};

/// Bytes of cache and of memtable: a node must be small enough that several fit on a laptop.
const CACHE_BYTES: u64 = 16 << 20;
const MEMTABLE_BYTES: u64 = 8 << 20;

/// One keyspace in one folder; every commit is synced to disk.
pub struct FjallKv {
    database: Database,
    keyspace: Keyspace,
}

impl FjallKv {
    /// Opens or creates the storage; [`Reason::StorageFailed`] and [`Reason::StorageCorrupt`], with
    /// the cause in the log.
    pub fn open(folder: &Path) -> Result<FjallKv, Reason> {
        folder_check::check(folder)?;
        // Some of what is damaged the engine meets with a panic.
        std::panic::catch_unwind(|| FjallKv::open_checked(folder)).unwrap_or_else(|_| {
            tracing::error!(folder = %folder.display(), "storage cannot be opened");
            Err(Reason::StorageCorrupt)
        })
    }

    fn open_checked(folder: &Path) -> Result<FjallKv, Reason> {
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .open()
            .map_err(|error| failed("open", &error))?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let keyspace =
            database.keyspace("node", options).map_err(|error| failed("keyspace", &error))?;
        Ok(FjallKv { database, keyspace })
    }
}

/// [`Reason::StorageFailed`] for what the disk or the system does not do, and
/// [`Reason::StorageCorrupt`] for bytes that are not those that were written.
fn failed(action: &str, error: &fjall::Error) -> Reason {
    tracing::error!(action, %error, "storage failed");
    let (mut is_of_system, mut cause) = (false, Some(error as &(dyn Error + 'static)));
    while let Some(found) = cause {
        is_of_system |= found.is::<std::io::Error>();
        cause = found.source();
    }
    match error {
        fjall::Error::Poisoned | fjall::Error::Locked => Reason::StorageFailed,
        _ if is_of_system => Reason::StorageFailed,
        _ => Reason::StorageCorrupt,
    }
}

impl View for FjallKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        let found = self.keyspace.get(key).map_err(|error| failed("get", &error))?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
        visit_all(self.keyspace.range(prefix.max(from)..), prefix, visit)
    }
}

impl Kv for FjallKv {
    fn commit(&self, changes: Vec<StateChange>) -> Result<(), Reason> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for StateChange { key, value } in changes {
            match value {
                Some(value) => batch.insert(&self.keyspace, key, value),
                None => batch.remove(&self.keyspace, key),
            }
        }
        batch.commit().map_err(|error| failed("commit", &error))
    }

    fn view(&self) -> Arc<dyn View> {
        let (snapshot, keyspace) = (self.database.snapshot(), self.keyspace.clone());
        Arc::new(FjallView { snapshot, keyspace })
    }
}

struct FjallView {
    snapshot: Snapshot,
    keyspace: Keyspace,
}

impl View for FjallView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        let found = self.snapshot.get(&self.keyspace, key);
        Ok(found.map_err(|error| failed("get", &error))?.map(|value| value.to_vec()))
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
        visit_all(self.snapshot.range(&self.keyspace, prefix.max(from)..), prefix, visit)
    }
}

fn visit_all(entries: Iter, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
    for guard in entries {
        let (key, value) = guard.into_inner().map_err(|error| failed("scan", &error))?;
        if !key.starts_with(prefix) {
            break;
        }
        visit(&key, &value)?;
    }
    Ok(())
}
