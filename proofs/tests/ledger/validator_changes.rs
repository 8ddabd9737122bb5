//! Receipts across changes of the validator set: what leads from genesis to the set that signed.

use tallystick_crypto::SigningKey;
use tallystick_kernel::{Codec, Reason};
use tallystick_proofs::action::Action;
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::genesis::{Genesis, Governance, ValidatorSet};
use tallystick_proofs::header::Header;
use tallystick_proofs::merkle;
use tallystick_proofs::receipt::{CHANGES_MAX, Receipt, SetChange};
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Body;

use crate::samples::{self, body, genesis, header, key, transaction};

const EPOCH_BLOCKS: u64 = 10;

pub fn governed() -> Genesis {
    let mut made = genesis(4);
    made.parameters.governance =
        Some(Governance { epoch_blocks: EPOCH_BLOCKS, operators: 0, rules_version: 1 });
    made
}

/// Four validators, each set of them sharing three with the one before.
fn validators(first: u8) -> Vec<SigningKey> {
    let mut keys: Vec<SigningKey> = (first..first + 4).map(key).collect();
    keys.sort_by_key(SigningKey::public_key);
    keys
}

fn set(keys: &[SigningKey]) -> ValidatorSet {
    ValidatorSet::new(keys.iter().map(SigningKey::public_key).collect()).unwrap()
}

/// The receipt of what was executed at `height`, certified at the next one by three of these.
fn certified(action: Action, height: u64, by: &[SigningKey], failure: Option<Reason>) -> Receipt {
    let genesis = governed();
    let signed = Body { network: genesis.network(), ..body(action) }.sign(&[&key(1), &key(2)]);
    let result = TransactionResult {
        id: signed.id(),
        witness_hash: signed.witness.hash(),
        height,
        index: 0,
        failure,
    };
    let leaves = [result.to_bytes()];
    let header = Header {
        epoch: (height + 1) / EPOCH_BLOCKS,
        height: height + 1,
        executed_height: height,
        results_root: merkle::root(&leaves),
        validator_set_hash: set(by).hash(),
        ..header()
    };
    let receipt = Receipt {
        transaction: signed,
        result,
        path: merkle::path(&leaves, 0).unwrap(),
        finality: samples::finality(&header, 4, 3),
        header,
        descendants: vec![],
        changes: vec![],
    };
    signed_by(receipt, by)
}

fn signed_by(mut receipt: Receipt, by: &[SigningKey]) -> Receipt {
    let certificate = FinalityCertificate { epoch: receipt.header.epoch, ..receipt.finality };
    let message = certificate.message(&governed().network(), &receipt.header.id());
    let signatures = by[..3].iter().map(|key| key.sign(&message)).collect();
    receipt.finality = FinalityCertificate { signatures, ..certificate };
    receipt
}

fn change(to: &[SigningKey], height: u64, by: &[SigningKey]) -> SetChange {
    SetChange(certified(Action::ValidatorsChange { validators: set(to) }, height, by, None))
}

fn payment(height: u64, by: &[SigningKey], changes: Vec<SetChange>) -> Receipt {
    let action = transaction().body.action;
    Receipt { changes, ..certified(action, height, by, None) }
}

fn refused(receipt: &Receipt) -> Reason {
    receipt.verify(&governed()).unwrap_err()
}

/// Receipts that verify: before any change, under each of two changes, and at the seams.
pub fn good() -> Vec<Receipt> {
    let (first, second, third) = (validators(100), validators(101), validators(102));
    // Decided in epoch 0, so in force from epoch 2 on; the next one from epoch 5 on.
    let one = change(&second, 5, &first);
    let two = change(&third, 39, &second);
    vec![
        payment(3, &first, vec![]),
        payment(18, &first, vec![]),
        payment(19, &second, vec![one.clone()]),
        payment(48, &second, vec![one.clone()]),
        payment(49, &third, vec![one.clone(), two.clone()]),
        payment(4_000_000, &third, vec![one, two]),
    ]
}

