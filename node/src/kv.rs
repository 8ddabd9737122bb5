//! The seam to durable storage: one small key-value trait, and how the ledger reads through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tallystick_kernel::Reason;
use tallystick_ledger::state_key::Visit;
use tallystick_ledger::{StateChange, StateStore};

/// Ordered keys and values to read: storage itself, or what it held at one instant.
pub trait View: Send + Sync + 'static {
    /// The value under `key`; [`Reason::StorageFailed`] when it cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason>;

    /// Visits every key from `from` on that begins with `prefix`, in the order of the keys; ends
    /// early with what `visit` refuses.
    fn scan_from(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason>;

    /// Visits every key that begins with `prefix`, in the order of the keys; ends early with what
    /// `visit` refuses.
    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
        self.scan_from(prefix, prefix, visit)
    }
}

/// Storage. A commit is atomic, and durable when it returns.
pub trait Kv: View {
    /// Writes all of it or nothing; [`Reason::StorageFailed`] when it may not be durable, after
    /// which the caller MUST stop.
    fn commit(&self, changes: Vec<StateChange>) -> Result<(), Reason>;

    /// Everything as it stands now, whatever is committed later. Cheap to make; holds what was
    /// overwritten since from being given up, so it is not to be kept for long.
    fn view(&self) -> Arc<dyn View>;
}

/// What the ledger reads its state through.
pub struct LedgerView<'k>(pub &'k dyn View);

impl StateStore for LedgerView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        self.0.get(key)
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
        self.0.scan(prefix, visit)
    }
}

/// Keys and values in memory, in their order; a copy is cheap until one of the two is written.
#[derive(Clone, Default)]
pub struct MemoryView(Arc<BTreeMap<Vec<u8>, Vec<u8>>>);

impl MemoryView {
    /// Writes all of it.
    pub fn write(&mut self, changes: Vec<StateChange>) {
        let map = Arc::make_mut(&mut self.0);
        for StateChange { key, value } in changes {
            match value {
                Some(value) => drop(map.insert(key, value)),
                None => drop(map.remove(&key)),
            }
        }
    }
}

impl View for MemoryView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        Ok(self.0.get(key).cloned())
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
        let from = self.0.range(prefix.max(from).to_vec()..);
        let mut found = from.take_while(|(key, _)| key.starts_with(prefix));
        found.try_for_each(|(key, value)| visit(key, value))
    }
}

/// Keeps everything in memory: for tests, and for networks that need not outlive their process.
#[derive(Default)]
pub struct MemoryKv(Mutex<MemoryView>);

impl MemoryKv {
    fn content(&self) -> MemoryView {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl View for MemoryKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        self.content().get(key)
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
        // What visits may read too, so the lock is not held.
        self.content().scan_from(prefix, from, visit)
    }
}

impl Kv for MemoryKv {
    fn commit(&self, changes: Vec<StateChange>) -> Result<(), Reason> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(changes);
        Ok(())
    }

    fn view(&self) -> Arc<dyn View> {
        Arc::new(self.content())
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

    #[test]
    fn a_view_shows_what_was_there_when_it_was_made_and_begins_where_it_is_asked_to() {
        let kv = MemoryKv::default();
        let entries = (0..4).map(|last| put(vec![1, last], vec![last])).collect();
        assert_eq!(kv.commit(entries), Ok(()));
        let view = kv.view();
        let changes = vec![crate::keys::remove(vec![1, 2]), put(vec![1, 3], vec![9])];
        assert_eq!(kv.commit(changes), Ok(()));
        let mut seen = Vec::new();
        let visited = view.scan_from(&[1], &[1, 2], &mut |key, value| {
            seen.push((key.to_vec(), value.to_vec()));
            Ok(())
        });
        assert_eq!(visited, Ok(()));
        assert_eq!(seen, [(vec![1, 2], vec![2]), (vec![1, 3], vec![3])]);
        assert_eq!(kv.get(&[1, 2]), Ok(None));
    }
}
