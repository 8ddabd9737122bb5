//! Things that end at some time, found by it.
//!
//! Invariant: what is due is given in the order of its time, then of its own, so that nothing that
//! follows from it depends on how it is kept.

use std::collections::BTreeMap;
use std::hash::Hash;

use tallystick_kernel::TimeMs;

use crate::lookup::Lookup;

/// Things by the millisecond at which each ends; kept a second together, so that taking one up or
/// letting one go costs the same however many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlines<T: Eq + Hash> {
    by_second: BTreeMap<u64, Lookup<T, TimeMs>>,
}

impl<T: Copy + Ord + Hash> Deadlines<T> {
    /// Takes one up that is not here.
    pub fn insert(&mut self, end: TimeMs, thing: T) {
        self.by_second.entry(second(end)).or_default().insert(thing, end);
    }

    /// Lets one go before its time; `end` is what it was taken up with.
    pub fn remove(&mut self, end: TimeMs, thing: &T) {
        let Some(same) = self.by_second.get_mut(&second(end)) else { return };
        same.remove(thing);
        if same.is_empty() {
            self.by_second.remove(&second(end));
        }
    }

    /// What ends at `last` or before.
    pub fn due(&self, last: TimeMs) -> Vec<T> {
        let seconds = self.by_second.range(..=second(last));
        let all = seconds.flat_map(|(_, same)| same.sorted());
        let all = all.filter(|(_, end)| **end <= last);
        let mut due: Vec<(TimeMs, T)> = all.map(|(thing, end)| (*end, *thing)).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, thing)| thing).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_second.is_empty()
    }
}

impl<T: Eq + Hash> Default for Deadlines<T> {
    fn default() -> Self {
        Deadlines { by_second: BTreeMap::new() }
    }
}

fn second(time: TimeMs) -> u64 {
    time.0 / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order_to_the_millisecond_and_what_was_let_go_does_not() {
        let mut deadlines = Deadlines::default();
        for (end, thing) in [(2000, 1), (1999, 9), (1999, 2), (2001, 3), (500, 4), (9000, 5)] {
            deadlines.insert(TimeMs(end), thing);
        }
        assert_eq!(deadlines.due(TimeMs(499)), []);
        assert_eq!(deadlines.due(TimeMs(2000)), [4, 2, 9, 1]);
        deadlines.remove(TimeMs(1999), &9);
        deadlines.remove(TimeMs(500), &4);
        assert_eq!(deadlines.due(TimeMs(u64::MAX)), [2, 1, 3, 5]);
        for (end, thing) in [(2000, 1), (1999, 2), (2001, 3), (9000, 5)] {
            deadlines.remove(TimeMs(end), &thing);
        }
        assert!(deadlines.is_empty());
    }
}
