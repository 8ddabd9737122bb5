//! Whether a block is valid: a function of the block, its ancestors and the state at the header's
//! `executed_height`, the same for every node.
//!
//! Invariants: what a node holds, has admitted or has executed beyond `executed_height` never
//! changes the verdict, only whether it must wait. Why a state further ahead still knows the answer
//! is argued in `docs/adr/0002-order-then-execute.md`.

use std::sync::Arc;

use tallystick_kernel::limits::{
    BLOCK_SKEW, BLOCK_TRANSACTION_BYTES_MAX, EXECUTION_LAG_MAX, VALIDITY_MAX,
};
use tallystick_kernel::{DurationMs, Reason, TimeMs, TransactionId};
use tallystick_proofs::header::{Entry, Header, entries_root};
use tallystick_proofs::transaction::{Body, Transaction};

use crate::claims::{AUTHORITY_JUDGED, Claim, check_authority, check_claims, claims};
use crate::lookup::Lookup;
use crate::pre_block::{Ancestor, BlockContext, missing_ancestor, unexecuted_epoch};
use crate::state::State;

/// What a node has of a block's entry.
#[derive(Clone, Debug)]
pub enum Found {
    /// The transaction with this id and witness; its form, its network and its signatures verify
    /// ([`Transaction::verify`]).
    Verified {
        /// The transaction.
        transaction: Arc<Transaction>,
        /// The length of its canonical bytes.
        bytes: usize,
    },
    /// The bytes are here, and they do not verify.
    Invalid(Reason),
    /// Not here: it must be fetched.
    Missing,
}

/// What a node says of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be voted for, now and on every node.
    Valid,
    /// It must never be voted for, on no node.
    Invalid(Reason),
    /// Not decided yet; judge again when this has changed.
    Wait(Waiting),
}

/// What a verdict waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// This node must have executed the height.
    Execution(u64),
    /// The context must hold the ancestor at this height.
    Ancestor(u64),
    /// These entries must be fetched, verified and stored.
    Bodies(Vec<Entry>),
    /// The block's time is ahead of the clock; wait so long.
    Time(DurationMs),
}

/// Judges a block.
///
/// It first waits until all blocks of earlier epochs are executed: they say who the validators are
/// and which rules are in force. Checks, in this order: the header's form against its parent
/// ([`Reason::HeaderMismatch`], [`Reason::RulesMismatch`], [`Reason::ClockBehind`], [`Reason::TooLarge`], [`Reason::RootMismatch`],
/// [`Reason::ValidatorSetMismatch`], [`Reason::EntryNotAllowed`], [`Reason::NamedTwice`]); from
/// version 3 of the rules on the bytes of its transactions ([`Reason::TooLarge`]); then it may wait;
/// then the roots ([`Reason::RootMismatch`]); then each entry in order: its bytes,
/// [`Reason::Expired`], [`Reason::ValidityTooLong`], [`Reason::AlreadyExecuted`], from version 2 of
/// the rules on the reasons of [`check_authority`], [`Reason::ClaimTaken`], and the reasons of
/// [`check_claims`].
///
/// The first block of an epoch reports every block of the epochs before: so the set that decided
/// its successor also certifies that it did.
pub fn check(
    state: &State,
    context: &BlockContext<'_>,
    header: &Header,
    entries: &[Entry],
    bodies: &dyn Fn(&Entry) -> Found,
) -> Verdict {
    match judge(state, context, header, entries, bodies) {
        Ok(()) => Verdict::Valid,
        Err(Stop::Invalid(reason)) => Verdict::Invalid(reason),
        Err(Stop::Wait(waiting)) => Verdict::Wait(waiting),
    }
}

/// Whether transactions of so many canonical bytes in all may be in a block with this header:
/// [`Reason::TooLarge`]. More bodies only add to them, so that a block can be refused before all of
/// its bodies are here; with all of them here each node comes to the same.
fn check_bytes(header: &Header, bytes: usize) -> Result<(), Reason> {
    let is_bounded = header.version >= BYTES_BOUNDED;
    if is_bounded && bytes > BLOCK_TRANSACTION_BYTES_MAX { Err(Reason::TooLarge) } else { Ok(()) }
}

