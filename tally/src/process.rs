//! What the kernel says of a process and of a folder: processor time, memory, bytes on disk.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What a process has used so far, and what it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all its threads, also those that have ended, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory in bytes, pages that it shares with others included.
    pub resident_bytes: u64,
    /// Resident memory in bytes, where a shared page counts in parts.
    pub proportional_bytes: u64,
    /// Its threads.
    pub threads: u64,
}

/// What the process has used; none when there is no such process or it is another user's.
pub fn usage(pid: u32) -> Option<Usage> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
    let (cpu_ms, threads) = times(&read("stat")?)?;
    let memory = read("smaps_rollup")?;
    Some(Usage {
        cpu_ms,
        threads,
        resident_bytes: field(&memory, "Rss:")?,
        proportional_bytes: field(&memory, "Pss:")?,
    })
}

/// Milliseconds of processor time and the number of threads in a line of proc(5), `stat`.
fn times(stat: &str) -> Option<(u64, u64)> {
    // The name comes second, in parentheses, and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let (user, system, threads) = (number(11)?, number(12)?, number(17)?);
    Some((user.checked_add(system)?.checked_mul(MS_PER_TICK)?, threads))
}

/// A field of proc(5), `smaps_rollup`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The bytes that the disk has set aside for everything in a folder; a hole in a file takes none.
pub fn disk_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of_entry = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * BLOCK_BYTES,
        // It went away meanwhile.
        Err(_) => 0,
    };
    entries.flatten().map(of_entry).sum()
}

/// The kernel counts a hundredth of a second to programs, whatever its own clock.
const MS_PER_TICK: u64 = 10;
const BLOCK_BYTES: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_process_are_found_whatever_its_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 21 4 0 0 20 0 19 0 82 1 2";
        assert_eq!(times(stat), Some((250, 19)));
        assert_eq!(times("7 (cut off) S 1"), None);
    }

    #[test]
    fn memory_is_read_in_bytes_and_an_unknown_field_is_none() {
        let text = "55d0-7ffc ---p 00000000 00:00 0 [rollup]\nRss:      35924 kB\nPss:  15000 kB\n";
        assert_eq!(field(text, "Rss:"), Some(35_924 * 1024));
        assert_eq!(field(text, "Pss:"), Some(15_000 * 1024));
        assert_eq!(field(text, "Swap:"), None);
    }

    #[test]
    fn a_process_that_works_uses_memory_and_one_that_is_not_there_has_no_usage() {
        let own = usage(std::process::id()).unwrap();
        assert!(own.resident_bytes >= own.proportional_bytes && own.proportional_bytes > 0);
        assert!(own.threads >= 1);
        assert_eq!(usage(u32::MAX), None);
    }

    #[test]
    fn a_folder_counts_what_its_folders_hold_and_no_holes() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(disk_bytes(folder.path()), 0);
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let bytes = (0..64 * 1024).map(|place| (place % 251) as u8).collect::<Vec<_>>();
        fs::write(inner.join("full"), &bytes).unwrap();
        fs::File::open(inner.join("full")).unwrap().sync_all().unwrap();
        let full = disk_bytes(folder.path());
        assert!(full > 0);
        fs::File::create(folder.path().join("hole")).unwrap().set_len(1 << 30).unwrap();
        assert!(disk_bytes(folder.path()) < full + (1 << 20));
        assert_eq!(disk_bytes(&folder.path().join("none")), 0);
    }
}
