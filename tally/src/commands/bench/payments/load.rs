//! Signed payments, made in advance, and handing them in as fast as the network takes them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tallystick_crypto::SigningKey;
use tallystick_kernel::{AccountId, Amount, Codec as _, Group, Reason, TransactionId};
use tallystick_node::{NodeHandle, TransactionStatus};
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::owners::Owners;
use tallystick_proofs::transaction::{Transaction, account_id, reserve_id};

use super::network::BenchNetwork;
use crate::failure::Failure;
use crate::source;

/// What is paid.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Payments; each spends one reserve.
    pub payments: usize,
    /// Whether all pay one merchant.
    pub hot: bool,
}

/// How it is handed in.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Payments that are not final at a time, at most.
    pub under_way_max: usize,
    /// Payments a second, at most.
    pub per_second: Option<f64>,
    /// Clients at each node.
    pub clients: usize,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Measured {
    /// From the first submission to the last final payment.
    pub seconds: f64,
    /// From a payment's submission to its execution, in milliseconds, rising.
    pub latencies_ms: Vec<f64>,
    /// Blocks with payments.
    pub blocks: usize,
    /// Submissions that were turned away and repeated.
    pub turned_away: usize,
}

/// Payers with reserves and payees on the ledger, and a signed payment for each reserve.
pub async fn prepare(network: &BenchNetwork, plan: Plan) -> Result<Vec<Transaction>, Failure> {
    let keys: Vec<SigningKey> = (0..PAYERS)
        .map(|_| Ok(SigningKey::ed25519_from_seed(&source::random::<32>()?)))
        .collect::<Result<_, Reason>>()?;
    let opened: Vec<Transaction> = keys
        .iter()
        .map(|key| {
            let owners = Owners::single(key.public_key());
            network.sign(AccountId::NONE, Action::AccountOpen { owners }, key)
        })
        .collect();
    network.settle(&opened).await?;
    let accounts: Vec<AccountId> = opened.iter().map(|open| account_id(&open.id())).collect();
    let bank = network.bank_account()?;
    let one = Amount::new(1)?;
    let minted: Vec<Transaction> = accounts
        .iter()
        .map(|payee| {
            let (currency, amount) = (network.currency, Amount::new(MINTED)?);
            let mint = Action::Mint { currency, payee: *payee, amount, reference: None };
            Ok(network.sign(bank, mint, &network.bank))
        })
        .collect::<Result<_, Reason>>()?;
    network.settle(&minted).await?;
    let opens: Vec<(usize, Transaction)> = (0..plan.payments.div_ceil(RESERVES_AT_ONCE))
        .map(|index| {
            let payer = index % PAYERS;
            let (currency, amounts) = (network.currency, vec![one; RESERVES_AT_ONCE]);
            let open = Action::ReserveOpen { currency, amounts, lock: None, expiry: None };
            (payer, network.sign(accounts[payer], open, &keys[payer]))
        })
        .collect();
    let transactions: Vec<Transaction> = opens.iter().map(|(_, open)| open.clone()).collect();
    network.settle(&transactions).await?;
    let reserves = opens.iter().flat_map(|(payer, open)| {
        let id = open.id();
        (0..RESERVES_AT_ONCE as u64).map(move |index| (*payer, reserve_id(&id, index)))
    });
    let payments = reserves.take(plan.payments).enumerate().map(|(index, (payer, reserve))| {
        let payee = if plan.hot { bank } else { accounts[(index * 7 + 1) % PAYERS] };
        let remit = Action::Remit {
            currency: network.currency,
            lines: vec![Line { payee, amount: one, reference: None }],
            reserves: vec![reserve],
            reopen: Vec::new(),
        };
        network.sign(accounts[payer], remit, &keys[payer])
    });
    Ok(payments.collect())
}

/// Payments on their way.
struct Drive {
    nodes: Vec<NodeHandle>,
    payments: Vec<(TransactionId, Vec<u8>)>,
    load: Load,
    began: Instant,
    /// The next payment that nobody has handed in.
    next: AtomicUsize,
    done: AtomicUsize,
    turned_away: AtomicUsize,
    submitted: Mutex<HashMap<TransactionId, Instant>>,
}

