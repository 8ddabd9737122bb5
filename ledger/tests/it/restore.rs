//! A state that is put together from a checkpoint and the blocks before it is the state that
//! executed them.

use std::collections::BTreeMap;

use tallystick_kernel::limits::{REMEMBERED, VALIDITY_MAX};
use tallystick_kernel::{Codec, DurationMs, Reason, Reference};
use tallystick_ledger::restore::{self, Past, Restored, is_forgotten, recent_from, references};
use tallystick_ledger::{MemoryStore, State, StateChange, state_key};
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::transaction::Transaction;

use crate::world::{ALICE, World, amount, eur, line};

/// A world that kept its blocks, and the state at its last checkpoint.
struct History {
    world: World,
    blocks: Vec<Past>,
    roots: BTreeMap<u64, [u8; 32]>,
    at_checkpoint: Option<(State, MemoryStore)>,
}

impl History {
    fn new() -> History {
        let world = World::new();
        let roots = BTreeMap::from([(0, State::genesis(&world.genesis).head().checkpoint_root)]);
        History { world, blocks: Vec::new(), roots, at_checkpoint: None }
    }

    fn block(&mut self, transactions: Vec<Transaction>) {
        let results = self.world.block(&transactions).results;
        let header = self.world.parent.clone();
        self.blocks
            .push(Past { header, transactions: transactions.into_iter().zip(results).collect() });
        let head = *self.world.state.head();
        if head.checkpoint_height == head.height {
            self.roots.insert(head.height, head.checkpoint_root);
            self.at_checkpoint = Some((self.world.state.clone(), self.world.store.clone()));
        }
    }

    fn transfers(&mut self, count: usize) -> Vec<Transaction> {
        let (alice, shop) = (self.world.alice(), self.world.shop());
        let action = || Action::Transfer { currency: eur(), lines: vec![line(shop, 1)] };
        (0..count).map(|_| self.world.sign(alice, action(), &[ALICE])).collect()
    }

    /// The checkpoint's state from entries, roots and blocks.
    fn restored(
        &self,
        store: &MemoryStore,
        roots: BTreeMap<u64, [u8; 32]>,
        blocks: &[&Past],
    ) -> Result<State, Reason> {
        let height = *self.roots.last_key_value().unwrap().0;
        let header = &self.blocks.iter().find(|past| past.header.height == height).unwrap().header;
        let mut restored = Restored::read(&self.world.genesis, store, header, roots)?;
        blocks.iter().for_each(|past| restored.recall(past));
        restored.finish(&self.world.genesis)
    }

    fn last_checkpoint(&self) -> (&State, &MemoryStore, Vec<&Past>) {
        let (state, store) = self.at_checkpoint.as_ref().unwrap();
        let upto = self.blocks.iter().filter(|past| past.header.height <= state.height());
        (state, store, upto.collect())
    }
}

fn long() -> History {
    let mut history = History::new();
    for at in 0..120 {
        if at % 10 == 3 {
            history.world.wait(DurationMs::minutes(3));
        }
        let transactions = history.transfers(at % 3);
        history.block(transactions);
    }
    history
}

#[test]
fn a_restored_state_equals_the_one_that_executed_every_block_and_goes_on_alike() {
    let history = long();
    let (state, store, blocks) = history.last_checkpoint();
    let restored = history.restored(store, history.roots.clone(), &blocks).unwrap();
    assert_eq!(&restored, state);
    // What is older than anything remembered or kept adds nothing.
    let from = recent_from(&blocks.last().unwrap().header);
    let old = |past: &Past| {
        past.header.height < from && is_forgotten(past.header.time, state.head().time)
    };
    let needed: Vec<&Past> = blocks.iter().copied().filter(|past| !old(past)).collect();
    assert!(needed.len() < blocks.len(), "the history is long enough");
    assert_eq!(history.restored(store, history.roots.clone(), &needed).as_ref(), Ok(state));
}

#[test]
fn a_restored_state_of_a_young_network_equals_its_own() {
    let mut history = History::new();
    for _ in 0..10 {
        let transactions = history.transfers(2);
        history.block(transactions);
    }
    // The world began with blocks of its own, which only minted.
    let (state, store, blocks) = history.last_checkpoint();
    assert_eq!(blocks[0].header.height, 5);
    let missing = history.restored(store, history.roots.clone(), &blocks);
    assert_eq!(missing, Err(Reason::HeaderMismatch), "the first blocks are missing");
    assert!(state.recent(1).is_some());
}

#[test]
fn entries_that_were_altered_left_out_or_added_do_not_come_to_the_root() {
    let history = long();
    let (state, store, blocks) = history.last_checkpoint();
    let (alice, shop) = (history.world.alice(), history.world.shop());
    let key = state_key::balance(&shop, &eur());
    let more = StateChange { key: key.clone(), value: Some(amount(999_999).to_bytes()) };
    let gone = StateChange { key, value: None };
    // The sum stays right: only the root tells.
    let moved = [
        StateChange {
            key: state_key::balance(&shop, &eur()),
            value: Some(amount(state.free(&shop, &eur()).minor() - 1).to_bytes()),
        },
        StateChange {
            key: state_key::balance(&alice, &eur()),
            value: Some(amount(state.free(&alice, &eur()).minor() + 1).to_bytes()),
        },
    ];
    for changes in [&[more][..], &[gone], &moved] {
        let mut altered = store.clone();
        altered.apply(changes);
        let refused = history.restored(&altered, history.roots.clone(), &blocks);
        assert_eq!(refused, Err(Reason::RootMismatch));
    }
    let mut roots = history.roots.clone();
    roots.remove(&state.height());
    assert_eq!(history.restored(store, roots, &blocks), Err(Reason::RootMismatch));
}

#[test]
fn a_block_is_forgotten_exactly_when_its_longest_lived_transaction_is() {
    let time = crate::world::START;
    let last = time.after(VALIDITY_MAX).after(REMEMBERED);
    assert!(!is_forgotten(time, last));
    assert!(is_forgotten(time, last.after(DurationMs(1))));
}

#[test]
fn references_are_those_that_execution_indexes() {
    let mut world = World::new();
    let (alice, shop) = (world.alice(), world.shop());
    let mut with = line(shop, 5);
    with.reference = Some(Reference([7; 32]));
    let lines: Vec<Line> = vec![with, line(shop, 1)];
    let transfer = world.sign(alice, Action::Transfer { currency: eur(), lines }, &[ALICE]);
    let changes = world.block(std::slice::from_ref(&transfer)).changes;
    let found: Vec<_> = changes
        .into_iter()
        .map(|change| change.key)
        .filter(|key| key.starts_with(state_key::REFERENCE))
        .collect();
    let expected: Vec<_> = references(&transfer.body)
        .iter()
        .map(|(payee, reference)| state_key::reference(payee, reference, &transfer.id()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(restore::references(&transfer.body).len(), 1);
}
