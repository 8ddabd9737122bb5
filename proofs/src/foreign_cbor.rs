//! CBOR that other people's software wrote: any encoding that RFC 8949 allows, but bounded.
//!
//! Invariants: depth is bounded, nothing follows the item, and no map at any depth holds a key
//! twice, so that two readers cannot see two meanings.

use std::collections::BTreeSet;

pub use coset::cbor::Value;
use tallystick_kernel::Reason;

/// How deep items may nest.
pub const DEPTH_MAX: usize = 16;

/// Reads the one item that fills `bytes`.
///
/// Returns [`Reason::TooLarge`] above `bytes_max`, [`Reason::Malformed`] for bytes that are no item
/// or nest too deep, [`Reason::TrailingBytes`] and [`Reason::DuplicateKey`].
pub fn read(bytes: &[u8], bytes_max: usize) -> Result<Value, Reason> {
    if bytes.len() > bytes_max {
        return Err(Reason::TooLarge);
    }
    let mut rest = bytes;
    let value: Value = coset::cbor::de::from_reader_with_recursion_limit(&mut rest, DEPTH_MAX)
        .map_err(|_| Reason::Malformed)?;
    if !rest.is_empty() {
        return Err(Reason::TrailingBytes);
    }
    refuse_duplicates(&value)?;
    Ok(value)
}

/// The bytes of an item, in the shortest definite form; maps keep the order that they have.
pub fn write(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = coset::cbor::ser::into_writer(value, &mut bytes) {
        unreachable!("writing to memory: {error}");
    }
    bytes
}

fn refuse_duplicates(value: &Value) -> Result<(), Reason> {
    match value {
        Value::Array(items) => items.iter().try_for_each(refuse_duplicates),
        Value::Tag(_, item) => refuse_duplicates(item),
        Value::Map(entries) => {
            let mut seen = BTreeSet::new();
            for (key, item) in entries {
                if !seen.insert(write(key)) {
                    return Err(Reason::DuplicateKey);
                }
                refuse_duplicates(key)?;
                refuse_duplicates(item)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_twice_at_any_depth_and_in_any_encoding() {
        for bytes in [
            &[0xa2, 0x01, 0x00, 0x01, 0x00][..],
            &[0xa2, 0x01, 0x00, 0x18, 0x01, 0x00],
            &[0x81, 0xc1, 0xa2, 0x61, 0x61, 0x00, 0x61, 0x61, 0x00],
            &[0xa1, 0x05, 0xbf, 0x41, 0x61, 0x00, 0x5f, 0x41, 0x61, 0xff, 0x00, 0xff],
        ] {
            assert_eq!(read(bytes, 100), Err(Reason::DuplicateKey));
        }
        assert!(read(&[0xa2, 0x01, 0x00, 0x20, 0x00], 100).is_ok());
    }

    #[test]
    fn what_is_left_over_too_deep_too_long_or_cut_is_refused() {
        assert_eq!(read(&[0x00, 0x00], 100), Err(Reason::TrailingBytes));
        assert_eq!(read(&[0x81; 100], 100), Err(Reason::Malformed));
        assert_eq!(read(&[0x00, 0x00], 1), Err(Reason::TooLarge));
        assert_eq!(read(&[], 1), Err(Reason::Malformed));
        let huge = [0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00];
        assert_eq!(read(&huge, 100), Err(Reason::Malformed));
        let huge_array = [0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00];
        assert_eq!(read(&huge_array, 100), Err(Reason::Malformed));
    }
}
