//! Secrets that a process must hand on in the clear (a validator's seed for the engine, an API key
//! for another party), named, encrypted on disk under the machine key.
//!
//! Invariants: secrets leave memory only encrypted, with a fresh nonce for each write and the
//! file's label as associated data; the file has mode 0600; nothing here is ever logged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tallystick_crypto::aead::{self, NONCE_BYTES};
use tallystick_kernel::{Codec, Reader, Reason, Writer};
use zeroize::Zeroizing;

use crate::data_folder::{SECRETS_FILE, read_bounded, write_atomically};
use crate::failure::Failure;
use crate::machine_key::MachineKey;
use crate::source;

/// The secrets of one role.
pub struct SecretFile {
    path: PathBuf,
    machine_key: Zeroizing<[u8; 32]>,
    secrets: Secrets,
}

#[derive(Default)]
struct Secrets(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl SecretFile {
    /// Opens the secrets of a data folder; without a file there are none yet.
    ///
    /// Fails with [`Reason::KeyStoreUnreadable`] when the machine key does not open it.
    pub fn open(folder: &Path, machine_key: &MachineKey) -> Result<SecretFile, Failure> {
        let path = folder.join(SECRETS_FILE);
        let key = Zeroizing::new(*machine_key.bytes());
        let secrets = if path.exists() {
            let sealed = read_bounded(&path, FILE_BYTES_MAX)?;
            let opened = open(&key, &sealed);
            let opened = opened.and_then(|bytes| Secrets::from_bytes(&bytes, FILE_BYTES_MAX));
            opened.map_err(|_| {
                Failure::new(Reason::KeyStoreUnreadable).cause(path.display().to_string())
            })?
        } else {
            Secrets::default()
        };
        Ok(SecretFile { path, machine_key: key, secrets })
    }

    /// A secret by its name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.secrets.0.get(name).map(|secret| secret.as_slice())
    }

    /// A secret that must be there; [`Reason::StorageCorrupt`] when it is not.
    pub fn require(&self, name: &str) -> Result<&[u8], Failure> {
        self.get(name).ok_or_else(|| {
            let cause = format!("{} holds nothing named {name}", self.path.display());
            // A secret is nowhere else: no other node has it, and the ledger does not matter here.
            Failure::new(Reason::StorageCorrupt).cause(cause).next_step(
                "look whether it is the right folder; if so, restore that file from a copy of it",
            )
        })
    }

    /// The 32-byte secret of this name, made from randomness and stored where there is none.
    pub fn require_or_make(&mut self, name: &str) -> Result<Zeroizing<[u8; 32]>, Failure> {
        if self.get(name).is_none() {
            let secret = Zeroizing::new(source::random::<32>()?);
            self.put(name, secret.as_slice())?;
        }
        let secret = self.require(name)?.try_into().map_err(|_| Reason::StorageCorrupt)?;
        Ok(Zeroizing::new(secret))
    }

    /// Puts a secret in under its name, durably.
    pub fn put(&mut self, name: &str, secret: &[u8]) -> Result<(), Failure> {
        self.secrets.0.insert(name.to_owned(), Zeroizing::new(secret.to_vec()));
        let bytes = Zeroizing::new(self.secrets.to_bytes());
        let nonce = source::random::<NONCE_BYTES>()?;
        let sealed = aead::seal(&self.machine_key, nonce, LABEL, &bytes)?;
        write_atomically(&self.path, &[nonce.as_slice(), &sealed].concat(), 0o600)
    }
}

impl Codec for Secrets {
    fn encode(&self, out: &mut Writer) {
        out.array(self.0.len());
        for (name, secret) in &self.0 {
            out.array(2).text(name).bytes(secret);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        let mut secrets = BTreeMap::new();
        for _ in 0..input.array(SECRETS_MAX)? {
            input.tuple(2)?;
            let name = input.text(NAME_BYTES_MAX)?.to_owned();
            secrets.insert(name, Zeroizing::new(input.bytes(SECRET_BYTES_MAX)?.to_vec()));
        }
        Ok(Secrets(secrets))
    }
}

/// Opens `nonce || ciphertext || tag`.
fn open(key: &[u8; 32], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Reason> {
    let (nonce, sealed) = sealed.split_first_chunk().ok_or(Reason::SealUnreadable)?;
    aead::open(key, *nonce, LABEL, sealed)
}

const LABEL: &[u8] = b"tallystick/secret-file/1";
const SECRETS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 64;
const SECRET_BYTES_MAX: usize = 4096;
const FILE_BYTES_MAX: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_back_under_its_machine_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let key = MachineKey::read_or_make(&folder.path().join("machine.key")).unwrap();
        let other = MachineKey::read_or_make(&folder.path().join("other.key")).unwrap();
        let mut file = SecretFile::open(folder.path(), &key).unwrap();
        let made = file.require_or_make("validator").unwrap();
        file.put("note", b"a plain secret").unwrap();
        let again = SecretFile::open(folder.path(), &key).unwrap();
        assert_eq!(again.require("validator").unwrap(), made.as_slice());
        let missing = again.require("other").unwrap_err();
        assert_eq!(missing.reason, Reason::StorageCorrupt);
        // To move a ledger away would not bring it back.
        assert!(missing.next_step.is_some_and(|step| step.contains("from a copy")));
        let failure = SecretFile::open(folder.path(), &other).err().unwrap();
        assert_eq!(failure.reason, Reason::KeyStoreUnreadable);
        let raw = std::fs::read(folder.path().join(SECRETS_FILE)).unwrap();
        assert!(!raw.windows(7).any(|window| window == b"a plain"));
    }
}
