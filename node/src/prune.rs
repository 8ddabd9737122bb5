//! Giving up old blocks: how long they are kept, and their removal in bounded steps.
//!
//! Invariants: nothing is removed that the state, a snapshot of the last two checkpoints, or a
//! block that is not reported needs; what was removed is removed in one commit with the mark that
//! says so. The result of every transaction stays, so that nobody is told that it never was.

use std::sync::Arc;

use tallystick_kernel::{Codec, DurationMs, Reason};
use tallystick_ledger::restore::references;
use tallystick_ledger::{State, StateChange, state_key};
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::Header;

use crate::archive;
use crate::keys;
use crate::kv::{Kv, LedgerView, View};
use crate::snapshot_restore;
use crate::window;

/// Blocks that one step removes at most, and transactions beyond which it ends.
const STEP_BLOCKS: u64 = 64;
const STEP_TRANSACTIONS: usize = 1024;
/// Final blocks that the engine keeps for those that lag behind at most: what its indexes take in
/// memory is bounded by it. Whoever is further behind starts from a snapshot.
pub const ENGINE_BLOCKS: u64 = 1 << 16;

/// How long blocks, transactions and what receipts are made of are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// For good.
    #[default]
    Everything,
    /// The newest so many blocks.
    Blocks(u64),
    /// For this long, measured in the time of blocks.
    Time(DurationMs),
}

/// How far a store reaches.
pub struct Reach<'h> {
    /// The lowest height from which everything is here.
    pub lowest: u64,
    /// The last executed header.
    pub head: &'h Header,
    /// The height of the checkpoint before the last one.
    pub checkpoint: u64,
}

impl Retention {
    /// Below which height blocks are given up; never what a snapshot of the checkpoint needs.
    pub fn below(&self, kv: &dyn View, reach: &Reach<'_>) -> Result<u64, Reason> {
        let wished = match self {
            Retention::Everything => return Ok(reach.lowest),
            Retention::Blocks(count) => reach.head.height.saturating_sub(*count) + 1,
            Retention::Time(age) => window::since(kv, reach.lowest, reach.head, age.0)?,
        };
        if reach.checkpoint == 0 || wished <= reach.lowest {
            return Ok(reach.lowest);
        }
        let checkpoint = window::header(kv, reach.checkpoint)?;
        let needed = window::of_checkpoint(kv, reach.lowest, &checkpoint)?;
        Ok(needed.map_or(reach.lowest, |needed| needed.lowest.min(wished)))
    }
}

/// The lowest height from which all blocks are here with what belongs to them.
pub fn lowest(kv: &dyn View) -> Result<u64, Reason> {
    match kv.get(keys::LOWEST)? {
        Some(bytes) => u64::from_bytes(&bytes, 16).map_err(|_| Reason::StorageCorrupt),
        None => Ok(1),
    }
}

/// Where blocks are kept that a node gives up.
pub trait Keeper: Send + Sync {
    /// Keeps the blocks from `from` on durably, some of those below `below` at least; gives the height
    /// below which they are kept. They are given up only after it has returned.
    ///
    /// Returns [`Reason::NotReady`] while nothing makes the last of them final,
    /// [`Reason::FileUnreadable`], the reasons of verification for what is there already and does not
    /// verify, and storage's.
    fn keep(
        &self,
        view: &dyn View,
        genesis: &Genesis,
        from: u64,
        below: u64,
    ) -> Result<u64, Reason>;
}

/// Gives up a stopped node's blocks, which the keeper keeps if there is one: the lowest height before
/// and after.
///
/// Returns [`Reason::NotFound`] for storage without a state, and the reasons of [`State::load`] and
/// of [`Keeper::keep`].
pub fn all(
    kv: &Arc<dyn Kv>,
    genesis: &Genesis,
    retention: Retention,
    keeper: Option<&dyn Keeper>,
) -> Result<(u64, u64), Reason> {
    snapshot_restore::resume(kv, genesis)?;
    let state = State::load(genesis, &LedgerView(kv.as_ref()))?.ok_or(Reason::NotFound)?;
    let before = lowest(kv.as_ref())?;
    if state.height() == 0 {
        return Ok((before, before));
    }
    let head = window::header(kv.as_ref(), state.height())?;
    let interval = genesis.parameters.checkpoint_interval;
    let checkpoint = state.head().checkpoint_height.saturating_sub(interval);
    let reach = Reach { lowest: before, head: &head, checkpoint };
    let below = retention.below(kv.as_ref(), &reach)?;
    let mut from = before;
    while from < below {
        let kept = match keeper {
            Some(keeper) => keeper.keep(kv.as_ref(), genesis, from, below)?,
            None => below,
        };
        while from < kept {
            let (changes, next) = step(kv.as_ref(), genesis, from, kept)?;
            kv.commit(changes)?;
            from = next;
        }
    }
    Ok((before, from))
}

/// One step of removing the blocks from `lowest` up to `below`: the writes, and the height from
/// which everything is still here.
///
/// The last block of each epoch stays, without what belongs to it: the engine begins the next epoch
/// on it.
pub fn step(
    kv: &dyn View,
    genesis: &Genesis,
    lowest: u64,
    below: u64,
) -> Result<(Vec<StateChange>, u64), Reason> {
    let mut changes = Vec::new();
    let (mut height, mut transactions) = (lowest, 0);
    while height < below && height < lowest + STEP_BLOCKS && transactions < STEP_TRANSACTIONS {
        let block = archive::block(kv, height)?.ok_or(Reason::StorageCorrupt)?;
        transactions += block.entries.len();
        for entry in &block.entries {
            let body = archive::transaction(kv, entry)?.ok_or(Reason::StorageCorrupt)?.body;
            for (payee, reference) in references(&body) {
                changes.push(keys::remove(state_key::reference(&payee, &reference, &entry.id)));
            }
            changes.push(keys::remove(keys::body(entry)));
        }
        let parameters = &genesis.parameters;
        if parameters.epoch_of(height) == parameters.epoch_of(height + 1) {
            changes.push(keys::remove(keys::block(height)));
        }
        for key in [keys::certificate(height), keys::report(height), state_key::results(height)] {
            changes.push(keys::remove(key));
        }
        forget_expired(kv, height, &mut changes)?;
        height += 1;
    }
    if height > lowest {
        changes.push(keys::put(keys::LOWEST.to_vec(), height.to_bytes()));
    }
    Ok((changes, height))
}

/// The marks of transactions that had expired at this height.
fn forget_expired(
    kv: &dyn View,
    height: u64,
    changes: &mut Vec<StateChange>,
) -> Result<(), Reason> {
    kv.scan(&keys::expired_at(height), &mut |key, _| {
        let id = keys::expired_id(key).ok_or(Reason::StorageCorrupt)?;
        changes.push(keys::remove(keys::expired(&id)));
        changes.push(keys::remove(key.to_vec()));
        Ok(())
    })
}
