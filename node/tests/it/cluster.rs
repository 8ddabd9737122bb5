//! Starting, stopping and asking a few nodes.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tallystick_crypto::{PublicKey, SigningKey};
use tallystick_kernel::{
    AccountId, Amount, Codec, CurrencyCode, DurationMs, Reason, Salt, TimeMs, TransactionId,
};
use tallystick_ledger::Rules;
use tallystick_node::{
    NodeConfig, NodeHandle, Preset, Retention, Running, SubmissionOutcome, TransactionStatus, run,
};
use tallystick_proofs::action::Action;
use tallystick_proofs::genesis::{Genesis, GenesisCurrency, Governance, Parameters, ValidatorSet};
use tallystick_proofs::owners::Owners;
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::{Body, Transaction};
use zeroize::Zeroizing;

/// A network of nodes with one currency, whose authority is `bank`.
pub struct Cluster {
    pub genesis: Arc<Genesis>,
    pub bank: SigningKey,
    pub nodes: Vec<Option<Running>>,
    folder: tempfile::TempDir,
    addresses: Vec<SocketAddr>,
    /// By place; a node may know other rules than the rest.
    pub rules: Vec<Rules>,
    salt: AtomicU64,
}

fn seed(place: usize) -> [u8; 32] {
    [place as u8 + 1; 32]
}

/// The key of the validator at a seat.
pub fn public(place: usize) -> PublicKey {
    SigningKey::ed25519_from_seed(&seed(place)).public_key()
}

/// The operators' keys.
pub fn operators() -> [SigningKey; 3] {
    [210, 211, 212].map(|seed| SigningKey::ed25519_from_seed(&[seed; 32]))
}

fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    TimeMs(since.as_millis() as u64)
}

impl Cluster {
    pub fn start(count: usize) -> Cluster {
        Cluster::with_rules(count, Rules::default())
    }

    pub fn with_rules(count: usize, rules: Rules) -> Cluster {
        let mut cluster = Cluster::found(count, 0, None);
        cluster.rules = vec![rules; count];
        (0..count).for_each(|place| cluster.start_node(place));
        cluster
    }

    /// A network of `count` validators with `spare` more seats, of which no node runs yet. When it
    /// is governed the operators are two of three.
    pub fn found(count: usize, spare: usize, governance: Option<Governance>) -> Cluster {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let bank = SigningKey::ed25519_from_seed(&[200; 32]);
        let mut operators: Vec<_> = operators().iter().map(SigningKey::public_key).collect();
        operators.sort_unstable();
        let genesis = Genesis {
            name: "test".to_owned(),
            time: now(),
            validators: ValidatorSet::new((0..count).map(public).collect()).unwrap(),
            accounts: vec![
                Owners::single(bank.public_key()),
                Owners { threshold: 2, keys: operators },
            ],
            currencies: vec![GenesisCurrency { code: eur(), exponent: 2, authority: 0 }],
            parameters: Parameters {
                block_entries_max: 1000,
                idle_interval: DurationMs::seconds(if governance.is_some() { 1 } else { 2 }),
                checkpoint_interval: 8,
                governance,
            },
        };
        let seats = count + spare;
        let held: Vec<TcpListener> =
            (0..seats).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses = held.iter().map(|listener| listener.local_addr().unwrap()).collect();
        drop(held);
        Cluster {
            genesis: Arc::new(genesis),
            bank,
            nodes: (0..seats).map(|_| None).collect(),
            folder: tempfile::tempdir().unwrap(),
            addresses,
            rules: vec![Rules::default(); seats],
            salt: AtomicU64::new(0),
        }
    }

    pub fn start_node(&mut self, place: usize) {
        let peers = self.addresses.iter().enumerate();
        let peers = peers.map(|(peer, address)| (public(peer), *address));
        let config = NodeConfig {
            genesis: Arc::clone(&self.genesis),
            seed: Zeroizing::new(seed(place)),
            folder: self.folder.path().join(format!("node-{place}")),
            listen: self.addresses[place],
            peers: peers.collect(),
            worker_threads: 1,
            rules: self.rules[place],
            retention: Retention::Everything,
            preset: Preset::default(),
            archive: None,
        };
        self.nodes[place] = Some(run(config).unwrap());
    }

