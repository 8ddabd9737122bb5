//! Threads for the execution of a block's lanes.

use std::num::NonZeroUsize;

use tallystick_ledger::Workers;

/// Transactions of one part at least. A thousand transfers take a few milliseconds; on cores that
/// others use too, waiting for a second thread took longer than it saved.
const PART_MIN: usize = 2_048;
/// Parts of one block at most.
const PARTS_MAX: usize = 8;

/// One thread for each part, and no more parts than this machine has cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    /// Parts at most.
    pub parts_max: usize,
    /// Transactions of one part at least.
    pub part_min: usize,
}

impl Threads {
    /// What suits this machine.
    pub fn of_this_machine() -> Threads {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Threads { parts_max: cores.min(PARTS_MAX), part_min: PART_MIN }
    }
}

impl Workers for Threads {
    fn parts(&self, things: usize) -> usize {
        (things / self.part_min.max(1)).clamp(1, self.parts_max.max(1))
    }

    fn each(&self, parts: usize, part: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for number in 1..parts {
                scope.spawn(move || part(number));
            }
            if parts > 0 {
                part(0);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn every_part_is_done_once_and_small_works_are_not_split() {
        let threads = Threads { parts_max: 3, part_min: 10 };
        let parts: Vec<usize> =
            [0, 9, 19, 20, 35, 1_000].map(|things| threads.parts(things)).into();
        assert_eq!(parts, [1, 1, 1, 2, 3, 3]);
        for count in 0..4 {
            let done = Mutex::new(Vec::new());
            threads.each(count, &|number| done.lock().unwrap().push(number));
            let mut done = done.into_inner().unwrap();
            done.sort_unstable();
            assert_eq!(done, (0..count).collect::<Vec<_>>());
        }
    }
}
