//! HMAC-SHA-256 (RFC 2104) over labelled parts, each preceded by its length.
//!
//! Invariant: two uses (labels) or two lists of parts never share an input.

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use subtle::ConstantTimeEq;
use tallystick_kernel::Reason;

/// The tag over `parts` for the use named `label` (at most 255 bytes, a constant of the caller).
///
/// The input is `len(label) as u8 || label || (len(part) as u64 big-endian || part)*`.
pub fn tag(key: &[u8], label: &str, parts: &[&[u8]]) -> [u8; 32] {
    assert!(label.len() <= 255, "a label is at most 255 bytes");
    let mut context = Context::with_key(&Key::new(HMAC_SHA256, key));
    context.update(&[label.len() as u8]);
    context.update(label.as_bytes());
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut tag = [0; 32];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

/// Compares `claimed` with the right tag in constant time; [`Reason::SignatureInvalid`] otherwise.
pub fn verify(key: &[u8], label: &str, parts: &[&[u8]], claimed: &[u8]) -> Result<(), Reason> {
    let right = tag(key, label, parts);
    if bool::from(right[..].ct_eq(claimed)) { Ok(()) } else { Err(Reason::SignatureInvalid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_depends_on_key_label_and_the_borders_of_the_parts() {
        let right = tag(b"key", "a", &[b"bc", b"d"]);
        assert_eq!(verify(b"key", "a", &[b"bc", b"d"], &right), Ok(()));
        for (key, label, parts) in [
            (&b"kex"[..], "a", &[&b"bc"[..], b"d"][..]),
            (b"key", "b", &[b"bc", b"d"]),
            (b"key", "a", &[b"b", b"cd"]),
            (b"key", "a", &[b"bcd"]),
        ] {
            assert_eq!(verify(key, label, parts, &right), Err(Reason::SignatureInvalid));
        }
        assert_eq!(
            verify(b"key", "a", &[b"bc", b"d"], &right[..31]),
            Err(Reason::SignatureInvalid)
        );
    }

    #[test]
    fn the_tag_is_the_hmac_of_the_documented_input() {
        let key = Key::new(HMAC_SHA256, &[0x0b; 20]);
        let mut input = b"\x02Hi".to_vec();
        input.extend(5u64.to_be_bytes());
        input.extend(b"There");
        let plain = aws_lc_rs::hmac::sign(&key, &input);
        assert_eq!(tag(&[0x0b; 20], "Hi", &[b"There"]), plain.as_ref());
    }
}
