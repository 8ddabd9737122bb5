//! Hexadecimal text: lower case when written, either case when read.

use crate::reason::Reason;

/// Lower-case hexadecimal of `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// The bytes that `text` names; [`Reason::HexMalformed`] for an odd length or another character.
pub fn decode(text: &str) -> Result<Vec<u8>, Reason> {
    let digit = |character: u8| (character as char).to_digit(16).map(|value| value as u8);
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return Err(Reason::HexMalformed);
    }
    bytes
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect::<Option<Vec<u8>>>()
        .ok_or(Reason::HexMalformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_back_and_nothing_else_is() {
        assert_eq!(decode(&encode(&[0, 15, 255])), Ok(vec![0, 15, 255]));
        assert_eq!(decode("AB"), Ok(vec![0xab]));
        for text in ["a", "zz", "é"] {
            assert_eq!(decode(text), Err(Reason::HexMalformed));
        }
    }
}
