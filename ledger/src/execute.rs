//! Execution of final blocks, in order: the only writer of the state.
//!
//! Invariants: a transaction that fails changes nothing and is remembered with its code; a commit
//! has no step that can fail; conservation is asserted after every block.

use tallystick_kernel::limits::REMEMBERED;
use tallystick_kernel::{Codec, Reason, TimeMs, TransactionId};
use tallystick_proofs::header::{Entry, Header};
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Transaction;

use crate::actions;
use crate::checkpoint;
use crate::claims::claims;
use crate::entry::Executed;
use crate::load::encode_head;
use crate::receipts::encode_results;
use crate::recent::{RECENT_HEIGHTS_MIN, Recent};
use crate::stage::{Changes, Stage, Writes};
use crate::state::{Head, State};
use crate::state_key::{self, StateChange};

/// What a block did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// One result for each entry, in order.
    pub results: Vec<TransactionResult>,
    /// All that changed; the caller persists them in one atomic batch, together with whatever it
    /// keeps of the block.
    pub changes: Vec<StateChange>,
}

/// Executes the final block after the state's head.
///
/// The caller MUST hand over blocks in the order of their heights, each with the transactions of
/// its entries in their order, whose form and signatures were verified; anything else is a bug of
/// its own and is asserted. `entry.id` and `entry.witness_hash` are taken as they stand.
pub fn execute(
    state: &mut State,
    header: &Header,
    transactions: &[(Entry, &Transaction)],
) -> Outcome {
    assert_eq!(header.height, state.height() + 1, "blocks are executed in order");
    assert_eq!(header.previous, state.head.block, "a block follows from its parent");
    assert_eq!(header.count, transactions.len() as u64, "every entry is executed");
    let mut changes = Changes::new();
    let mut results = Vec::with_capacity(transactions.len());
    for (index, (entry, transaction)) in transactions.iter().enumerate() {
        let failure = run(state, header, &entry.id, transaction, &mut changes).err();
        let result = TransactionResult {
            id: entry.id,
            witness_hash: entry.witness_hash,
            height: header.height,
            index: index as u64,
            failure,
        };
        results.push(result);
        remember(state, result, transaction.body.valid_until, &mut changes);
    }
    forget(state, header.time, &mut changes);
    let claims = transactions.iter().flat_map(|(_, transaction)| claims(&transaction.body));
    advance(state, header, claims.collect(), results.clone(), &mut changes);
    assert_eq!(state.check_totals(), Ok(()), "money was made or lost");
    let changes = changes.into_iter().map(|(key, value)| StateChange { key, value }).collect();
    Outcome { results, changes }
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

fn run(
    state: &mut State,
    header: &Header,
    id: &TransactionId,
    transaction: &Transaction,
    changes: &mut Changes,
) -> Result<(), Reason> {
    if state.executed.contains_key(id) {
        return Err(Reason::AlreadyExecuted);
    }
    let writes = stage(state, header.height, header.time, id, transaction)?;
    state.commit(id, writes, changes);
    Ok(())
}

fn stage(
    state: &State,
    height: u64,
    time: TimeMs,
    id: &TransactionId,
    transaction: &Transaction,
) -> Result<Writes, Reason> {
    let mut stage = Stage::new(state, height, time);
    actions::apply(&mut stage, id, transaction)?;
    Ok(stage.finish())
}

/// The first result of an id stands.
fn remember(
    state: &mut State,
    result: TransactionResult,
    valid_until: TimeMs,
    changes: &mut Changes,
) {
    if state.executed.contains_key(&result.id) {
        return;
    }
    let entry = Executed { result, valid_until };
    changes.insert(state_key::executed(&result.id), Some(entry.to_bytes()));
    state.executed.insert(result.id, entry);
    state.executed_by_time.insert((valid_until, result.id));
}

/// Drops what no later block can hold: its `valid_until` lies 10 minutes behind this block's time.
fn forget(state: &mut State, time: TimeMs, changes: &mut Changes) {
    while let Some((valid_until, id)) = state.executed_by_time.first().copied() {
        if valid_until.after(REMEMBERED) >= time {
            break;
        }
        state.executed_by_time.pop_first();
        state.executed.remove(&id);
        changes.insert(state_key::executed(&id), None);
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
