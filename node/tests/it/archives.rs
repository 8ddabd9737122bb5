//! Blocks that a node gives up verify from their archives, and what was altered, cut or taken away is
//! found.

use std::path::{Path, PathBuf};

use tallystick_kernel::{DurationMs, Reason};
use tallystick_node::archive;
use tallystick_node::archive_folder::{ArchiveFolder, Refused, verify};
use tallystick_node::archive_verify::Facts;
use tallystick_node::prune::{self, Keeper as _, Retention};
use tallystick_proofs::genesis::Genesis;

use crate::history::{History, genesis};

/// Three times so many blocks that some are given up, into three archives or more.
fn archived(folder: &Path) -> History {
    let mut history = History::long();
    for _ in 0..3 {
        history.grow(60);
        give_up(&history, folder).unwrap();
    }
    history
}

fn give_up(history: &History, folder: &Path) -> Result<(u64, u64), Reason> {
    let keeper = ArchiveFolder(folder.to_owned());
    prune::all(&history.kv, &genesis(), Retention::Blocks(1), Some(&keeper))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn refused(folder: &Path) -> Refused {
    verify(folder, &genesis()).unwrap_err()
}

#[test]
fn what_is_given_up_is_in_archives_that_verify_and_begin_where_the_chain_does() {
    let folder = tempfile::tempdir().unwrap();
    let history = archived(folder.path());
    let lowest = prune::lowest(history.kv.as_ref()).unwrap();
    assert!(lowest > 120, "{lowest}");
    assert_eq!(archive::block(history.kv.as_ref(), lowest - 1), Ok(None));
    let (count, found) = (files(folder.path()).len() as u64, verify(folder.path(), &genesis()));
    let Facts { transactions, .. } = found.clone().unwrap();
    let (from, to) = (1, lowest - 1);
    let expected = Facts { from, to, files: count, transactions, results_from: 1 };
    assert_eq!(found, Ok(expected));
    assert!(count >= 3 && transactions > 100, "{count} files, {transactions} transactions");
}

#[test]
fn archives_from_somewhere_on_verify_but_for_the_results_that_lie_before_them() {
    let folder = tempfile::tempdir().unwrap();
    archived(folder.path());
    let files = files(folder.path());
    std::fs::remove_file(&files[0]).unwrap();
    let facts = verify(folder.path(), &genesis()).unwrap();
    assert!(facts.from > 1 && facts.results_from >= facts.from, "{facts:?}");
    assert!(facts.results_from < facts.from + 8, "{facts:?}");
}

#[test]
fn a_gap_a_file_of_another_network_and_an_empty_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(refused(folder.path()).reason, Reason::NotFound);
    archived(folder.path());
    let other = Genesis { name: "other".to_owned(), ..genesis() };
    let foreign = verify(folder.path(), &other).unwrap_err();
    assert_eq!(foreign.reason, Reason::WrongNetwork);
    let files = files(folder.path());
    let moved = folder.path().join("aside");
    std::fs::rename(&files[1], &moved).unwrap();
    let gap = refused(folder.path());
    assert_eq!(gap.reason, Reason::HeaderMismatch);
    assert!(gap.place.contains("are missing"), "{gap:?}");
    // Another file's blocks under the missing one's name.
    std::fs::copy(&files[0], &files[1]).unwrap();
    let twice = refused(folder.path());
    assert_eq!(twice.reason, Reason::HeaderMismatch);
    assert_eq!(twice.place, files[1].display().to_string());
}

#[test]
fn a_file_that_is_cut_anywhere_or_longer_than_it_was_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    archived(folder.path());
    let last = files(folder.path()).pop().unwrap();
    let whole = std::fs::read(&last).unwrap();
    for part in 0..16 {
        std::fs::write(&last, &whole[..whole.len() * part / 16]).unwrap();
        assert_eq!(refused(folder.path()).reason, Reason::Malformed, "{part} of 16");
    }
    std::fs::write(&last, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(refused(folder.path()).reason, Reason::Malformed);
    let pair = tallystick_node::snapshot::encode_chunk(&[(vec![1], vec![2])]);
    let more = [&whole[..], &(pair.len() as u32).to_be_bytes(), &pair].concat();
    std::fs::write(&last, more).unwrap();
    assert_eq!(refused(folder.path()).reason, Reason::TrailingBytes);
}

#[test]
fn a_bit_that_is_altered_anywhere_in_an_archive_is_found() {
    let folder = tempfile::tempdir().unwrap();
    archived(folder.path());
    let last = files(folder.path()).pop().unwrap();
    let whole = std::fs::read(&last).unwrap();
    for place in (0..whole.len()).step_by(whole.len() / 300) {
        let mut altered = whole.clone();
        altered[place] ^= 1 << (place % 8);
        std::fs::write(&last, altered).unwrap();
        assert_eq!(refused(folder.path()).place, last.display().to_string(), "at {place}");
    }
}

#[test]
fn blocks_stay_until_they_can_be_archived_and_what_is_archived_already_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::long();
    let keeper = ArchiveFolder(folder.path().join("archive"));
    let keep = |from, below| keeper.keep(history.kv.as_ref(), &genesis(), from, below);
    assert_eq!(keep(1, 20), Ok(20));
    assert_eq!(keep(1, 40), Ok(20), "written before a start");
    assert_eq!(keep(20, 40), Ok(40));
    assert_eq!(keep(90, history.tip.header.height + 1), Err(Reason::NotReady));
    let files = files(&keeper.0);
    assert_eq!(files.len(), 2);
    std::fs::write(&files[1], b"something else").unwrap();
    assert_eq!(keep(20, 40), Err(Reason::Malformed));
    // A file where the folder is to be.
    history.block(DurationMs::seconds(30), 1);
    let before = prune::lowest(history.kv.as_ref());
    let blocked = folder.path().join("blocked");
    std::fs::write(&blocked, b"").unwrap();
    assert_eq!(give_up(&history, &blocked), Err(Reason::FileUnreadable));
    assert_eq!(prune::lowest(history.kv.as_ref()), before);
}
