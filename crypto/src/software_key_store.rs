//! A key store in memory that is written to its file only encrypted.
//!
//! Invariants: the encrypted form is `[version, derivation, salt, nonce, ciphertext]` in canonical
//! CBOR with the first three as associated data; secrets are zeroized when the store is dropped.
//! The store does no I/O: the caller writes [`SoftwareKeyStore::to_encrypted`] atomically after
//! each change and before it relies on the change.

use std::collections::BTreeMap;

use tallystick_kernel::{Reader, Reason, Writer};
use zeroize::Zeroizing;

use crate::aead;
use crate::hmac;
use crate::hpke::{Aead, OpeningKey, Sealed, SealingKey};
use crate::key_store::{KEY_NAME_BYTES_MAX, KeyAlgorithm, KeyDescription, KeyPurpose, KeyStore};
use crate::password;
use crate::public_key::PublicKey;
use crate::signature::Signature;
use crate::signing_key::SigningKey;

/// What opens the file of a store.
pub enum Unlock<'a> {
    /// 32 random bytes from a file that only this user of this machine can read.
    Machine(&'a [u8; 32]),
    /// A passphrase, stretched by Argon2id.
    Passphrase(&'a str),
}

/// Keys in memory, by name.
pub struct SoftwareKeyStore {
    file_key: FileKey,
    keys: BTreeMap<String, StoredKey>,
}

struct FileKey {
    /// Empty for a machine key.
    salt: Vec<u8>,
    key: Zeroizing<[u8; 32]>,
}

struct StoredKey {
    purpose: KeyPurpose,
    algorithm: KeyAlgorithm,
    secret: Zeroizing<[u8; 32]>,
    usable: Usable,
}

enum Usable {
    Signing(SigningKey),
    Opening(OpeningKey),
    Secret,
}

impl SoftwareKeyStore {
    /// An empty store. `salt` is 16 random bytes, used with a passphrase only.
    pub fn new(
        unlock: Unlock<'_>,
        salt: &[u8; password::SALT_BYTES],
    ) -> Result<SoftwareKeyStore, Reason> {
        let file_key = match unlock {
            Unlock::Machine(key) => FileKey { salt: Vec::new(), key: Zeroizing::new(*key) },
            Unlock::Passphrase(phrase) => {
                FileKey { salt: salt.to_vec(), key: password::derive_key(phrase, salt)? }
            }
        };
        Ok(SoftwareKeyStore { file_key, keys: BTreeMap::new() })
    }

    /// Reads the encrypted form.
    ///
    /// Returns [`Reason::KeyStoreUnreadable`] for a wrong key or passphrase and for any altered
    /// byte, [`Reason::VersionUnknown`] for a file of a later version.
    pub fn from_encrypted(bytes: &[u8], unlock: Unlock<'_>) -> Result<SoftwareKeyStore, Reason> {
        let mut input = Reader::new(bytes);
        let file = read_envelope(&mut input).map_err(unreadable)?;
        if !input.is_empty() {
            return Err(Reason::KeyStoreUnreadable);
        }
        let key = match (unlock, file.salt.len()) {
            (Unlock::Machine(key), 0) => Zeroizing::new(*key),
            (Unlock::Passphrase(phrase), password::SALT_BYTES) => {
                let salt = file.salt.try_into().map_err(|_| Reason::KeyStoreUnreadable)?;
                password::derive_key(phrase, salt)?
            }
            _ => return Err(Reason::KeyStoreUnreadable),
        };
        let plain = aead::open(&key, file.nonce, &associated(file.salt), file.ciphertext)
            .map_err(|_| Reason::KeyStoreUnreadable)?;
        let mut store = SoftwareKeyStore {
            file_key: FileKey { salt: file.salt.to_vec(), key },
            keys: BTreeMap::new(),
        };
        store.read_keys(&plain).map_err(unreadable)?;
        Ok(store)
    }

    /// The encrypted form, to be written in place of the one before. `nonce` is 12 fresh random
    /// bytes each time.
    pub fn to_encrypted(&self, nonce: [u8; aead::NONCE_BYTES]) -> Result<Vec<u8>, Reason> {
        let mut plain = Writer::new();
        plain.array(self.keys.len());
        for (name, key) in &self.keys {
            plain.array(4).text(name).u64(key.purpose.number()).u64(key.algorithm.number());
            plain.bytes(&key.secret[..]);
        }
        let plain = Zeroizing::new(plain.finish());
        let salt = &self.file_key.salt;
        let sealed = aead::seal(&self.file_key.key, nonce, &associated(salt), &plain)?;
        let mut out = Writer::new();
        out.array(5).u64(VERSION).u64(derivation(salt)).bytes(salt).bytes(&nonce).bytes(&sealed);
        Ok(out.finish())
    }

    /// Takes over a secret that was made elsewhere: an Ed25519 or HPKE seed, a P-256 scalar, or a
    /// key shared with another party. Reasons as for [`KeyStore::create`].
    pub fn import(
        &mut self,
        name: &str,
        purpose: KeyPurpose,
        algorithm: KeyAlgorithm,
        secret: &[u8; 32],
    ) -> Result<(), Reason> {
        if name.is_empty() || name.len() > KEY_NAME_BYTES_MAX || !purpose.allows(algorithm) {
            return Err(Reason::FieldInvalid);
        }
        if self.keys.contains_key(name) {
            return Err(Reason::KeyNameTaken);
        }
        if self.keys.len() >= KEYS_MAX {
            return Err(Reason::TooLarge);
        }
        let usable = match algorithm {
            KeyAlgorithm::Ed25519 => Usable::Signing(SigningKey::ed25519_from_seed(secret)),
            KeyAlgorithm::P256 => Usable::Signing(SigningKey::p256_from_scalar(secret)?),
            KeyAlgorithm::HmacSha256 => Usable::Secret,
            KeyAlgorithm::X25519 | KeyAlgorithm::P256Hpke => {
                let kem = algorithm.kem().ok_or(Reason::Internal)?;
                Usable::Opening(OpeningKey::from_seed(kem, secret))
            }
        };
        let secret = Zeroizing::new(*secret);
        self.keys.insert(name.to_owned(), StoredKey { purpose, algorithm, secret, usable });
        Ok(())
    }

    /// Forgets a key for ever; [`Reason::KeyNameUnknown`].
    pub fn remove(&mut self, name: &str) -> Result<(), Reason> {
        self.keys.remove(name).map(drop).ok_or(Reason::KeyNameUnknown)
    }

    fn read_keys(&mut self, plain: &[u8]) -> Result<(), Reason> {
        let mut input = Reader::new(plain);
        for _ in 0..input.array(KEYS_MAX)? {
            input.tuple(4)?;
            let name = input.text(KEY_NAME_BYTES_MAX)?;
            let purpose = KeyPurpose::from_number(input.u64()?)?;
            let algorithm = KeyAlgorithm::from_number(input.u64()?)?;
            let secret = Zeroizing::new(input.byte_array()?);
            self.import(name, purpose, algorithm, &secret)?;
        }
        if input.is_empty() { Ok(()) } else { Err(Reason::TrailingBytes) }
    }

    fn find(&self, name: &str) -> Result<&StoredKey, Reason> {
        self.keys.get(name).ok_or(Reason::KeyNameUnknown)
    }
}

impl KeyStore for SoftwareKeyStore {
    fn create(
        &mut self,
        name: &str,
        purpose: KeyPurpose,
        algorithm: KeyAlgorithm,
        seed: &[u8; 32],
    ) -> Result<(), Reason> {
        if algorithm != KeyAlgorithm::P256 {
            return self.import(name, purpose, algorithm, seed);
        }
        // One scalar in 2^32 is out of range; the next derived one then serves as well.
        let mut counter = 0u64;
        loop {
            let scalar = Zeroizing::new(hmac::tag(
                seed,
                "tallystick/p256-scalar/1",
                &[&counter.to_be_bytes()],
            ));
            match self.import(name, purpose, algorithm, &scalar) {
                Err(Reason::KeyMalformed) if counter < 8 => counter += 1,
                done => return done,
            }
        }
    }

    fn describe(&self) -> Vec<KeyDescription> {
        let describe = |(name, key): (&String, &StoredKey)| KeyDescription {
            name: name.clone(),
            purpose: key.purpose,
            algorithm: key.algorithm,
        };
        self.keys.iter().map(describe).collect()
    }

    fn public_key(&self, name: &str) -> Result<PublicKey, Reason> {
        match &self.find(name)?.usable {
            Usable::Signing(key) => Ok(key.public_key()),
            _ => Err(Reason::AlgorithmNotAllowed),
        }
    }

    fn sealing_key(&self, name: &str) -> Result<SealingKey, Reason> {
        match &self.find(name)?.usable {
            Usable::Opening(key) => key.sealing_key(),
            _ => Err(Reason::AlgorithmNotAllowed),
        }
    }

    fn sign(&self, name: &str, purpose: KeyPurpose, message: &[u8]) -> Result<Signature, Reason> {
        let found = self.find(name)?;
        match &found.usable {
            Usable::Signing(key) if found.purpose == purpose => Ok(key.sign(message)),
            _ => Err(Reason::AlgorithmNotAllowed),
        }
    }

    fn open_sealed(
        &self,
        name: &str,
        aead: Aead,
        info: &[u8],
        associated: &[u8],
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, Reason> {
        match &self.find(name)?.usable {
            Usable::Opening(key) => key.open(aead, info, associated, sealed),
            _ => Err(Reason::AlgorithmNotAllowed),
        }
    }

    fn tag(&self, name: &str, label: &str, parts: &[&[u8]]) -> Result<[u8; 32], Reason> {
        let found = self.find(name)?;
        match &found.usable {
            Usable::Secret => Ok(hmac::tag(&found.secret[..], label, parts)),
            _ => Err(Reason::AlgorithmNotAllowed),
        }
    }
}

struct Envelope<'a> {
    salt: &'a [u8],
    nonce: [u8; aead::NONCE_BYTES],
    ciphertext: &'a [u8],
}

fn read_envelope<'a>(input: &mut Reader<'a>) -> Result<Envelope<'a>, Reason> {
    input.tuple(5)?;
    if input.u64()? != VERSION {
        return Err(Reason::VersionUnknown);
    }
    let named = input.u64()?;
    let salt = input.bytes(password::SALT_BYTES)?;
    if named != derivation(salt) {
        return Err(Reason::Malformed);
    }
    Ok(Envelope { salt, nonce: input.byte_array()?, ciphertext: input.bytes(FILE_BYTES_MAX)? })
}

