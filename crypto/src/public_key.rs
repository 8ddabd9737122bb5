//! Public keys of the two algorithms that the ledger knows, and how they verify.
//!
//! Invariants: Ed25519 is judged under ZIP-215, the same one by one and in batches; P-256
//! signatures have a low `s`, so that nobody but the signer can make a second one.

use core::fmt;
use core::str::FromStr;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use bech32::{Bech32m, Hrp};
use ed25519_zebra::{Signature as ZebraSignature, VerificationKey};
use tallystick_kernel::{Codec, Reader, Reason, Writer};

use crate::signature::Signature;

/// A public key. Its order (first by algorithm, then by bytes) is the canonical order of a witness.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublicKey {
    /// Ed25519, 32 bytes (RFC 8032).
    Ed25519([u8; 32]),
    /// P-256, compressed point of SEC 1 section 2.3.3.
    P256([u8; 33]),
}

impl PublicKey {
    /// The human-readable prefix of a key's text form.
    pub const PREFIX: &'static str = "tlyk";

    /// Whether the key is fit to be registered.
    ///
    /// Returns [`Reason::KeyMalformed`] for bytes that are no point, [`Reason::KeyWeak`] for an
    /// Ed25519 key of small order, under which anything verifies.
    pub fn check(&self) -> Result<(), Reason> {
        match self {
            PublicKey::Ed25519(bytes) => {
                VerificationKey::try_from(*bytes).map_err(|_| Reason::KeyMalformed)?;
                if verifies_nonsense(bytes) { Err(Reason::KeyWeak) } else { Ok(()) }
            }
            PublicKey::P256(bytes) => {
                let key = aws_lc_rs::agreement::UnparsedPublicKey::new(
                    &aws_lc_rs::agreement::ECDH_P256,
                    bytes,
                );
                aws_lc_rs::agreement::ParsedPublicKey::try_from(&key)
                    .map(drop)
                    .map_err(|_| Reason::KeyMalformed)
            }
        }
    }

    /// Verifies one signature over `message`.
    ///
    /// Returns [`Reason::KeyMalformed`], [`Reason::SignatureEncoding`] for a P-256 signature whose
    /// `s` is high or out of range, and [`Reason::SignatureInvalid`].
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), Reason> {
        match self {
            PublicKey::Ed25519(bytes) => VerificationKey::try_from(*bytes)
                .map_err(|_| Reason::KeyMalformed)?
                .verify(&ZebraSignature::from(signature.0), message)
                .map_err(|_| Reason::SignatureInvalid),
            PublicKey::P256(bytes) => {
                if !has_low_s(signature) {
                    return Err(Reason::SignatureEncoding);
                }
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes)
                    .verify(message, &signature.0)
                    .map_err(|_| Reason::SignatureInvalid)
            }
        }
    }

    /// The number of the algorithm in encodings: 1 for Ed25519, 2 for P-256.
    const fn algorithm(&self) -> u8 {
        match self {
            PublicKey::Ed25519(_) => 1,
            PublicKey::P256(_) => 2,
        }
    }

    /// The key's bytes without its algorithm.
    pub fn bytes(&self) -> &[u8] {
        match self {
            PublicKey::Ed25519(bytes) => bytes,
            PublicKey::P256(bytes) => bytes,
        }
    }

    fn from_parts(algorithm: u64, bytes: &[u8]) -> Result<PublicKey, Reason> {
        match algorithm {
            1 => bytes.try_into().map(PublicKey::Ed25519).map_err(|_| Reason::KeyMalformed),
            2 => bytes.try_into().map(PublicKey::P256).map_err(|_| Reason::KeyMalformed),
            _ => Err(Reason::AlgorithmNotAllowed),
        }
    }
}

/// Half of the order of P-256's group (SEC 2 section 2.4.2), rounded down.
pub(crate) const P256_HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// Whether `s` is at most half the order.
pub(crate) fn has_low_s(signature: &Signature) -> bool {
    signature.0[32..] <= P256_HALF_ORDER[..]
}

/// Whether the neutral element with `s = 0` passes as a signature, which it does exactly under the
/// eight keys of small order (the cofactor then removes the key from the equation).
fn verifies_nonsense(key: &[u8; 32]) -> bool {
    let mut neutral = [0; 64];
    neutral[0] = 1;
    VerificationKey::try_from(*key)
        .is_ok_and(|key| key.verify(&ZebraSignature::from(neutral), b"nonsense").is_ok())
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[self.algorithm()], self.bytes()].concat();
        let encoded = bech32::encode::<Bech32m>(Hrp::parse_unchecked(Self::PREFIX), &bytes);
        formatter.write_str(&encoded.map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for PublicKey {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Reason> {
        let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text)
            .map_err(|_| Reason::IdMalformed)?;
        if checked.hrp() != Hrp::parse_unchecked(Self::PREFIX) {
            return Err(Reason::IdMalformed);
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        let (algorithm, key) = bytes.split_first().ok_or(Reason::IdMalformed)?;
        PublicKey::from_parts(u64::from(*algorithm), key)
    }
}

impl Codec for PublicKey {
    fn encode(&self, out: &mut Writer) {
        out.array(2).u64(u64::from(self.algorithm())).bytes(self.bytes());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(2)?;
        let algorithm = input.u64()?;
        PublicKey::from_parts(algorithm, input.bytes(33)?)
    }
}
