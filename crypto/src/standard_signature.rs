//! Keys and signatures as other people's formats (COSE, JWK, X.509) carry them.
//!
//! Invariant: unlike on the ledger, both values of `s` of an ECDSA signature verify here, as the
//! standards want; so a signature of this kind is never an identity of what it signs.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature as library;
use aws_lc_rs::signature::{ParsedPublicKey, VerificationAlgorithm};
use ed25519_zebra::{Signature as ZebraSignature, VerificationKey};
use tallystick_kernel::Reason;

use crate::public_key::PublicKey;

/// The curve of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Curve {
    /// Edwards25519 with SHA-512 inside the scheme (RFC 8032).
    Ed25519,
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

/// The hash of an ECDSA signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How a signature is made: by which scheme and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// Ed25519.
    EdDsa,
    /// ECDSA with a hash.
    Ecdsa(Hash),
}

/// A public key of any curve, known to be a point of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandardKey {
    curve: Curve,
    bytes: Vec<u8>,
}

impl Curve {
    /// Bytes of a coordinate and of half a signature.
    pub const fn field_bytes(self) -> usize {
        match self {
            Curve::Ed25519 | Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    fn ecdsa(self) -> Option<&'static dyn VerificationAlgorithm> {
        match self {
            Curve::Ed25519 => None,
            Curve::P256 => Some(&library::ECDSA_P256_SHA256_ASN1),
            Curve::P384 => Some(&library::ECDSA_P384_SHA384_ASN1),
            Curve::P521 => Some(&library::ECDSA_P521_SHA512_ASN1),
        }
    }
}

impl StandardKey {
    /// A key from 32 bytes (Ed25519) or a point of SEC 1 section 2.3.3, compressed or not;
    /// [`Reason::KeyMalformed`] for other bytes.
    pub fn new(curve: Curve, bytes: &[u8]) -> Result<StandardKey, Reason> {
        let length = bytes.len();
        match curve.ecdsa() {
            None => {
                VerificationKey::try_from(bytes).map_err(|_| Reason::KeyMalformed)?;
            }
            Some(algorithm) => {
                let field = curve.field_bytes();
                if length != field + 1 && length != 2 * field + 1 {
                    return Err(Reason::KeyMalformed);
                }
                ParsedPublicKey::new(algorithm, bytes).map_err(|_| Reason::KeyMalformed)?;
            }
        }
        Ok(StandardKey { curve, bytes: bytes.to_vec() })
    }

    /// A key from its two affine coordinates, each of the curve's full length.
    pub fn from_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Result<StandardKey, Reason> {
        if x.len() != curve.field_bytes() || y.len() != curve.field_bytes() {
            return Err(Reason::KeyMalformed);
        }
        StandardKey::new(curve, &[&[4], x, y].concat())
    }

    /// Its curve.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7), points uncompressed.
    pub fn to_spki_der(&self) -> Result<Vec<u8>, Reason> {
        let Some(algorithm) = self.curve.ecdsa() else {
            return Ok([&ED25519_SPKI_HEAD[..], &self.bytes].concat());
        };
        ParsedPublicKey::new(algorithm, &self.bytes)
            .map_err(|_| Reason::KeyMalformed)?
            .as_der()
            .map(|der| der.as_ref().to_vec())
            .map_err(|_| Reason::Internal)
    }

    /// The point in its 65-byte form `4 || x || y` (P-256) or the 32 bytes (Ed25519).
    pub fn to_uncompressed(&self) -> Result<Vec<u8>, Reason> {
        let length =
            if self.curve == Curve::Ed25519 { 32 } else { 2 * self.curve.field_bytes() + 1 };
        let der = self.to_spki_der()?;
        Ok(der[der.len() - length..].to_vec())
    }

