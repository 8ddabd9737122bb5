//! A lock that counts how often a thread took it while it held another one.
//!
//! Two tasks that take two locks in different orders stand still only when they meet; that one of
//! them holds both is seen every time, also where all tasks run on one thread.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

thread_local! {
    /// Locks that this thread holds.
    static HELD: Cell<u32> = const { Cell::new(0) };
}

/// How often locks were taken while others were held; zero in a node without faults.
#[derive(Debug, Default)]
pub struct Overlaps(AtomicU64);

impl Overlaps {
    /// How often so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The guard of a lock taken by [`lock`].
pub struct Guard<'a, T>(MutexGuard<'a, T>);

/// Takes a lock. What a thread that panicked left behind is used on: the state's own checks decide.
pub fn lock<'a, T>(mutex: &'a Mutex<T>, overlaps: &Overlaps) -> Guard<'a, T> {
    HELD.with(|held| {
        if held.get() > 0 {
            overlaps.0.fetch_add(1, Ordering::Relaxed);
        }
        held.set(held.get().saturating_add(1));
    });
    Guard(mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        HELD.with(|held| held.set(held.get().saturating_sub(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lock_at_a_time_is_no_overlap_and_two_are() {
        let (one, two, overlaps) = (Mutex::new(1), Mutex::new(2), Overlaps::default());
        *lock(&one, &overlaps) += 1;
        drop(lock(&two, &overlaps));
        assert_eq!(overlaps.count(), 0);
        let held = lock(&one, &overlaps);
        drop(lock(&two, &overlaps));
        assert_eq!((overlaps.count(), *held), (1, 2));
        drop(held);
        drop(lock(&two, &overlaps));
        assert_eq!(overlaps.count(), 1);
    }
}
