//! The seam to durable storage: one small key-value trait, and how the ledger reads through it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tallystick_kernel::Reason;
use tallystick_ledger::state_key::Visit;
use tallystick_ledger::{StateChange, StateStore};

/// Ordered keys and values. A commit is atomic, and durable when it returns.
pub trait Kv: Send + Sync + 'static {
    /// The value under `key`; [`Reason::StorageFailed`] when it cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason>;

    /// Visits every key that begins with `prefix`, in the order of the keys; ends early with what
    /// `visit` refuses.
    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason>;

    /// Writes all of it or nothing; [`Reason::StorageFailed`] when it may not be durable, after
    /// which the caller MUST stop.
    fn commit(&self, changes: Vec<StateChange>) -> Result<(), Reason>;
}

/// What the ledger reads its state through.
pub struct LedgerView<'k>(pub &'k dyn Kv);

impl StateStore for LedgerView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        self.0.get(key)
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
        self.0.scan(prefix, visit)
    }
}

/// Keeps everything in memory: for tests, and for networks that need not outlive their process.
#[derive(Default)]
pub struct MemoryKv(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Kv for MemoryKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = map.range(prefix.to_vec()..);
        for (key, value) in from.take_while(|(key, _)| key.starts_with(prefix)) {
            visit(key, value)?;
        }
        Ok(())
    }

    fn commit(&self, changes: Vec<StateChange>) -> Result<(), Reason> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for StateChange { key, value } in changes {
            match value {
                Some(value) => drop(map.insert(key, value)),
                None => drop(map.remove(&key)),
            }
        }
        Ok(())
    }
}
