//! Payments that name one reserve are handed in at every node at once, again and again: the chain
//! goes on as if each were alone.

use tallystick_crypto::SigningKey;
use tallystick_kernel::{AccountId, Amount, Codec, DurationMs, ReserveId, TransactionId};
use tallystick_node::TransactionStatus;
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::transaction::{Transaction, reserve_id};

use crate::cluster::{Cluster, eur};

const NODES: usize = 4;
const ROUNDS: usize = 30;
/// Reserves that all nodes are asked to spend, in each round.
const CONTESTED: usize = 3;
const LIFE: DurationMs = DurationMs::seconds(30);

/// What is handed in together: at each node its own payment of each contested reserve, and one of a
/// reserve that nobody else names.
struct Round {
    /// By reserve, then by node.
    rivals: Vec<[TransactionId; NODES]>,
    /// By node.
    alone: [TransactionId; NODES],
}

struct Payer {
    cluster: Cluster,
    key: SigningKey,
    account: AccountId,
    reserves: Vec<ReserveId>,
}

impl Payer {
    async fn new(reserves: usize) -> Payer {
        let cluster = Cluster::start(NODES);
        cluster.ready().await;
        let key = SigningKey::ed25519_from_seed(&[80; 32]);
        let account = cluster.fund(&key, 1_000_000).await.0;
        let mut payer = Payer { cluster, key, account, reserves: Vec::new() };
        while payer.reserves.len() < reserves {
            let amounts = vec![Amount::new(5).unwrap(); 64];
            let open = Action::ReserveOpen { currency: eur(), amounts, lock: None, expiry: None };
            let open = payer.cluster.sign(account, open, &payer.key);
            assert!(payer.cluster.settle(0, &open).await.is_success());
            payer.reserves.extend((0..64).map(|index| reserve_id(&open.id(), index)));
        }
        payer
    }

    fn pay(&self, reserve: ReserveId) -> Transaction {
        let line = Line { payee: self.account, amount: Amount::new(5).unwrap(), reference: None };
        let remit = Action::Remit {
            currency: eur(),
            lines: vec![line],
            reserves: vec![reserve],
            reopen: Vec::new(),
        };
        self.cluster.sign_for(LIFE, self.account, remit, &self.key)
    }

    /// Hands one round in at all nodes at once.
    async fn round(&mut self) -> Round {
        let mut at: [Vec<Transaction>; NODES] = Default::default();
        let contested = self.reserves.split_off(self.reserves.len() - CONTESTED);
        let rivals = contested.iter().map(|reserve| {
            std::array::from_fn(|node| {
                at[node].push(self.pay(*reserve));
                at[node].last().unwrap().id()
            })
        });
        let rivals = rivals.collect();
        let alone = std::array::from_fn(|node| {
            at[node].push(self.pay(self.reserves[self.reserves.len() - 1 - node]));
            at[node].last().unwrap().id()
        });
        self.reserves.truncate(self.reserves.len() - NODES);
        let offers = at.iter().enumerate().map(|(node, payments)| {
            let handle = self.cluster.handle(node);
            let bytes: Vec<Vec<u8>> = payments.iter().map(Codec::to_bytes).collect();
            async move { handle.offer(1, &bytes).await }
        });
        for (id, answer) in futures::future::join_all(offers).await.into_iter().flatten() {
            // Where the others were quicker a rival is refused at once.
            assert!(answer.is_ok() || id.is_some());
        }
        Round { rivals, alone }
    }

    async fn height(&self, id: &TransactionId) -> u64 {
        let result = self.cluster.result(0, id).await;
        assert!(result.is_success());
        result.height
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicting_payments_at_every_node_do_not_delay_the_chain_beyond_one_block() {
    let mut payer = Payer::new(ROUNDS * (CONTESTED + NODES)).await;
    let from = payer.cluster.agreed().await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(payer.round().await);
    }
    let mut last = 0;
    for round in &rounds {
        let mut heights = Vec::new();
        for id in &round.alone {
            heights.push(payer.height(id).await);
        }
        let alone = heights.into_iter().max().unwrap();
        last = last.max(alone);
        for rivals in &round.rivals {
            let of = |id: &TransactionId| payer.cluster.handle(0).status(id);
            payer.cluster.reach(0, alone + 1).await;
            let paid: Vec<u64> = rivals
                .iter()
                .filter_map(|id| match of(id) {
                    TransactionStatus::Final { result, .. } => Some((result, id)),
                    _ => None,
                })
                .map(|(result, id)| {
                    assert!(result.is_success(), "{id} is in a block without its claim");
                    result.height
                })
                .collect();
            assert_eq!(paid.len(), 1, "one of the rivals pays, no later than those without any");
            assert!(paid[0] <= alone + 1);
        }
    }
    assert_views(&payer.cluster, from, last);
    payer.cluster.agreed().await;
}

/// No two views in a row were lost.
fn assert_views(cluster: &Cluster, from: u64, to: u64) {
    for height in from..=to {
        let (_, certificate) = cluster.handle(0).block(height).unwrap().unwrap();
        if let Some(certificate) = certificate {
            let views = certificate.view - certificate.parent_view;
            assert!(views <= 2, "{} views without a block before {height}", views - 1);
        }
    }
}
