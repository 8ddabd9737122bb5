//! The link between a holder at an issuer and an account on the ledger.
//!
//! The account's key signs that it belongs to this holder, so that nobody links an account that
//! others control, and a signature made for one holder serves no other.

use tallystick_kernel::{AccountId, Digest, HolderId, LabelledHash, NetworkId};

/// What the account's key signs.
pub fn message(network: &NetworkId, holder: &HolderId, account: &AccountId) -> Digest {
    LabelledHash::new("tallystick/account-link/1")
        .part(&network.0)
        .part(&holder.0)
        .part(&account.0)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_for_one_network_holder_and_account() {
        let made = |network, holder, account| {
            message(&NetworkId([network; 32]), &HolderId([holder; 32]), &AccountId([account; 32]))
        };
        assert_ne!(made(1, 2, 3), made(2, 2, 3));
        assert_ne!(made(1, 2, 3), made(1, 3, 3));
        assert_ne!(made(1, 2, 3), made(1, 2, 4));
    }
}
