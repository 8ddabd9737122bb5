//! A validator is replaced while payments run, and receipts from before and after prove it.

use tallystick_crypto::SigningKey;
use tallystick_kernel::{Amount, Codec, Reason};
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::genesis::{Governance, ValidatorSet};
use tallystick_proofs::receipt::Receipt;

use crate::cluster::{Cluster, eur, public};

const EPOCH_BLOCKS: u64 = 12;

fn governance() -> Option<Governance> {
    Some(Governance { epoch_blocks: EPOCH_BLOCKS, operators: 1, rules_version: 1 })
}

fn replaced(out: usize, into: usize) -> Action {
    let keys = (0..4).filter(|place| *place != out).chain([into]).map(public).collect();
    Action::ValidatorsChange { validators: ValidatorSet::new(keys).unwrap() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_is_replaced_while_payments_run_and_old_and_new_receipts_verify_offline() {
    let mut cluster = Cluster::found(4, 1, governance());
    (0..4).for_each(|place| cluster.start_node(place));
    cluster.ready().await;
    let alice = SigningKey::ed25519_from_seed(&[70; 32]);
    let payer = cluster.fund(&alice, 1000).await.0;
    let pay = |minor| {
        let amount = Amount::new(minor).unwrap();
        let lines = vec![Line { payee: payer, amount, reference: None }];
        cluster.sign(payer, Action::Transfer { currency: eur(), lines }, &alice)
    };
    let old = pay(1);
    assert!(cluster.settle(0, &old).await.is_success());
    let lonely = cluster.decide(replaced(3, 4), &[1]);
    assert_eq!(cluster.submit(0, &lonely).await, Err(Reason::SignatureMissing));
    let change = cluster.decide(replaced(3, 4), &[0, 2]);
    let decided = cluster.settle(0, &change).await;
    assert!(decided.is_success());
    let again = cluster.decide(replaced(2, 4), &[0, 1]);
    assert_eq!(cluster.submit(1, &again).await, Err(Reason::ChangePending));
    let from = (decided.height / EPOCH_BLOCKS + 2) * EPOCH_BLOCKS;
    let mut paid = 2;
    let mut running = Vec::new();
    while cluster.handle(0).network_status().height < from {
        running.push(pay(paid));
        assert!(cluster.settle(paid as usize % 4, running.last().unwrap()).await.is_success());
        paid += 1;
    }
    cluster.start_node(4);
    cluster.reach(4, from + 1).await;
    // Its predecessor is not needed any more: with it gone all but one of the others must vote.
    cluster.stop_node(3);
    let height = cluster.handle(0).network_status().height;
    cluster.reach(4, height + EPOCH_BLOCKS).await;
    let lines = vec![Line { payee: payer, amount: Amount::new(7).unwrap(), reference: None }];
    let new = cluster.sign(payer, Action::Transfer { currency: eur(), lines }, &alice);
    assert!(cluster.settle(4, &new).await.is_success());
    for (place, transaction, changes) in [(0, &old, 0), (4, &old, 0), (0, &new, 1), (4, &new, 1)] {
        cluster.result(place, &transaction.id()).await;
        let bytes = cluster.handle(place).receipt(&transaction.id()).unwrap().unwrap().to_bytes();
        let receipt = Receipt::read(&bytes).unwrap();
        assert_eq!(receipt.changes.len(), changes);
        let verified = receipt.verify(&cluster.genesis).unwrap();
        assert_eq!(verified.require_payment(), Ok(()));
    }
    for transaction in &running {
        let receipt = cluster.handle(4).receipt(&transaction.id()).unwrap().unwrap();
        assert!(receipt.verify(&cluster.genesis).is_ok());
    }
    let mut skipping = cluster.handle(0).receipt(&new.id()).unwrap().unwrap();
    skipping.changes.clear();
    let refused = skipping.verify(&cluster.genesis).unwrap_err();
    assert_eq!(refused, Reason::ValidatorSetMismatch);
    cluster.agreed().await;
}
