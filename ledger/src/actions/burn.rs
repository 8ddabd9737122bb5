//! `burn`: the currency's authority takes money out of its own free balance.

use tallystick_kernel::{Amount, CurrencyCode, Reason};
use tallystick_proofs::transaction::Transaction;

use crate::actions::check_owners;
use crate::stage::Stage;

/// Returns, in this order: the reasons of `check_owners`, [`Reason::CurrencyUnknown`],
/// [`Reason::NotAuthority`], [`Reason::InsufficientFunds`].
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    transaction: &Transaction,
    currency: &CurrencyCode,
    amount: Amount,
) -> Result<(), Reason> {
    check_owners(stage, transaction)?;
    let entry = stage.currency(currency)?;
    if entry.authority != transaction.body.account {
        return Err(Reason::NotAuthority);
    }
    stage.debit(&transaction.body.account, currency, amount)?;
    stage.set_supply(currency, entry.supply.minus(amount)?);
    Ok(())
}