/// Hands in everything, at all nodes in turn, and waits until it is final at the first.
pub async fn drive(
    nodes: &[NodeHandle],
    payments: &[Transaction],
    load: Load,
) -> Result<Measured, Failure> {
    let payments = payments.iter().map(|payment| (payment.id(), payment.to_bytes())).collect();
    let drive = Arc::new(Drive {
        nodes: nodes.to_vec(),
        payments,
        load,
        began: Instant::now(),
        next: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        turned_away: AtomicUsize::new(0),
        submitted: Mutex::default(),
    });
    let follower = tokio::spawn(Arc::clone(&drive).follow());
    let submitters: Vec<_> = (0..nodes.len() * load.clients)
        .map(|client| tokio::spawn(Arc::clone(&drive).submit(client)))
        .collect();
    for submitter in submitters {
        submitter.await.map_err(|_| Reason::Internal)??;
    }
    let (blocks, mut latencies_ms) = follower.await.map_err(|_| Reason::Internal)??;
    let seconds = drive.began.elapsed().as_secs_f64();
    for (id, _) in &drive.payments {
        match nodes[0].status(id) {
            TransactionStatus::Final { result, .. } if result.is_success() => {}
            _ => return Err(Failure::new(Reason::Internal).cause(format!("{id} did not succeed"))),
        }
    }
    latencies_ms.sort_by(f64::total_cmp);
    let turned_away = drive.turned_away.load(Ordering::Relaxed);
    Ok(Measured { seconds, latencies_ms, blocks, turned_away })
}

impl Drive {
    /// Hands in groups at one node until none is left.
    async fn submit(self: Arc<Self>, client: usize) -> Result<(), Failure> {
        loop {
            let from = self.next.fetch_add(GROUP, Ordering::Relaxed);
            let Some(rest) = self.payments.get(from..) else { return Ok(()) };
            let group = &rest[..rest.len().min(GROUP)];
            while from + group.len() > self.done.load(Ordering::Relaxed) + self.load.under_way_max {
                tokio::time::sleep(PAUSE).await;
            }
            if let Some(per_second) = self.load.per_second {
                let due = self.began + Duration::from_secs_f64(from as f64 / per_second);
                tokio::time::sleep_until(due.into()).await;
            }
            {
                let mut submitted = self.submitted.lock().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                submitted.extend(group.iter().map(|(id, _)| (*id, now)));
            }
            let bytes = group.iter().map(|(_, bytes)| bytes.clone()).collect();
            self.hand_in(client, bytes).await?;
        }
    }

    /// Hands in until nothing is turned away for want of room.
    async fn hand_in(&self, client: usize, mut group: Vec<Vec<u8>>) -> Result<(), Failure> {
        let node = &self.nodes[client % self.nodes.len()];
        while !group.is_empty() {
            let answers = node.offer(client as u128, &group).await;
            let mut again = Vec::new();
            for ((_, answer), bytes) in answers.into_iter().zip(group) {
                match answer {
                    Ok(_) => {}
                    Err(reason) if reason.group() == Group::Limits => again.push(bytes),
                    Err(reason) => return Err(reason.into()),
                }
            }
            if !again.is_empty() {
                self.turned_away.fetch_add(again.len(), Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
            group = again;
        }
        Ok(())
    }

    /// Follows the blocks of the first node until every payment is in one: how many blocks, and how
    /// long each payment took.
    async fn follow(self: Arc<Self>) -> Result<(usize, Vec<f64>), Failure> {
        let node = &self.nodes[0];
        let (mut changed, mut height) = (node.watch(), node.network_status().height);
        let (mut blocks, mut latencies_ms) = (0, Vec::with_capacity(self.payments.len()));
        while latencies_ms.len() < self.payments.len() {
            changed.mark_unchanged();
            let found = node.block(height + 1)?.filter(|_| node.network_status().height > height);
            let Some((block, _)) = found else {
                let waited = tokio::time::timeout(STANDSTILL, changed.changed()).await;
                waited
                    .map_err(|_| Failure::new(Reason::Timeout).cause("the network stands still"))?
                    .map_err(|_| Reason::NotReady)?;
                continue;
            };
            height += 1;
            let now = Instant::now();
            let submitted = self.submitted.lock().unwrap_or_else(PoisonError::into_inner);
            let before = latencies_ms.len();
            for entry in &block.entries {
                if let Some(then) = submitted.get(&entry.id) {
                    latencies_ms.push(now.duration_since(*then).as_secs_f64() * 1000.0);
                }
            }
            drop(submitted);
            self.done.store(latencies_ms.len(), Ordering::Relaxed);
            blocks += usize::from(latencies_ms.len() > before);
        }
        Ok((blocks, latencies_ms))
    }
}

const PAYERS: usize = 256;
const MINTED: u64 = 1_000_000_000;
const RESERVES_AT_ONCE: usize = 64;
/// Payments in one submission.
const GROUP: usize = 128;
const PAUSE: Duration = Duration::from_millis(2);
/// Without a change for so long, nothing will change any more.
const STANDSTILL: Duration = Duration::from_secs(30);
