//! CBOR Web Token claims (RFC 8392): their types, and the time that they allow.
//!
//! Invariant: claims that the RFC registers have its types or the set is refused; others are kept
//! as they came.

use coset::cbor::Value;
use tallystick_kernel::{DurationMs, Reason, TimeMs, TimeWindow};

use crate::foreign_cbor;

/// Bytes of a set of claims at most.
pub const CLAIMS_BYTES_MAX: usize = 64 * 1024;

/// The registered claims (RFC 8392 section 4).
pub mod key {
    /// `iss`, text.
    pub const ISSUER: i64 = 1;
    /// `sub`, text.
    pub const SUBJECT: i64 = 2;
    /// `aud`, text or a list of texts.
    pub const AUDIENCE: i64 = 3;
    /// `exp`, a time.
    pub const EXPIRY: i64 = 4;
    /// `nbf`, a time.
    pub const NOT_BEFORE: i64 = 5;
    /// `iat`, a time.
    pub const ISSUED: i64 = 6;
    /// `cti`, bytes.
    pub const TOKEN_ID: i64 = 7;
}

/// A set of claims of the right types.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    entries: Vec<(Value, Value)>,
    expiry: Option<TimeMs>,
    not_before: Option<TimeMs>,
    issued: Option<TimeMs>,
}

/// How far off a clock may be: before the start, and past the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// Allowed before `iat` and `nbf`.
    pub early: DurationMs,
    /// Allowed past `exp`.
    pub late: DurationMs,
}

impl Skew {
    /// No skew at all.
    pub const NONE: Skew = Skew { early: DurationMs(0), late: DurationMs(0) };
}

impl Claims {
    /// Reads a set of claims.
    ///
    /// Returns the reasons of [`foreign_cbor::read`] and [`Reason::ClaimMalformed`].
    pub fn read(bytes: &[u8]) -> Result<Claims, Reason> {
        let Value::Map(entries) = foreign_cbor::read(bytes, CLAIMS_BYTES_MAX)? else {
            return Err(Reason::ClaimMalformed);
        };
        let keys = |(key, _): &(Value, Value)| matches!(key, Value::Integer(_) | Value::Text(_));
        if !entries.iter().all(keys) {
            return Err(Reason::ClaimMalformed);
        }
        let mut claims = Claims { entries, expiry: None, not_before: None, issued: None };
        claims.check_types()?;
        claims.expiry = claims.time(key::EXPIRY, Rounding::Down)?;
        claims.not_before = claims.time(key::NOT_BEFORE, Rounding::Up)?;
        claims.issued = claims.time(key::ISSUED, Rounding::Up)?;
        Ok(claims)
    }

    /// All claims in the order in which they stand.
    pub fn entries(&self) -> &[(Value, Value)] {
        &self.entries
    }

    /// The value of a claim.
    pub fn get(&self, key: i64) -> Option<&Value> {
        let key = Value::from(key);
        self.entries.iter().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// The value of a claim that must be there; [`Reason::ClaimMissing`] otherwise.
    pub fn need(&self, key: i64) -> Result<&Value, Reason> {
        self.get(key).ok_or(Reason::ClaimMissing)
    }

    /// The end of validity; [`Reason::ClaimMissing`] when the token never expires.
    pub fn expiry(&self) -> Result<TimeMs, Reason> {
        self.expiry.ok_or(Reason::ClaimMissing)
    }

    /// When the token was made; [`Reason::ClaimMissing`].
    pub fn issued(&self) -> Result<TimeMs, Reason> {
        self.issued.ok_or(Reason::ClaimMissing)
    }

    /// Whether `now` is inside what `nbf`, `iat` and `exp` allow, as far as they are there; at
    /// `exp` the token has expired. Returns [`Reason::NotYetValid`] or [`Reason::Expired`].
    pub fn check_time(&self, now: TimeMs, skew: Skew) -> Result<(), Reason> {
        let start = self.not_before.max(self.issued).unwrap_or(TimeMs(0));
        let end = self.expiry.unwrap_or(TimeMs(u64::MAX));
        let window = TimeWindow { not_before: start, not_after: end };
        window.check(now, skew.early, skew.late)
    }

    /// As [`Claims::check_time`], but leaving `nbf` out.
    pub fn check_lifetime(&self, now: TimeMs, skew: Skew) -> Result<(), Reason> {
        Claims { not_before: None, entries: Vec::new(), ..*self }.check_time(now, skew)
    }

    /// Whether `nbf` lies at or after `exp`, so that no time is inside.
    pub fn is_never_valid(&self) -> bool {
        matches!((self.not_before, self.expiry), (Some(start), Some(end)) if start >= end)
    }

    fn check_types(&self) -> Result<(), Reason> {
        let right = |(key, value): &(Value, Value)| match key.as_integer().map(i128::from) {
            Some(1 | 2) => value.is_text(),
            Some(3) => match value {
                Value::Array(texts) => texts.iter().all(Value::is_text),
                other => other.is_text(),
            },
            Some(7) => value.is_bytes(),
            _ => true,
        };
        if self.entries.iter().all(right) { Ok(()) } else { Err(Reason::ClaimMalformed) }
    }

    /// A NumericDate: an integer or a float without a tag, in seconds (RFC 8392 section 2).
    fn time(&self, key: i64, rounding: Rounding) -> Result<Option<TimeMs>, Reason> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Integer(seconds)) => {
                let ms = i128::from(*seconds).saturating_mul(1000).clamp(0, i128::from(u64::MAX));
                Ok(Some(TimeMs(u64::try_from(ms).unwrap_or(u64::MAX))))
            }
            // Casts saturate, so that a time before the epoch is the epoch and none overflows.
            Some(Value::Float(seconds)) if seconds.is_finite() => {
                let ms = seconds * 1000.0;
                let ms = match rounding {
                    Rounding::Down => ms.floor(),
                    Rounding::Up => ms.ceil(),
                };
                Ok(Some(TimeMs(ms as u64)))
            }
            Some(_) => Err(Reason::ClaimMalformed),
        }
    }
}

