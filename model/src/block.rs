//! Which transactions may stand in a block, told from the history up to the height it reports.

use tallystick_kernel::{Reason, ReserveId, TransactionId};
use tallystick_proofs::action::Action;
use tallystick_proofs::transaction::Transaction;

use crate::history::History;
use crate::questions::{is_locked, own_reserve, remitter, signed_by, usable};

/// How far ahead `valid_until` may lie, in milliseconds.
const VALIDITY_MS: u64 = 10 * 60 * 1000;

/// Where a block stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) version: u64,
    pub(crate) time_ms: u64,
    /// Those that are not yet executed.
    pub(crate) ancestors: &'p [&'p Transaction],
}

/// Judges the entries one after another.
pub(crate) fn judge(
    past: &History,
    executed: &[TransactionId],
    Place { version, time_ms, ancestors }: Place<'_>,
    transactions: &[&Transaction],
) -> Result<(), Reason> {
    for (place, transaction) in transactions.iter().enumerate() {
        let valid_until = transaction.body.valid_until.0;
        if valid_until <= time_ms {
            return Err(Reason::Expired);
        }
        if valid_until > time_ms + VALIDITY_MS {
            return Err(Reason::ValidityTooLong);
        }
        let id = transaction.id();
        if executed.contains(&id) || ancestors.iter().any(|other| other.id() == id) {
            return Err(Reason::AlreadyExecuted);
        }
        if version >= 2 {
            signers_hold(past, transaction)?;
        }
        for other in ancestors.iter().chain(&transactions[..place]) {
            if named(other).iter().any(|reserve| named(transaction).contains(reserve)) {
                return Err(Reason::ClaimTaken);
            }
        }
        if !named(transaction).is_empty() {
            claims_hold(past, transaction, time_ms)?;
        }
    }
    Ok(())
}

fn named(transaction: &Transaction) -> &[ReserveId] {
    match &transaction.body.action {
        Action::ReserveClose { reserves }
        | Action::UnlockRequest { reserves }
        | Action::Remit { reserves, .. } => reserves,
        _ => &[],
    }
}

/// From version 2 of the rules on: whether the signers are those whose account it is; a remit may
/// also be signed by one key that the reserves are locked to.
fn signers_hold(past: &History, transaction: &Transaction) -> Result<(), Reason> {
    if let Action::AccountOpen { owners } = &transaction.body.action {
        return signed_by(owners, transaction);
    }
    let owners = past.owners(&transaction.body.account).ok_or(Reason::AccountUnknown)?;
    match transaction.body.action {
        Action::Remit { .. } => remitter(owners, transaction).map(drop),
        _ => signed_by(owners, transaction),
    }
}

fn claims_hold(past: &History, transaction: &Transaction, time_ms: u64) -> Result<(), Reason> {
    let account = transaction.body.account;
    let owners = past.owners(&account).ok_or(Reason::AccountUnknown)?;
    if let Action::Remit { .. } = transaction.body.action {
        remitter(owners, transaction)?;
    } else {
        signed_by(owners, transaction)?;
    }
    for id in named(transaction) {
        match transaction.body.action {
            Action::Remit { .. } => drop(usable(past, transaction, owners, id, time_ms)?),
            Action::ReserveClose { .. } => {
                if is_locked(&own_reserve(past, &account, id)?, time_ms) {
                    return Err(Reason::ReserveLocked);
                }
            }
            _ => {
                let reserve = own_reserve(past, &account, id)?;
                if reserve.lock.is_none() {
                    return Err(Reason::ReserveNotLocked);
                }
                if reserve.unlock_at_ms.is_some() {
                    return Err(Reason::UnlockPending);
                }
            }
        }
    }
    Ok(())
}
