//! Maps and sets that are only asked for what one names: found by a hash, and without an order that
//! anything could depend on.
//!
//! Invariant: nothing here gives away the order in which it keeps things; all of them come sorted.

use std::collections::HashMap;
use std::hash::Hash;

/// Values by their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup<K: Eq + Hash, V = ()>(HashMap<K, V>);

impl<K: Eq + Hash + Ord, V> Lookup<K, V> {
    /// The value under a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// The value under a key, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    /// Whether there is one.
    pub fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// Puts a value under a key; gives what was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    /// Takes the value out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order of the keys.
    pub fn into_sorted(self) -> Vec<(K, V)> {
        let mut all: Vec<(K, V)> = self.0.into_iter().collect();
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// The same, to look at.
    pub fn sorted(&self) -> Vec<(&K, &V)> {
        let mut all: Vec<(&K, &V)> = self.0.iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }
}

impl<K: Eq + Hash, V> Default for Lookup<K, V> {
    fn default() -> Self {
        Lookup(HashMap::new())
    }
}

impl<K: Eq + Hash> Extend<K> for Lookup<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        self.0.extend(keys.into_iter().map(|key| (key, ())));
    }
}

impl<K: Eq + Hash> FromIterator<K> for Lookup<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        Lookup(keys.into_iter().map(|key| (key, ())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found_and_comes_out_sorted() {
        let mut lookup = Lookup::default();
        for key in (0..100).rev() {
            assert_eq!(lookup.insert(key, key + 1), None);
        }
        assert_eq!((lookup.insert(7, 0), lookup.get(&7)), (Some(8), Some(&0)));
        assert_eq!((lookup.remove(&7), lookup.remove(&7)), (Some(0), None));
        assert!(!lookup.contains(&7) && lookup.len() == 99);
        assert!(lookup.sorted().is_sorted());
        let set: Lookup<u8> = [2, 1, 2].into_iter().collect();
        assert_eq!(set.sorted(), [(&1, &()), (&2, &())]);
        assert_eq!(set.into_sorted(), [(1, ()), (2, ())]);
    }
}
