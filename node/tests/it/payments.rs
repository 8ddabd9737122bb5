//! A thousand payments over four real nodes, a tenth of them naming a reserve that another payment
//! names at another node at the same time, compared with the independent model.

use std::collections::{BTreeMap, BTreeSet};

use tallystick_crypto::SigningKey;
use tallystick_kernel::hash::sha256;
use tallystick_kernel::{AccountId, Amount, DurationMs, Reason, ReserveId, TransactionId};
use tallystick_ledger::Rules;
use tallystick_model::Model;
use tallystick_node::TransactionStatus;
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::header::Entry;
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::{Transaction, reserve_id};

use crate::cluster::{Cluster, eur};

const NODES: usize = 4;
const PAYERS: usize = 8;
const RESERVES: usize = 120;
const PAYMENTS: usize = 1_000;
/// Payments that are under way at the same time.
const AT_ONCE: usize = 50;
/// Every so many payments have a rival.
const RIVAL_EVERY: usize = 10;
/// How long a payment is valid, so that the losers of a race end within the test.
const LIFE: DurationMs = DurationMs::seconds(20);

const ENDED_WITHIN: DurationMs = DurationMs::seconds(40);

/// Reasons for which a transaction in a block may never fail: its claim was not there.
const CLAIM_FAILURES: [Reason; 4] =
    [Reason::ReserveUnknown, Reason::ReserveNotOwned, Reason::ClaimTaken, Reason::AlreadyExecuted];

/// Numbers that follow from a seed, so that a failure can be had again.
struct Draw {
    seed: [u8; 32],
}

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.seed = sha256(&self.seed);
        u32::from_be_bytes(self.seed[..4].try_into().unwrap()) as usize % limit
    }
}

struct Payer {
    key: SigningKey,
    account: AccountId,
    /// Unspent, with nothing in flight.
    reserves: Vec<(ReserveId, u64)>,
}

/// A payment and where it is handed in; rivals share a reserve.
struct Attempt {
    node: usize,
    transaction: Transaction,
    /// What the payer gets back as reserves if this one wins.
    reopened: Vec<u64>,
    payer: usize,
}

struct World {
    cluster: Cluster,
    draw: Draw,
    payers: Vec<Payer>,
    /// Every transaction that was ever made, to feed the model.
    made: BTreeMap<TransactionId, Transaction>,
}

fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

impl World {
    async fn new(rules: Rules, seed: [u8; 32]) -> World {
        let cluster = Cluster::with_rules(NODES, rules);
        cluster.ready().await;
        let mut world =
            World { cluster, draw: Draw { seed }, payers: Vec::new(), made: BTreeMap::new() };
        for place in 0..PAYERS {
            let key = SigningKey::ed25519_from_seed(&[100 + place as u8; 32]);
            let (account, transactions) = world.cluster.fund(&key, 1_000_000).await;
            transactions.into_iter().for_each(|transaction| world.note(transaction));
            let mut reserves = Vec::new();
            for _ in 0..RESERVES / 60 {
                let sizes: Vec<u64> = (0..60).map(|_| 10 + world.draw.below(500) as u64).collect();
                let open = Action::ReserveOpen {
                    currency: eur(),
                    amounts: sizes.iter().copied().map(amount).collect(),
                    lock: None,
                    expiry: None,
                };
                let open = world.cluster.sign(account, open, &key);
                assert!(world.cluster.settle(place % NODES, &open).await.is_success());
                let ids = (0..).map(|index| reserve_id(&open.id(), index));
                reserves.extend(ids.zip(sizes));
                world.note(open);
            }
            world.payers.push(Payer { key, account, reserves });
        }
        world
    }

    fn note(&mut self, transaction: Transaction) {
        self.made.insert(transaction.id(), transaction);
    }

