//! HPKE (RFC 9180), base mode, single shot: encryption to a public key.
//!
//! Invariant: the mode is base, the KDF HKDF-SHA256; keys are X25519 or P-256; every refusal to
//! open is the same [`Reason::SealUnreadable`], whatever was wrong.

use hpke::aead::{AesGcm128, AesGcm256, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::{DhP256HkdfSha256, X25519HkdfSha256};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable};
use tallystick_kernel::Reason;
use zeroize::Zeroizing;

use crate::randomness::Stream;

/// The key encapsulation mechanism (RFC 9180 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kem {
    /// DHKEM(P-256, HKDF-SHA256), number 16: public keys are 65 bytes uncompressed.
    P256,
    /// DHKEM(X25519, HKDF-SHA256), number 32: public keys are 32 bytes.
    X25519,
}

/// The cipher (RFC 9180 section 7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aead {
    /// AES-128-GCM, number 1.
    Aes128Gcm,
    /// AES-256-GCM, number 2.
    Aes256Gcm,
    /// ChaCha20-Poly1305, number 3.
    ChaCha20Poly1305,
}

/// The number of HKDF-SHA256, the one KDF that is used (RFC 9180 section 7.2).
pub const KDF_NUMBER: u16 = 1;

impl Kem {
    /// The registered number.
    pub const fn number(self) -> u16 {
        match self {
            Kem::P256 => 16,
            Kem::X25519 => 32,
        }
    }

    /// The mechanism of a number; [`Reason::AlgorithmNotAllowed`] for others.
    pub const fn from_number(number: u16) -> Result<Kem, Reason> {
        match number {
            16 => Ok(Kem::P256),
            32 => Ok(Kem::X25519),
            _ => Err(Reason::AlgorithmNotAllowed),
        }
    }

    /// Bytes of an encapsulated key and of a public key.
    pub const fn public_bytes(self) -> usize {
        match self {
            Kem::P256 => 65,
            Kem::X25519 => 32,
        }
    }
}

impl Aead {
    /// The registered number.
    pub const fn number(self) -> u16 {
        match self {
            Aead::Aes128Gcm => 1,
            Aead::Aes256Gcm => 2,
            Aead::ChaCha20Poly1305 => 3,
        }
    }

    /// The cipher of a number; [`Reason::AlgorithmNotAllowed`] for others.
    pub const fn from_number(number: u16) -> Result<Aead, Reason> {
        match number {
            1 => Ok(Aead::Aes128Gcm),
            2 => Ok(Aead::Aes256Gcm),
            3 => Ok(Aead::ChaCha20Poly1305),
            _ => Err(Reason::AlgorithmNotAllowed),
        }
    }
}

/// A public key that things are sealed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealingKey {
    kem: Kem,
    bytes: Vec<u8>,
}

impl SealingKey {
    /// Checks the bytes of a key: 32 of X25519, 65 of P-256 (a point on the curve);
    /// [`Reason::KeyMalformed`] otherwise.
    pub fn new(kem: Kem, bytes: &[u8]) -> Result<SealingKey, Reason> {
        let good = match kem {
            Kem::P256 => <DhP256HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(bytes).is_ok(),
            Kem::X25519 => bytes.len() == 32,
        };
        if good { Ok(SealingKey { kem, bytes: bytes.to_vec() }) } else { Err(Reason::KeyMalformed) }
    }

    /// Its mechanism.
    pub fn kem(&self) -> Kem {
        self.kem
    }

    /// Its bytes as RFC 9180 serializes them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A private key that opens what was sealed to its public key. Zeroized when dropped.
pub struct OpeningKey {
    kem: Kem,
    bytes: Zeroizing<[u8; 32]>,
}

impl OpeningKey {
    /// The key that `seed` (32 random bytes) stands for, by DeriveKeyPair of RFC 9180.
    pub fn from_seed(kem: Kem, seed: &[u8; 32]) -> OpeningKey {
        let mut bytes = Zeroizing::new([0; 32]);
        match kem {
            Kem::P256 => {
                <DhP256HkdfSha256 as hpke::Kem>::derive_keypair(seed).0.write_exact(&mut bytes[..]);
            }
            Kem::X25519 => {
                <X25519HkdfSha256 as hpke::Kem>::derive_keypair(seed).0.write_exact(&mut bytes[..]);
            }
        }
        OpeningKey { kem, bytes }
    }

