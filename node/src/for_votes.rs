//! Bodies that are here only because a block lists them, and until when.
//!
//! Invariants: nobody was told that one of them is here, neither by an answer nor by a storage
//! statement; one that a block needs for which this node may have voted stays until that block is
//! decided. So a proposer that lies makes others keep no more than what the blocks of
//! [`VOTE_HEIGHTS`] heights may hold, and a block that is refused leaves nothing.

use std::collections::BTreeMap;

use tallystick_proofs::header::Entry;

/// For how many executed heights a body stays that only a vote needs. A block is judged while at
/// most [`tallystick_kernel::limits::EXECUTION_LAG_MAX`] heights below it are not executed, and
/// executed while at most 64 more are delivered: later it is decided.
pub const VOTE_HEIGHTS: u64 = 128;

#[derive(Clone, Copy)]
struct Use {
    /// The executed height with which it ends.
    until: u64,
    /// Whether a block with it was judged to be valid.
    voted: bool,
}

/// What is here for votes alone.
#[derive(Default)]
pub struct ForVotes(BTreeMap<Entry, Use>);

impl ForVotes {
    /// Takes one up, now that `height` is executed.
    pub fn insert(&mut self, entry: Entry, height: u64) {
        let until = height.saturating_add(VOTE_HEIGHTS);
        self.0.insert(entry, Use { until, voted: false });
    }

    /// One has ended, or somebody is told that it is here: from now on it stays as any other does.
    pub fn remove(&mut self, entry: &Entry) {
        self.0.remove(entry);
    }

    /// A block with these is valid, now that `height` is executed.
    pub fn voted(&mut self, entries: &[Entry], height: u64) {
        self.change(entries, |found| {
            *found = Use { until: height.saturating_add(VOTE_HEIGHTS), voted: true };
        });
    }

    /// A block with these is refused: what no other block needs ends with the next one.
    pub fn refused(&mut self, entries: &[Entry]) {
        self.change(entries, |found| {
            if !found.voted {
                found.until = 0;
            }
        });
    }

    /// What ends now that `height` is executed.
    pub fn past(&self, height: u64) -> Vec<Entry> {
        let past = self.0.iter().filter(|(_, found)| found.until <= height);
        past.map(|(entry, _)| *entry).collect()
    }

    fn change(&mut self, entries: &[Entry], change: impl Fn(&mut Use)) {
        if self.0.is_empty() {
            return;
        }
        entries.iter().for_each(|entry| {
            self.0.get_mut(entry).into_iter().for_each(&change);
        });
    }
}

#[cfg(test)]
mod tests {
    use tallystick_kernel::TransactionId;

    use super::*;

    fn entry(id: u8) -> Entry {
        Entry { id: TransactionId([id; 32]), witness_hash: [0; 32] }
    }

    #[test]
    fn what_a_refused_block_listed_ends_at_once_unless_another_block_or_a_promise_needs_it() {
        let mut all = ForVotes::default();
        [1, 2, 3, 4].into_iter().for_each(|id| all.insert(entry(id), 10));
        all.voted(&[entry(2)], 12);
        all.remove(&entry(3));
        all.refused(&[entry(1), entry(2), entry(3), entry(9)]);
        assert_eq!(all.past(11), [entry(1)]);
        assert_eq!(all.past(10 + VOTE_HEIGHTS), [entry(1), entry(4)]);
        assert_eq!(all.past(12 + VOTE_HEIGHTS), [entry(1), entry(2), entry(4)]);
    }
}
