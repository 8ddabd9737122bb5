//! What each action does: one file for each, staged and all or nothing.

pub(crate) mod account_open;
pub(crate) mod burn;
pub(crate) mod mint;
pub(crate) mod remit;
pub(crate) mod reserve_close;
pub(crate) mod reserve_open;
pub(crate) mod rules_activate;
pub(crate) mod spender;
pub(crate) mod transfer;
pub(crate) mod unlock_request;
pub(crate) mod validators_change;

use tallystick_kernel::{Amount, CurrencyCode, Reason, TransactionId};
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::transaction::Transaction;

use crate::stage::Stage;

/// Stages what `transaction` does. The caller has verified its form and its signatures; the order
/// of the refusals is that of `docs/capabilities/remittance.md`.
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    id: &TransactionId,
    transaction: &Transaction,
) -> Result<(), Reason> {
    match &transaction.body.action {
        Action::AccountOpen { owners } => account_open::apply(stage, id, transaction, owners),
        Action::Mint { currency, payee, amount, reference } => {
            let line = Line { payee: *payee, amount: *amount, reference: *reference };
            mint::apply(stage, transaction, currency, &line)
        }
        Action::Burn { currency, amount } => burn::apply(stage, transaction, currency, *amount),
        Action::Transfer { currency, lines } => {
            transfer::apply(stage, transaction, currency, lines)
        }
        Action::ReserveOpen { currency, amounts, lock, expiry } => {
            let terms = reserve_open::Terms { currency, lock: lock.as_ref(), expiry: *expiry };
            reserve_open::apply(stage, id, transaction, &terms, amounts)
        }
        Action::ReserveClose { reserves } => reserve_close::apply(stage, transaction, reserves),
        Action::UnlockRequest { reserves } => unlock_request::apply(stage, transaction, reserves),
        Action::Remit { currency, lines, reserves, reopen } => {
            let payment = remit::Payment { currency, lines, reserves, reopen };
            remit::apply(stage, id, transaction, &payment)
        }
        Action::ValidatorsChange { validators } => {
            validators_change::apply(stage, id, transaction, validators)
        }
        Action::RulesActivate { version, height } => {
            rules_activate::apply(stage, transaction, *version, *height)
        }
    }
}

/// The body's account exists and the signers control it: [`Reason::AccountUnknown`], then the
/// reasons of `Owners::allow`.
fn check_owners(stage: &Stage<'_>, transaction: &Transaction) -> Result<(), Reason> {
    let account = stage.account(&transaction.body.account)?;
    account.owners.allow(transaction.witness.signers())
}

/// The owners of the operators' account signed: the reasons of [`check_owners`], then
/// [`Reason::NotOperators`].
fn check_operators(stage: &Stage<'_>, transaction: &Transaction) -> Result<(), Reason> {
    check_owners(stage, transaction)?;
    match stage.chain().operators {
        Some(operators) if operators == transaction.body.account => Ok(()),
        _ => Err(Reason::NotOperators),
    }
}

/// Every payee exists, in the order of the lines.
fn check_payees(stage: &Stage<'_>, lines: &[Line]) -> Result<(), Reason> {
    lines.iter().try_for_each(|line| stage.check_payee(&line.payee))
}

/// Credits each payee and indexes the references.
fn pay(stage: &mut Stage<'_>, currency: &CurrencyCode, lines: &[Line]) -> Result<(), Reason> {
    for line in lines {
        stage.credit(&line.payee, currency, line.amount)?;
        stage.index(line.payee, line.reference);
    }
    Ok(())
}

/// What the lines come to; [`Reason::AmountOverflow`].
fn total(lines: &[Line]) -> Result<Amount, Reason> {
    Amount::sum(lines.iter().map(|line| line.amount))
}
