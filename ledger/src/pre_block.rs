//! Pre-processed blocks: what a proposer makes, a header and ids.
//!
//! What makes such a block valid is in [`crate::validity`]; a block made here on a state is valid
//! on every state that has executed as much or more.

use std::collections::BTreeSet;
use std::sync::Arc;

use tallystick_kernel::limits::EXECUTION_LAG_MAX;
use tallystick_kernel::{BlockId, Digest, Reason, TimeMs, TransactionId};
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::{Entry, Header, entries_root};
use tallystick_proofs::transaction::Transaction;

use crate::claims::{Claim, Rules, claims};
use crate::lookup::Lookup;
use crate::mempool::Pool;
use crate::state::State;

/// A block between the executed ones and the one to be made or judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Its height.
    pub height: u64,
    /// Its transactions.
    pub ids: Lookup<TransactionId>,
    /// Every claim that they take.
    pub claims: Lookup<Claim>,
}

/// Where a block stands.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext<'c> {
    /// The block before it.
    pub parent: &'c Header,
    /// The blocks from above the state's head up to the parent, at least; others are ignored.
    pub ancestors: &'c [Arc<Ancestor>],
    /// This node's clock.
    pub now: TimeMs,
    /// Whose turn it is, by the place in the validator set.
    pub proposer: u64,
    /// The rules in force; [`Rules::default`] outside of tests.
    pub rules: Rules,
}

impl Ancestor {
    /// What later blocks must know of a block with these transactions.
    pub fn new<'t>(
        height: u64,
        transactions: impl IntoIterator<Item = (&'t Entry, &'t Transaction)>,
    ) -> Ancestor {
        let mut ancestor = Ancestor { height, ids: Lookup::default(), claims: Lookup::default() };
        for (entry, transaction) in transactions {
            ancestor.ids.insert(entry.id, ());
            ancestor.claims.extend(claims(&transaction.body));
        }
        ancestor
    }
}

/// Block zero, which everyone makes from the genesis file and nobody votes on.
pub fn genesis_header(genesis: &Genesis) -> Header {
    let state = State::genesis(genesis);
    genesis_header_with(genesis, state.head.checkpoint_root)
}

pub(crate) fn genesis_header_with(genesis: &Genesis, root: Digest) -> Header {
    Header {
        version: genesis.parameters.rules_version(),
        epoch: 0,
        height: 0,
        previous: BlockId([0; 32]),
        time: genesis.time,
        proposer: 0,
        transactions_root: entries_root(&[]),
        count: 0,
        executed_height: 0,
        results_root: crate::receipts::results_root([]),
        checkpoint_root: root,
        validator_set_hash: genesis.validators.hash(),
        parameters_hash: genesis.parameters.hash(),
    }
}

/// Makes the next block on `context.parent` from what waits in `pool`.
///
/// Its time is the clock's, or the parent's when that is later. It reports every result up to the
/// state's head. When execution lags more than 8 heights behind, it is empty.
///
/// Returns [`Reason::NotReady`] when the parent reports more than this node has executed, when the
/// parent is below the head, when an ancestor is missing, or when a block of the epochs before is
/// not executed: this node cannot propose here. Returns [`Reason::RulesUnknown`] when the height
/// follows rules that this program does not know.
pub fn build(
    state: &State,
    pool: &Pool,
    context: &BlockContext<'_>,
) -> Result<(Header, Vec<Entry>), Reason> {
    let parent = context.parent;
    let executed_height = state.height();
    if parent.executed_height > executed_height || parent.height < executed_height {
        return Err(Reason::NotReady);
    }
    let above = missing_ancestor(state, context);
    if above.is_some() {
        return Err(Reason::NotReady);
    }
    let height = parent.height + 1;
    if unexecuted_epoch(state, height).is_some() {
        return Err(Reason::NotReady);
    }
    context.rules.check_known(state.governance.rules_version(height))?;
    let time = context.now.max(parent.time);
    let lags = height - executed_height > EXECUTION_LAG_MAX;
    let entries_max = if lags { 0 } else { state.chain.parameters.block_entries_max };
    let entries = pool.select(state, context.ancestors, time, entries_max as usize);
    let results_root = state.results_root(parent.executed_height, executed_height);
    let epoch = state.chain.parameters.epoch_of(height);
    let header = Header {
        version: state.governance.rules_version(height),
        epoch,
        height,
        previous: parent.id(),
        time,
        proposer: context.proposer,
        transactions_root: entries_root(&entries),
        count: entries.len() as u64,
        executed_height,
        results_root: results_root.ok_or(Reason::NotReady)?,
        checkpoint_root: state.head.checkpoint_root,
        validator_set_hash: state.governance.validators(epoch).hash(),
        parameters_hash: state.chain.parameters_hash,
    };
    Ok((header, entries))
}

/// The height that must be executed before a block at `height` can be made or judged, if it is not:
/// the last one of the epochs before, for these decide who its validators are and its rules.
pub(crate) fn unexecuted_epoch(state: &State, height: u64) -> Option<u64> {
    let parameters = &state.chain.parameters;
    let last = parameters.first_of(parameters.epoch_of(height)).saturating_sub(1);
    (last > state.height()).then_some(last)
}

/// The lowest height between the head and the block for which the context has no ancestor.
pub(crate) fn missing_ancestor(state: &State, context: &BlockContext<'_>) -> Option<u64> {
    let known: BTreeSet<u64> = context.ancestors.iter().map(|ancestor| ancestor.height).collect();
    (state.height() + 1..=context.parent.height).find(|height| !known.contains(height))
}
