//! The wallet's account on the ledger: opening it, and proving to the issuer that it is ours.

use tallystick_crypto::key_store::Signer;
use tallystick_kernel::{AccountId, DurationMs, NetworkId, Reason, Salt, TimeMs};
use tallystick_proofs::action::Action;
use tallystick_proofs::owners::Owners;
use tallystick_proofs::transaction::{Body, Transaction};

/// How long a wallet's transaction may wait for a block.
pub const TRANSACTION_LIFE: DurationMs = DurationMs::minutes(2);

/// Signs any action of an account.
///
/// Returns the reasons of [`Body::check`] and of the signer.
pub fn sign(
    network: NetworkId,
    account: AccountId,
    action: Action,
    salt: Salt,
    now: TimeMs,
    signer: &dyn Signer,
) -> Result<Transaction, Reason> {
    let valid_until = now.after(TRANSACTION_LIFE);
    let body = Body { network, account, salt, valid_until, action };
    body.check()?;
    body.sign_by(&[signer])
}

/// The transaction that opens an account owned by the signer alone; its id is
/// [`tallystick_proofs::transaction::account_id`] of the transaction.
pub fn open(
    network: NetworkId,
    salt: Salt,
    now: TimeMs,
    signer: &dyn Signer,
) -> Result<Transaction, Reason> {
    let action = Action::AccountOpen { owners: Owners::single(signer.public_key()) };
    sign(network, AccountId::NONE, action, salt, now, signer)
}
