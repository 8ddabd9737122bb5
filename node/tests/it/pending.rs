//! What is stored and waits, across restarts, and blocks that are executed before those below them
//! are written.

use std::sync::Arc;

use tallystick_kernel::DurationMs;
use tallystick_ledger::Admitted;
use tallystick_node::Preset;
use tallystick_node::core::Source;
use tallystick_node::keys;
use tallystick_node::verification::{Named, Verified};
use tallystick_node::vote::Proposal;
use tallystick_proofs::header::Entry;

use crate::history::{History, open, state};

/// How many lists of what waits are on disk.
fn lists(history: &History) -> usize {
    let mut count = 0;
    let scanned = history.kv.scan(keys::PENDING, &mut |_, _| {
        count += 1;
        Ok(())
    });
    scanned.unwrap();
    count
}

fn body(history: &History, entry: &Entry) -> Option<Vec<u8>> {
    history.kv.get(&keys::body(entry)).unwrap()
}

#[test]
fn a_body_that_comes_after_its_block_is_not_stored_again_and_outlives_its_expiry() {
    let mut history = History::new();
    history.block(DurationMs::seconds(1), 2);
    let entry = history.tip.entries[0];
    let bytes = body(&history, &entry).unwrap();
    let Named { entry, transaction, bytes } = Named::read(&bytes).unwrap();
    let late = (Source::Vote, Verified { entry, transaction, bytes });
    let intent = history.core.admit(&[late], history.now).unwrap();
    assert_eq!(intent.answers, [Ok(Admitted::AlreadyHere)]);
    assert!(intent.changes.is_empty());
    history.grow(20);
    assert!(body(&history, &entry).is_some(), "a receipt needs it");
}

#[test]
fn a_list_goes_with_the_last_of_what_it_names_and_until_then_a_restart_takes_up_what_waits() {
    let mut history = History::new();
    history.store(3);
    assert_eq!(lists(&history), 1);
    history.core = open(&history.kv, history.now).unwrap();
    history.block(DurationMs::seconds(1), 0);
    assert_eq!(history.tip.entries.len(), 1, "what cannot be paid yet waits for its turn");
    assert_eq!(lists(&history), 1, "most of it waits");
    history.core = open(&history.kv, history.now).unwrap();
    history.block(DurationMs::seconds(1), 0);
    assert_eq!(history.tip.entries.len(), 3);
    assert_eq!(lists(&history), 0);
    assert!(history.paid.iter().all(|id| !history.core.is_pending(id)));
    history.store(1);
    assert_eq!(lists(&history), 1);
    history.grow(12);
    history.core = open(&history.kv, history.now).unwrap();
    history.grow(2);
    assert_eq!(lists(&history), 0, "what has expired waits no more");
}

#[test]
fn a_block_is_made_when_enough_waits_in_number_or_bytes_or_after_the_interval_and_not_before() {
    let rare = Preset { entries: 3, bytes: 1 << 20, interval: DurationMs(500) };
    let waits = |preset, mints: usize, later| {
        let mut history = History::new();
        history.core = history.core.with_preset(preset);
        (0..mints).for_each(|_| history.store(1));
        let parent = Arc::new(history.tip.clone());
        let now = history.now.after(DurationMs(later));
        match history.core.propose(&[parent], 0, now).unwrap() {
            Proposal::Wait(limit) => Some(limit.0),
            Proposal::Block(block) => {
                assert_eq!(block.entries.len(), mints);
                None
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(waits(rare, 1, 0), Some(500));
    assert_eq!(waits(rare, 2, 200), Some(300));
    assert_eq!(waits(rare, 1, 500), None, "the interval is over");
    assert_eq!(waits(rare, 3, 0), None, "so many wait");
    assert_eq!(waits(Preset { bytes: 200, ..rare }, 1, 0), None, "so many bytes wait");
    assert_eq!(waits(Preset { bytes: 200, ..rare }, 0, 0), Some(500), "no bytes wait");
    let never = Preset { interval: DurationMs(60_000), ..rare };
    assert_eq!(waits(never, 1, 0), Some(2000), "an idle block is due before");
    assert_eq!(waits(never, 1, 2000), None, "and takes along what waits");
    let at_once = Preset { interval: DurationMs(0), ..rare };
    assert_eq!(waits(at_once, 1, 0), None, "the block before is decided");
}

#[test]
fn what_is_executed_before_the_block_below_is_written_ends_only_with_its_own_write() {
    let mut history = History::new();
    let genesis = Arc::new(history.tip.clone());
    history.now = history.now.after(DurationMs::seconds(1));
    history.store(2);
    let first = Arc::new(history.propose(&[Arc::clone(&genesis)]));
    history.now = history.now.after(DurationMs::seconds(1));
    history.store(1);
    let second = history.propose(&[Arc::clone(&first), genesis]);
    assert!(!first.entries.is_empty() && !second.entries.is_empty());
    let waits = |history: &History, entries: &[Entry]| {
        entries.iter().all(|entry| history.core.is_pending(&entry.id))
    };
    let one = history.core.execute(&first).unwrap();
    let other = history.core.execute(&second).unwrap();
    assert!(waits(&history, &first.entries) && waits(&history, &second.entries));
    history.kv.commit(one).unwrap();
    history.core.applied(&first, false, history.now).unwrap();
    assert!(!waits(&history, &first.entries) && waits(&history, &second.entries));

    // A crash at this point loses nothing: the second block is executed again.
    let mut again = open(&history.kv, history.now).unwrap();
    assert_eq!(state(&history.kv).height(), 1);
    assert!(second.entries.iter().all(|entry| again.is_pending(&entry.id)));
    assert_eq!(again.execute(&second).unwrap(), other);

    history.kv.commit(other).unwrap();
    history.core.applied(&second, false, history.now).unwrap();
    assert!(!waits(&history, &second.entries));
    assert_eq!(state(&history.kv).height(), 2);
}