    /// One payment from reserves that nothing else uses, or two that share all of them.
    fn draw_payments(&mut self, count: usize) -> Vec<Attempt> {
        let payer = self.draw.below(PAYERS);
        let mut reserves = Vec::new();
        for _ in 0..=self.draw.below(2) {
            let there = self.payers[payer].reserves.len();
            if there > 0 {
                let place = self.draw.below(there);
                reserves.push(self.payers[payer].reserves.swap_remove(place));
            }
        }
        if reserves.is_empty() {
            return Vec::new();
        }
        let node = self.draw.below(NODES);
        let attempts: Vec<Attempt> = (0..count)
            .map(|rival| self.attempt(payer, &reserves, (node + rival) % NODES))
            .collect();
        attempts.iter().for_each(|attempt| self.note(attempt.transaction.clone()));
        attempts
    }

    fn attempt(&mut self, payer: usize, reserves: &[(ReserveId, u64)], node: usize) -> Attempt {
        let sum: u64 = reserves.iter().map(|(_, minor)| minor).sum();
        let paid = 1 + self.draw.below(sum as usize) as u64;
        let payee = self.payers[self.draw.below(PAYERS)].account;
        let change = sum - paid;
        let reopened = match self.draw.below(3) {
            0 => Vec::new(),
            1 if change > 1 => vec![change / 2],
            _ if change > 2 => vec![change / 3, change - change / 3],
            _ => Vec::new(),
        };
        // Some give their reserve back instead of paying.
        let closes = reserves.len() == 1 && self.draw.below(20) == 0;
        let action = Action::Remit {
            currency: eur(),
            lines: vec![Line { payee, amount: amount(paid), reference: None }],
            reserves: reserves.iter().map(|(id, _)| *id).collect(),
            reopen: reopened.iter().copied().map(amount).collect(),
        };
        let action = match closes {
            true => Action::ReserveClose { reserves: vec![reserves[0].0] },
            false => action,
        };
        let Payer { key, account, .. } = &self.payers[payer];
        let transaction = self.cluster.sign_for(LIFE, *account, action, key);
        let reopened = if closes { Vec::new() } else { reopened };
        Attempt { node, transaction, reopened, payer }
    }

    /// Hands in all at once, and gives those that some node took.
    async fn hand_in(&self, attempts: Vec<Attempt>) -> Vec<Attempt> {
        let cluster = &self.cluster;
        let answers = futures::future::join_all(
            attempts.iter().map(|attempt| cluster.submit(attempt.node, &attempt.transaction)),
        )
        .await;
        let taken =
            attempts.into_iter().zip(answers).filter_map(|(attempt, answer)| match answer {
                Ok(()) => Some(attempt),
                Err(Reason::ClaimTaken | Reason::ReserveUnknown) => None,
                Err(reason) => panic!("refused: {reason:?}"),
            });
        taken.collect()
    }

    /// Pays until the number is reached; gives everything that was taken.
    async fn pay(&mut self, payments: usize) -> Vec<(TransactionId, TransactionStatus)> {
        let mut ends = Vec::new();
        let mut drawn = 0;
        while drawn < payments {
            let mut attempts = Vec::new();
            while drawn < payments && attempts.len() < AT_ONCE {
                drawn += 1;
                let rivals = if drawn.is_multiple_of(RIVAL_EVERY) { 2 } else { 1 };
                attempts.extend(self.draw_payments(rivals));
            }
            let mut open = self.hand_in(attempts).await;
            let cluster = &self.cluster;
            let ended = futures::future::join_all(open.drain(..).map(async |attempt: Attempt| {
                let handle = cluster.handle(attempt.node);
                let limit = DurationMs(600);
                (handle.wait_final(&attempt.transaction.id(), limit).await, attempt)
            }))
            .await;
            for (status, attempt) in ended {
                let id = attempt.transaction.id();
                if let TransactionStatus::Final { result, .. } = status
                    && result.is_success()
                {
                    let ids = (0..).map(|index| reserve_id(&id, index));
                    self.payers[attempt.payer].reserves.extend(ids.zip(attempt.reopened));
                }
                ends.push((id, status));
            }
        }
        ends
    }
}

