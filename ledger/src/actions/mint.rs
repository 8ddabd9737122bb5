//! `mint`: the currency's authority makes money on a payee's free balance.

use tallystick_kernel::{CurrencyCode, Reason};
use tallystick_proofs::action::Line;
use tallystick_proofs::transaction::Transaction;

use crate::actions::{check_owners, pay};
use crate::stage::Stage;

/// Returns, in this order: the reasons of `check_owners`, [`Reason::CurrencyUnknown`],
/// [`Reason::NotAuthority`], [`Reason::PayeeUnknown`], [`Reason::SupplyExceeded`],
/// [`Reason::AmountOverflow`].
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    transaction: &Transaction,
    currency: &CurrencyCode,
    line: &Line,
) -> Result<(), Reason> {
    check_owners(stage, transaction)?;
    let entry = stage.currency(currency)?;
    if entry.authority != transaction.body.account {
        return Err(Reason::NotAuthority);
    }
    stage.check_payee(&line.payee)?;
    let supply = entry.supply.plus(line.amount).map_err(|_| Reason::SupplyExceeded)?;
    stage.set_supply(currency, supply);
    pay(stage, currency, core::slice::from_ref(line))
}
