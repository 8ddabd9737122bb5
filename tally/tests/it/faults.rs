//! Real processes under fault: killed, stopped, on a full disk, cut off from each other.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tallystick_api::NodeClient;
use tallystick_api::node::{Reception, TransactionState};
use tallystick_kernel::{Codec as _, DurationMs, TransactionId};

use crate::bank::Bank;
use crate::namespaces::Namespaces;
use crate::validators::Validators;

const PATIENCE: Duration = Duration::from_secs(90);

/// Hands in one transaction and demands that the node has stored it.
pub async fn handed_in(node: &NodeClient, bank: &Bank) -> TransactionId {
    let transaction = bank.transaction();
    let answer = node.submit(vec![transaction.to_bytes()]).await.unwrap();
    let outcome = answer.submissions[0].outcome;
    assert!(outcome != Reception::Refused, "{:?}", answer.submissions[0]);
    transaction.id()
}

/// Waits until a transaction is final at a node; gives its height and index.
pub async fn final_at(node: &NodeClient, id: &TransactionId) -> (u64, u64) {
    let end = Instant::now() + PATIENCE;
    loop {
        let status = node.wait_final(id, DurationMs::seconds(5)).await;
        if let Some(result) = status.as_ref().ok().and_then(|status| status.result.clone()) {
            assert!(result.success, "{id}: {result:?}");
            return (result.height, result.index);
        }
        assert!(Instant::now() < end, "{id} is not final: {status:?}");
    }
}

/// Demands that each is final at the same place everywhere.
pub async fn final_everywhere(all: &Validators, count: usize, ids: &[TransactionId]) {
    for id in ids {
        let first = final_at(&all.client(0), id).await;
        for place in 1..count {
            assert_eq!(final_at(&all.client(place), id).await, first, "{id} at node-{place}");
        }
    }
}

/// Demands that a transaction does not become final while nothing is changed.
async fn stays_pending(node: &NodeClient, id: &TransactionId) {
    let status = node.wait_final(id, DurationMs::seconds(4)).await.unwrap();
    assert_eq!(status.state, TransactionState::Pending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_validators_go_on_without_two_wait_without_three_and_agree_when_all_are_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Validators::found(folder.path(), 7);
    all.start_all().await;
    let bank = Bank::open(folder.path());
    let mut ids = vec![handed_in(&all.client(0), &bank).await];
    final_at(&all.client(6), &ids[0]).await;
    all.kill(5);
    all.signal(6, Signal::SIGSTOP);
    for place in 0..4 {
        ids.push(handed_in(&all.client(place), &bank).await);
    }
    for id in &ids {
        final_at(&all.client(4), id).await;
    }
    all.signal(4, Signal::SIGSTOP);
    let waits = handed_in(&all.client(0), &bank).await;
    stays_pending(&all.client(0), &waits).await;
    all.signal(4, Signal::SIGCONT);
    final_at(&all.client(4), &waits).await;
    all.signal(6, Signal::SIGCONT);
    all.start(5);
    all.until_ready(5).await;
    ids.push(waits);
    final_everywhere(&all, 7, &ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_cut_in_half_stands_still_and_one_cut_off_is_left_behind_until_it_is_healed() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Validators::found(folder.path(), 4);
    let net = Namespaces::new(4);
    all.move_into(&net.names(), &net.requests(), &net.peers());
    all.start_all().await;
    let bank = Bank::open(folder.path());
    let mut ids = vec![handed_in(&all.client(0), &bank).await];
    final_everywhere(&all, 4, &ids).await;

    net.cut_off(&[3]);
    for place in 0..3 {
        ids.push(handed_in(&all.client(place), &bank).await);
    }
    for id in &ids {
        final_at(&all.client(0), id).await;
    }
    let alone = handed_in(&all.client(3), &bank).await;
    stays_pending(&all.client(3), &alone).await;
    net.heal();
    ids.push(alone);
    final_everywhere(&all, 4, &ids).await;

    net.cut_off(&[2, 3]);
    let halves = [handed_in(&all.client(0), &bank).await, handed_in(&all.client(2), &bank).await];
    stays_pending(&all.client(0), &halves[0]).await;
    stays_pending(&all.client(2), &halves[1]).await;
    net.heal();
    final_everywhere(&all, 4, &halves).await;
}

/// A small file system of its own in place of a folder; unmounted when dropped. Needs root.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Moves what the folder holds onto it.
    fn in_place_of(folder: &Path) -> SmallDisk {
        let beside = folder.with_extension("before");
        std::fs::rename(folder, &beside).unwrap();
        std::fs::create_dir(folder).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256m,mode=700", "tmpfs"])
            .arg(folder)
            .status();
        assert!(mount.unwrap().success(), "mounting a file system needs root");
        let disk = SmallDisk(folder.to_owned());
        let copied = Command::new("cp").arg("-a").arg(beside.join(".")).arg(folder).status();
        assert!(copied.unwrap().success());
        disk
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let mut piece = vec![1; 1 << 20];
        while !piece.is_empty() {
            match ballast.write(&piece) {
                Ok(written) if written > 0 => {}
                _ => piece.truncate(piece.len() / 2),
            }
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_whose_disk_is_full_ends_and_says_why_and_comes_back_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Validators::found(folder.path(), 4);
    let disk = SmallDisk::in_place_of(&all.node_folder(3));
    all.start_all().await;
    let bank = Bank::open(folder.path());
    let mut ids = vec![handed_in(&all.client(3), &bank).await];
    final_everywhere(&all, 4, &ids).await;
    disk.fill();
    let end = Instant::now() + PATIENCE;
    while all.has_not_ended(3) {
        assert!(Instant::now() < end, "node-3 goes on: {}", all.log(3));
        ids.push(handed_in(&all.client(0), &bank).await);
    }
    assert!(all.log(3).contains("storage_failed"), "{}", all.log(3));
    ids.push(handed_in(&all.client(1), &bank).await);
    final_at(&all.client(1), ids.last().unwrap()).await;
    disk.empty();
    all.start(3);
    all.until_ready(3).await;
    final_everywhere(&all, 4, &ids).await;
    drop(all);
}