    /// The same key as the ledger knows it; [`Reason::AlgorithmNotAllowed`] for P-384 and P-521.
    pub fn to_public_key(&self) -> Result<PublicKey, Reason> {
        match self.curve {
            Curve::Ed25519 => {
                let bytes = self.bytes[..].try_into().map_err(|_| Reason::KeyMalformed)?;
                Ok(PublicKey::Ed25519(bytes))
            }
            Curve::P256 => {
                let point = self.to_uncompressed()?;
                let mut compressed = [0; 33];
                compressed[0] = 2 + (point[64] & 1);
                compressed[1..].copy_from_slice(&point[1..33]);
                Ok(PublicKey::P256(compressed))
            }
            Curve::P384 | Curve::P521 => Err(Reason::AlgorithmNotAllowed),
        }
    }

    /// Verifies a signature of fixed length: `R || s` of Ed25519, `r || s` of ECDSA (RFC 9053).
    ///
    /// Returns [`Reason::AlgorithmNotAllowed`] when the scheme is not for this curve,
    /// [`Reason::SignatureEncoding`] for a wrong length, [`Reason::SignatureInvalid`].
    pub fn verify_fixed(
        &self,
        scheme: Scheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Reason> {
        let field = self.curve.field_bytes();
        if (scheme == Scheme::EdDsa) != (self.curve == Curve::Ed25519) {
            return Err(Reason::AlgorithmNotAllowed);
        }
        if signature.len() != 2 * field {
            return Err(Reason::SignatureEncoding);
        }
        match scheme {
            Scheme::EdDsa => self.verify_eddsa(message, signature),
            Scheme::Ecdsa(hash) => {
                let (r, s) = signature.split_at(field);
                self.verify_ecdsa(hash, message, &signature_der(r, s))
            }
        }
    }

    /// Verifies a signature as X.509 carries it: 64 bytes of Ed25519 (RFC 8410), DER of ECDSA
    /// (RFC 3279 section 2.2.3). Reasons as for [`StandardKey::verify_fixed`].
    pub fn verify_x509(
        &self,
        scheme: Scheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Reason> {
        match scheme {
            Scheme::EdDsa => self.verify_fixed(scheme, message, signature),
            Scheme::Ecdsa(hash) => self.verify_ecdsa(hash, message, signature),
        }
    }

    fn verify_eddsa(&self, message: &[u8], signature: &[u8]) -> Result<(), Reason> {
        let signature: [u8; 64] = signature.try_into().map_err(|_| Reason::SignatureEncoding)?;
        VerificationKey::try_from(&self.bytes[..])
            .map_err(|_| Reason::KeyMalformed)?
            .verify(&ZebraSignature::from(signature), message)
            .map_err(|_| Reason::SignatureInvalid)
    }

    fn verify_ecdsa(&self, hash: Hash, message: &[u8], der: &[u8]) -> Result<(), Reason> {
        let algorithm: &'static dyn VerificationAlgorithm = match (self.curve, hash) {
            (Curve::P256, Hash::Sha256) => &library::ECDSA_P256_SHA256_ASN1,
            (Curve::P256, Hash::Sha384) => &library::ECDSA_P256_SHA384_ASN1,
            (Curve::P256, Hash::Sha512) => &library::ECDSA_P256_SHA512_ASN1,
            (Curve::P384, Hash::Sha256) => &library::ECDSA_P384_SHA256_ASN1,
            (Curve::P384, Hash::Sha384) => &library::ECDSA_P384_SHA384_ASN1,
            (Curve::P384, Hash::Sha512) => &library::ECDSA_P384_SHA512_ASN1,
            (Curve::P521, Hash::Sha256) => &library::ECDSA_P521_SHA256_ASN1,
            (Curve::P521, Hash::Sha384) => &library::ECDSA_P521_SHA384_ASN1,
            (Curve::P521, Hash::Sha512) => &library::ECDSA_P521_SHA512_ASN1,
            (Curve::Ed25519, _) => return Err(Reason::AlgorithmNotAllowed),
        };
        ParsedPublicKey::new(algorithm, &self.bytes)
            .map_err(|_| Reason::KeyMalformed)?
            .verify_sig(message, der)
            .map_err(|_| Reason::SignatureInvalid)
    }
}

impl From<&PublicKey> for StandardKey {
    fn from(key: &PublicKey) -> StandardKey {
        let curve = match key {
            PublicKey::Ed25519(_) => Curve::Ed25519,
            PublicKey::P256(_) => Curve::P256,
        };
        StandardKey { curve, bytes: key.bytes().to_vec() }
    }
}

/// The DER form of an ECDSA signature, `SEQUENCE { r INTEGER, s INTEGER }`, from its halves (each
/// at most 66 bytes).
pub fn signature_der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let body = [integer_der(r), integer_der(s)].concat();
    let mut der = vec![0x30];
    if body.len() >= 0x80 {
        der.push(0x81);
    }
    der.push(body.len() as u8);
    der.extend(body);
    der
}

fn integer_der(number: &[u8]) -> Vec<u8> {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let digits = &number[first..];
    let mut body = Vec::with_capacity(digits.len() + 1);
    if digits.first().is_none_or(|byte| byte & 0x80 != 0) {
        body.push(0);
    }
    body.extend_from_slice(digits);
    [&[0x02, body.len() as u8][..], &body].concat()
}

/// `SubjectPublicKeyInfo` of Ed25519 up to the key itself (RFC 8410 section 4).
const ED25519_SPKI_HEAD: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing_key::SigningKey;

