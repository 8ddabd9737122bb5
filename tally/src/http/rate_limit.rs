//! Limits by time: wrong guesses of an address, requests of an API key.

use core::hash::Hash;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tallystick_kernel::{DurationMs, Reason, TimeMs};

/// Counts events of each key in windows of fixed length. Bounded: when it remembers too many keys,
/// the windows that are over are dropped first and then everything, which forgives one window.
#[derive(Debug)]
pub struct RateLimit<K> {
    window: DurationMs,
    events_max: u32,
    windows: Mutex<HashMap<K, Window>>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: TimeMs,
    events: u32,
}

impl<K: Eq + Hash> RateLimit<K> {
    /// At most `events_max` events of one key in each `window`.
    pub fn new(window: DurationMs, events_max: u32) -> RateLimit<K> {
        RateLimit { window, events_max, windows: Mutex::default() }
    }

    /// Counts an event before it happens; [`Reason::RateLimited`] when it is one too many.
    pub fn begin(&self, key: K, now: TimeMs) -> Result<(), Reason> {
        let is_over = |window: &Window| now >= window.since.after(self.window);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= KEYS_MAX && !windows.contains_key(&key) {
            windows.retain(|_, window| !is_over(window));
            if windows.len() >= KEYS_MAX {
                windows.clear();
            }
        }
        let window = windows.entry(key).or_insert(Window { since: now, events: 0 });
        if is_over(window) {
            *window = Window { since: now, events: 0 };
        }
        if window.events >= self.events_max {
            return Err(Reason::RateLimited);
        }
        window.events += 1;
        Ok(())
    }

    /// Takes back an event that shall not count.
    pub fn forgive(&self, key: &K) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.get_mut(key) {
            window.events = window.events.saturating_sub(1);
        }
    }

    /// The length of a window in whole seconds, rounded up: what `Retry-After` may say.
    pub fn retry_after_seconds(&self) -> u64 {
        self.window.0.div_ceil(1000)
    }
}

const KEYS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_too_many_is_refused_and_the_next_window_is_free() {
        let limit = RateLimit::new(DurationMs::minutes(1), 10);
        for _ in 0..10 {
            assert_eq!(limit.begin("one", TimeMs(1000)), Ok(()));
        }
        assert_eq!(limit.begin("one", TimeMs(60_999)), Err(Reason::RateLimited));
        assert_eq!(limit.begin("other", TimeMs(2000)), Ok(()));
        assert_eq!(limit.begin("one", TimeMs(61_000)), Ok(()));
    }

    #[test]
    fn what_is_forgiven_does_not_count() {
        let limit = RateLimit::new(DurationMs::minutes(1), 1);
        for _ in 0..100 {
            assert_eq!(limit.begin(7, TimeMs(1)), Ok(()));
            limit.forgive(&7);
        }
    }

    #[test]
    fn the_memory_is_bounded() {
        let limit = RateLimit::new(DurationMs::minutes(1), 1);
        for key in 0..3 * KEYS_MAX {
            assert_eq!(limit.begin(key, TimeMs(1)), Ok(()));
        }
        assert!(limit.windows.lock().unwrap().len() <= KEYS_MAX);
    }
}
