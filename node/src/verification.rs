//! The stateless part of the verification, for many transactions at once.
//!
//! Invariants: bytes are bounded before they are parsed, named before they are verified; what
//! comes out as [`Verified`] passed every check of [`Transaction::verify`], in a batch or alone.

use std::sync::Arc;

use tallystick_crypto::batch::{SignedMessage, verify_each};
use tallystick_kernel::{NetworkId, Reason};
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::Transaction;

/// Signatures that are verified together at most.
pub const SIGNATURES_TOGETHER_MAX: usize = 256;

/// A transaction that was read, and nothing more.
#[derive(Clone, Debug)]
pub struct Named {
    /// How a block names it.
    pub entry: Entry,
    /// The transaction.
    pub transaction: Arc<Transaction>,
    /// Its canonical bytes.
    pub bytes: Arc<[u8]>,
}

/// A transaction whose form, network and signatures were verified.
#[derive(Clone, Debug)]
pub struct Verified {
    /// How a block names it.
    pub entry: Entry,
    /// The transaction.
    pub transaction: Arc<Transaction>,
    /// Its canonical bytes.
    pub bytes: Arc<[u8]>,
}

impl Named {
    /// Reads canonical bytes; the reasons of [`Transaction::read`].
    pub fn read(bytes: &[u8]) -> Result<Named, Reason> {
        let (transaction, entry) = Transaction::read(bytes)?;
        Ok(Named { entry, transaction: Arc::new(transaction), bytes: Arc::from(bytes) })
    }

    /// What this is once it is verified. The caller MUST have verified it, or know that a
    /// transaction of the same entry was: the entry fixes every byte.
    pub(crate) fn verified(self) -> Verified {
        Verified { entry: self.entry, transaction: self.transaction, bytes: self.bytes }
    }
}

/// Verifies all of `named` and answers for each, in order, as [`Transaction::verify`] would.
pub fn verify_all(named: &[Named], network: &NetworkId) -> Vec<Result<(), Reason>> {
    let mut answers: Vec<Result<(), Reason>> =
        named.iter().map(|one| one.transaction.check_form(network)).collect();
    let mut items: Vec<SignedMessage<'_>> = Vec::new();
    let mut owners: Vec<usize> = Vec::new();
    for (place, one) in named.iter().enumerate().filter(|(place, _)| answers[*place].is_ok()) {
        for (key, signature) in &one.transaction.witness.0 {
            items.push((*key, &one.entry.id.0[..], *signature));
            owners.push(place);
        }
    }
    let together = items.chunks(SIGNATURES_TOGETHER_MAX);
    for (answer, place) in together.flat_map(verify_each).zip(owners) {
        // The first bad signature of a witness decides, as it does one by one.
        answers[place] = answers[place].and(answer);
    }
    answers
}

#[cfg(test)]
mod tests {
    use tallystick_crypto::SigningKey;
    use tallystick_kernel::{AccountId, Codec as _, Salt, TimeMs};
    use tallystick_proofs::action::Action;
    use tallystick_proofs::owners::Owners;
    use tallystick_proofs::transaction::{Body, Witness};

    use super::*;

    const NETWORK: NetworkId = NetworkId([7; 32]);

    fn transaction(seed: u8, signers: u8) -> Transaction {
        let keys: Vec<SigningKey> =
            (0..signers).map(|at| SigningKey::ed25519_from_seed(&[seed ^ (at << 5); 32])).collect();
        let owners = Owners::single(SigningKey::ed25519_from_seed(&[9; 32]).public_key());
        Body {
            network: NETWORK,
            account: AccountId::NONE,
            salt: Salt([seed; 16]),
            valid_until: TimeMs(1),
            action: Action::AccountOpen { owners },
        }
        .sign(&keys.iter().collect::<Vec<_>>())
    }

    #[test]
    fn many_at_once_are_judged_as_each_alone() {
        let mut all: Vec<Transaction> =
            (0..200).map(|seed| transaction(seed, 1 + seed % 3)).collect();
        all[3].witness.0[0].1.0[40] ^= 1;
        all[77].body.network = NetworkId([8; 32]);
        all[90].body.account = AccountId([1; 32]);
        all[130].witness = Witness(Vec::new());
        all[131].witness.0.reverse();
        all[199].witness.0.last_mut().unwrap().1.0[5] ^= 0x80;
        let named: Vec<Named> =
            all.iter().map(|one| Named::read(&one.to_bytes()).unwrap()).collect();
        let alone: Vec<_> = all.iter().map(|one| one.verify(&NETWORK)).collect();
        assert_eq!(verify_all(&named, &NETWORK), alone);
        assert_eq!(alone.iter().filter(|answer| answer.is_err()).count(), 6);
    }

    #[test]
    fn reading_names_a_transaction_as_its_own_encoding_does_and_refuses_the_same_bytes() {
        let whole = transaction(1, 2);
        let bytes = whole.to_bytes();
        let named = Named::read(&bytes).unwrap();
        assert_eq!(named.entry, tallystick_ledger::entry_of(&whole));
        assert_eq!(*named.transaction, whole);
        for length in 0..bytes.len() {
            let cut = &bytes[..length];
            assert_eq!(Named::read(cut).map(drop).unwrap_err(), reason(cut));
        }
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 0x20;
            let read = Named::read(&changed).map(|named| Transaction::clone(&named.transaction));
            assert_eq!(read, Transaction::from_bytes(&changed, 1 << 20), "byte {place}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Named::read(&longer).map(drop), Err(Reason::TrailingBytes));
    }

    fn reason(bytes: &[u8]) -> Reason {
        Transaction::from_bytes(bytes, 1 << 20).unwrap_err()
    }
}
