//! Rates: so many events for one key in a window, and how a caller learns of it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue};
use tallystick_kernel::{DurationMs, Reason, TimeMs};

use super::problem::Refusal;

/// Counts events by key in windows of fixed length; at most [`KEYS_MAX`] keys are remembered.
pub struct RateLimit<K> {
    window: DurationMs,
    events_max: u32,
    windows: Mutex<HashMap<K, Window>>,
}

struct Window {
    since: TimeMs,
    events: u32,
}

/// Where a caller stands in its window, the event that was just counted included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Events that a window allows.
    pub limit: u32,
    /// Events that are left in this one.
    pub remaining: u32,
    /// When the next window begins, from now.
    pub reset: DurationMs,
    /// Whether the event was one too many.
    pub exceeded: bool,
}

impl Standing {
    /// [`Reason::RateLimited`], with the time to wait, for one event too many.
    pub fn check(&self) -> Result<(), Refusal> {
        if !self.exceeded {
            return Ok(());
        }
        Err(Refusal::from(Reason::RateLimited).retry_after(self.reset_seconds()))
    }

    /// Writes the `RateLimit-*` headers.
    pub fn tell(&self, headers: &mut HeaderMap) {
        headers.insert("RateLimit-Limit", HeaderValue::from(self.limit));
        headers.insert("RateLimit-Remaining", HeaderValue::from(self.remaining));
        headers.insert("RateLimit-Reset", HeaderValue::from(self.reset_seconds()));
    }

    fn reset_seconds(&self) -> u64 {
        self.reset.0.div_ceil(1000).max(1)
    }
}

impl<K: Eq + Hash> RateLimit<K> {
    /// At most `events_max` events for each key in each window.
    pub fn new(window: DurationMs, events_max: u32) -> RateLimit<K> {
        RateLimit { window, events_max, windows: Mutex::default() }
    }

    /// Counts an event; [`Reason::RateLimited`] when it is one too many.
    pub fn begin(&self, key: K, now: TimeMs) -> Result<(), Reason> {
        if self.count(key, now).exceeded { Err(Reason::RateLimited) } else { Ok(()) }
    }

    /// Counts an event and says where the key stands. One too many is not counted.
    pub fn count(&self, key: K, now: TimeMs) -> Standing {
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
        let exceeded = window.events >= self.events_max;
        if !exceeded {
            window.events += 1;
        }
        Standing {
            limit: self.events_max,
            remaining: self.events_max - window.events,
            reset: DurationMs(window.since.after(self.window).0.saturating_sub(now.0)),
            exceeded,
        }
    }

    /// Takes back an event that shall not count.
    pub fn forgive(&self, key: &K) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.get_mut(key) {
            window.events = window.events.saturating_sub(1);
        }
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
    fn a_caller_learns_what_is_left_and_when_more_comes() {
        let limit = RateLimit::new(DurationMs::minutes(1), 2);
        let first = limit.count("one", TimeMs(1000));
        let expected =
            Standing { limit: 2, remaining: 1, reset: DurationMs::minutes(1), exceeded: false };
        assert_eq!(first, expected);
        limit.count("one", TimeMs(1000));
        let third = limit.count("one", TimeMs(30_500));
        assert!(third.exceeded && third.remaining == 0);
        let mut headers = HeaderMap::new();
        third.tell(&mut headers);
        assert_eq!(headers["RateLimit-Limit"], "2");
        assert_eq!(headers["RateLimit-Remaining"], "0");
        assert_eq!(headers["RateLimit-Reset"], "31");
        assert_eq!(third.check().unwrap_err().reason(), Reason::RateLimited);
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