/// Fractions of a millisecond never widen the window.
enum Rounding {
    Down,
    Up,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(entries: Vec<(i64, Value)>) -> Result<Claims, Reason> {
        let map = entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect();
        Claims::read(&foreign_cbor::write(&Value::Map(map)))
    }

    fn judged(entries: Vec<(i64, Value)>, now_ms: u64) -> Result<(), Reason> {
        claims(entries)?.check_time(TimeMs(now_ms), Skew::NONE)
    }

    #[test]
    fn a_token_is_valid_from_its_start_until_just_before_its_end() {
        let entries = || vec![(4, Value::from(20)), (5, Value::from(10)), (6, Value::from(9))];
        assert_eq!(judged(entries(), 9_999), Err(Reason::NotYetValid));
        assert_eq!(judged(entries(), 10_000), Ok(()));
        assert_eq!(judged(entries(), 19_999), Ok(()));
        assert_eq!(judged(entries(), 20_000), Err(Reason::Expired));
        let skew = Skew { early: DurationMs(1000), late: DurationMs(500) };
        let read = claims(entries()).unwrap();
        assert_eq!(read.check_time(TimeMs(9_000), skew), Ok(()));
        assert_eq!(read.check_time(TimeMs(20_499), skew), Ok(()));
        assert_eq!(read.check_time(TimeMs(20_500), skew), Err(Reason::Expired));
    }

    #[test]
    fn odd_times_are_exact_or_refused() {
        assert_eq!(judged(vec![(4, Value::from(20.5))], 20_499), Ok(()));
        assert_eq!(judged(vec![(4, Value::from(20.5))], 20_500), Err(Reason::Expired));
        assert_eq!(judged(vec![(4, Value::from(-1))], 0), Err(Reason::Expired));
        assert_eq!(judged(vec![(4, Value::from(-1.5))], 0), Err(Reason::Expired));
        assert_eq!(judged(vec![(4, Value::from(u64::MAX))], 1), Ok(()));
        assert_eq!(judged(vec![(4, Value::from(1e300))], 1), Ok(()));
        assert_eq!(judged(vec![(6, Value::from(u64::MAX))], 1), Err(Reason::NotYetValid));
        assert_eq!(judged(vec![], 1), Ok(()));
        for value in [
            Value::from(f64::NAN),
            Value::from(f64::INFINITY),
            Value::from("20"),
            Value::Null,
            Value::Tag(1, Box::new(Value::from(20))),
        ] {
            assert_eq!(judged(vec![(4, value)], 1), Err(Reason::ClaimMalformed));
        }
    }

    #[test]
    fn registered_claims_have_their_types() {
        for (key, value) in [
            (1, Value::from(1)),
            (2, Value::Bytes(vec![])),
            (3, Value::Array(vec![Value::Null])),
            (7, Value::from("id")),
        ] {
            assert_eq!(claims(vec![(key, value)]), Err(Reason::ClaimMalformed));
        }
        assert!(claims(vec![(3, Value::Array(vec![Value::from("a")])), (99, Value::Null)]).is_ok());
        assert_eq!(Claims::read(&[0x80]), Err(Reason::ClaimMalformed));
        assert_eq!(Claims::read(&[0xa1, 0x80, 0x00]), Err(Reason::ClaimMalformed));
        let twice = [0xa2, 0x04, 0x00, 0x04, 0x00];
        assert_eq!(Claims::read(&twice), Err(Reason::DuplicateKey));
    }
}
