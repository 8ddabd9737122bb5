//! The machine: version, processors, clock, the disk's room and how fast it makes writes durable.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::sys::statvfs::statvfs;
use tallystick_kernel::limits::GENESIS_BYTES_MAX;
use tallystick_kernel::{Reason, TimeMs};
use tallystick_proofs::genesis::Genesis;

use super::Subject;
use super::finding::Finding;
use crate::clock_text::utc;
use crate::data_folder::{FOLDER_VERSION, read_bounded};
use crate::failure::Failure;
use crate::source;
use crate::up::founding::GENESIS_FILE;

/// Looks at the machine.
pub fn look(subject: &Subject) -> Vec<Finding> {
    let folder = existing(&subject.folder);
    let mut findings = vec![version(), processors(), room(&folder), durable_writes(&folder)];
    if subject.running.is_none() {
        findings.extend(clock_after_genesis(&subject.folder));
    }
    findings
}

fn version() -> Finding {
    let version = env!("CARGO_PKG_VERSION");
    Finding::ok("version", format!("tally {version}, for data folders of version {FOLDER_VERSION}"))
}

fn processors() -> Finding {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    match count {
        0 | 1 => {
            Finding::warning("processors", "1", "a whole network is pleasant with two or more")
        }
        _ => Finding::ok("processors", count.to_string()),
    }
}

/// The folder, or the one above it that is there.
fn existing(folder: &Path) -> PathBuf {
    let mut folders = folder.ancestors().filter(|folder| folder.is_dir());
    folders.next().unwrap_or(Path::new(".")).to_owned()
}

fn room(folder: &Path) -> Finding {
    let check = "disk";
    match statvfs(folder) {
        Ok(disk) => {
            let free = disk.blocks_available().saturating_mul(disk.fragment_size());
            of_room(free, folder)
        }
        Err(error) => Finding::failure(check, &Failure::file(folder, &error.into())),
    }
}

/// What so many free bytes mean.
fn of_room(free: u64, folder: &Path) -> Finding {
    let says = format!("{} MiB free in {}", free / MEBIBYTE, folder.display());
    let next = "make room, or choose a folder on another disk with --data DIR";
    match free {
        _ if free < ROOM_NEEDED => Finding::failed("disk", Reason::StorageFailed, says, next),
        _ if free < ROOM_PLEASANT => Finding::warning("disk", says, next),
        _ => Finding::ok("disk", says),
    }
}

fn durable_writes(folder: &Path) -> Finding {
    let check = "fsync";
    match writes_in_a_second(folder) {
        Ok(rate) if rate < RATE_PLEASANT => Finding::warning(
            check,
            format!("{rate} durable writes a second"),
            "blocks wait for the disk: choose a folder on a faster one with --data DIR",
        ),
        Ok(rate) => Finding::ok(check, format!("{rate} durable writes a second")),
        Err(error) => Finding::failure(check, &Failure::file(folder, &error)),
    }
}

fn writes_in_a_second(folder: &Path) -> std::io::Result<u64> {
    let mut file = tempfile::tempfile_in(folder)?;
    let begun = Instant::now();
    for _ in 0..WRITES {
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
    }
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
    Ok(WRITES * 1_000_000 / micros)
}

/// While no network runs, its genesis is the only time to compare with.
fn clock_after_genesis(folder: &Path) -> Option<Finding> {
    let bytes = read_bounded(&folder.join(GENESIS_FILE), GENESIS_BYTES_MAX).ok()?;
    let genesis = Genesis::read(&bytes).ok()?;
    Some(of_clock(source::now(), genesis.time, "the genesis"))
}

/// What our clock is, beside the time of something that is past.
pub fn of_clock(now: TimeMs, past: TimeMs, what: &str) -> Finding {
    let behind_ms = past.0.saturating_sub(now.0);
    let says = format!("{}, {what} is of {}", utc(now.0), utc(past.0));
    match behind_ms {
        0..=CLOCK_PLEASANT_MS => Finding::ok("clock", says),
        _ => Finding::failed(
            "clock",
            Reason::NotYetValid,
            format!("{says}: this clock is {} s behind", behind_ms / 1000),
            "set the clock, or let it be set by NTP",
        ),
    }
}

const MEBIBYTE: u64 = 1024 * 1024;
const ROOM_NEEDED: u64 = 64 * MEBIBYTE;
const ROOM_PLEASANT: u64 = 1024 * MEBIBYTE;
const WRITES: u64 = 20;
const RATE_PLEASANT: u64 = 50;
const CLOCK_PLEASANT_MS: u64 = 2000;

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_a_warning_and_a_full_one_fails() {
        let level = |free: u64| of_room(free, Path::new("/x")).level;
        assert_eq!(level(10 * 1024 * MEBIBYTE), Level::Ok);
        assert_eq!(level(500 * MEBIBYTE), Level::Warning);
        assert_eq!(level(MEBIBYTE), Level::Failed);
    }

    #[test]
    fn a_clock_behind_what_is_past_already_fails() {
        let level = |now: u64| of_clock(TimeMs(now), TimeMs(100_000), "the last block").level;
        assert_eq!(level(100_000), Level::Ok);
        assert_eq!(level(99_000), Level::Ok);
        assert_eq!(level(90_000), Level::Failed);
    }

    #[test]
    fn the_disk_is_tried_where_the_folder_will_be_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let existing = existing(&folder.path().join("not/yet"));
        assert_eq!(existing, folder.path());
        assert!(writes_in_a_second(&existing).unwrap() > 0);
        assert_eq!(std::fs::read_dir(&existing).unwrap().count(), 0);
    }
}
