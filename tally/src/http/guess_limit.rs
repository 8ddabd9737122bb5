//! A limit on guesses: wrong logins and wrong codes, by the address that makes them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tallystick_kernel::limits::GUESSES_PER_MINUTE_MAX;
use tallystick_kernel::{DurationMs, Reason, TimeMs};

/// Counts wrong guesses in windows of a minute. Bounded: when it remembers too many addresses, the
/// windows that are over are dropped first and then everything, which forgives a minute at most.
#[derive(Debug, Default)]
pub struct GuessLimit(Mutex<HashMap<IpAddr, Window>>);

#[derive(Clone, Copy, Debug)]
struct Window {
    since: TimeMs,
    guesses: u32,
}

impl GuessLimit {
    /// Counts a guess before it is judged; [`Reason::RateLimited`] when it is one too many.
    pub fn begin(&self, address: IpAddr, now: TimeMs) -> Result<(), Reason> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= ADDRESSES_MAX {
            windows.retain(|_, window| now < window.since.after(WINDOW));
            if windows.len() >= ADDRESSES_MAX {
                windows.clear();
            }
        }
        let window = windows.entry(address).or_insert(Window { since: now, guesses: 0 });
        if now >= window.since.after(WINDOW) {
            *window = Window { since: now, guesses: 0 };
        }
        if window.guesses >= GUESSES_PER_MINUTE_MAX {
            return Err(Reason::RateLimited);
        }
        window.guesses += 1;
        Ok(())
    }

    /// Takes back the count of a guess that was right.
    pub fn forgive(&self, address: IpAddr) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.get_mut(&address) {
            window.guesses = window.guesses.saturating_sub(1);
        }
    }
}

const WINDOW: DurationMs = DurationMs::minutes(1);
const ADDRESSES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_eleventh_wrong_guess_of_a_minute_is_refused_and_the_next_minute_is_free() {
        let limit = GuessLimit::default();
        let one = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let other = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        for _ in 0..GUESSES_PER_MINUTE_MAX {
            assert_eq!(limit.begin(one, TimeMs(1000)), Ok(()));
        }
        assert_eq!(limit.begin(one, TimeMs(2000)), Err(Reason::RateLimited));
        assert_eq!(limit.begin(other, TimeMs(2000)), Ok(()));
        assert_eq!(limit.begin(one, TimeMs(61_000)), Ok(()));
    }

    #[test]
    fn a_right_guess_does_not_count() {
        let limit = GuessLimit::default();
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for _ in 0..100 {
            assert_eq!(limit.begin(address, TimeMs(1)), Ok(()));
            limit.forgive(address);
        }
    }
}
