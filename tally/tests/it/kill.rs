//! Processes killed at random instants: nothing that was acknowledged is lost, nothing is paid
//! twice, and no hold stays behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tallystick_api::NodeClient;
use tallystick_api::issuer::Progress;
use tallystick_api::node::{Reception, TransactionState};
use tallystick_kernel::{Codec as _, DurationMs, TransactionId};
use tallystick_proofs::transaction::Transaction;
use tallystick_store::{Kind, Store};
use tallystick_tally::source;

use crate::bank::Bank;
use crate::network::Network;
use crate::world::{World, charge_request};

const KILLS: usize = 20;
const FINAL_WITHIN: DurationMs = DurationMs::seconds(60);

/// The roles of a network, each a process of this test's own.
struct Roles {
    folder: PathBuf,
    running: Vec<(String, Child)>,
}

impl Roles {
    /// Founds a network with `up`, stops that, and runs the roles by themselves.
    async fn found(folder: &Path) -> Roles {
        drop(Network::up(folder, &["--listen", "127.0.0.1:0"]));
        let mut roles = Roles { folder: folder.to_owned(), running: Vec::new() };
        for role in ["node-0", "node-1", "node-2", "node-3", "issuer", "provisioner", "merchant"] {
            roles.start(role);
        }
        roles.ready().await;
        roles
    }

    fn start(&mut self, role: &str) {
        let config = self.folder.join(role).join("config.toml");
        let log = self.folder.join(format!("{role}.log"));
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tally"))
            .arg(role.split('-').next().unwrap())
            .arg("--config")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running.push((role.to_owned(), child));
    }

    /// Ends a role at once, without a warning.
    fn kill(&mut self, role: &str) {
        let place = self.running.iter().position(|(name, _)| name == role).unwrap();
        let (_, mut child) = self.running.swap_remove(place);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    async fn ready(&self) {
        for (role, _) in &self.running {
            let config = std::fs::read_to_string(self.folder.join(role).join("config.toml"));
            let config: toml::Table = config.unwrap().parse().unwrap();
            let url = format!("http://{}", config["listen"].as_str().unwrap());
            let client = tallystick_api::Client::new(&url).unwrap().with_attempts(1);
            let end = std::time::Instant::now() + Duration::from_secs(90);
            while client.get_bytes("/readyz", "text/plain").await.is_err() {
                assert!(std::time::Instant::now() < end, "{role} is not ready");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

impl Drop for Roles {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A random instant within so many milliseconds.
async fn pause(below_ms: u64) {
    let random = u64::from_be_bytes(source::random().unwrap());
    tokio::time::sleep(Duration::from_millis(random % below_ms)).await;
}

/// Submits at one node until told to stop; logs what was acknowledged.
async fn submit(node: NodeClient, transactions: Vec<Transaction>) -> Vec<TransactionId> {
    let mut logged = Vec::new();
    for transaction in transactions {
        let answer = node.submit(vec![transaction.to_bytes()]).await;
        let outcome = answer.ok().and_then(|mut answer| answer.submissions.pop());
        if outcome.is_some_and(|one| one.outcome != Reception::Refused) {
            logged.push(transaction.id());
        }
    }
    logged
}

/// Kills some nodes at random instants while all of them are given transactions.
async fn nodes_are_killed(victims: impl Fn(usize) -> Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let mut roles = Roles::found(folder.path()).await;
    let bank = Bank::open(folder.path());
    let nodes = World::of(folder.path()).each_node();
    let mut logged = Vec::new();
    for kill in 0..KILLS {
        let tasks: Vec<_> = nodes
            .iter()
            .map(|node| {
                let transactions = (0..5).map(|_| bank.transaction()).collect();
                let node = node.clone().with_deadline(DurationMs::seconds(4));
                tokio::spawn(submit(node, transactions))
            })
            .collect();
        pause(150).await;
        let names: Vec<String> =
            victims(kill).iter().map(|victim| format!("node-{victim}")).collect();
        names.iter().for_each(|name| roles.kill(name));
        names.iter().for_each(|name| roles.start(name));
        for task in tasks {
            logged.extend(task.await.unwrap());
        }
    }
    roles.ready().await;
    assert!(logged.len() > KILLS, "only {} were acknowledged", logged.len());
    let mut results = std::collections::BTreeSet::new();
    for id in &logged {
        let mut ends = Vec::new();
        for node in &nodes {
            let status = node.wait_final(id, FINAL_WITHIN).await.unwrap();
            assert_eq!(status.state, TransactionState::Final, "{id}");
            let result = status.result.unwrap();
            ends.push((result.height, result.index, result.success, result.code));
        }
        assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{id}: {ends:?}");
        assert!(results.insert((ends[0].0, ends[0].1)), "two ids have one place");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nodes_acknowledged_ends_in_one_result_though_one_is_killed_twenty_times() {
    nodes_are_killed(|kill| vec![kill % 4]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nodes_acknowledged_ends_in_one_result_though_all_are_killed_twenty_times() {
    nodes_are_killed(|_| vec![0, 1, 2, 3]).await;
}

/// Charges twenty times, kills a role at a random instant after each charge was acknowledged, and
/// starts it again.
async fn party_is_killed(role: &str, within_ms: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut roles = Roles::found(folder.path()).await;
    let world = World::of(folder.path());
    world.onboard(&["1.00"; KILLS + 5]);
    let mut logged = Vec::new();
    for _ in 0..KILLS {
        let key = source::idempotency_key().unwrap();
        let code = world.code(|_| {});
        let charge = world.till().charge(&charge_request(&code, 80), &key).await.unwrap();
        logged.push(charge.id);
        pause(within_ms).await;
        roles.kill(role);
        roles.start(role);
        roles.ready().await;
    }
    let mut transactions = std::collections::BTreeSet::new();
    for id in &logged {
        let ended = world.till().charge_status(id, FINAL_WITHIN).await.unwrap();
        assert_eq!(ended.state, Progress::Settled, "{ended:?}");
        assert!(transactions.insert(ended.transaction.unwrap()));
        assert!(!world.till().receipt(id).await.unwrap().is_empty());
    }
    let paid = 80 * KILLS as u64;
    let reserved = 100 * (KILLS as u64 + 5);
    assert_eq!(world.money().await, (10_000 - reserved, reserved - paid, paid));
    let issuer = format!("sqlite:{}", folder.path().join("issuer/party.db").display());
    let store = Store::open(&issuer, "issuer").await.unwrap();
    assert_eq!(store.list(Kind("hold"), None, 100).await.unwrap(), []);
    assert_eq!(store.next_due("settle").await.unwrap(), None);
    assert_eq!(store.list(Kind("authorization"), None, 100).await.unwrap().len(), KILLS);
    store.audit_verify().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_killed_between_hold_and_remittance_settles_each_payment_once() {
    party_is_killed("issuer", 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_killed_between_charge_and_receipt_gets_each_receipt_once() {
    party_is_killed("merchant", 120).await;
}
