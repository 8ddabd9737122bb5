//! HKDF-SHA-256 (RFC 5869): one secret, one key for each use.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use tallystick_kernel::Reason;
use zeroize::Zeroizing;

/// The 32-byte key of the use named `label`, from `secret` (at least 32 bytes of entropy) and a
/// `salt` that may be public.
pub fn derive(secret: &[u8], salt: &[u8], label: &str) -> Result<Zeroizing<[u8; 32]>, Reason> {
    let mut key = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(&[label.as_bytes()], Length32)
        .and_then(|material| material.fill(&mut key[..]))
        .map_err(|_| Reason::Internal)?;
    Ok(key)
}

struct Length32;

impl KeyType for Length32 {
    fn len(&self) -> usize {
        32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_vector_of_rfc_5869_is_met() {
        let salt: Vec<u8> = (0..=12).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let mut out = [0; 32];
        let material = Salt::new(HKDF_SHA256, &salt).extract(&[0x0b; 22]);
        material.expand(&[&info], Length32).unwrap().fill(&mut out).unwrap();
        assert_eq!(
            tallystick_kernel::hex::encode(&out),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
        );
    }

    #[test]
    fn uses_do_not_share_a_key() {
        let key = |label| derive(&[1; 32], b"salt", label).unwrap();
        assert_eq!(key("a"), key("a"));
        assert_ne!(key("a"), key("b"));
    }
}
