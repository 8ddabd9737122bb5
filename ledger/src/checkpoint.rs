//! The root over the whole state, taken every `checkpoint_interval` heights, and proofs under it.
//!
//! Between checkpoints nothing is hashed but results: a receipt needs no more. It is only noted
//! which entries changed and what they were; at a checkpoint they are folded into the tree, so that
//! a checkpoint costs what has changed and not what there is. The tree holds accounts, free
//! balances, currencies, reserves and what the operators decided; remembered transactions follow
//! from the retained blocks and are not in it.

use std::collections::BTreeMap;

use tallystick_kernel::{AccountId, Codec, CurrencyCode, Digest, Reason, ReserveId};
use tallystick_proofs::state_proof::StateProof;

use crate::governance::decided;
use crate::state::State;
use crate::state_key;
use crate::state_tree::{Leaf, StateTree, Write};

/// One entry of the state that a checkpoint covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// An account.
    Account(AccountId),
    /// What an account can spend freely in one currency; no entry when it is zero.
    Balance(AccountId, CurrencyCode),
    /// A currency.
    Currency(CurrencyCode),
    /// A reserve; no entry when it is used up.
    Reserve(ReserveId),
    /// The version of the rules decided for a height; no entry for genesis'.
    Rules(u64),
    /// The validator set decided for an epoch; no entry for genesis'.
    Validators(u64),
}

/// The tree, and what has changed since it was brought up to date.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    tree: StateTree,
    /// Changed entries with the values that the tree has of them.
    changed: BTreeMap<Place, Option<Vec<u8>>>,
}

impl Place {
    /// The key under which the entry is persisted, and which its proof names.
    pub fn key(&self) -> Vec<u8> {
        match self {
            Place::Account(id) => state_key::account(id),
            Place::Balance(account, currency) => state_key::balance(account, currency),
            Place::Currency(code) => state_key::currency(code),
            Place::Reserve(id) => state_key::reserve(id),
            Place::Rules(height) => state_key::rules(*height),
            Place::Validators(epoch) => state_key::validators(*epoch),
        }
    }

    /// The entry that a key names: what a reader of a verified proof has before it.
    ///
    /// Returns [`Reason::StorageCorrupt`] for a key that names none.
    pub fn of_key(key: &[u8]) -> Result<Place, Reason> {
        let place = if key.starts_with(state_key::ACCOUNT) {
            Place::Account(AccountId(state_key::id_after(state_key::ACCOUNT, key)?))
        } else if key.starts_with(state_key::BALANCE) {
            let (account, currency) =
                state_key::account_and_currency_after(state_key::BALANCE, key)?;
            Place::Balance(account, currency)
        } else if key.starts_with(state_key::CURRENCY) {
            Place::Currency(state_key::currency_after(state_key::CURRENCY, key)?)
        } else if key.starts_with(state_key::RESERVE) {
            Place::Reserve(ReserveId(state_key::id_after(state_key::RESERVE, key)?))
        } else if key.starts_with(state_key::RULES) {
            Place::Rules(state_key::height_after(state_key::RULES, key)?)
        } else {
            Place::Validators(state_key::height_after(state_key::VALIDATORS, key)?)
        };
        Ok(place)
    }

    /// The entry as it is persisted, none when there is none.
    pub fn value(&self, state: &State) -> Option<Vec<u8>> {
        match self {
            Place::Account(id) => state.accounts.get(id).map(Codec::to_bytes),
            Place::Balance(account, currency) => {
                state.balances.get(&(*account, *currency)).map(Codec::to_bytes)
            }
            Place::Currency(code) => state.currencies.get(code).map(Codec::to_bytes),
            Place::Reserve(id) => state.reserves.get(id).map(Codec::to_bytes),
            Place::Rules(height) => decided(&state.governance.rules, *height).map(Codec::to_bytes),
            Place::Validators(epoch) => {
                decided(&state.governance.sets, *epoch).map(Codec::to_bytes)
            }
        }
    }
}

/// The root over all entries of the state as it stands, computed from nothing but them: what a
/// receiver of a state compares with the `checkpoint_root` of a final header.
pub fn root(state: &State) -> Digest {
    tree_of(state).root()
}

