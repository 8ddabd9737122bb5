//! A credential sealed to the key of a device: an HPKE envelope with a version.
//!
//! Invariant: the envelope is `[version, kem, enc, ciphertext]` in canonical CBOR, the cipher is
//! AES-256-GCM, and what it is for is bound by HPKE's `info`.

use tallystick_crypto::KeyStore;
use tallystick_crypto::hpke::{self, Aead, Kem, SealingKey};
use tallystick_kernel::{Codec, Reader, Reason, Writer};
use zeroize::Zeroizing;

/// Bytes of an encoded envelope at most.
pub const SEALED_BYTES_MAX: usize = 64 * 1024;

/// The envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedEnvelope {
    kem: Kem,
    sealed: hpke::Sealed,
}

/// Seals `plaintext` to `key` for the use named `label`, bound to `associated` data that the
/// opener knows too. `randomness` is 32 fresh random bytes.
///
/// Returns [`Reason::KeyMalformed`], [`Reason::TooLarge`].
pub fn seal(
    key: &SealingKey,
    label: &str,
    associated: &[u8],
    plaintext: &[u8],
    randomness: [u8; 32],
) -> Result<SealedEnvelope, Reason> {
    if plaintext.len() + OVERHEAD_BYTES > SEALED_BYTES_MAX {
        return Err(Reason::TooLarge);
    }
    let sealed = hpke::seal(key, CIPHER, label.as_bytes(), associated, plaintext, randomness)?;
    Ok(SealedEnvelope { kem: key.kem(), sealed })
}

impl SealedEnvelope {
    /// Opens the envelope with the key `name` of `store`.
    ///
    /// Returns [`Reason::SealUnreadable`] for another key, label, associated data or one altered
    /// bit, and the reasons of [`KeyStore`].
    pub fn open(
        &self,
        store: &dyn KeyStore,
        name: &str,
        label: &str,
        associated: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Reason> {
        if store.sealing_key(name)?.kem() != self.kem {
            return Err(Reason::SealUnreadable);
        }
        store.open_sealed(name, CIPHER, label.as_bytes(), associated, &self.sealed)
    }
}

impl Codec for SealedEnvelope {
    fn encode(&self, out: &mut Writer) {
        out.array(4).u64(VERSION).u64(u64::from(self.kem.number()));
        out.bytes(&self.sealed.encapsulated).bytes(&self.sealed.ciphertext);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(4)?;
        if input.u64()? != VERSION {
            return Err(Reason::VersionUnknown);
        }
        let kem = Kem::from_number(input.u16()?)?;
        let encapsulated = input.bytes(kem.public_bytes())?.to_vec();
        if encapsulated.len() != kem.public_bytes() {
            return Err(Reason::Malformed);
        }
        let ciphertext = input.bytes(SEALED_BYTES_MAX)?.to_vec();
        Ok(SealedEnvelope { kem, sealed: hpke::Sealed { encapsulated, ciphertext } })
    }
}

const VERSION: u64 = 1;
const CIPHER: Aead = Aead::Aes256Gcm;
/// Head, encapsulated key and tag, rounded up.
const OVERHEAD_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use tallystick_crypto::SoftwareKeyStore;
    use tallystick_crypto::key_store::{KeyAlgorithm, KeyPurpose};
    use tallystick_crypto::software_key_store::Unlock;

    use super::*;

    fn device(seed: u8) -> SoftwareKeyStore {
        let mut store = SoftwareKeyStore::new(Unlock::Machine(&[1; 32]), &[0; 16]).unwrap();
        for (name, algorithm) in [("a", KeyAlgorithm::X25519), ("b", KeyAlgorithm::P256Hpke)] {
            store.create(name, KeyPurpose::Opening, algorithm, &[seed; 32]).unwrap();
        }
        store
    }

    #[test]
    fn only_the_device_it_is_sealed_to_opens_a_credential() {
        let (right, wrong) = (device(1), device(2));
        for name in ["a", "b"] {
            let key = right.sealing_key(name).unwrap();
            let made = seal(&key, "credential", b"request", b"token", [5; 32]).unwrap();
            let bytes = made.to_bytes();
            let read = SealedEnvelope::from_bytes(&bytes, SEALED_BYTES_MAX).unwrap();
            let opened = read.open(&right, name, "credential", b"request").unwrap();
            assert_eq!(&opened[..], b"token");
            let refused = Err(Reason::SealUnreadable);
            assert_eq!(read.open(&wrong, name, "credential", b"request"), refused);
            assert_eq!(read.open(&right, name, "other", b"request"), refused);
            assert_eq!(read.open(&right, name, "credential", b"other"), refused);
            let other = if name == "a" { "b" } else { "a" };
            assert_eq!(read.open(&right, other, "credential", b"request"), refused);
            for place in 0..bytes.len() {
                let mut altered = bytes.clone();
                altered[place] ^= 1;
                let opened = SealedEnvelope::from_bytes(&altered, SEALED_BYTES_MAX)
                    .and_then(|read| read.open(&right, name, "credential", b"request"));
                assert!(opened.is_err(), "{place}");
            }
        }
    }

    #[test]
    fn an_envelope_of_another_version_or_mechanism_is_told_apart() {
        let made = |version: u64, kem: u64| {
            let mut out = Writer::new();
            out.array(4).u64(version).u64(kem).bytes(&[0; 32]).bytes(&[]);
            SealedEnvelope::from_bytes(&out.finish(), 100).err()
        };
        assert_eq!(made(2, 32), Some(Reason::VersionUnknown));
        assert_eq!(made(1, 33), Some(Reason::AlgorithmNotAllowed));
        assert_eq!(made(1, 16), Some(Reason::Malformed));
    }
}
