//! A role's secret keys on disk: named, encrypted under the machine key of a development network.
//!
//! Invariants: secrets leave memory only encrypted (AES-256-GCM, a fresh nonce for each write, the
//! file's version as associated data); both files have mode 0600; nothing here is ever logged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use tallystick_kernel::{Codec, Reader, Reason, Writer, hex};
use zeroize::Zeroizing;

use crate::data_folder::{KEYS_FILE, read_bounded, write_atomically};
use crate::failure::Failure;
use crate::source;

/// The key under which key files lie.
pub struct MachineKey(Zeroizing<[u8; 32]>);

/// The keys of one role.
pub struct KeyFile {
    path: PathBuf,
    machine_key: Zeroizing<[u8; 32]>,
    secrets: Secrets,
}

#[derive(Default)]
struct Secrets(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl MachineKey {
    /// Reads the key, making it where there is none.
    pub fn read_or_make(path: &Path) -> Result<MachineKey, Failure> {
        if !path.exists() {
            let bytes = Zeroizing::new(source::random::<32>()?);
            let text = Zeroizing::new(hex::encode(bytes.as_slice()));
            write_atomically(path, text.as_bytes(), 0o600)?;
        }
        MachineKey::read(path)
    }

    /// Reads the key; [`Reason::StorageCorrupt`] for a file that holds none.
    pub fn read(path: &Path) -> Result<MachineKey, Failure> {
        let text = Zeroizing::new(read_bounded(path, 128)?);
        let bytes = core::str::from_utf8(&text).ok().and_then(|text| hex::decode(text.trim()).ok());
        let bytes = Zeroizing::new(bytes.unwrap_or_default());
        let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| {
            Failure::new(Reason::StorageCorrupt).cause(format!("{} is no key", path.display()))
        })?;
        Ok(MachineKey(Zeroizing::new(key)))
    }
}

impl KeyFile {
    /// Opens the key file of a data folder; without one there are no keys yet.
    ///
    /// Fails with [`Reason::StorageCorrupt`] when the machine key does not open it.
    pub fn open(folder: &Path, machine_key: &MachineKey) -> Result<KeyFile, Failure> {
        let path = folder.join(KEYS_FILE);
        let key = machine_key.0.clone();
        let secrets = if path.exists() {
            let sealed = read_bounded(&path, FILE_BYTES_MAX)?;
            let opened =
                open(&key, &sealed).and_then(|bytes| Secrets::from_bytes(&bytes, FILE_BYTES_MAX));
            opened.map_err(|reason| Failure::new(reason).cause(path.display().to_string()))?
        } else {
            Secrets::default()
        };
        Ok(KeyFile { path, machine_key: key, secrets })
    }

    /// A secret by its name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.secrets.0.get(name).map(|secret| secret.as_slice())
    }

    /// A secret that must be there; [`Reason::StorageCorrupt`] when it is not.
    pub fn require(&self, name: &str) -> Result<&[u8], Failure> {
        self.get(name).ok_or_else(|| {
            let cause = format!("{} holds no key named {name}", self.path.display());
            Failure::new(Reason::StorageCorrupt).cause(cause)
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
        let sealed = seal(&self.machine_key, Zeroizing::new(self.secrets.to_bytes()))?;
        write_atomically(&self.path, &sealed, 0o600)
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

/// `nonce || ciphertext || tag`.
fn seal(key: &[u8; 32], mut bytes: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, Reason> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| Reason::Internal)?;
    let nonce = key.seal_in_place_append_tag(Aad::from(LABEL), &mut *bytes);
    let nonce = nonce.map_err(|_| Reason::Internal)?;
    Ok([nonce.as_ref().as_slice(), &bytes].concat())
}

fn open(key: &[u8; 32], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Reason> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| Reason::Internal)?;
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(Reason::StorageCorrupt)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Reason::StorageCorrupt)?;
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let opened = key.open_in_place(nonce, Aad::from(LABEL), &mut bytes);
    let length = opened.map_err(|_| Reason::StorageCorrupt)?.len();
    bytes.truncate(length);
    Ok(bytes)
}

const LABEL: &[u8] = b"tallystick/key-file/1";
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
        let mut file = KeyFile::open(folder.path(), &key).unwrap();
        let made = file.require_or_make("bank").unwrap();
        file.put("note", b"a plain secret").unwrap();
        let again = KeyFile::open(folder.path(), &key).unwrap();
        assert_eq!(again.require("bank").unwrap(), made.as_slice());
        assert_eq!(again.require("other").unwrap_err().reason, Reason::StorageCorrupt);
        let failure = KeyFile::open(folder.path(), &other).err().unwrap();
        assert_eq!(failure.reason, Reason::StorageCorrupt);
        let raw = std::fs::read(folder.path().join(KEYS_FILE)).unwrap();
        assert!(!raw.windows(7).any(|window| window == b"a plain"));
    }
}
