//! Signing keys held in memory; key stores keep them encrypted everywhere else.

use core::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use tallystick_kernel::Reason;
use zeroize::Zeroizing;

use crate::public_key::{PublicKey, has_low_s};
use crate::signature::Signature;

/// A key that signs. Its `Debug` shows the public key only.
pub struct SigningKey(Inner);

enum Inner {
    Ed25519(Box<ed25519_zebra::SigningKey>),
    P256 { pair: Box<EcdsaKeyPair>, public: [u8; 33] },
}

impl SigningKey {
    /// An Ed25519 key from its 32-byte seed (RFC 8032 section 5.1.5).
    pub fn ed25519_from_seed(seed: &[u8; 32]) -> SigningKey {
        SigningKey(Inner::Ed25519(Box::new(ed25519_zebra::SigningKey::from_bytes(seed))))
    }

    /// A P-256 key from PKCS#8 v1 (RFC 5208); [`Reason::KeyMalformed`] for other bytes.
    pub fn p256_from_pkcs8(pkcs8: &[u8]) -> Result<SigningKey, Reason> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
            .map_err(|_| Reason::KeyMalformed)?;
        let public = compress(pair.public_key().as_ref())?;
        Ok(SigningKey(Inner::P256 { pair: Box::new(pair), public }))
    }

    /// A P-256 key from its 32-byte scalar, big-endian; [`Reason::KeyMalformed`] for zero or a number
    /// that is not below the group's order (one in 2^32 random values).
    pub fn p256_from_scalar(scalar: &[u8; 32]) -> Result<SigningKey, Reason> {
        let mut der = Zeroizing::new(Vec::with_capacity(64));
        der.extend_from_slice(&EC_PRIVATE_KEY_HEAD);
        der.extend_from_slice(scalar);
        der.extend_from_slice(&EC_PRIVATE_KEY_TAIL);
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
            .map_err(|_| Reason::KeyMalformed)?;
        let public = compress(pair.public_key().as_ref())?;
        Ok(SigningKey(Inner::P256 { pair: Box::new(pair), public }))
    }

    /// Makes a P-256 key with the library's own randomness and gives its PKCS#8 v1 form.
    pub fn p256_generate() -> Result<Zeroizing<Vec<u8>>, Reason> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .and_then(|pair| pair.to_pkcs8v1())
            .map(|document| Zeroizing::new(document.as_ref().to_vec()))
            .map_err(|_| Reason::Internal)
    }

    /// The key that verifies.
    pub fn public_key(&self) -> PublicKey {
        match &self.0 {
            Inner::Ed25519(key) => PublicKey::Ed25519(key.verification_key().into()),
            Inner::P256 { public, .. } => PublicKey::P256(*public),
        }
    }

    /// Signs `message`. Ed25519 is deterministic; P-256 draws its nonce inside the library and
    /// comes out with a low `s`.
    pub fn sign(&self, message: &[u8]) -> Signature {
        match &self.0 {
            Inner::Ed25519(key) => Signature(key.sign(message).into()),
            Inner::P256 { pair, .. } => sign_low_s(pair, message),
        }
    }
}

/// `ECPrivateKey` of RFC 5915 with the version and the octet string's head before the scalar, and
/// the name of the curve after it.
const EC_PRIVATE_KEY_HEAD: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
const EC_PRIVATE_KEY_TAIL: [u8; 12] =
    [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// The order of P-256's group, from which a high `s` is subtracted.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn sign_low_s(pair: &EcdsaKeyPair, message: &[u8]) -> Signature {
    let made = pair.sign(&SystemRandom::new(), message);
    let Some(bytes) = made.ok().and_then(|made| made.as_ref().try_into().ok()) else {
        // A checked key over any message always signs; anything else is a broken library.
        unreachable!("P-256 signing failed")
    };
    let mut signature = Signature(bytes);
    if !has_low_s(&signature) {
        let mut borrow = false;
        for place in (0..32).rev() {
            let (first, under) = P256_ORDER[place].overflowing_sub(signature.0[32 + place]);
            let (second, under_again) = first.overflowing_sub(u8::from(borrow));
            signature.0[32 + place] = second;
            borrow = under || under_again;
        }
        assert!(has_low_s(&signature), "n - s is low where s is high");
    }
    signature
}

/// The compressed form of an uncompressed point (SEC 1 section 2.3.3).
fn compress(point: &[u8]) -> Result<[u8; 33], Reason> {
    let point: &[u8; 65] = point.try_into().map_err(|_| Reason::KeyMalformed)?;
    let mut compressed = [0; 33];
    compressed[0] = 2 + (point[64] & 1);
    compressed[1..].copy_from_slice(&point[1..33]);
    Ok(compressed)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.public_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_algorithms_sign_what_they_verify_and_nothing_else() {
        let pkcs8 = SigningKey::p256_generate().unwrap();
        let keys =
            [SigningKey::ed25519_from_seed(&[7; 32]), SigningKey::p256_from_pkcs8(&pkcs8).unwrap()];
        for key in keys {
            let public = key.public_key();
            assert_eq!(public.check(), Ok(()));
            assert_eq!(public.to_string().parse(), Ok(public));
            for message in [&b"one"[..], b"two", b"three", b"four", b"five", b"six"] {
                let signature = key.sign(message);
                assert_eq!(public.verify(message, &signature), Ok(()));
                assert_eq!(public.verify(b"other", &signature), Err(Reason::SignatureInvalid));
            }
        }
    }

    #[test]
    fn a_high_s_is_refused_although_it_would_verify() {
        let pkcs8 = SigningKey::p256_generate().unwrap();
        let key = SigningKey::p256_from_pkcs8(&pkcs8).unwrap();
        let mut signature = key.sign(b"message");
        let mut borrow = false;
        for place in (0..32).rev() {
            let (first, under) = P256_ORDER[place].overflowing_sub(signature.0[32 + place]);
            let (second, again) = first.overflowing_sub(u8::from(borrow));
            signature.0[32 + place] = second;
            borrow = under || again;
        }
        assert_eq!(key.public_key().verify(b"message", &signature), Err(Reason::SignatureEncoding));
    }

    #[test]
    fn a_scalar_gives_its_key_and_one_out_of_range_does_not() {
        let mut one = [0; 32];
        one[31] = 1;
        let key = SigningKey::p256_from_scalar(&one).unwrap().public_key();
        let generator = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
        assert_eq!(tallystick_kernel::hex::encode(key.bytes()), generator);
        for scalar in [[0; 32], P256_ORDER, [0xff; 32]] {
            assert_eq!(SigningKey::p256_from_scalar(&scalar).err(), Some(Reason::KeyMalformed));
        }
    }

    #[test]
    fn a_key_of_small_order_is_weak() {
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(PublicKey::Ed25519(neutral).check(), Err(Reason::KeyWeak));
        assert_eq!(PublicKey::Ed25519([0; 32]).check(), Err(Reason::KeyWeak));
        assert_eq!(PublicKey::P256([9; 33]).check(), Err(Reason::KeyMalformed));
    }
}