/// Everything that the four nodes must agree on, with each other and with the model.
async fn check_agreement(
    world: &World,
) -> Result<BTreeMap<TransactionId, TransactionResult>, String> {
    let height = world.cluster.agreed().await;
    let mut model = Model::new(&world.cluster.genesis);
    let mut results = BTreeMap::new();
    for at in 1..=height {
        let blocks: Vec<_> = (0..NODES)
            .map(|node| world.cluster.handle(node).block(at).unwrap().unwrap().0)
            .collect();
        let ids: BTreeSet<_> = blocks.iter().map(|block| block.header.id()).collect();
        if ids.len() != 1 {
            return Err(format!("the nodes differ at height {at}"));
        }
        let listed: Vec<(Entry, &Transaction)> =
            blocks[0].entries.iter().map(|entry| (*entry, &world.made[&entry.id])).collect();
        for result in model.apply_block(&blocks[0].header, &listed) {
            results.insert(result.id, result);
        }
    }
    for (id, expected) in &results {
        for node in 0..NODES {
            match world.cluster.handle(node).status(id) {
                TransactionStatus::Final { result, .. } if result == *expected => {}
                other => return Err(format!("{id} at node {node}: {other:?}, not {expected:?}")),
            }
        }
    }
    let (balances, reserves) = (model.balances(), model.reserves());
    for node in 0..NODES {
        let handle = world.cluster.handle(node);
        for payer in &world.payers {
            let (_, shown) = handle.account(&payer.account).unwrap();
            let free: u64 = shown.iter().map(|balance| balance.free.minor()).sum();
            let expected = balances.get(&(payer.account, eur())).copied().unwrap_or(0);
            if free != expected {
                return Err(format!("node {node} has {free}, the model {expected}"));
            }
            let held = handle.reserves(&payer.account, None, usize::MAX);
            let held: BTreeMap<_, _> =
                held.into_iter().map(|(id, reserve)| (id, reserve.amount.minor())).collect();
            let own = reserves.iter().filter(|(_, view)| view.account == payer.account);
            let expected: BTreeMap<_, _> = own.map(|(id, view)| (*id, view.minor)).collect();
            if held != expected {
                return Err(format!("the reserves at node {node} differ from the model's"));
            }
        }
    }
    Ok(results)
}

/// The property: one history, one winner of every race, no claim that was gone, nothing lost.
async fn payments_hold(rules: Rules, payments: usize, seed: [u8; 32]) -> Result<usize, String> {
    let mut world = World::new(rules, seed).await;
    let ends = world.pay(payments).await;
    for (id, status) in &ends {
        let ended = world.cluster.handle(0).wait_final(id, ENDED_WITHIN).await;
        match ended {
            TransactionStatus::Final { .. } | TransactionStatus::Expired => {}
            other => return Err(format!("{id} was taken ({status:?}) and never ended: {other:?}")),
        }
    }
    let results = check_agreement(&world).await?;
    let mut spent = BTreeMap::new();
    for result in results.values() {
        if result.failure.is_some_and(|reason| CLAIM_FAILURES.contains(&reason)) {
            return Err(format!("a voted transaction's claim was gone: {result:?}"));
        }
        if !result.is_success() {
            continue;
        }
        if let Action::Remit { reserves, .. } | Action::ReserveClose { reserves } =
            &world.made[&result.id].body.action
        {
            for reserve in reserves {
                if let Some(other) = spent.insert(*reserve, result.id) {
                    return Err(format!("{reserve} was spent by {other} and by {}", result.id));
                }
            }
        }
    }
    Ok(results.len())
}

fn random_seed() -> [u8; 32] {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    sha256(&now.as_nanos().to_be_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_payments_over_four_nodes_agree_with_the_model() {
    let seed = random_seed();
    let done = payments_hold(Rules::default(), PAYMENTS, seed).await;
    match done {
        Ok(results) => assert!(results >= PAYMENTS, "only {results} results"),
        Err(what) => panic!("{what} (seed {seed:?})"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_payments_break_the_property_when_claims_are_not_checked() {
    for _ in 0..5 {
        let broken =
            payments_hold(Rules { claims: false, ..Rules::default() }, PAYMENTS / 5, random_seed())
                .await;
        if let Err(what) = broken {
            assert!(what.contains("claim was gone"), "{what}");
            return;
        }
    }
    panic!("five networks without claims never ordered a payment whose reserve was spent");
}
