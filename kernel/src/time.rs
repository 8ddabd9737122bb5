//! Time as milliseconds since the Unix epoch, always passed in, never read here.

use core::fmt;

use crate::codec::{Codec, Reader, Writer};
use crate::limits::TIME_MS_MAX;
use crate::reason::Reason;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, `0..=2^53-1` (exact in JSON).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeMs(pub u64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationMs(pub u64);

impl DurationMs {
    /// A length of whole seconds.
    pub const fn seconds(seconds: u64) -> DurationMs {
        DurationMs(seconds * 1000)
    }

    /// A length of whole minutes.
    pub const fn minutes(minutes: u64) -> DurationMs {
        DurationMs::seconds(minutes * 60)
    }
}

impl TimeMs {
    /// The time `duration` later; stays at the end of time, which no window reaches.
    pub const fn after(self, duration: DurationMs) -> TimeMs {
        TimeMs(self.0.saturating_add(duration.0))
    }

    /// The time `duration` earlier, not before the epoch.
    pub const fn before(self, duration: DurationMs) -> TimeMs {
        TimeMs(self.0.saturating_sub(duration.0))
    }

    /// Whole seconds since the epoch, rounded down (NumericDate of RFC 8392).
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }
}

impl fmt::Display for TimeMs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl Codec for TimeMs {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        match input.u64()? {
            time if time <= TIME_MS_MAX => Ok(TimeMs(time)),
            _ => Err(Reason::Malformed),
        }
    }
}

impl Codec for DurationMs {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        TimeMs::decode(input).map(|time| DurationMs(time.0))
    }
}

/// A span `[not_before, not_after)` judged with a skew that the verifier allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    /// The first instant that is inside.
    pub not_before: TimeMs,
    /// The first instant that is outside again.
    pub not_after: TimeMs,
}

impl TimeWindow {
    /// Whether `now` is inside, giving `early` before the start and `late` past the end.
    ///
    /// Returns [`Reason::NotYetValid`] or [`Reason::Expired`]; at `not_after + late` exactly it
    /// has expired.
    pub fn check(&self, now: TimeMs, early: DurationMs, late: DurationMs) -> Result<(), Reason> {
        if now.after(early) < self.not_before {
            return Err(Reason::NotYetValid);
        }
        if now >= self.not_after.after(late) {
            return Err(Reason::Expired);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_its_start_and_not_its_end() {
        let window = TimeWindow { not_before: TimeMs(1000), not_after: TimeMs(2000) };
        let check = |now| window.check(TimeMs(now), DurationMs(0), DurationMs(0));
        assert_eq!(check(999), Err(Reason::NotYetValid));
        assert_eq!(check(1000), Ok(()));
        assert_eq!(check(1999), Ok(()));
        assert_eq!(check(2000), Err(Reason::Expired));
        assert_eq!(window.check(TimeMs(2000), DurationMs(0), DurationMs(1)), Ok(()));
        assert_eq!(window.check(TimeMs(500), DurationMs(500), DurationMs(0)), Ok(()));
    }
}
