//! New rules come into force while payments run: programs that know them, and one that does not, side
//! by side; and old blocks are judged again by the new program.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tallystick_api::NodeClient;
use tallystick_kernel::{Codec as _, TransactionId};
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::{Header, RULES_VERSION_MAX};

use crate::bank::Bank;
use crate::faults::{final_at, final_everywhere, handed_in};
use crate::validators::Validators;
use crate::world::{World, tally};

const EPOCH_BLOCKS: u64 = 16;
/// Epochs from the decision to the new rules: enough for the operators to sign.
const EPOCHS_AHEAD: u64 = 12;
const PATIENCE: Duration = Duration::from_secs(90);

/// The node that knows one version less.
fn older_program() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_tally")).with_file_name("examples/older_node");
    assert!(built.exists(), "`cargo build --release --examples` makes {}", built.display());
    built
}

/// Makes the network one that was founded by the older program, with short epochs.
fn found_earlier(folder: &Path, all: &Validators) {
    let file = folder.join("genesis.tally");
    let mut genesis = Genesis::read(&std::fs::read(&file).unwrap()).unwrap();
    let before = genesis.network().to_string();
    let governance = genesis.parameters.governance.as_mut().unwrap();
    governance.epoch_blocks = EPOCH_BLOCKS;
    governance.rules_version = RULES_VERSION_MAX - 1;
    genesis.check().unwrap();
    std::fs::write(&file, genesis.to_bytes()).unwrap();
    let described = folder.join("network.toml");
    let text = std::fs::read_to_string(&described).unwrap();
    std::fs::write(&described, text.replace(&before, &genesis.network().to_string())).unwrap();
    (0..4).for_each(|place| forget(all, place));
}

/// Removes all that a node has stored.
fn forget(all: &Validators, place: usize) {
    std::fs::remove_dir_all(all.node_folder(place).join("state")).unwrap();
}

/// A payment at one of the first three nodes after the other, until told to stop.
async fn pay(nodes: Vec<NodeClient>, bank: Bank, stop: Arc<AtomicBool>) -> Vec<TransactionId> {
    let mut paid = Vec::new();
    for node in nodes.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        paid.push(handed_in(node, &bank).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    paid
}

/// The operators decide from which height on the next version is in force; gives the height.
async fn activate(folder: &Path, height: u64) -> u64 {
    let from = (height / EPOCH_BLOCKS + EPOCHS_AHEAD) * EPOCH_BLOCKS + 3;
    let world = World::of(folder);
    tokio::task::block_in_place(|| {
        let (file, version) = (world.path("rules.tally"), RULES_VERSION_MAX.to_string());
        let (genesis, machine_key) = (world.path("genesis.tally"), world.path("machine.key"));
        let (height, network) = (from.to_string(), world.path("network.toml"));
        let draft = ["operators", "rules", "--rules", &version, "--height", &height];
        tally(&[&draft[..], &["--genesis", &genesis, "--out", &file]].concat());
        for node in ["node-0", "node-1", "node-2"] {
            let data = world.path(node);
            let keys = ["--data", &data, "--machine-key", &machine_key, "--genesis", &genesis];
            tally(&[&["operators", "sign", &file][..], &keys[..]].concat());
        }
        tally(&["operators", "submit", &file, "--network", &network]);
    });
    from
}

async fn height(node: &NodeClient) -> u64 {
    node.network().await.unwrap().height
}

async fn header(node: &NodeClient, height: u64) -> Header {
    Header::from_bytes(&node.block(height).await.unwrap().header.0, 1 << 10).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_without_the_new_rules_stops_before_them_and_its_successor_judges_all_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Validators::found(folder.path(), 4);
    found_earlier(folder.path(), &all);
    all.run_by(3, older_program());
    all.start_all().await;
    let first = all.client(0);
    let stop = Arc::new(AtomicBool::new(false));
    let nodes = (0..3).map(|place| all.client(place)).collect();
    let paying = tokio::spawn(pay(nodes, Bank::open(folder.path()), Arc::clone(&stop)));
    let from = activate(folder.path(), height(&first).await).await;
    let told = all.client(3).validators().await.unwrap().rules;
    assert_eq!((told[1].version, told[1].from_height), (RULES_VERSION_MAX, from));
    assert!(told[0].is_known && !told[1].is_known);
    let end = Instant::now() + PATIENCE;
    while all.has_not_ended(3) || height(&first).await < from + EPOCH_BLOCKS {
        assert!(Instant::now() < end, "node-3: {}, at {}", all.log(3), height(&first).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(all.log(3).contains("rules_unknown"), "{}", all.log(3));
    assert!(first.validators().await.unwrap().rules[0].is_known);
    all.run_by(3, env!("CARGO_BIN_EXE_tally").into());
    all.start(3);
    all.until_ready(3).await;
    let bank = Bank::open(folder.path());
    let mut ids = vec![handed_in(&all.client(3), &bank).await];
    stop.store(true, Ordering::Relaxed);
    ids.extend(paying.await.unwrap());
    final_everywhere(&all, 4, &ids).await;
    // All blocks again, from the first one on.
    all.kill(3);
    forget(&all, 3);
    all.start(3);
    all.until_ready(3).await;
    for id in &ids {
        final_at(&all.client(3), id).await;
    }
    for height in [1, EPOCH_BLOCKS, from - 1, from, from + 1, from + EPOCH_BLOCKS] {
        let one = header(&first, height).await;
        assert_eq!(one, header(&all.client(3), height).await);
        let version = if height < from { RULES_VERSION_MAX - 1 } else { RULES_VERSION_MAX };
        assert_eq!(one.version, version, "at {height}");
    }
}