/// Whether a checkpoint is taken at `height`.
pub(crate) fn is_due(state: &State, height: u64) -> bool {
    height.is_multiple_of(state.chain.parameters.checkpoint_interval)
}

/// Every entry that a checkpoint covers.
pub(crate) fn places(state: &State) -> impl Iterator<Item = Place> + '_ {
    let accounts = state.accounts.keys().map(|id| Place::Account(*id));
    let balances = state.balances.keys().map(|(id, code)| Place::Balance(*id, *code));
    let currencies = state.currencies.keys().map(|code| Place::Currency(*code));
    let reserves = state.reserves.sorted().into_iter().map(|(id, _)| Place::Reserve(*id));
    let rules = state.governance.rules.range(1..).map(|(height, _)| Place::Rules(*height));
    let sets = state.governance.sets.range(1..).map(|(epoch, _)| Place::Validators(*epoch));
    accounts.chain(balances).chain(currencies).chain(reserves).chain(rules).chain(sets)
}

fn tree_of(state: &State) -> StateTree {
    let leaf = |place: Place| Some(Leaf::new(&place.key(), &place.value(state)?));
    StateTree::of(places(state).filter_map(leaf).collect())
}

impl State {
    /// Makes the tree anew from all entries, as genesis and loading do.
    pub(crate) fn rebuild_checkpoint(&mut self) -> Digest {
        let tree = tree_of(self);
        let root = tree.root();
        self.checkpoint = Checkpoint { tree, changed: BTreeMap::new() };
        root
    }

    /// [`State::rebuild_checkpoint`] after loading; [`Reason::StorageCorrupt`] when the head is a
    /// checkpoint and its root is another.
    pub(crate) fn restore_checkpoint(&mut self) -> Result<(), Reason> {
        let (root, head) = (self.rebuild_checkpoint(), &self.head);
        let differs = head.height == head.checkpoint_height && root != head.checkpoint_root;
        if differs { Err(Reason::StorageCorrupt) } else { Ok(()) }
    }

    /// Notes that the entry is about to change from `before`, or just has.
    pub(crate) fn note_change(&mut self, place: Place, before: Option<&impl Codec>) {
        let changed = &mut self.checkpoint.changed;
        changed.entry(place).or_insert_with(|| before.map(Codec::to_bytes));
    }

    /// Folds all changes into the tree and gives its root: that of the state as it stands.
    pub(crate) fn take_checkpoint(&mut self) -> Digest {
        let changed = core::mem::take(&mut self.checkpoint.changed);
        let writes = changed.keys().map(|place| {
            let value = place.value(self);
            Write::new(&place.key(), value.as_deref())
        });
        let writes = writes.collect();
        self.checkpoint.tree.apply(writes);
        self.checkpoint.tree.root()
    }

    /// What stood at `place` at the last checkpoint, with the way to its root; the headers whose
    /// `executed_height` is neither below [`crate::state::Head::checkpoint_height`] nor as far as
    /// the next checkpoint hold that root.
    ///
    /// [`Reason::NotReady`] after a start, until the next checkpoint: what had changed since the
    /// last one is not known any more.
    pub fn proof(&self, place: &Place) -> Result<StateProof, Reason> {
        let checkpoint = &self.checkpoint;
        if checkpoint.tree.root() != self.head.checkpoint_root {
            return Err(Reason::NotReady);
        }
        let value = match checkpoint.changed.get(place) {
            Some(before) => before.clone(),
            None => place.value(self),
        };
        let key = place.key();
        let (found, siblings) = checkpoint.tree.way(&key, value);
        Ok(StateProof { key, found, count: checkpoint.tree.count(), siblings })
    }
}

impl Checkpoint {
    /// That of a state without entries.
    pub(crate) fn empty() -> Checkpoint {
        Checkpoint { tree: StateTree::of(Vec::new()), changed: BTreeMap::new() }
    }
}

/// Follows from the entries and their changes: states with equal entries are equal, even when one
/// of them was loaded and has its tree up to date, and the other has yet to fold its changes in.
impl PartialEq for Checkpoint {
    fn eq(&self, _: &Checkpoint) -> bool {
        true
    }
}

impl Eq for Checkpoint {}
