//! A store whose bytes were altered is refused, or serves only what still verifies.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tallystick_kernel::{Codec, DurationMs, Reason};
use tallystick_ledger::{State, checkpoint};
use tallystick_node::archive;
use tallystick_node::block::Block;
use tallystick_node::keys;
use tallystick_node::kv::{Kv, LedgerView};
use tallystick_node::kv_fjall::FjallKv;
use tallystick_proofs::receipt::Receipt;

use crate::history::{History, genesis, open};

/// Places in each file whose byte is altered.
const PLACES: usize = 12;
/// The end of a file, where what says how it is read lies: every third byte of it is altered.
const END_BYTES: u64 = 240;

/// What a whole store served.
struct Whole {
    history: History,
    blocks: Vec<Block>,
    roots: Vec<[u8; 32]>,
}

/// What became of an altered one.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Refused(Reason),
    /// It stands at this height, and all that it serves is right.
    Served(u64),
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, &target).unwrap();
    }
}

/// A store with blocks in its journal, and in tables when it `is_settled`.
fn written(folder: &Path, is_settled: bool) -> Whole {
    let kv: Arc<dyn Kv> = Arc::new(FjallKv::open(folder).unwrap());
    let mut history = History::on(Arc::clone(&kv));
    let (mut blocks, mut roots) = (vec![history.tip.clone()], Vec::new());
    roots.push(checkpoint::root(&history.state()));
    for at in 0..30 {
        history.block(DurationMs::seconds(2), at % 3);
        blocks.push(history.tip.clone());
        roots.push(checkpoint::root(&history.state()));
    }
    if is_settled {
        // More than the store keeps in memory, so that it writes tables.
        for part in 0..48u8 {
            kv.commit(vec![keys::put(vec![255, part], vec![part; 256 * 1024])]).unwrap();
        }
        for _ in 0..200 {
            if files(folder).iter().any(|file| is_table(file)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    // Nothing holds the folder any more but what is given back, which holds no storage.
    let empty = History::new();
    let History { paid, tip, .. } = std::mem::replace(&mut history, empty);
    history.paid = paid;
    history.tip = tip;
    drop(kv);
    Whole { history, blocks, roots }
}

fn look(folder: &Path, whole: &Whole) -> Result<u64, Reason> {
    let kv: Arc<dyn Kv> = Arc::new(FjallKv::open(folder)?);
    drop(open(&kv, whole.history.now)?);
    let state = State::load(&genesis(), &LedgerView(kv.as_ref()))?.unwrap();
    let height = state.height();
    assert_eq!(checkpoint::root(&state), whole.roots[height as usize], "another state");
    for at in 1..=height {
        let block = archive::block(kv.as_ref(), at)?;
        assert_eq!(block.as_ref(), whole.blocks.get(at as usize), "another block");
    }
    for id in &whole.history.paid {
        if let Some(receipt) = archive::receipt(kv.as_ref(), id)? {
            let read = Receipt::read(&receipt.to_bytes()).unwrap();
            assert_eq!(read.verify(&genesis()).map(|verified| verified.id), Ok(*id));
        }
    }
    Ok(height)
}

/// Where bytes of a file are altered: all over it, and close to each other at its end.
fn places(length: u64) -> Vec<usize> {
    let all_over = (0..PLACES as u64).map(|place| length * place / PLACES as u64);
    let at_end = (length.saturating_sub(END_BYTES)..length).step_by(3);
    all_over.chain(at_end).map(|place| place as usize).collect()
}

/// What becomes of a store when bytes of one of these files are altered, one at a time.
fn fates(is_settled: bool, is_meant: impl Fn(&Path) -> bool) -> Vec<Fate> {
    let folder = tempfile::tempdir().unwrap();
    let whole_folder = folder.path().join("whole");
    let whole = written(&whole_folder, is_settled);
    assert_eq!(look(&whole_folder, &whole), Ok(30));
    let mut fates = Vec::new();
    for file in files(&whole_folder).into_iter().filter(|file| is_meant(file)) {
        for offset in places(std::fs::metadata(&file).unwrap().len()) {
            let copied = folder.path().join("altered");
            copy(&whole_folder, &copied);
            let target = copied.join(file.strip_prefix(&whole_folder).unwrap());
            let mut bytes = std::fs::read(&target).unwrap();
            let Some(byte) = bytes.get_mut(offset) else { continue };
            *byte ^= 0x40;
            std::fs::write(&target, bytes).unwrap();
            let fate = match look(&copied, &whole) {
                Ok(height) => Fate::Served(height),
                Err(reason) => Fate::Refused(reason),
            };
            println!("{} at {offset}: {fate:?}", file.display());
            fates.push(fate);
            std::fs::remove_dir_all(&copied).unwrap();
        }
    }
    fates
}

fn is_table(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tables")
}

fn is_journal(file: &Path) -> bool {
    file.extension().is_some_and(|name| name == "jnl")
}

#[test]
fn a_byte_altered_anywhere_in_the_journal_is_found_or_only_takes_back_the_last_blocks() {
    let fates = fates(false, is_journal);
    let harmed = |fate: &&Fate| **fate != Fate::Served(30);
    assert!(fates.iter().filter(harmed).count() > PLACES / 2, "{fates:?}");
}

#[test]
fn a_byte_altered_anywhere_in_a_table_is_found_or_changes_nothing_that_is_served() {
    let fates = fates(true, is_table);
    let corrupt = Fate::Refused(Reason::StorageCorrupt);
    let found = fates.iter().filter(|fate| **fate == corrupt).count();
    assert!(found > END_BYTES as usize / 6, "{fates:?}");
    assert!(fates.iter().all(|fate| matches!(fate, Fate::Served(30)) || *fate == corrupt));
}

#[test]
fn a_byte_altered_in_what_says_which_tables_there_are_is_found_or_changes_nothing() {
    let fates = fates(true, |file| !is_table(file) && !is_journal(file));
    let corrupt = Fate::Refused(Reason::StorageCorrupt);
    assert!(fates.contains(&corrupt), "{fates:?}");
    assert!(fates.iter().all(|fate| matches!(fate, Fate::Served(30)) || *fate == corrupt));
}

#[test]
fn a_store_that_lacks_or_mixes_up_what_its_head_builds_on_is_refused_at_start() {
    let history = History::long();
    let kv = Arc::clone(&history.kv);
    let height = history.tip.header.height;
    let at = |height: u64| archive::block(kv.as_ref(), height).unwrap().unwrap();
    let entry = (1..=height).rev().find_map(|height| at(height).entries.first().copied()).unwrap();
    let altered = {
        let mut block = at(height - 5);
        block.header.time = block.header.time.after(DurationMs(1));
        block.to_bytes()
    };
    for (key, value) in [
        (keys::block(height), None),
        (keys::block(height - 5), None),
        (keys::block(height - 5), Some(altered)),
        (keys::block(height - 5), Some(vec![1, 2, 3])),
        (keys::body(&entry), None),
    ] {
        let before = kv.get(&key).unwrap();
        let change = |value| tallystick_ledger::StateChange { key: key.clone(), value };
        kv.commit(vec![change(value)]).unwrap();
        assert_eq!(open(&kv, history.now).err(), Some(Reason::StorageCorrupt));
        kv.commit(vec![change(before)]).unwrap();
        assert!(open(&kv, history.now).is_ok());
    }
}
