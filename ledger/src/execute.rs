//! Execution of final blocks, in order: the only writer of the state.
//!
//! Invariants: a transaction that fails changes nothing and is remembered with its code; a commit
//! has no step that can fail; conservation is asserted after every block.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use tallystick_kernel::{Reason, TimeMs, TransactionId};
use tallystick_proofs::header::{Entry, Header};
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Transaction;

use crate::actions;
use crate::checkpoint;
use crate::claims::{claims, is_governance};
use crate::entry::Executed;
use crate::lanes;
use crate::load::encode_head;
use crate::receipts::encode_results;
use crate::recent::{RECENT_HEIGHTS_MIN, Recent};
use crate::remembered::{self, Place};
use crate::stage::{Changes, Lane, Stage, Writes};
use crate::state::{Head, State};
use crate::state_key::{self, StateChange};
use crate::workers::Workers;

/// What a block did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// One result for each entry, in order.
    pub results: Vec<TransactionResult>,
    /// All that changed; the caller persists them in one atomic batch, together with whatever it
    /// keeps of the block.
    pub changes: Vec<StateChange>,
}

/// Executes the final block after the state's head, one transaction after another: the plain
/// statement of what [`execute_with`] does.
///
/// The caller MUST hand over blocks in the order of their heights, each with the transactions of
/// its entries in their order, whose form and signatures were verified; anything else is a bug of
/// its own and is asserted. `entry.id` and `entry.witness_hash` are taken as they stand.
pub fn execute(
    state: &mut State,
    header: &Header,
    transactions: &[(Entry, &Transaction)],
) -> Outcome {
    check_order(state, header, transactions);
    let mut changes = Changes::new();
    let mut results = Vec::with_capacity(transactions.len());
    let mut places = Vec::with_capacity(transactions.len());
    for (index, (entry, transaction)) in transactions.iter().enumerate() {
        let failure = run(state, header, &entry.id, transaction, &mut changes).err();
        let result = result(header, index, entry, failure);
        results.push(result);
        places.extend(remember(state, result, transaction));
    }
    write_remembered(header.height, &places, &mut changes);
    finish(state, header, transactions, results, changes)
}

/// [`execute`] with transactions that have nothing to do with each other executed at once. The
/// outcome and the state are the same, bit by bit, whatever the workers are. A block in which the
/// operators decide something is rare, and is executed in order.
pub fn execute_with(
    state: &mut State,
    header: &Header,
    transactions: &[(Entry, &Transaction)],
    workers: &dyn Workers,
) -> Outcome {
    if transactions.iter().any(|(_, transaction)| is_governance(&transaction.body.action)) {
        return execute(state, header, transactions);
    }
    check_order(state, header, transactions);
    let places = first_of_their_id(state, transactions);
    let groups = match workers.parts(places.len()) {
        0 | 1 => vec![places],
        parts => lanes::split(state, transactions, &places, parts),
    };
    let done: Vec<OnceLock<Done>> = groups.iter().map(|_| OnceLock::new()).collect();
    workers.each(groups.len(), &|group| {
        done[group].get_or_init(|| run_lane(state, header, transactions, &groups[group]));
    });
    let mut failures = vec![Some(Reason::AlreadyExecuted); transactions.len()];
    let mut written = Vec::with_capacity(groups.len());
    for (group, done) in groups.iter().zip(done) {
        let Some(done) = done.into_inner() else { unreachable!("workers do every part") };
        group.iter().zip(done.failures).for_each(|(place, failure)| failures[*place] = failure);
        written.push(done.lane);
    }
    let mut changes = Changes::new();
    let lane = Lane::join(state, written);
    state.commit(lane, &mut changes);
    let mut results = Vec::with_capacity(transactions.len());
    let mut places = Vec::with_capacity(transactions.len());
    for (index, (entry, transaction)) in transactions.iter().enumerate() {
        let result = result(header, index, entry, failures[index]);
        results.push(result);
        places.extend(remember(state, result, transaction));
    }
    write_remembered(header.height, &places, &mut changes);
    finish(state, header, transactions, results, changes)
}

/// What the transaction would come to if it were executed now, in a block of time `time`: admission
/// refuses what would fail. Says nothing about transactions in flight.
pub fn would_fail(
    state: &State,
    id: &TransactionId,
    transaction: &Transaction,
    time: TimeMs,
) -> Result<(), Reason> {
    stage(state, state.height() + 1, time, id, transaction).map(drop)
}

/// What became of one lane: a result for each of its transactions.
struct Done {
    failures: Vec<Option<Reason>>,
    lane: Lane,
}