/// The first version of the rules by which [`check_bytes`] is judged.
const BYTES_BOUNDED: u64 = 3;

/// Why a judgement ended early.
enum Stop {
    Invalid(Reason),
    Wait(Waiting),
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Stop::Invalid(reason)
    }
}

fn judge(
    state: &State,
    context: &BlockContext<'_>,
    header: &Header,
    entries: &[Entry],
    bodies: &dyn Fn(&Entry) -> Found,
) -> Result<(), Stop> {
    if let Some(height) = unexecuted_epoch(state, context.parent.height + 1) {
        return Err(Stop::Wait(Waiting::Execution(height)));
    }
    check_header(state, context, header, entries)?;
    if let Some(known) = is_final(state, context, header) {
        return if known { Ok(()) } else { Err(Reason::HeaderMismatch.into()) };
    }
    let transactions = gather(header, entries, bodies)?;
    if header.executed_height > state.height() {
        return Err(Stop::Wait(Waiting::Execution(header.executed_height)));
    }
    if let Some(height) = missing_ancestor(state, context) {
        return Err(Stop::Wait(Waiting::Ancestor(height)));
    }
    let ahead = header.time.0.saturating_sub(context.now.after(BLOCK_SKEW).0);
    if ahead > 0 {
        return Err(Stop::Wait(Waiting::Time(DurationMs(ahead))));
    }
    check_roots(state, context, header)?;
    let mut taken = Taken::new(state, context, header.executed_height);
    for (entry, transaction) in entries.iter().zip(&transactions) {
        check_time(&transaction.body, header.time)?;
        taken.check_id(state, &entry.id)?;
        if header.version >= AUTHORITY_JUDGED {
            check_authority(state, transaction, header.executed_height)?;
        }
        if context.rules.claims {
            taken.take(&transaction.body)?;
            check_claims(state, transaction, header.executed_height, header.time)?;
        }
    }
    Ok(())
}

fn check_header(
    state: &State,
    context: &BlockContext<'_>,
    header: &Header,
    entries: &[Entry],
) -> Result<(), Reason> {
    let (chain, parent) = (state.chain(), context.parent);
    let epoch = chain.parameters.epoch_of(header.height);
    let validators = state.governance().validators(epoch);
    let follows = header.height == parent.height + 1
        && header.previous == parent.id()
        && header.epoch == epoch
        && header.proposer == context.proposer
        && header.proposer < validators.count() as u64
        && header.count == entries.len() as u64
        && header.executed_height >= parent.executed_height
        && header.executed_height <= parent.height
        && (epoch == parent.epoch || header.executed_height == parent.height);
    if !follows {
        return Err(Reason::HeaderMismatch);
    }
    if header.version != state.governance().rules_version(header.height) {
        return Err(Reason::RulesMismatch);
    }
    if header.time < parent.time {
        return Err(Reason::ClockBehind);
    }
    if header.count > chain.parameters.block_entries_max {
        return Err(Reason::TooLarge);
    }
    if header.transactions_root != entries_root(entries) {
        return Err(Reason::RootMismatch);
    }
    if header.validator_set_hash != validators.hash()
        || header.parameters_hash != chain.parameters_hash
    {
        return Err(Reason::ValidatorSetMismatch);
    }
    if header.height - header.executed_height > EXECUTION_LAG_MAX && !entries.is_empty() {
        return Err(Reason::EntryNotAllowed);
    }
    let ids: Lookup<&TransactionId> = entries.iter().map(|entry| &entry.id).collect();
    if ids.len() == entries.len() { Ok(()) } else { Err(Reason::NamedTwice) }
}

/// Whether the block, or its parent, stands at an executed height: then only the final block can be
/// right. None when neither does, or when the final parent is this block's.
fn is_final(state: &State, context: &BlockContext<'_>, header: &Header) -> Option<bool> {
    if header.height <= state.height() {
        let record = state.recent(header.height);
        return Some(record.is_some_and(|record| record.block == header.id()));
    }
    if header.height == state.height() + 1 && header.previous != state.head().block {
        return Some(false);
    }
    debug_assert!(context.parent.height >= state.height());
    None
}

