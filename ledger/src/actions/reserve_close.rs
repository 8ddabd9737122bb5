//! `reserve_close`: the owners put reserves back into the free balance.

use tallystick_kernel::{Reason, ReserveId};
use tallystick_proofs::transaction::Transaction;

use crate::actions::spender::{Spender, Use};
use crate::stage::Stage;

/// Returns, in this order: [`Reason::AccountUnknown`], the reasons of `Owners::allow`, then for
/// each reserve [`Reason::ReserveUnknown`], [`Reason::ReserveNotOwned`],
/// [`Reason::ReserveLocked`], [`Reason::AmountOverflow`]. Currencies may differ. A mandate never
/// closes.
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    transaction: &Transaction,
    reserves: &[ReserveId],
) -> Result<(), Reason> {
    let account = transaction.body.account;
    let spender = Spender::of(stage.account(&account)?, &transaction.witness, Use::Close)?;
    for id in reserves {
        let reserve = stage.reserve(id)?;
        spender.check(&account, reserve, Use::Close, stage.time())?;
        stage.consume(*id);
        stage.credit(&account, &reserve.currency, reserve.amount)?;
    }
    Ok(())
}
