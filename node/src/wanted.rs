//! Which bodies are to be fetched, and which need not be stored any more although they may still come.

use std::collections::BTreeSet;

use tallystick_kernel::limits::BLOCK_ENTRIES_MAX;
use tallystick_proofs::header::Entry;

/// Entries of refused blocks that are remembered, beside those of one block.
const REFUSED_MAX: usize = BLOCK_ENTRIES_MAX;

/// What blocks list and this node lacks. No entry is in both sets.
#[derive(Default)]
pub struct Wanted {
    /// To be asked for.
    pub entries: BTreeSet<Entry>,
    /// What only refused blocks list.
    refused: BTreeSet<Entry>,
}

impl Wanted {
    /// Wants these; whether one of them was not wanted before.
    pub fn want(&mut self, entries: &[Entry]) -> bool {
        if !self.refused.is_empty() {
            for entry in entries {
                self.refused.remove(entry);
            }
        }
        let before = self.entries.len();
        self.entries.extend(entries);
        self.entries.len() > before
    }

    /// A block with these is refused.
    pub fn refuse(&mut self, entries: &[Entry]) {
        if self.refused.len() > REFUSED_MAX {
            self.refused.clear();
        }
        for entry in entries {
            self.entries.remove(entry);
            self.refused.insert(*entry);
        }
    }

    /// Those of these entries that only refused blocks list.
    pub fn refused(&self, entries: impl Iterator<Item = Entry>) -> BTreeSet<Entry> {
        if self.refused.is_empty() {
            return BTreeSet::new();
        }
        entries.filter(|entry| self.refused.contains(entry)).collect()
    }
}

#[cfg(test)]
mod tests {
    use tallystick_kernel::TransactionId;

    use super::*;

    #[test]
    fn what_a_refused_block_lists_is_not_wanted_until_another_block_lists_it() {
        let entry = |id| Entry { id: TransactionId([id; 32]), witness_hash: [0; 32] };
        let mut wanted = Wanted::default();
        assert!(wanted.want(&[entry(1), entry(2)]) && !wanted.want(&[entry(1)]));
        wanted.refuse(&[entry(2), entry(3)]);
        let all = || (1..=4).map(entry);
        assert_eq!(wanted.refused(all()), BTreeSet::from([entry(2), entry(3)]));
        assert_eq!(wanted.entries, BTreeSet::from([entry(1)]));
        assert!(wanted.want(&[entry(3)]));
        assert_eq!(wanted.refused(all()), BTreeSet::from([entry(2)]));
    }
}
