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
        // A copy, because what visits may read too.
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let from = map.range(prefix.to_vec()..);
        let mut found = from.take_while(|(key, _)| key.starts_with(prefix));
        found.try_for_each(|(key, value)| visit(key, value))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::put;

    #[test]
    fn what_visits_the_keys_of_a_scan_may_read_others_meanwhile() {
        let kv = MemoryKv::default();
        let (one, two) = (put(vec![1, 1], vec![7]), put(vec![2, 1], vec![8]));
        assert_eq!(kv.commit(vec![one, two]), Ok(()));
        let mut seen = Vec::new();
        let visited = kv.scan(&[1], &mut |key, value| {
            seen.push((key.to_vec(), value.to_vec(), kv.get(&[2, 1])?));
            Ok(())
        });
        assert_eq!(visited, Ok(()));
        assert_eq!(seen, [(vec![1, 1], vec![7], Some(vec![8]))]);
    }
}
