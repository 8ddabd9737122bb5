//! The machine key of a development network: the file under which all its secrets lie encrypted.

use std::path::Path;

use tallystick_kernel::{Reason, hex};
use zeroize::Zeroizing;

use crate::data_folder::{read_bounded, write_atomically};
use crate::failure::Failure;
use crate::source;

/// 32 random bytes in a file of mode 0600. Whoever can read the file can read every key: this is
/// for development; `tally doctor` says so.
pub struct MachineKey(Zeroizing<[u8; 32]>);

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

    /// The key itself, for the code that encrypts.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