    fn keys() -> [SigningKey; 2] {
        [SigningKey::ed25519_from_seed(&[3; 32]), SigningKey::p256_from_scalar(&[3; 32]).unwrap()]
    }

    #[test]
    fn keys_survive_their_standard_form() {
        for key in keys() {
            let standard = StandardKey::from(&key.public_key());
            let point = standard.to_uncompressed().unwrap();
            let again = StandardKey::new(standard.curve(), &point).unwrap();
            assert_eq!(again.to_public_key(), Ok(key.public_key()));
            assert!(standard.to_spki_der().unwrap().ends_with(&point));
        }
    }

    #[test]
    fn a_signature_verifies_in_both_encodings_under_its_own_scheme_only() {
        for key in keys() {
            let signature = key.sign(b"message").0;
            let standard = StandardKey::from(&key.public_key());
            let (right, wrong) = match standard.curve() {
                Curve::Ed25519 => (Scheme::EdDsa, Scheme::Ecdsa(Hash::Sha256)),
                _ => (Scheme::Ecdsa(Hash::Sha256), Scheme::EdDsa),
            };
            assert_eq!(standard.verify_fixed(right, b"message", &signature), Ok(()));
            let other = standard.verify_fixed(right, b"other", &signature);
            assert_eq!(other, Err(Reason::SignatureInvalid));
            let refused = standard.verify_fixed(wrong, b"message", &signature);
            assert_eq!(refused, Err(Reason::AlgorithmNotAllowed));
            let short = standard.verify_fixed(right, b"message", &signature[..63]);
            assert_eq!(short, Err(Reason::SignatureEncoding));
        }
    }

    #[test]
    fn der_integers_are_minimal_and_not_negative() {
        assert_eq!(signature_der(&[0, 0x80], &[0, 1]), [0x30, 7, 2, 2, 0, 0x80, 2, 1, 1]);
        assert_eq!(signature_der(&[0, 0], &[]), [0x30, 6, 2, 1, 0, 2, 1, 0]);
        assert_eq!(signature_der(&[0xff; 66], &[0xff; 66])[..4], [0x30, 0x81, 138, 0x02]);
    }

    #[test]
    fn points_off_the_curve_are_refused() {
        for (curve, bytes) in [
            (Curve::P256, &[4; 65][..]),
            (Curve::P256, &[2; 34]),
            (Curve::P384, &[0; 49]),
            (Curve::Ed25519, &[2; 31]),
            (Curve::P256, &[]),
        ] {
            assert_eq!(StandardKey::new(curve, bytes), Err(Reason::KeyMalformed));
        }
    }
}
