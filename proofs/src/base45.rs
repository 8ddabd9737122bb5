//! Base45 (RFC 9285): bytes as text of the QR code's alphanumeric mode.

use tallystick_kernel::Reason;

/// The text of `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    ::base45::encode(bytes)
}

/// The bytes of `text`; [`Reason::Base45Malformed`] for another character, a length of 3n + 1, and
/// a group above its range.
pub fn decode(text: &str) -> Result<Vec<u8>, Reason> {
    // The library keeps only the low byte of a last group of two above 255.
    if text.len() % 3 == 2 {
        let last = &text.as_bytes()[text.len() - 2..];
        let digit = |character: u8| ALPHABET.iter().position(|letter| *letter == character);
        match (digit(last[0]), digit(last[1])) {
            (Some(low), Some(high)) if low + 45 * high <= 255 => {}
            _ => return Err(Reason::Base45Malformed),
        }
    }
    ::base45::decode(text).map_err(|_| Reason::Base45Malformed)
}

/// The alphabet of RFC 9285 section 4.
const ALPHABET: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_out_of_range_are_refused() {
        assert_eq!(decode("U5"), Ok(vec![0xff]));
        for text in ["V5", "::", "GGX", ":::", "A", "BB8A", "bb8", "B\u{e9}", "BB8\n"] {
            assert_eq!(decode(text), Err(Reason::Base45Malformed), "{text}");
        }
    }

    #[test]
    fn every_short_input_is_read_back() {
        for length in 0..6 {
            for seed in 0..=255u8 {
                let bytes: Vec<u8> =
                    (0..length).map(|place: u8| seed.wrapping_mul(place | 1)).collect();
                assert_eq!(decode(&encode(&bytes)), Ok(bytes));
            }
        }
    }
}
