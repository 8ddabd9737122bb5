//! `reserve_open`: sets free balance aside as reserves, perhaps locked to a mandate.

use tallystick_kernel::{Amount, CurrencyCode, Reason, TimeMs, TransactionId};
use tallystick_proofs::action::Lock;
use tallystick_proofs::transaction::{Transaction, reserve_id};

use crate::actions::check_owners;
use crate::entry::Reserve;
use crate::stage::Stage;

/// What all reserves of one action share.
pub(crate) struct Terms<'t> {
    pub(crate) currency: &'t CurrencyCode,
    pub(crate) lock: Option<&'t Lock>,
    pub(crate) expiry: Option<TimeMs>,
}

/// Returns, in this order: the reasons of `check_owners`, [`Reason::LockMalformed`] when the
/// mandate is one of the owners (who signs for whom must never be in doubt),
/// [`Reason::ReserveExpired`] for an expiry that has passed, [`Reason::CurrencyUnknown`],
/// [`Reason::AmountOverflow`], [`Reason::InsufficientFunds`].
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    id: &TransactionId,
    transaction: &Transaction,
    terms: &Terms<'_>,
    amounts: &[Amount],
) -> Result<(), Reason> {
    check_owners(stage, transaction)?;
    let account = transaction.body.account;
    let owners = &stage.account(&account)?.owners;
    if terms.lock.is_some_and(|lock| owners.keys.contains(&lock.mandate)) {
        return Err(Reason::LockMalformed);
    }
    if terms.expiry.is_some_and(|expiry| expiry <= stage.time()) {
        return Err(Reason::ReserveExpired);
    }
    stage.currency(terms.currency)?;
    stage.debit(&account, terms.currency, Amount::sum(amounts.iter().copied())?)?;
    for (index, amount) in amounts.iter().enumerate() {
        let reserve = Reserve {
            account,
            currency: *terms.currency,
            amount: *amount,
            lock: terms.lock.cloned(),
            expiry: terms.expiry,
            created_height: stage.height(),
            unlock_at: None,
        };
        stage.put_reserve(reserve_id(id, index as u64), reserve);
    }
    Ok(())
}
