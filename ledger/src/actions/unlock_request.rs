//! `unlock_request`: starts the delay after which the owners may spend locked reserves.

use tallystick_kernel::{Reason, ReserveId};
use tallystick_proofs::transaction::Transaction;

use crate::actions::spender::{Spender, Use};
use crate::entry::Reserve;
use crate::stage::Stage;

/// Returns, in this order: [`Reason::AccountUnknown`], the reasons of `Owners::allow`, then for
/// each reserve [`Reason::ReserveUnknown`], [`Reason::ReserveNotOwned`],
/// [`Reason::ReserveNotLocked`], [`Reason::UnlockPending`]. The mandate goes on spending until the
/// reserve is spent.
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    transaction: &Transaction,
    reserves: &[ReserveId],
) -> Result<(), Reason> {
    let account = transaction.body.account;
    let spender = Spender::of(stage.account(&account)?, &transaction.witness, Use::Unlock)?;
    for id in reserves {
        let reserve = stage.reserve(id)?;
        spender.check(&account, reserve, Use::Unlock, stage.time())?;
        let lock = reserve.lock.as_ref().ok_or(Reason::ReserveNotLocked)?;
        let unlock_at = Some(stage.time().after(lock.unlock_delay));
        stage.put_reserve(*id, Reserve { unlock_at, ..reserve.clone() });
    }
    Ok(())
}
