//! A state store in memory, for tests and for tools that hold a whole state.

use std::collections::BTreeMap;

use tallystick_kernel::Reason;

use crate::state_key::{StateChange, StateStore, Visit};

/// Persisted state in an ordered map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore(BTreeMap<Vec<u8>, Vec<u8>>);

impl MemoryStore {
    /// A store without entries.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// Writes all changes.
    pub fn apply(&mut self, changes: &[StateChange]) {
        for change in changes {
            match &change.value {
                Some(value) => self.0.insert(change.key.clone(), value.clone()),
                None => self.0.remove(&change.key),
            };
        }
    }
}

impl StateStore for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
        let from = self.0.range(prefix.to_vec()..);
        let mut found = from.take_while(|(key, _)| key.starts_with(prefix));
        found.try_for_each(|(key, value)| visit(key, value))
    }
}