/// Receipts that do not, and why.
pub fn bad() -> Vec<(Receipt, Reason)> {
    let (first, second, third) = (validators(100), validators(101), validators(102));
    let one = change(&second, 5, &first);
    let two = change(&third, 39, &second);
    let both = || vec![one.clone(), two.clone()];
    let failed = |failure| {
        let action = Action::ValidatorsChange { validators: set(&second) };
        SetChange(certified(action, 5, &first, failure))
    };
    let other = SetChange(certified(transaction().body.action, 5, &first, None));
    let mut forged = one.clone();
    forged.0.finality.signatures.swap(0, 1);
    let mut early = payment(25, &second, vec![one.clone()]);
    early.header.epoch = 3;
    vec![
        // The keys of a set that was replaced sign for an epoch that is not theirs any more.
        (payment(19, &first, vec![one.clone()]), Reason::ValidatorSetMismatch),
        (payment(60, &second, both()), Reason::ValidatorSetMismatch),
        // A new set signs before its time.
        (payment(18, &second, vec![one.clone()]), Reason::ValidatorSetMismatch),
        // A change is left out, or comes too early, or twice.
        (payment(60, &third, vec![]), Reason::ValidatorSetMismatch),
        (payment(60, &third, vec![one.clone()]), Reason::ValidatorSetMismatch),
        (payment(60, &third, vec![two.clone()]), Reason::ValidatorSetMismatch),
        (payment(60, &third, vec![two.clone(), one.clone()]), Reason::ValidatorSetMismatch),
        (payment(60, &second, vec![one.clone(), one.clone()]), Reason::ValidatorChainBroken),
        (payment(48, &second, both()), Reason::ValidatorChainBroken),
        // The new set vouches for itself.
        (payment(30, &second, vec![change(&second, 19, &second)]), Reason::ValidatorSetMismatch),
        // What decided nothing.
        (
            payment(30, &second, vec![failed(Some(Reason::NotOperators))]),
            Reason::ValidatorChainBroken,
        ),
        (payment(30, &second, vec![other]), Reason::ValidatorChainBroken),
        (payment(30, &second, vec![forged]), Reason::SignatureInvalid),
        // The header's epoch is not that of its height.
        (signed_by(early, &second), Reason::ValidatorSetMismatch),
    ]
}

#[test]
fn receipts_before_and_after_changes_verify_from_genesis_and_survive_their_bytes() {
    for receipt in good() {
        let read = Receipt::read(&receipt.to_bytes()).unwrap();
        assert_eq!(read, receipt);
        assert!(read.verify(&governed()).is_ok(), "height {}", receipt.header.height);
    }
}

#[test]
fn a_receipt_whose_changes_do_not_lead_to_the_set_that_signed_is_refused() {
    for (place, (receipt, reason)) in bad().into_iter().enumerate() {
        assert_eq!(refused(&receipt), reason, "case {place}");
    }
}

#[test]
fn a_receipt_of_changes_is_bounded_and_changes_hold_none_of_their_own() {
    let (first, second) = (validators(100), validators(101));
    let one = change(&second, 5, &first);
    let many = payment(30, &second, vec![one.clone(); CHANGES_MAX + 1]);
    assert_eq!(Receipt::read(&many.to_bytes()), Err(Reason::TooLarge));
    let nested = SetChange(Receipt { changes: vec![one.clone()], ..one.0.clone() });
    let nested = payment(30, &second, vec![nested]);
    assert_eq!(Receipt::read(&nested.to_bytes()), Err(Reason::Malformed));
    let size = payment(30, &second, vec![one]).to_bytes().len();
    let plain = payment(30, &second, vec![]).to_bytes().len();
    // Sixty-four changes of four validators by two operators fit into a receipt.
    assert!((size - plain) * CHANGES_MAX < tallystick_kernel::limits::RECEIPT_BYTES_MAX);
}
