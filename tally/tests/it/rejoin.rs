//! A validator that lost all it had comes back among real processes that go on paying: by blocks,
//! and by a snapshot alone where the others have given the blocks up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tallystick_api::NodeClient;
use tallystick_api::node::{Checkpoint, Reception};
use tallystick_kernel::{Codec as _, DurationMs, Reason};
use tokio::task::JoinHandle;

use crate::bank::Bank;
use crate::network::run;
use crate::validators::Validators;

/// The one that loses all.
pub const LOST: usize = 3;
const PATIENCE: Duration = Duration::from_secs(120);
const PER_LOOK: Duration = Duration::from_millis(50);
/// More than what snapshots need the blocks of.
const LATER: DurationMs = DurationMs::minutes(25);
/// What a node says when it has taken over a snapshot.
const FROM_A_SNAPSHOT: &str = "goes on from a snapshot";

/// Payments that are handed in at the others until they are to end.
pub struct Payments {
    is_over: Arc<AtomicBool>,
    paying: JoinHandle<usize>,
}

impl Payments {
    /// Begins, one at each of the others in turn.
    pub fn begin(all: &Validators, bank: Bank) -> Payments {
        let is_over = Arc::new(AtomicBool::new(false));
        let nodes: Vec<NodeClient> = (0..LOST).map(|place| all.client(place)).collect();
        let until = Arc::clone(&is_over);
        let paying = tokio::spawn(async move {
            let mut taken = 0;
            while !until.load(Ordering::Relaxed) {
                for node in &nodes {
                    let answer = node.submit(vec![bank.transaction().to_bytes()]).await;
                    let outcome = answer.map(|mut answer| answer.submissions.remove(0).outcome);
                    taken += usize::from(outcome.is_ok_and(|one| one != Reception::Refused));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            taken
        });
        Payments { is_over, paying }
    }

    /// Ends; gives how many were taken.
    pub async fn end(self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        self.paying.await.unwrap()
    }
}

pub async fn height(all: &Validators, place: usize) -> u64 {
    all.client(place).network().await.map_or(0, |status| status.height)
}

pub async fn until_height(all: &Validators, place: usize, height_min: u64) {
    let end = Instant::now() + PATIENCE;
    while height(all, place).await < height_min {
        assert!(Instant::now() < end, "node-{place} does not come so far: {}", all.log(place));
        tokio::time::sleep(PER_LOOK).await;
    }
}

/// Waits until a node has given its first blocks up.
async fn until_given_up(all: &Validators, place: usize) {
    let end = Instant::now() + PATIENCE;
    while has_first_blocks(all, place).await {
        assert!(Instant::now() < end, "node-{place} keeps all: {}", all.log(place));
        tokio::time::sleep(PER_LOOK * 4).await;
    }
}

async fn has_first_blocks(all: &Validators, place: usize) -> bool {
    match all.client(place).block(2).await {
        Ok(_) => true,
        Err(error) if error.reason == Reason::NotFound => false,
        Err(error) => panic!("node-{place}: {error:?}"),
    }
}

/// The checkpoint above a height that all have taken last; demands that it is the same one.
pub async fn equal_checkpoint(all: &Validators, above: u64) -> Checkpoint {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut found: Vec<Checkpoint> = Vec::new();
        for place in 0..=LOST {
            found.extend(all.client(place).checkpoint().await);
        }
        let heights: Vec<u64> = found.iter().map(|checkpoint| checkpoint.height).collect();
        let is_one = heights.windows(2).all(|pair| pair[0] == pair[1]);
        if heights.len() == LOST + 1 && heights[0] > above && is_one {
            for other in &found {
                assert_eq!((&other.root, other.block), (&found[0].root, found[0].block));
            }
            return found.remove(0);
        }
        assert!(Instant::now() < end, "{heights:?} above {above}: {}", all.log(LOST));
        tokio::time::sleep(PER_LOOK).await;
    }
}

/// Demands a statement of the bank's account by the one that came back, which verifies offline and
/// not when a bit of it is another.
async fn states_what_verifies(all: &Validators, bank: &Bank, folder: &Path) {
    let end = Instant::now() + PATIENCE;
    let statement = loop {
        match all.client(LOST).account_statement(&bank.account()).await {
            Ok(statement) => break statement,
            Err(error) => assert!(error.reason == Reason::NotReady && Instant::now() < end),
        }
        tokio::time::sleep(PER_LOOK).await;
    };
    let (file, genesis) = (folder.join("statement.tally"), folder.join("genesis.tally"));
    let verify = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let (file, genesis) = (file.to_str().unwrap(), genesis.to_str().unwrap());
        run(&["statement", "verify", file, "--genesis", genesis, "--output", "json"])
    };
    let (code, said, complaint) = verify(&statement);
    assert_eq!(code, 0, "{complaint}");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["account"], bank.account().to_string());
    assert!(said["exists"] == true && said["free"][0]["amount"] != "0", "{said}");
    for place in [20, statement.len() / 2, statement.len() - 20] {
        let mut altered = statement.clone();
        altered[place] ^= 1;
        let (code, said, _) = verify(&altered);
        assert_eq!((code, said.as_str()), (1, ""), "altered at {place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_validator_rejoins_by_blocks_and_where_they_are_given_up_by_a_snapshot_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Validators::found(folder.path(), 4);
    all.start_all().await;
    let payments = Payments::begin(&all, Bank::open(folder.path()));
    until_height(&all, LOST, 30).await;
    all.kill(LOST);
    all.wipe(LOST);
    let target = height(&all, 0).await + 30;
    until_height(&all, 0, target).await;
    all.start(LOST);
    let by_blocks = equal_checkpoint(&all, target).await;
    assert!(has_first_blocks(&all, LOST).await);
    assert!(!all.whole_log(LOST).contains(FROM_A_SNAPSHOT));
    states_what_verifies(&all, &Bank::open(folder.path()), folder.path()).await;
    assert!(payments.end().await > 20);

    (0..=LOST).for_each(|place| all.kill(place));
    all.set_clocks_ahead(LATER);
    for place in 0..LOST {
        all.configure(place, |config| config.retention_days = Some(0));
        all.start(place);
    }
    for place in 0..LOST {
        all.until_ready(place).await;
    }
    let payments = Payments::begin(&all, Bank::open(folder.path()).ahead(LATER));
    for place in 0..LOST {
        until_given_up(&all, place).await;
    }
    all.wipe(LOST);
    let target = height(&all, 0).await;
    assert!(target > by_blocks.height);
    all.start(LOST);
    let by_snapshot = equal_checkpoint(&all, target).await;
    assert_ne!(by_snapshot.root, by_blocks.root);
    assert!(!has_first_blocks(&all, LOST).await);
    assert!(all.whole_log(LOST).contains(FROM_A_SNAPSHOT));
    assert!(payments.end().await > 20);
}
