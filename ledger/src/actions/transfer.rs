//! `transfer`: pays from the free balance, all lines or none.

use tallystick_kernel::{CurrencyCode, Reason};
use tallystick_proofs::action::Line;
use tallystick_proofs::transaction::Transaction;

use crate::actions::{check_owners, check_payees, pay, total};
use crate::stage::Stage;

/// Returns, in this order: the reasons of `check_owners`, [`Reason::CurrencyUnknown`],
/// [`Reason::PayeeUnknown`], [`Reason::AmountOverflow`], [`Reason::InsufficientFunds`].
///
/// The payer must hold the whole sum before anything is credited, also when it pays itself.
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    transaction: &Transaction,
    currency: &CurrencyCode,
    lines: &[Line],
) -> Result<(), Reason> {
    check_owners(stage, transaction)?;
    stage.currency(currency)?;
    check_payees(stage, lines)?;
    stage.debit(&transaction.body.account, currency, total(lines)?)?;
    pay(stage, currency, lines)
}