    pub fn stop_node(&mut self, place: usize) {
        let running = self.nodes[place].take().unwrap();
        running.handle.shutdown();
        running.join().unwrap();
    }

    pub fn handle(&self, place: usize) -> NodeHandle {
        self.nodes[place].as_ref().unwrap().handle.clone()
    }

    pub async fn ready(&self) {
        for running in self.nodes.iter().flatten() {
            for _ in 0..600 {
                if running.handle.ready().is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(running.handle.ready(), Ok(()));
        }
    }

    pub fn bank_account(&self) -> AccountId {
        self.genesis.accounts().next().unwrap().0
    }

    pub fn sign(&self, account: AccountId, action: Action, key: &SigningKey) -> Transaction {
        self.sign_for(DurationMs::minutes(2), account, action, key)
    }

    /// Signs what is valid for `life` from now on.
    pub fn sign_for(
        &self,
        life: DurationMs,
        account: AccountId,
        action: Action,
        key: &SigningKey,
    ) -> Transaction {
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.salt.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let body = Body {
            network: self.genesis.network(),
            account,
            salt: Salt(salt),
            valid_until: now().after(life),
            action,
        };
        body.sign(&[key])
    }

    /// What some of the operators sign.
    pub fn decide(&self, action: Action, signers: &[usize]) -> Transaction {
        let account = self.genesis.operators().unwrap();
        let unsigned = self.sign(account, action, &self.bank).body;
        let keys = operators();
        let signers: Vec<&SigningKey> = signers.iter().map(|place| &keys[*place]).collect();
        unsigned.sign(&signers)
    }

    /// Waits until a node has executed a height.
    pub async fn reach(&self, place: usize, height: u64) {
        for _ in 0..1200 {
            if self.handle(place).network_status().height >= height {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let status = self.handle(place).network_status();
        panic!("{place} does not reach {height}: {status:?}");
    }

    /// Submits at a node and waits until the result is final and certified there.
    pub async fn settle(&self, place: usize, transaction: &Transaction) -> TransactionResult {
        self.submit(place, transaction).await.unwrap();
        self.result(place, &transaction.id()).await
    }

    pub async fn submit(&self, place: usize, transaction: &Transaction) -> Result<(), Reason> {
        let answers = self.handle(place).submit(0, &[transaction.to_bytes()]).await;
        match answers[0].1 {
            SubmissionOutcome::Refused(reason) => Err(reason),
            _ => Ok(()),
        }
    }

    pub async fn result(&self, place: usize, id: &TransactionId) -> TransactionResult {
        match self.handle(place).wait_final(id, DurationMs::seconds(60)).await {
            TransactionStatus::Final { result, .. } => result,
            other => panic!("{id} is not final at {place}: {other:?}"),
        }
    }

    /// Opens an account for a key and gives it money; gives the two transactions too.
    pub async fn fund(&self, key: &SigningKey, amount: u64) -> (AccountId, [Transaction; 2]) {
        let owners = Owners::single(key.public_key());
        let open = self.sign(AccountId::NONE, Action::AccountOpen { owners }, key);
        assert!(self.settle(0, &open).await.is_success());
        let account = tallystick_proofs::transaction::account_id(&open.id());
        let action = Action::Mint {
            currency: eur(),
            payee: account,
            amount: Amount::new(amount).unwrap(),
            reference: None,
        };
        let mint = self.sign(self.bank_account(), action, &self.bank);
        assert!(self.settle(1 % self.nodes.len(), &mint).await.is_success());
        (account, [open, mint])
    }

    /// Waits until every running node has executed a common height, and gives its header ids.
    pub async fn agreed(&self) -> u64 {
        let running: Vec<NodeHandle> =
            self.nodes.iter().flatten().map(|node| node.handle.clone()).collect();
        let height = running.iter().map(|node| node.network_status().height).max().unwrap();
        for node in &running {
            for _ in 0..600 {
                if node.network_status().height >= height {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let ids: Vec<_> =
            running.iter().map(|node| node.block(height).unwrap().unwrap().0.header.id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "nodes disagree at {height}");
        height
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for running in self.nodes.iter_mut().filter_map(Option::take) {
            running.handle.shutdown();
            let _ = running.join();
        }
    }
}

pub fn eur() -> CurrencyCode {
    CurrencyCode::new("EUR").unwrap()
}
