//! Money as integer minor units with checked arithmetic.

use core::fmt;

use crate::codec::{Codec, Reader, Writer};
use crate::limits::SUPPLY_MAX;
use crate::reason::Reason;

/// An amount of one currency in minor units (cents, yen, points), `0..=2^63-1`.
///
/// The upper bound keeps every amount, and every supply, inside an SQL `BIGINT`. The currency is
/// carried beside it, never inside. There is no `+` and no `-`: a result out of range is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u64);

impl Amount {
    /// No money.
    pub const ZERO: Amount = Amount(0);
    /// The greatest amount that exists.
    pub const MAX: Amount = Amount(SUPPLY_MAX);

    /// An amount of `minor` units. Returns [`Reason::AmountOverflow`] above `2^63-1`.
    pub const fn new(minor: u64) -> Result<Amount, Reason> {
        if minor > SUPPLY_MAX { Err(Reason::AmountOverflow) } else { Ok(Amount(minor)) }
    }

    /// The number of minor units.
    pub const fn minor(self) -> u64 {
        self.0
    }

    /// Whether this is no money at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or [`Reason::AmountOverflow`].
    pub const fn plus(self, other: Amount) -> Result<Amount, Reason> {
        match self.0.checked_add(other.0) {
            Some(sum) => Amount::new(sum),
            None => Err(Reason::AmountOverflow),
        }
    }

    /// The difference, or [`Reason::InsufficientFunds`] when `other` is the greater.
    pub const fn minus(self, other: Amount) -> Result<Amount, Reason> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Ok(Amount(rest)),
            None => Err(Reason::InsufficientFunds),
        }
    }

    /// The sum of all, or [`Reason::AmountOverflow`].
    pub fn sum(amounts: impl IntoIterator<Item = Amount>) -> Result<Amount, Reason> {
        amounts.into_iter().try_fold(Amount::ZERO, Amount::plus)
    }

    /// Reads a decimal number of major units, such as `12.30` with `exponent` 2.
    ///
    /// At most `exponent` digits may follow the point; signs, spaces and group marks are refused
    /// with [`Reason::AmountMalformed`], too large a number with [`Reason::AmountOverflow`].
    ///
    /// ```
    /// use tallystick_kernel::{Amount, Reason};
    ///
    /// assert_eq!(Amount::parse("12.30", 2), Amount::new(1230));
    /// assert_eq!(Amount::parse("12.305", 2), Err(Reason::AmountMalformed));
    /// ```
    pub fn parse(text: &str, exponent: u8) -> Result<Amount, Reason> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let ends_in_point = text.ends_with('.');
        if whole.is_empty() || ends_in_point || fraction.len() > usize::from(exponent) {
            return Err(Reason::AmountMalformed);
        }
        if !digits_only(whole) || !digits_only(fraction) {
            return Err(Reason::AmountMalformed);
        }
        let digits = format!("{whole}{fraction:0<width$}", width = usize::from(exponent));
        let minor: u64 = digits.parse().map_err(|_| Reason::AmountOverflow)?;
        Amount::new(minor)
    }

    /// Writes the amount in major units with `exponent` decimals, such as `12.30`.
    ///
    /// ```
    /// assert_eq!(tallystick_kernel::Amount::MAX.display(2), "92233720368547758.07");
    /// ```
    pub fn display(self, exponent: u8) -> String {
        let width = usize::from(exponent) + 1;
        let digits = format!("{:0>width$}", self.0);
        let (whole, fraction) = digits.split_at(digits.len() - usize::from(exponent));
        if exponent == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl Codec for Amount {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        Amount::new(input.u64()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_and_written_in_major_units() {
        for (text, exponent, minor) in
            [("12.3", 2, 1230), ("0", 2, 0), ("7", 0, 7), ("0.05", 2, 5), ("1.234", 3, 1234)]
        {
            assert_eq!(Amount::parse(text, exponent).map(Amount::minor), Ok(minor), "{text}");
        }
        assert_eq!(Amount::new(1230).unwrap().display(2), "12.30");
        assert_eq!(Amount::new(5).unwrap().display(2), "0.05");
        assert_eq!(Amount::new(5).unwrap().display(0), "5");
    }

    #[test]
    fn a_malformed_amount_is_refused() {
        for text in ["", ".5", "1.", "-1", "+1", "1,0", " 1", "1.234", "1.2.3", "١"] {
            assert_eq!(Amount::parse(text, 2), Err(Reason::AmountMalformed), "{text:?}");
        }
        assert_eq!(Amount::parse("92233720368547758.08", 2), Err(Reason::AmountOverflow));
    }

    #[test]
    fn arithmetic_never_wraps_or_saturates() {
        assert_eq!(Amount::MAX.plus(Amount(1)), Err(Reason::AmountOverflow));
        assert_eq!(Amount::ZERO.minus(Amount(1)), Err(Reason::InsufficientFunds));
        assert_eq!(Amount::sum([Amount::MAX, Amount::MAX]), Err(Reason::AmountOverflow));
    }
}
