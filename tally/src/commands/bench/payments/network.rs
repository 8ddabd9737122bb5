//! A network of nodes inside this process, with durable storage in a folder.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tallystick_crypto::{PublicKey, SigningKey};
use tallystick_kernel::{
    AccountId, Codec as _, CurrencyCode, DurationMs, Reason, Salt, TransactionId,
};
use tallystick_ledger::Rules;
use tallystick_node::measured::Gate;
use tallystick_node::{NodeConfig, NodeHandle, Preset, Retention, Running, TransactionStatus};
use tallystick_proofs::action::Action;
use tallystick_proofs::genesis::{Genesis, GenesisCurrency, Parameters, ValidatorSet};
use tallystick_proofs::owners::Owners;
use tallystick_proofs::transaction::{Body, Transaction};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::source;

/// The nodes, and who may make money there.
pub struct BenchNetwork {
    nodes: Vec<Running>,
    /// In the order of the nodes.
    keys: Vec<PublicKey>,
    /// The genesis file.
    pub genesis: Arc<Genesis>,
    /// The authority of the currency.
    pub bank: SigningKey,
    /// The currency.
    pub currency: CurrencyCode,
    salt: AtomicU64,
}

impl BenchNetwork {
    /// Starts `count` nodes with storage in `folder` and waits until they are ready.
    pub async fn start(
        count: usize,
        folder: &Path,
        preset: Preset,
    ) -> Result<BenchNetwork, Failure> {
        BenchNetwork::start_measured(count, folder, preset, None).await
    }

    /// The same, with a gate before the nodes' proposals.
    pub async fn start_measured(
        count: usize,
        folder: &Path,
        preset: Preset,
        gate: Option<&Arc<Gate>>,
    ) -> Result<BenchNetwork, Failure> {
        let currency = CurrencyCode::new("EUR")?;
        let seeds: Vec<Zeroizing<[u8; 32]>> =
            (0..count).map(|_| source::random().map(Zeroizing::new)).collect::<Result<_, _>>()?;
        let bank = SigningKey::ed25519_from_seed(&Zeroizing::new(source::random::<32>()?));
        let keys: Vec<PublicKey> =
            seeds.iter().map(|seed| SigningKey::ed25519_from_seed(seed).public_key()).collect();
        let genesis = Arc::new(Genesis {
            name: "bench".to_owned(),
            time: source::now().before(IDLE_INTERVAL),
            validators: ValidatorSet::new(keys.clone())?,
            accounts: vec![Owners::single(bank.public_key())],
            currencies: vec![GenesisCurrency { code: currency, exponent: 2, authority: 0 }],
            parameters: Parameters {
                block_entries_max: BLOCK_ENTRIES_MAX,
                idle_interval: IDLE_INTERVAL,
                checkpoint_interval: 64,
                governance: None,
            },
        });
        let addresses = free_addresses(count)?;
        let peers: Vec<_> = keys.iter().copied().zip(addresses.iter().copied()).collect();
        let mut nodes = Vec::new();
        for (place, seed) in seeds.into_iter().enumerate() {
            let config = NodeConfig {
                genesis: Arc::clone(&genesis),
                seed,
                folder: folder.join(format!("node-{place}")),
                listen: addresses[place],
                peers: peers.clone(),
                worker_threads: 2,
                rules: Rules::default(),
                retention: Retention::Everything,
                preset,
                archive: None,
            };
            nodes.push(match gate {
                None => tallystick_node::run(config)?,
                Some(gate) => tallystick_node::run_measured(config, Arc::clone(gate))?,
            });
        }
        let network =
            BenchNetwork { nodes, keys, genesis, bank, currency, salt: AtomicU64::new(0) };
        network.until_ready().await?;
        Ok(network)
    }