/// All transactions of the block, or what is missing.
fn gather(
    header: &Header,
    entries: &[Entry],
    bodies: &dyn Fn(&Entry) -> Found,
) -> Result<Vec<Arc<Transaction>>, Stop> {
    let (mut transactions, mut missing) = (Vec::with_capacity(entries.len()), Vec::new());
    let mut sum: usize = 0;
    for entry in entries {
        match bodies(entry) {
            Found::Verified { transaction, bytes } => {
                sum = sum.saturating_add(bytes);
                transactions.push(transaction);
            }
            Found::Invalid(reason) => return Err(Stop::Invalid(reason)),
            Found::Missing => missing.push(*entry),
        }
    }
    check_bytes(header, sum)?;
    if missing.is_empty() { Ok(transactions) } else { Err(Stop::Wait(Waiting::Bodies(missing))) }
}

fn check_roots(state: &State, context: &BlockContext<'_>, header: &Header) -> Result<(), Reason> {
    let results = state.results_root(context.parent.executed_height, header.executed_height);
    let checkpoint = state.recent(header.executed_height).map(|record| record.checkpoint_root);
    let equal = results == Some(header.results_root) && checkpoint == Some(header.checkpoint_root);
    if equal { Ok(()) } else { Err(Reason::RootMismatch) }
}

/// Whether a transaction may be in a block of this time: [`Reason::Expired`],
/// [`Reason::ValidityTooLong`].
pub(crate) fn check_time(body: &Body, time: TimeMs) -> Result<(), Reason> {
    if body.valid_until <= time {
        return Err(Reason::Expired);
    }
    if body.valid_until > time.after(VALIDITY_MAX) {
        return Err(Reason::ValidityTooLong);
    }
    Ok(())
}

/// What ancestors above some height, and the block itself so far, have taken.
pub(crate) struct Taken<'a> {
    ancestors: Vec<&'a Ancestor>,
    /// By the block itself, and by blocks that are executed already.
    claims: Lookup<Claim>,
}

impl<'a> Taken<'a> {
    /// All that the blocks above `executed_height` take: executed here already, or still to come.
    pub(crate) fn new(
        state: &State,
        context: &BlockContext<'a>,
        executed_height: u64,
    ) -> Taken<'a> {
        let mut taken = Taken::by(state, context.ancestors);
        for (_, record) in state.recent.range(executed_height + 1..) {
            taken.claims.extend(record.claims.iter().copied());
        }
        taken
    }

    /// All that ancestors above the state's head take.
    pub(crate) fn by(state: &State, ancestors: &'a [Arc<Ancestor>]) -> Taken<'a> {
        let above = ancestors.iter().filter(|ancestor| ancestor.height > state.height());
        Taken { ancestors: above.map(Arc::as_ref).collect(), claims: Lookup::default() }
    }

    /// [`Reason::AlreadyExecuted`] for an id that an ancestor holds, executed or not.
    pub(crate) fn check_id(&self, state: &State, id: &TransactionId) -> Result<(), Reason> {
        let is_held = self.ancestors.iter().any(|ancestor| ancestor.ids.contains(id));
        if is_held || state.result(id).is_some() { Err(Reason::AlreadyExecuted) } else { Ok(()) }
    }

    /// Takes every claim of the body, or none: [`Reason::ClaimTaken`].
    pub(crate) fn take(&mut self, body: &Body) -> Result<(), Reason> {
        if claims(body).any(|claim| self.is_taken(&claim)) {
            return Err(Reason::ClaimTaken);
        }
        self.claims.extend(claims(body));
        Ok(())
    }

    fn is_taken(&self, claim: &Claim) -> bool {
        self.claims.contains(claim)
            || self.ancestors.iter().any(|ancestor| ancestor.claims.contains(claim))
    }
}
