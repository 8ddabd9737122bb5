//! Who signs for an account's reserves, and which reserves these signers can use now.

use tallystick_crypto::PublicKey;
use tallystick_kernel::{AccountId, Reason, TimeMs};
use tallystick_proofs::action::Action;
use tallystick_proofs::transaction::Witness;

use crate::entry::{Account, Reserve};

/// What an action does with the reserves that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Pays from them.
    Pay,
    /// Puts them back into the free balance.
    Close,
    /// Starts the delay of their lock.
    Unlock,
}

/// Who signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spender {
    /// The owners of the account.
    Owners,
    /// One key that is not the owners: perhaps the mandate of the reserves named. Carries why it
    /// is not the owners.
    Single(PublicKey, Reason),
}

impl Use {
    /// What the action does with reserves; none when it names none.
    pub(crate) fn of(action: &Action) -> Option<Use> {
        match action {
            Action::Remit { .. } => Some(Use::Pay),
            Action::ReserveClose { .. } => Some(Use::Close),
            Action::UnlockRequest { .. } => Some(Use::Unlock),
            _ => None,
        }
    }
}

impl Spender {
    /// Who signed for `account`. A single key that does not control the account can only be a
    /// mandate, and only to pay; everything else is refused as `Owners::allow` says.
    pub(crate) fn of(account: &Account, witness: &Witness, wanted: Use) -> Result<Spender, Reason> {
        let Err(reason) = account.owners.allow(witness.signers()) else {
            return Ok(Spender::Owners);
        };
        match &witness.0[..] {
            [(key, _)] if wanted == Use::Pay => Ok(Spender::Single(*key, reason)),
            _ => Err(reason),
        }
    }

    /// Whether the reserve is the account's and can be used so in a block of this time.
    pub(crate) fn check(
        &self,
        account: &AccountId,
        reserve: &Reserve,
        wanted: Use,
        time: TimeMs,
    ) -> Result<(), Reason> {
        if reserve.account != *account {
            return Err(Reason::ReserveNotOwned);
        }
        if let Spender::Single(key, not_owner) = self {
            match &reserve.lock {
                None => return Err(*not_owner),
                Some(lock) if lock.mandate != *key => return Err(Reason::NotMandate),
                Some(_) => {}
            }
        }
        if wanted == Use::Pay && reserve.expiry.is_some_and(|expiry| expiry <= time) {
            return Err(Reason::ReserveExpired);
        }
        match (wanted, self) {
            (Use::Unlock, _) if reserve.lock.is_none() => Err(Reason::ReserveNotLocked),
            (Use::Unlock, _) if reserve.unlock_at.is_some() => Err(Reason::UnlockPending),
            (Use::Pay | Use::Close, Spender::Owners) if is_locked(reserve, time) => {
                Err(Reason::ReserveLocked)
            }
            _ => Ok(()),
        }
    }
}

/// Whether the owners still have to wait.
fn is_locked(reserve: &Reserve, time: TimeMs) -> bool {
    reserve.lock.is_some() && reserve.unlock_at.is_none_or(|unlock_at| time < unlock_at)
}