    async fn until_ready(&self) -> Result<(), Failure> {
        for node in self.handles() {
            let mut tries = 0;
            while node.ready().is_err() {
                tries += 1;
                if tries > 600 {
                    return Err(Failure::new(Reason::NotReady).cause("the nodes did not agree"));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// All nodes.
    pub fn handles(&self) -> Vec<NodeHandle> {
        self.nodes.iter().map(|node| node.handle.clone()).collect()
    }

    /// The node with this key.
    pub fn node_of(&self, key: &PublicKey) -> Option<NodeHandle> {
        let place = self.keys.iter().position(|known| known == key)?;
        Some(self.nodes.get(place)?.handle.clone())
    }

    /// Stops the last nodes, so many.
    pub fn stop_some(&mut self, count: usize) -> Result<(), Failure> {
        for node in self.nodes.split_off(self.nodes.len().saturating_sub(count).max(1)) {
            node.handle.shutdown();
            node.join()?;
        }
        Ok(())
    }

    /// Bytes that all running nodes have sent to each other: for agreement, and in all.
    pub fn sent_bytes(&self) -> (u64, u64) {
        let sent = self.nodes.iter().flat_map(|node| node.handle.sent_bytes());
        sent.fold((0, 0), |(agreement, all), (channel, bytes)| {
            let own = if channel == "gossip" { 0 } else { bytes };
            (agreement + own, all + bytes)
        })
    }

    /// The bank's account.
    pub fn bank_account(&self) -> Result<AccountId, Reason> {
        self.genesis.accounts().next().map(|(id, _)| id).ok_or(Reason::AccountUnknown)
    }

    /// Signs an action for as long as transactions may live.
    pub fn sign(&self, account: AccountId, action: Action, key: &SigningKey) -> Transaction {
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.salt.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let (network, valid_until) = (self.genesis.network(), source::now().after(LIFE));
        Body { network, account, salt: Salt(salt), valid_until, action }.sign(&[key])
    }

    /// Submits to the first node, a few at a time, and waits until every one has succeeded.
    pub async fn settle(&self, transactions: &[Transaction]) -> Result<(), Failure> {
        let node = &self.nodes[0].handle;
        for group in transactions.chunks(SETTLED_AT_ONCE) {
            let bytes: Vec<Vec<u8>> = group.iter().map(|one| one.to_bytes()).collect();
            for (_, answer) in node.offer(0, &bytes).await {
                answer?;
            }
            for one in group {
                succeeded(node, &one.id()).await?;
            }
        }
        Ok(())
    }

    /// Stops every node.
    pub fn stop(self) -> Result<(), Failure> {
        self.nodes.iter().for_each(|node| node.handle.shutdown());
        for node in self.nodes {
            node.join()?;
        }
        Ok(())
    }
}

/// Waits until a transaction is final; fails unless it has succeeded.
async fn succeeded(node: &NodeHandle, id: &TransactionId) -> Result<(), Failure> {
    match node.wait_final(id, FINAL_WITHIN).await {
        TransactionStatus::Final { result, .. } if result.is_success() => Ok(()),
        TransactionStatus::Final { result, .. } => {
            Err(Failure::new(result.failure.unwrap_or(Reason::Internal)))
        }
        _ => Err(Failure::new(Reason::Timeout).cause(format!("{id} did not become final"))),
    }
}

fn free_addresses(count: usize) -> Result<Vec<SocketAddr>, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(Reason::AddressInUse).cause(error.to_string());
    // All are held until all are known, so that none is given twice.
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    held.iter().map(TcpListener::local_addr).collect::<Result<_, _>>().map_err(failed)
}

const BLOCK_ENTRIES_MAX: u64 = 4096;
const IDLE_INTERVAL: DurationMs = DurationMs::seconds(2);
const LIFE: DurationMs = DurationMs::minutes(9);
const FINAL_WITHIN: DurationMs = DurationMs::seconds(60);
/// Fewer than one account may have waiting.
const SETTLED_AT_ONCE: usize = 32;