    /// A serialized private key of 32 bytes; [`Reason::KeyMalformed`] for a P-256 scalar out of
    /// range.
    pub fn from_private_key(kem: Kem, bytes: &[u8; 32]) -> Result<OpeningKey, Reason> {
        if kem == Kem::P256 {
            <DhP256HkdfSha256 as hpke::Kem>::PrivateKey::from_bytes(bytes)
                .map_err(|_| Reason::KeyMalformed)?;
        }
        Ok(OpeningKey { kem, bytes: Zeroizing::new(*bytes) })
    }

    /// The public key; [`Reason::KeyMalformed`] is never returned for a key made here.
    pub fn sealing_key(&self) -> Result<SealingKey, Reason> {
        let bytes = match self.kem {
            Kem::P256 => public_of::<DhP256HkdfSha256>(&self.bytes)?,
            Kem::X25519 => public_of::<X25519HkdfSha256>(&self.bytes)?,
        };
        Ok(SealingKey { kem: self.kem, bytes })
    }

    /// Opens `ciphertext`, sealed with the same `info` and `associated` data.
    ///
    /// Returns [`Reason::SealUnreadable`] for anything that does not open.
    pub fn open(
        &self,
        aead: Aead,
        info: &[u8],
        associated: &[u8],
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, Reason> {
        use Aead::{Aes128Gcm, Aes256Gcm};
        let opened = match (self.kem, aead) {
            (Kem::P256, Aes128Gcm) => {
                self.open_as::<AesGcm128, DhP256HkdfSha256>(info, associated, sealed)
            }
            (Kem::P256, Aes256Gcm) => {
                self.open_as::<AesGcm256, DhP256HkdfSha256>(info, associated, sealed)
            }
            (Kem::P256, _) => {
                self.open_as::<ChaCha20Poly1305, DhP256HkdfSha256>(info, associated, sealed)
            }
            (Kem::X25519, Aes128Gcm) => {
                self.open_as::<AesGcm128, X25519HkdfSha256>(info, associated, sealed)
            }
            (Kem::X25519, Aes256Gcm) => {
                self.open_as::<AesGcm256, X25519HkdfSha256>(info, associated, sealed)
            }
            (Kem::X25519, _) => {
                self.open_as::<ChaCha20Poly1305, X25519HkdfSha256>(info, associated, sealed)
            }
        };
        opened.map(Zeroizing::new).map_err(|_| Reason::SealUnreadable)
    }

    fn open_as<A: hpke::aead::Aead, K: hpke::Kem>(
        &self,
        info: &[u8],
        associated: &[u8],
        sealed: &Sealed,
    ) -> Result<Vec<u8>, hpke::HpkeError> {
        let key = K::PrivateKey::from_bytes(&self.bytes[..])?;
        let encapsulated = K::EncappedKey::from_bytes(&sealed.encapsulated)?;
        let mode = OpModeR::Base;
        hpke::single_shot_open::<A, HkdfSha256, K>(
            &mode,
            &key,
            &encapsulated,
            info,
            &sealed.ciphertext,
            associated,
        )
    }
}

/// What sealing makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The encapsulated key (`enc`).
    pub encapsulated: Vec<u8>,
    /// The ciphertext with its tag.
    pub ciphertext: Vec<u8>,
}

/// Seals `plaintext` to `key`. `info` and `associated` must be given again to open; `randomness`
/// is 32 fresh random bytes, never used for anything else.
///
/// Returns [`Reason::KeyMalformed`] for an X25519 key of small order.
pub fn seal(
    key: &SealingKey,
    aead: Aead,
    info: &[u8],
    associated: &[u8],
    plaintext: &[u8],
    randomness: [u8; 32],
) -> Result<Sealed, Reason> {
    use Aead::{Aes128Gcm, Aes256Gcm};
    let seal = match (key.kem, aead) {
        (Kem::P256, Aes128Gcm) => seal_as::<AesGcm128, DhP256HkdfSha256>,
        (Kem::P256, Aes256Gcm) => seal_as::<AesGcm256, DhP256HkdfSha256>,
        (Kem::P256, _) => seal_as::<ChaCha20Poly1305, DhP256HkdfSha256>,
        (Kem::X25519, Aes128Gcm) => seal_as::<AesGcm128, X25519HkdfSha256>,
        (Kem::X25519, Aes256Gcm) => seal_as::<AesGcm256, X25519HkdfSha256>,
        (Kem::X25519, _) => seal_as::<ChaCha20Poly1305, X25519HkdfSha256>,
    };
    seal(&key.bytes, info, associated, plaintext, Stream::new(randomness))
        .map_err(|_| Reason::KeyMalformed)
}

fn seal_as<A: hpke::aead::Aead, K: hpke::Kem>(
    key: &[u8],
    info: &[u8],
    associated: &[u8],
    plaintext: &[u8],
    mut randomness: Stream,
) -> Result<Sealed, hpke::HpkeError> {
    let key = K::PublicKey::from_bytes(key)?;
    let (encapsulated, ciphertext) = hpke::single_shot_seal_with_rng::<A, HkdfSha256, K>(
        &OpModeS::Base,
        &key,
        info,
        plaintext,
        associated,
        &mut randomness,
    )?;
    Ok(Sealed { encapsulated: encapsulated.to_bytes().to_vec(), ciphertext })
}

fn public_of<K: hpke::Kem>(private: &[u8; 32]) -> Result<Vec<u8>, Reason> {
    let key = K::PrivateKey::from_bytes(private).map_err(|_| Reason::KeyMalformed)?;
    Ok(K::sk_to_pk(&key).to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEMS: [Kem; 2] = [Kem::P256, Kem::X25519];
    const AEADS: [Aead; 3] = [Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305];

    #[test]
    fn every_suite_opens_what_it_sealed_and_nothing_else() {
        for kem in KEMS {
            let key = OpeningKey::from_seed(kem, &[1; 32]);
            let other = OpeningKey::from_seed(kem, &[2; 32]);
            for aead in AEADS {
                let public = key.sealing_key().unwrap();
                let sealed = seal(&public, aead, b"info", b"aad", b"secret", [9; 32]).unwrap();
                assert_eq!(sealed.encapsulated.len(), kem.public_bytes());
                let open = |key: &OpeningKey, info: &[u8], associated: &[u8], sealed: &Sealed| {
                    key.open(aead, info, associated, sealed).map(|bytes| bytes.to_vec())
                };
                assert_eq!(open(&key, b"info", b"aad", &sealed), Ok(b"secret".to_vec()));
                let refused = Err(Reason::SealUnreadable);
                assert_eq!(open(&other, b"info", b"aad", &sealed), refused);
                assert_eq!(open(&key, b"other", b"aad", &sealed), refused);
                assert_eq!(open(&key, b"info", b"other", &sealed), refused);
                let mut altered = sealed.clone();
                altered.ciphertext[0] ^= 1;
                assert_eq!(open(&key, b"info", b"aad", &altered), refused);
                let mut altered = sealed.clone();
                altered.encapsulated.truncate(31);
                assert_eq!(open(&key, b"info", b"aad", &altered), refused);
                let mut altered = sealed;
                altered.ciphertext.clear();
                assert_eq!(open(&key, b"info", b"aad", &altered), refused);
            }
        }
    }

    #[test]
    fn keys_of_no_use_are_refused() {
        assert_eq!(SealingKey::new(Kem::P256, &[4; 65]), Err(Reason::KeyMalformed));
        assert_eq!(SealingKey::new(Kem::X25519, &[4; 31]), Err(Reason::KeyMalformed));
        assert!(OpeningKey::from_private_key(Kem::P256, &[0; 32]).is_err());
        assert!(OpeningKey::from_private_key(Kem::P256, &[0xff; 32]).is_err());
        let zero = SealingKey::new(Kem::X25519, &[0; 32]).unwrap();
        assert_eq!(seal(&zero, Aead::Aes256Gcm, b"", b"", b"", [1; 32]), Err(Reason::KeyMalformed));
    }
}