/// The transactions that are run: others have an id that was executed, here or before.
fn first_of_their_id(state: &State, transactions: &[(Entry, &Transaction)]) -> Vec<usize> {
    let mut ids = BTreeSet::new();
    let first = transactions
        .iter()
        .enumerate()
        .filter(|(_, (entry, _))| !state.executed.contains(&entry.id) && ids.insert(entry.id));
    first.map(|(place, _)| place).collect()
}

fn run_lane(
    state: &State,
    header: &Header,
    transactions: &[(Entry, &Transaction)],
    places: &[usize],
) -> Done {
    let mut done = Done { failures: Vec::with_capacity(places.len()), lane: Lane::default() };
    for place in places {
        let (entry, transaction) = &transactions[*place];
        let mut stage = Stage::new(state, entry.id, header.height, header.time).after(&done.lane);
        let applied = actions::apply(&mut stage, &entry.id, transaction);
        let writes = stage.finish();
        done.failures.push(applied.err());
        if applied.is_ok() {
            done.lane.append(writes);
        }
    }
    done
}

fn run(
    state: &mut State,
    header: &Header,
    id: &TransactionId,
    transaction: &Transaction,
    changes: &mut Changes,
) -> Result<(), Reason> {
    if state.executed.contains(id) {
        return Err(Reason::AlreadyExecuted);
    }
    let mut lane = Lane::default();
    lane.append(stage(state, header.height, header.time, id, transaction)?);
    state.commit(lane, changes);
    Ok(())
}

fn stage(
    state: &State,
    height: u64,
    time: TimeMs,
    id: &TransactionId,
    transaction: &Transaction,
) -> Result<Writes, Reason> {
    let mut stage = Stage::new(state, *id, height, time);
    actions::apply(&mut stage, id, transaction)?;
    Ok(stage.finish())
}

fn check_order(state: &State, header: &Header, transactions: &[(Entry, &Transaction)]) {
    assert_eq!(header.height, state.height() + 1, "blocks are executed in order");
    assert_eq!(header.previous, state.head.block, "a block follows from its parent");
    assert_eq!(header.count, transactions.len() as u64, "every entry is executed");
}

fn result(
    header: &Header,
    index: usize,
    entry: &Entry,
    failure: Option<Reason>,
) -> TransactionResult {
    TransactionResult {
        id: entry.id,
        witness_hash: entry.witness_hash,
        height: header.height,
        index: index as u64,
        failure,
    }
}

/// All that follows when each transaction has its result.
fn finish(
    state: &mut State,
    header: &Header,
    transactions: &[(Entry, &Transaction)],
    results: Vec<TransactionResult>,
    mut changes: Changes,
) -> Outcome {
    for height in state.executed.forget(header.time) {
        changes.insert(state_key::remembered(height), None);
    }
    let claims = transactions.iter().flat_map(|(_, transaction)| claims(&transaction.body));
    advance(state, header, claims.collect(), results.clone(), &mut changes);
    assert_eq!(state.check_totals(), Ok(()), "money was made or lost");
    let changes = changes.into_iter().map(|(key, value)| StateChange { key, value }).collect();
    Outcome { results, changes }
}

/// The first result of an id stands.
fn remember(
    state: &mut State,
    result: TransactionResult,
    transaction: &Transaction,
) -> Option<Place> {
    state.executed.take(Executed { result, valid_until: transaction.body.valid_until })
}

fn write_remembered(height: u64, places: &[Place], changes: &mut Changes) {
    if !places.is_empty() {
        changes.insert(state_key::remembered(height), Some(remembered::encode(places)));
    }
}

/// Moves the head, takes a checkpoint where one is due, and drops records that no later block
/// needs: blocks above report no less than this header does.
fn advance(
    state: &mut State,
    header: &Header,
    claims: Vec<crate::claims::Claim>,
    results: Vec<TransactionResult>,
    changes: &mut Changes,
) {
    let height = header.height;
    let mut head = Head { height, block: header.id(), time: header.time, ..state.head };
    if checkpoint::is_due(state, height) {
        head = Head { checkpoint_height: height, checkpoint_root: state.take_checkpoint(), ..head };
    }
    state.head = head;
    changes.insert(state_key::HEAD.to_vec(), Some(encode_head(state)));
    changes.insert(state_key::results(height), Some(encode_results(&results)));
    let record = Recent {
        block: head.block,
        time: header.time,
        executed_height: header.executed_height,
        checkpoint_root: head.checkpoint_root,
        claims,
        results,
    };
    changes.insert(state_key::recent(height), Some(record.encode()));
    state.recent.insert(height, record);
    let kept_from = header.executed_height.min(height.saturating_sub(RECENT_HEIGHTS_MIN));
    while let Some((oldest, _)) = state.recent.first_key_value() {
        let oldest = *oldest;
        if oldest >= kept_from {
            break;
        }
        state.recent.remove(&oldest);
        changes.insert(state_key::recent(oldest), None);
    }
}
