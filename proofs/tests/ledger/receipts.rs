//! Receipts: what verifies from the genesis file alone, and every way in which one does not.

use tallystick_kernel::{BlockId, Codec, NetworkId, Reason};
use tallystick_proofs::receipt::Receipt;

use crate::samples::{finality, genesis, key, receipt};

#[test]
fn a_receipt_verifies_from_the_genesis_file_and_survives_its_bytes() {
    let receipt = receipt(4, 3, None);
    let read = Receipt::read(&receipt.to_bytes()).unwrap();
    assert_eq!(read, receipt);
    let verified = read.verify(&genesis(4)).unwrap();
    assert_eq!(verified.id, receipt.transaction.id());
    assert_eq!(verified.require_payment(), Ok(()));
}

#[test]
fn a_receipt_of_a_failure_verifies_and_is_no_payment() {
    let verified = receipt(4, 3, Some(Reason::ReservesShort)).verify(&genesis(4)).unwrap();
    assert_eq!(verified.result.failure, Some(Reason::ReservesShort));
    assert_eq!(verified.require_payment(), Err(Reason::NotPaid));
}

#[test]
fn one_signature_below_the_quorum_is_too_few_for_one_to_seven_validators() {
    for (count, quorum) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5)] {
        assert_eq!(genesis(count).validators.quorum(), quorum);
        assert!(receipt(count, quorum, None).verify(&genesis(count)).is_ok(), "{count}");
        let short = receipt(count, quorum - 1, None).verify(&genesis(count));
        assert_eq!(short.unwrap_err(), Reason::CertificateShort, "{count}");
    }
}

#[test]
fn every_part_that_does_not_belong_is_found() {
    let check = |change: &dyn Fn(&mut Receipt), reason| {
        let mut receipt = receipt(4, 3, None);
        change(&mut receipt);
        assert_eq!(receipt.verify(&genesis(4)).unwrap_err(), reason);
    };
    check(&|it| it.transaction.body.network = NetworkId([1; 32]), Reason::WrongNetwork);
    check(&|it| it.transaction.body.salt.0[0] ^= 1, Reason::ReceiptMismatch);
    check(&|it| it.transaction.witness.0[0].1.0[0] ^= 1, Reason::ReceiptMismatch);
    check(&|it| it.result.id.0[0] ^= 1, Reason::ReceiptMismatch);
    check(&|it| it.result.failure = Some(Reason::Expired), Reason::RootMismatch);
    check(&|it| it.result.index ^= 1, Reason::RootMismatch);
    check(&|it| it.path.index = 3, Reason::RootMismatch);
    check(&|it| it.path.siblings.clear(), Reason::PathInvalid);
    check(&|it| it.path.siblings[1][0] ^= 1, Reason::RootMismatch);
    check(&|it| it.header.results_root[0] ^= 1, Reason::RootMismatch);
    check(&|it| it.header.executed_height = it.result.height - 1, Reason::ReceiptMismatch);
    check(&|it| it.header.count += 1, Reason::HeaderMismatch);
    check(&|it| it.descendants[0].height += 1, Reason::HeaderMismatch);
    check(&|it| it.descendants[0].previous = BlockId([1; 32]), Reason::HeaderMismatch);
    check(&|it| it.descendants[0].validator_set_hash[0] ^= 1, Reason::ValidatorSetMismatch);
    check(&|it| it.finality.epoch = 1, Reason::ValidatorSetMismatch);
    check(&|it| it.descendants[0].time.0 += 1, Reason::SignatureInvalid);
    check(&|it| it.descendants.clear(), Reason::SignatureInvalid);
    check(&|it| it.finality.view += 1, Reason::SignatureInvalid);
    check(&|it| it.finality.parent_view -= 1, Reason::SignatureInvalid);
    check(&|it| it.finality.signatures.swap(0, 1), Reason::SignatureInvalid);
    check(&|it| it.finality.signatures.truncate(2), Reason::Malformed);
    check(&|it| it.finality.signers = vec![0, 0, 1], Reason::SignerUnknown);
    check(&|it| it.finality.signers = vec![0, 2, 1], Reason::SignerUnknown);
    check(&|it| it.finality.signers = vec![0, 1, 4], Reason::SignerUnknown);
}

#[test]
fn a_receipt_of_another_network_or_of_foreign_validators_is_refused() {
    let mut other = genesis(4);
    other.name = "other".to_owned();
    assert_eq!(receipt(4, 3, None).verify(&other).unwrap_err(), Reason::WrongNetwork);
    let mut forged = receipt(4, 3, None);
    let tip = forged.descendants[0].clone();
    forged.finality = finality(&tip, 4, 3);
    let message = forged.finality.message(&genesis(4).network(), &tip.id());
    forged.finality.signatures =
        [50, 51, 52].iter().map(|seed| key(*seed).sign(&message)).collect();
    assert_eq!(forged.verify(&genesis(4)).unwrap_err(), Reason::SignatureInvalid);
}

#[test]
fn a_witness_that_does_not_verify_makes_no_receipt() {
    let mut made = receipt(4, 3, None);
    made.transaction.witness.0[0].1.0[0] ^= 1;
    made.result.witness_hash = made.transaction.witness.hash();
    let leaf = made.result.to_bytes();
    made.header.results_root = made.path.root(&leaf).unwrap();
    made.descendants.clear();
    made.finality = finality(&made.header, 4, 3);
    assert_eq!(made.verify(&genesis(4)).unwrap_err(), Reason::SignatureInvalid);
}
