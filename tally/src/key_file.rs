//! A party's key store on disk: signing, opening and authenticating keys that never leave it.
//!
//! Invariant: a key is used only after the file that holds it was written durably.

use std::path::{Path, PathBuf};

use tallystick_crypto::aead::NONCE_BYTES;
use tallystick_crypto::key_store::{KeyAlgorithm, KeyPurpose, KeyStore};
use tallystick_crypto::password::SALT_BYTES;
use tallystick_crypto::software_key_store::{SoftwareKeyStore, Unlock};
use zeroize::Zeroizing;

use crate::data_folder::{KEYS_FILE, read_bounded, write_atomically};
use crate::failure::Failure;
use crate::machine_key::MachineKey;
use crate::source;

/// The key store of a data folder.
pub struct KeyFile {
    path: PathBuf,
    store: SoftwareKeyStore,
}

impl KeyFile {
    /// Opens the key store of a data folder; without a file it is empty.
    ///
    /// Fails with [`tallystick_kernel::Reason::KeyStoreUnreadable`] when the machine key does not open it.
    pub fn open(folder: &Path, machine_key: &MachineKey) -> Result<KeyFile, Failure> {
        let path = folder.join(KEYS_FILE);
        let unlock = Unlock::Machine(machine_key.bytes());
        let store = match path.exists() {
            true => SoftwareKeyStore::from_encrypted(&read_bounded(&path, FILE_BYTES_MAX)?, unlock),
            false => SoftwareKeyStore::new(unlock, &[0; SALT_BYTES]),
        };
        let store =
            store.map_err(|reason| Failure::new(reason).cause(path.display().to_string()))?;
        Ok(KeyFile { path, store })
    }

    /// The keys.
    pub fn store(&self) -> &SoftwareKeyStore {
        &self.store
    }

    /// The keys, for whoever keeps them longer than this value.
    pub fn into_store(self) -> SoftwareKeyStore {
        self.store
    }

    /// Makes a key of this name where there is none.
    pub fn ensure(
        &mut self,
        name: &str,
        purpose: KeyPurpose,
        algorithm: KeyAlgorithm,
    ) -> Result<(), Failure> {
        if self.has(name) {
            return Ok(());
        }
        let seed = Zeroizing::new(source::random::<32>()?);
        self.store.create(name, purpose, algorithm, &seed)?;
        self.save()
    }

    /// Takes over a key that another party also has, where there is none of this name.
    pub fn ensure_shared(
        &mut self,
        name: &str,
        purpose: KeyPurpose,
        algorithm: KeyAlgorithm,
        secret: &[u8; 32],
    ) -> Result<(), Failure> {
        if self.has(name) {
            return Ok(());
        }
        self.store.import(name, purpose, algorithm, secret)?;
        self.save()
    }

    fn has(&self, name: &str) -> bool {
        self.store.describe().iter().any(|key| key.name == name)
    }

    fn save(&self) -> Result<(), Failure> {
        let sealed = self.store.to_encrypted(source::random::<NONCE_BYTES>()?)?;
        write_atomically(&self.path, &sealed, 0o600)
    }
}

const FILE_BYTES_MAX: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use tallystick_kernel::Reason;

    use super::*;

    #[test]
    fn a_key_is_there_again_under_its_machine_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let key = MachineKey::read_or_make(&folder.path().join("machine.key")).unwrap();
        let other = MachineKey::read_or_make(&folder.path().join("other.key")).unwrap();
        let mut file = KeyFile::open(folder.path(), &key).unwrap();
        file.ensure("bank", KeyPurpose::Account, KeyAlgorithm::Ed25519).unwrap();
        let public = file.store().public_key("bank").unwrap();
        file.ensure("bank", KeyPurpose::Account, KeyAlgorithm::Ed25519).unwrap();
        let again = KeyFile::open(folder.path(), &key).unwrap();
        assert_eq!(again.store().public_key("bank"), Ok(public));
        let failure = KeyFile::open(folder.path(), &other).err().unwrap();
        assert_eq!(failure.reason, Reason::KeyStoreUnreadable);
    }
}
