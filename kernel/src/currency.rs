//! Currency codes: the name under which money of one authority is counted.

use core::fmt;
use core::str::FromStr;

use crate::codec::{Codec, Reader, Writer};
use crate::limits::{CURRENCY_CODE_BYTES_MAX, CURRENCY_CODE_BYTES_MIN};
use crate::reason::Reason;

/// A currency's code: 3 to 8 upper-case ASCII letters or digits, the first one a letter
/// (ISO 4217 codes are a part of these).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CurrencyCode {
    bytes: [u8; CURRENCY_CODE_BYTES_MAX],
    length: u8,
}

impl CurrencyCode {
    /// Reads a code; [`Reason::CurrencyMalformed`] when the text is not one.
    pub fn new(text: &str) -> Result<CurrencyCode, Reason> {
        let length = text.len();
        let well_formed = (CURRENCY_CODE_BYTES_MIN..=CURRENCY_CODE_BYTES_MAX).contains(&length)
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            && text.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase());
        if !well_formed {
            return Err(Reason::CurrencyMalformed);
        }
        let mut bytes = [0; CURRENCY_CODE_BYTES_MAX];
        bytes[..length].copy_from_slice(text.as_bytes());
        Ok(CurrencyCode { bytes, length: length as u8 })
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever stored, so the fallback is never taken.
        core::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl FromStr for CurrencyCode {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Reason> {
        CurrencyCode::new(text)
    }
}

impl fmt::Display for CurrencyCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for CurrencyCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Codec for CurrencyCode {
    fn encode(&self, out: &mut Writer) {
        out.text(self.as_str());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        CurrencyCode::new(input.text(CURRENCY_CODE_BYTES_MAX)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_upper_case_codes_are_currencies() {
        assert_eq!(CurrencyCode::new("EUR").unwrap().as_str(), "EUR");
        assert_eq!(CurrencyCode::new("POINTS24").unwrap().to_string(), "POINTS24");
        for text in ["", "EU", "eur", "1EUR", "TOOLONGXX", "EU R", "ÉUR"] {
            assert_eq!(CurrencyCode::new(text), Err(Reason::CurrencyMalformed), "{text:?}");
        }
    }
}
