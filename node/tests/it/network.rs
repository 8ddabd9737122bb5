//! What a network of four promises: one history, one winner, nothing lost.

use tallystick_crypto::SigningKey;
use tallystick_kernel::{Amount, Codec, Reason};
use tallystick_node::Balance;
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::receipt::Receipt;
use tallystick_proofs::transaction::reserve_id;

use crate::cluster::{Cluster, eur};

fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_final_on_all_nodes_and_its_receipt_verifies_from_the_genesis_file_alone() {
    let cluster = Cluster::start(4);
    cluster.ready().await;
    let alice = SigningKey::ed25519_from_seed(&[70; 32]);
    let bob = SigningKey::ed25519_from_seed(&[71; 32]);
    let (payer, payee) = (cluster.fund(&alice, 1000).await.0, cluster.fund(&bob, 1).await.0);
    let open = Action::ReserveOpen {
        currency: eur(),
        amounts: vec![amount(300), amount(200)],
        lock: None,
        expiry: None,
    };
    let open = cluster.sign(payer, open, &alice);
    assert!(cluster.settle(2, &open).await.is_success());
    let remit = Action::Remit {
        currency: eur(),
        lines: vec![Line { payee, amount: amount(250), reference: None }],
        reserves: vec![reserve_id(&open.id(), 0)],
        reopen: vec![],
    };
    let remit = cluster.sign(payer, remit, &alice);
    assert!(cluster.settle(3, &remit).await.is_success());
    for place in 0..4 {
        assert!(cluster.result(place, &remit.id()).await.is_success());
        let bytes = cluster.handle(place).receipt(&remit.id()).unwrap().unwrap().to_bytes();
        let verified = Receipt::read(&bytes).unwrap().verify(&cluster.genesis).unwrap();
        assert_eq!(verified.require_payment(), Ok(()));
        let (_, balances) = cluster.handle(place).account(&payee).unwrap();
        let expected = Balance { currency: eur(), free: amount(251), reserved: Amount::ZERO };
        assert_eq!(balances, vec![expected]);
    }
    cluster.agreed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_payments_that_name_one_reserve_at_two_nodes_exactly_one_wins_and_the_chain_goes_on()
{
    let cluster = Cluster::start(4);
    cluster.ready().await;
    let alice = SigningKey::ed25519_from_seed(&[70; 32]);
    let payer = cluster.fund(&alice, 1000).await.0;
    let open = Action::ReserveOpen {
        currency: eur(),
        amounts: vec![amount(100); 8],
        lock: None,
        expiry: None,
    };
    let open = cluster.sign(payer, open, &alice);
    assert!(cluster.settle(0, &open).await.is_success());
    for place in 0..4 {
        cluster.result(place, &open.id()).await;
    }
    for index in 0..8 {
        let rivals: Vec<_> = (0..2)
            .map(|rival| {
                let action = Action::Remit {
                    currency: eur(),
                    lines: vec![Line { payee: payer, amount: amount(10 + rival), reference: None }],
                    reserves: vec![reserve_id(&open.id(), index)],
                    reopen: vec![],
                };
                cluster.sign(payer, action, &alice)
            })
            .collect();
        let (one, two) = tokio::join!(cluster.submit(0, &rivals[0]), cluster.submit(2, &rivals[1]));
        let accepted: Vec<_> = [(0, one, &rivals[0]), (2, two, &rivals[1])]
            .into_iter()
            .filter(|r| r.1.is_ok())
            .collect();
        assert!(!accepted.is_empty(), "one of them is taken at least");
        let mut wins = 0;
        for rival in &rivals {
            let status = cluster.handle(1);
            let ended = status.wait_final(&rival.id(), tallystick_kernel::DurationMs(1500)).await;
            if let tallystick_node::TransactionStatus::Final { result, .. } = ended {
                wins += usize::from(result.is_success());
            }
        }
        assert_eq!(wins, 1);
    }
    cluster.agreed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_catches_up_and_all_nodes_resume_after_a_stop() {
    let mut cluster = Cluster::start(4);
    cluster.ready().await;
    let alice = SigningKey::ed25519_from_seed(&[70; 32]);
    let payer = cluster.fund(&alice, 1000).await.0;
    cluster.stop_node(3);
    for _ in 0..5 {
        let lines = vec![Line { payee: payer, amount: amount(1), reference: None }];
        let transfer = Action::Transfer { currency: eur(), lines };
        assert!(cluster.settle(0, &cluster.sign(payer, transfer, &alice)).await.is_success());
    }
    cluster.start_node(3);
    cluster.agreed().await;
    for place in 0..4 {
        cluster.stop_node(place);
    }
    for place in 0..4 {
        cluster.start_node(place);
    }
    cluster.ready().await;
    let lines = vec![Line { payee: payer, amount: amount(2), reference: None }];
    let transfer = cluster.sign(payer, Action::Transfer { currency: eur(), lines }, &alice);
    assert!(cluster.settle(2, &transfer).await.is_success());
    cluster.agreed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_executed_is_refused_and_leaves_no_trace() {
    let cluster = Cluster::start(1);
    cluster.ready().await;
    let alice = SigningKey::ed25519_from_seed(&[70; 32]);
    let payer = cluster.fund(&alice, 10).await.0;
    let lines = vec![Line { payee: payer, amount: amount(11), reference: None }];
    let transfer = Action::Transfer { currency: eur(), lines };
    let over = cluster.sign(payer, transfer.clone(), &alice);
    assert_eq!(cluster.submit(0, &over).await, Err(Reason::InsufficientFunds));
    let stolen = cluster.sign(payer, transfer, &SigningKey::ed25519_from_seed(&[9; 32]));
    assert_eq!(cluster.submit(0, &stolen).await, Err(Reason::NotOwner));
    let status = cluster.handle(0).status(&over.id());
    assert_eq!(status, tallystick_node::TransactionStatus::Unknown);
}
