//! Looking at the ends of a store's files before the storage engine opens them.
//!
//! The engine checks each block of a table when it reads it. What it takes as it stands is how many
//! parts the list at the end of a file names: it asks for memory for as many before it looks at that
//! list's checksum, and where the number is damaged, it asks for more than there is and the system
//! ends the process without a word. So the lists are checked here first, those of the tables and
//! those of the versions that say which tables there are; of a large store a few kilobytes are read.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use tallystick_kernel::Reason;
use xxhash_rust::xxh3::xxh3_128;

/// The folder of the parts of a store, and in each of them its tables and which version is in force.
const KEYSPACES: &str = "keyspaces";
const TABLES: &str = "tables";
const CURRENT: &str = "current";
/// Of `current`: a number, the checksum of the version's file, the kind of that checksum.
const CURRENT_BYTES: usize = 8 + 16 + 1;
/// Bytes of a version's file at most: 38 for each table.
const VERSION_BYTES_MAX: u64 = 64 << 20;
/// A file ends with a mark, two numbers of its format, the checksum of the list before it, and where
/// that begins and how long it is.
const END: &[u8; 6] = b"SFA!\x01\x00";
const END_BYTES: u64 = 6 + 16 + 8 + 8;
/// The list: a mark, a count, and for each part where it is, how long it is, and its name.
const LIST: &[u8; 4] = b"TOC!";
const LIST_BYTES_MAX: u64 = 64 * 1024;

/// Every file that the store in the folder is to read ends with what was written there; what has
/// never been opened is whole.
///
/// Returns [`Reason::StorageCorrupt`], and [`Reason::StorageFailed`] for what cannot be read.
pub fn check(folder: &Path) -> Result<(), Reason> {
    let parts = folder.join(KEYSPACES);
    if !parts.exists() {
        return Ok(());
    }
    for part in std::fs::read_dir(parts).map_err(|error| unread(folder, &error))? {
        let part = part.map_err(|error| unread(folder, &error))?.path();
        if part.is_dir() {
            check_part(&part)?;
        }
    }
    Ok(())
}

fn check_part(part: &Path) -> Result<(), Reason> {
    let (current, tables) = (part.join(CURRENT), part.join(TABLES));
    if !current.exists() {
        // Not begun yet, and so without tables: the engine removes it and begins anew.
        let is_begun = tables.read_dir().is_ok_and(|mut tables| tables.next().is_some());
        return if is_begun { Err(corrupt(&current)) } else { Ok(()) };
    }
    let bytes = read(&current, CURRENT_BYTES as u64)?;
    let bytes: [u8; CURRENT_BYTES] = bytes.try_into().map_err(|_| corrupt(&current))?;
    let mut input = &bytes[..];
    let (number, checksum) = (take_u64(&mut input), take_u128(&mut input));
    let (Some(number), Some(checksum)) = (number, checksum) else { return Err(corrupt(&current)) };
    let version = part.join(format!("v{number}"));
    let bytes = read(&version, VERSION_BYTES_MAX)?;
    if xxh3_128(&bytes) != checksum {
        return Err(corrupt(&version));
    }
    let ids = table_ids(&bytes).ok_or_else(|| corrupt(&version))?;
    ids.iter().try_for_each(|id| check_end(&tables.join(id.to_string())))
}

/// The list at the end of a file is the one that was written.
fn check_end(path: &Path) -> Result<(), Reason> {
    let mut file = File::open(path).map_err(|_| corrupt(path))?;
    let mut part = |from: u64, count: u64| -> Result<Vec<u8>, Reason> {
        file.seek(SeekFrom::Start(from)).map_err(|error| unread(path, &error))?;
        let mut bytes = Vec::new();
        let taken = (&mut file).take(count).read_to_end(&mut bytes);
        taken.map_err(|error| unread(path, &error))?;
        Ok(bytes)
    };
    let length = path.metadata().map_err(|error| unread(path, &error))?.len();
    let end = part(length.saturating_sub(END_BYTES), END_BYTES)?;
    let (from, count, checksum) = end_of(&end, length).ok_or_else(|| corrupt(path))?;
    let list = part(from, count)?;
    if xxh3_128(&list) == checksum { Ok(()) } else { Err(corrupt(path)) }
}

/// Where the list is and how long, and its checksum; none for an end that no file has.
fn end_of(end: &[u8], length: u64) -> Option<(u64, u64, u128)> {
    let mut input = end.strip_prefix(END)?;
    let checksum = take_u128(&mut input)?;
    let (from, count) = (take_u64(&mut input)?, take_u64(&mut input)?);
    let is_before_end = from.checked_add(count)?.checked_add(END_BYTES)? == length;
    (is_before_end && count <= LIST_BYTES_MAX).then_some((from, count, checksum))
}

/// The tables that a version names, whose bytes are those that were written.
fn table_ids(version: &[u8]) -> Option<Vec<u64>> {
    let length = version.len() as u64;
    let end = version.get(version.len().checked_sub(END_BYTES as usize)?..)?;
    let (from, count, _) = end_of(end, length)?;
    let part = |from: u64, count: u64| {
        let (from, count) = (usize::try_from(from).ok()?, usize::try_from(count).ok()?);
        version.get(from..from.checked_add(count)?)
    };
    let mut list = part(from, count)?.strip_prefix(LIST)?;
    let mut ids = Vec::new();
    for _ in 0..take_u32(&mut list)? {
        let (from, count) = (take_u64(&mut list)?, take_u64(&mut list)?);
        let name_bytes = usize::from(u16::from_le_bytes(take(&mut list)?));
        let (name, rest) = list.split_at_checked(name_bytes)?;
        list = rest;
        if name == TABLES.as_bytes() {
            let mut tables = part(from, count)?;
            for _ in 0..take::<1>(&mut tables)?[0] {
                for _ in 0..take::<1>(&mut tables)?[0] {
                    for _ in 0..take_u32(&mut tables)? {
                        ids.push(take_u64(&mut tables)?);
                        // The kind of its checksum, that, and a number of the engine's.
                        take::<25>(&mut tables)?;
                    }
                }
            }
        }
    }
    Some(ids)
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*taken)
}

fn take_u32(input: &mut &[u8]) -> Option<u32> {
    take(input).map(u32::from_le_bytes)
}

fn take_u64(input: &mut &[u8]) -> Option<u64> {
    take(input).map(u64::from_le_bytes)
}

fn take_u128(input: &mut &[u8]) -> Option<u128> {
    take(input).map(u128::from_le_bytes)
}

/// The bytes of a file that is not longer than it can be.
fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Reason> {
    let metadata = path.metadata().map_err(|_| corrupt(path))?;
    if metadata.len() > bytes_max {
        return Err(corrupt(path));
    }
    std::fs::read(path).map_err(|error| unread(path, &error))
}

fn corrupt(path: &Path) -> Reason {
    tracing::error!(file = %path.display(), "a file of the store is not what was written");
    Reason::StorageCorrupt
}

fn unread(path: &Path, error: &std::io::Error) -> Reason {
    tracing::error!(file = %path.display(), %error, "a file of the store cannot be read");
    Reason::StorageFailed
}
