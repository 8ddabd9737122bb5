//! A data folder: whose it is, of which version, and that only one process works in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tallystick_kernel::Reason;

use crate::failure::Failure;

/// The version of everything that lies in a data folder.
pub const FOLDER_VERSION: u64 = 1;

/// A data folder that is ours as long as this value lives.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    // Held for its lock.
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Marker {
    version: u64,
    kind: String,
}

impl DataFolder {
    /// Opens the folder of a `kind` of process (`up`, `node`, `wallet`), making it where there is
    /// none.
    ///
    /// Fails with [`Reason::FolderOfOtherVersion`] for a folder that another version or another
    /// kind wrote, [`Reason::FolderInUse`] while another process has it, and
    /// [`Reason::FileUnreadable`].
    pub fn open(path: &Path, kind: &str) -> Result<DataFolder, Failure> {
        create_private(path)?;
        let lock = lock(path)?;
        check_marker(path, kind)?;
        Ok(DataFolder { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Makes a folder, and those above it, that only its owner can enter.
pub fn create_private(path: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Failure::file(path, &error))
}

/// Writes a whole file or nothing, durably; `mode` is that of chmod(2), such as `0o600`.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file =
            options.create(true).write(true).truncate(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary);
        Failure::file(path, &error)
    })
}

/// Reads a file that is at most `bytes_max` long; [`Reason::TooLarge`] for a longer one.
pub fn read_bounded(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| Failure::file(path, &error);
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > bytes_max {
        let limit = format!("{}: more than {bytes_max} bytes", path.display());
        return Err(Failure::new(Reason::TooLarge).cause(limit));
    }
    Ok(bytes)
}

fn lock(path: &Path) -> Result<File, Failure> {
    let file_path = path.join(LOCK_FILE);
    let unreadable = |error: std::io::Error| Failure::file(&file_path, &error);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600);
    let mut file = options.open(&file_path).map_err(unreadable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(unreadable(error)),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(Failure::new(Reason::FolderInUse)
                .cause(format!("process {} works in {}", holder.trim(), path.display()))
                .next_step("stop that process, or choose another folder with --data DIR"));
        }
    }
    let write = (|| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    })();
    write.map_err(unreadable)?;
    Ok(file)
}

/// The failure of a folder that is not ours.
fn other(path: &Path, what: &str) -> Failure {
    Failure::new(Reason::FolderOfOtherVersion).cause(format!("{}: {what}", path.display()))
}

/// Of which kind a folder of our version is, as its marker says; [`Reason::FolderOfOtherVersion`].
pub fn read_marker(path: &Path) -> Result<String, Failure> {
    let file = path.join(MARKER_FILE);
    let text = fs::read_to_string(&file).map_err(|error| Failure::file(&file, &error))?;
    let marker: Marker =
        toml::from_str(&text).map_err(|_| other(path, &format!("{MARKER_FILE} cannot be read")))?;
    if marker.version == FOLDER_VERSION {
        return Ok(marker.kind);
    }
    let version = marker.version;
    Err(other(path, &format!("version {version}, this is for {FOLDER_VERSION}"))
        .next_step("use the tally of that version, or another folder with --data DIR"))
}

fn check_marker(path: &Path, kind: &str) -> Result<(), Failure> {
    let file = path.join(MARKER_FILE);
    match fs::exists(&file) {
        Ok(true) => {
            let found = read_marker(path)?;
            if found != kind {
                return Err(other(path, &format!("it belongs to `tally {found}`"))
                    .next_step("choose another folder with --data DIR"));
            }
            Ok(())
        }
        Ok(false) => {
            if let Some(name) = foreign_entry(path)? {
                return Err(other(path, &format!("it holds {name} and was not made by tally"))
                    .next_step("choose an empty or a new folder with --data DIR"));
            }
            let marker = Marker { version: FOLDER_VERSION, kind: kind.to_owned() };
            let text = toml::to_string(&marker).map_err(|_| Reason::Internal)?;
            write_atomically(&file, text.as_bytes(), 0o600)
        }
        Err(error) => Err(Failure::file(&file, &error)),
    }
}

/// Something that lies in a folder without a marker; configuration and logs may come first.
fn foreign_entry(path: &Path) -> Result<Option<String>, Failure> {
    let entries = fs::read_dir(path).map_err(|error| Failure::file(path, &error))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let expected = |name: &str| {
        [LOCK_FILE, LOG_FILE, KEYS_FILE, SECRETS_FILE].contains(&name)
            || name.ends_with(".toml")
            || name.ends_with(".key")
            || name.starts_with('.')
    };
    Ok(names.into_iter().find(|name| !expected(name)))
}

/// The file that says whose the folder is.
pub const MARKER_FILE: &str = "tallystick.toml";
/// Where a process of [`crate::up`] logs.
pub const LOG_FILE: &str = "log.txt";
/// A party's key store, encrypted.
pub const KEYS_FILE: &str = "keys";
/// Secrets that are not keys of the store, encrypted.
pub const SECRETS_FILE: &str = "secrets";
const LOCK_FILE: &str = "lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let first = DataFolder::open(&path, "node").unwrap();
        let failure = DataFolder::open(&path, "node").unwrap_err();
        assert_eq!(failure.reason, Reason::FolderInUse);
        assert!(failure.causes[0].contains(&std::process::id().to_string()));
        drop(first);
        assert!(DataFolder::open(&path, "node").is_ok());
    }

    #[test]
    fn a_folder_of_another_version_another_kind_or_another_program_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let reason = |path: &Path| DataFolder::open(path, "node").unwrap_err().reason;
        let other = folder.path().join("other");
        drop(DataFolder::open(&other, "wallet").unwrap());
        assert_eq!(reason(&other), Reason::FolderOfOtherVersion);
        let newer = folder.path().join("newer");
        drop(DataFolder::open(&newer, "node").unwrap());
        fs::write(newer.join(MARKER_FILE), "version = 2\nkind = 'node'\n").unwrap();
        assert_eq!(reason(&newer), Reason::FolderOfOtherVersion);
        let foreign = folder.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("holiday.jpg"), "").unwrap();
        assert_eq!(reason(&foreign), Reason::FolderOfOtherVersion);
    }

    #[test]
    fn a_file_is_written_whole_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_atomically(&path, b"one", 0o600).unwrap();
        write_atomically(&path, b"two", 0o600).unwrap();
        assert_eq!(read_bounded(&path, 3).unwrap(), b"two");
        assert_eq!(read_bounded(&path, 2).unwrap_err().reason, Reason::TooLarge);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