/// How the file's key is made: 0 it is the machine's, 1 by Argon2id from a passphrase.
fn derivation(salt: &[u8]) -> u64 {
    u64::from(!salt.is_empty())
}

fn associated(salt: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.text("tallystick/key-store").u64(VERSION).u64(derivation(salt)).bytes(salt);
    out.finish()
}

/// A later version is told apart; everything else that is wrong with a file is one thing.
fn unreadable(reason: Reason) -> Reason {
    if reason == Reason::VersionUnknown { reason } else { Reason::KeyStoreUnreadable }
}

const VERSION: u64 = 1;
const KEYS_MAX: usize = 4096;
const FILE_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpke;

    const MACHINE: [u8; 32] = [42; 32];

    fn store() -> SoftwareKeyStore {
        let mut store = SoftwareKeyStore::new(Unlock::Machine(&MACHINE), &[0; 16]).unwrap();
        for (name, purpose, algorithm) in [
            ("account", KeyPurpose::Account, KeyAlgorithm::Ed25519),
            ("device", KeyPurpose::Device, KeyAlgorithm::P256),
            ("opening", KeyPurpose::Opening, KeyAlgorithm::X25519),
            ("opening-p256", KeyPurpose::Opening, KeyAlgorithm::P256Hpke),
            ("shared", KeyPurpose::SharedCode, KeyAlgorithm::HmacSha256),
        ] {
            store.create(name, purpose, algorithm, &[name.len() as u8; 32]).unwrap();
        }
        store
    }

    #[test]
    fn a_store_written_and_read_back_holds_the_same_keys() {
        let store = store();
        let bytes = store.to_encrypted([7; 12]).unwrap();
        let again = SoftwareKeyStore::from_encrypted(&bytes, Unlock::Machine(&MACHINE)).unwrap();
        assert_eq!(again.describe(), store.describe());
        assert_eq!(again.public_key("device"), store.public_key("device"));
        assert_eq!(again.sealing_key("opening"), store.sealing_key("opening"));
        assert_eq!(again.tag("shared", "a", &[b"b"]), store.tag("shared", "a", &[b"b"]));
        assert_eq!(again.to_encrypted([7; 12]).unwrap(), bytes);
    }

    #[test]
    fn a_wrong_key_or_an_altered_byte_opens_nothing() {
        let bytes = store().to_encrypted([7; 12]).unwrap();
        let refused =
            |bytes: &[u8], unlock| SoftwareKeyStore::from_encrypted(bytes, unlock).err().unwrap();
        assert_eq!(refused(&bytes, Unlock::Machine(&[0; 32])), Reason::KeyStoreUnreadable);
        assert_eq!(refused(&bytes, Unlock::Passphrase("x")), Reason::KeyStoreUnreadable);
        for place in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[place] ^= 1;
            let reason = refused(&altered, Unlock::Machine(&MACHINE));
            let allowed = [Reason::KeyStoreUnreadable, Reason::VersionUnknown];
            assert!(allowed.contains(&reason), "{place}: {reason}");
        }
        for length in 0..bytes.len() {
            refused(&bytes[..length], Unlock::Machine(&MACHINE));
        }
    }

    #[test]
    fn a_passphrase_opens_what_it_closed() {
        let mut store = SoftwareKeyStore::new(Unlock::Passphrase("open"), &[3; 16]).unwrap();
        store.create("a", KeyPurpose::Device, KeyAlgorithm::P256, &[1; 32]).unwrap();
        let bytes = store.to_encrypted([7; 12]).unwrap();
        let open = |phrase| SoftwareKeyStore::from_encrypted(&bytes, Unlock::Passphrase(phrase));
        assert_eq!(open("open").unwrap().public_key("a"), store.public_key("a"));
        assert_eq!(open("Open").err(), Some(Reason::KeyStoreUnreadable));
    }

    #[test]
    fn a_key_serves_its_own_purpose_only() {
        let mut store = store();
        let signature = store.sign("device", KeyPurpose::Device, b"m").unwrap();
        assert_eq!(store.public_key("device").unwrap().verify(b"m", &signature), Ok(()));
        let wrong = Err(Reason::AlgorithmNotAllowed);
        assert_eq!(store.sign("device", KeyPurpose::Account, b"m"), wrong);
        assert_eq!(store.sign("shared", KeyPurpose::SharedCode, b"m"), wrong);
        assert_eq!(store.tag("device", "a", &[]), Err(Reason::AlgorithmNotAllowed));
        assert_eq!(store.sealing_key("device"), Err(Reason::AlgorithmNotAllowed));
        assert_eq!(store.public_key("none"), Err(Reason::KeyNameUnknown));
        let mut make =
            |name: &str, algorithm| store.create(name, KeyPurpose::Device, algorithm, &[1; 32]);
        assert_eq!(make("device", KeyAlgorithm::P256), Err(Reason::KeyNameTaken));
        assert_eq!(make("", KeyAlgorithm::P256), Err(Reason::FieldInvalid));
        assert_eq!(make("new", KeyAlgorithm::HmacSha256), Err(Reason::FieldInvalid));
    }

    #[test]
    fn a_store_opens_what_is_sealed_to_it() {
        let store = store();
        for name in ["opening", "opening-p256"] {
            let key = store.sealing_key(name).unwrap();
            let sealed = hpke::seal(&key, Aead::Aes256Gcm, b"i", b"a", b"secret", [8; 32]).unwrap();
            let opened = store.open_sealed(name, Aead::Aes256Gcm, b"i", b"a", &sealed).unwrap();
            assert_eq!(&opened[..], b"secret");
            let other = store.open_sealed(name, Aead::Aes256Gcm, b"i", b"b", &sealed);
            assert_eq!(other, Err(Reason::SealUnreadable));
        }
    }
}
