//! `account_open`: a new account, signed by exactly a threshold of its own owners.

use tallystick_kernel::{Reason, TransactionId};
use tallystick_proofs::owners::Owners;
use tallystick_proofs::transaction::{Transaction, account_id};

use crate::entry::Account;
use crate::stage::Stage;

/// Returns the reasons of `Owners::allow`: nobody opens an account for keys that did not sign.
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    id: &TransactionId,
    transaction: &Transaction,
    owners: &Owners,
) -> Result<(), Reason> {
    owners.allow(transaction.witness.signers())?;
    let account = Account { owners: owners.clone(), created_height: stage.height() };
    stage.open_account(account_id(id), account);
    Ok(())
}
