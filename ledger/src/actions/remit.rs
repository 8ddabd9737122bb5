//! `remit`: pays from named reserves, by the owners or by the mandate that they are locked to.

use tallystick_kernel::{Amount, CurrencyCode, Reason, ReserveId, TransactionId};
use tallystick_proofs::action::Line;
use tallystick_proofs::transaction::{Transaction, reserve_id};

use crate::actions::spender::{Spender, Use};
use crate::actions::{check_payees, pay, total};
use crate::entry::Reserve;
use crate::stage::Stage;

/// The fields of the action.
pub(crate) struct Payment<'p> {
    pub(crate) currency: &'p CurrencyCode,
    pub(crate) lines: &'p [Line],
    pub(crate) reserves: &'p [ReserveId],
    pub(crate) reopen: &'p [Amount],
}

/// Returns, in this order: [`Reason::AccountUnknown`], for several signers the reasons of
/// `Owners::allow`, [`Reason::CurrencyUnknown`], [`Reason::PayeeUnknown`]; for each reserve
/// [`Reason::ReserveUnknown`], [`Reason::ReserveNotOwned`], [`Reason::NotOwner`] (or
/// [`Reason::SignatureMissing`]), [`Reason::NotMandate`], [`Reason::ReserveExpired`],
/// [`Reason::ReserveLocked`], [`Reason::CurrencyMismatch`]; under a mandate for each reserve
/// [`Reason::PayeeNotAllowed`], [`Reason::MandateCapExceeded`]; then [`Reason::ReservesShort`],
/// [`Reason::ReopenExceedsChange`], [`Reason::TermsDiffer`], [`Reason::AmountOverflow`].
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    id: &TransactionId,
    transaction: &Transaction,
    payment: &Payment<'_>,
) -> Result<(), Reason> {
    let account = transaction.body.account;
    let spender = Spender::of(stage.account(&account)?, &transaction.witness, Use::Pay)?;
    stage.currency(payment.currency)?;
    check_payees(stage, payment.lines)?;
    let mut consumed: Vec<&Reserve> = Vec::with_capacity(payment.reserves.len());
    for id in payment.reserves {
        let reserve = stage.reserve(id)?;
        spender.check(&account, reserve, Use::Pay, stage.time())?;
        if reserve.currency != *payment.currency {
            return Err(Reason::CurrencyMismatch);
        }
        consumed.push(reserve);
    }
    let paid = total(payment.lines)?;
    if matches!(spender, Spender::Single(..)) {
        consumed.iter().try_for_each(|reserve| check_mandate(reserve, payment.lines, paid))?;
    }
    let held = Amount::sum(consumed.iter().map(|reserve| reserve.amount))?;
    let change = held.minus(paid).map_err(|_| Reason::ReservesShort)?;
    let reopened = Amount::sum(payment.reopen.iter().copied())?;
    let rest = change.minus(reopened).map_err(|_| Reason::ReopenExceedsChange)?;
    reopen(stage, id, &consumed, payment.reopen)?;
    payment.reserves.iter().for_each(|id| stage.consume(*id));
    pay(stage, payment.currency, payment.lines)?;
    if rest.is_zero() { Ok(()) } else { stage.credit(&account, payment.currency, rest) }
}

/// The terms of the lock allow this payment.
fn check_mandate(reserve: &Reserve, lines: &[Line], paid: Amount) -> Result<(), Reason> {
    let lock = reserve.lock.as_ref().ok_or(Reason::NotMandate)?;
    let allowed = |line: &Line| lock.payees.is_empty() || lock.payees.contains(&line.payee);
    if !lines.iter().all(allowed) {
        return Err(Reason::PayeeNotAllowed);
    }
    match lock.payment_max {
        Some(payment_max) if paid > payment_max => Err(Reason::MandateCapExceeded),
        _ => Ok(()),
    }
}

/// Opens reserves from the change, under the lock and expiry that all consumed reserves share.
///
/// They take over the latest `unlock_at` of those consumed, so that a mandate cannot end a delay
/// that the owners have started by paying a little and re-opening the rest.
fn reopen(
    stage: &mut Stage<'_>,
    id: &TransactionId,
    consumed: &[&Reserve],
    amounts: &[Amount],
) -> Result<(), Reason> {
    let Some(first) = consumed.first().filter(|_| !amounts.is_empty()) else { return Ok(()) };
    let alike = |reserve: &&Reserve| reserve.lock == first.lock && reserve.expiry == first.expiry;
    if !consumed.iter().all(alike) {
        return Err(Reason::TermsDiffer);
    }
    let unlock_at = consumed.iter().filter_map(|reserve| reserve.unlock_at).max();
    for (index, amount) in amounts.iter().enumerate() {
        let reserve = Reserve {
            amount: *amount,
            created_height: stage.height(),
            unlock_at,
            ..(*first).clone()
        };
        stage.put_reserve(reserve_id(id, index as u64), reserve);
    }
    Ok(())
}
