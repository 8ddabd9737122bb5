//! Bytes altered or cut off in the folder of a validator's engine: it says why it does not start and
//! what to do, or it recovers and stands where the others do.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bank::Bank;
use crate::network::wait;
use crate::rejoin::{LOST, Payments, equal_checkpoint, height, until_height};
use crate::validators::Validators;

/// What each file of the engine begins with: what it is, under a checksum of its own.
const HEAD_BYTES: u64 = 4096;

/// The files of an engine that hold anything.
fn files(engine: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(engine).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false if path.metadata().unwrap().len() > 0 => found.push(path),
            false => {}
        }
    }
    found.sort();
    found
}

fn alter(path: &Path, place: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], place).unwrap();
}

/// A copy of a stopped validator by itself, with addresses of its own.
fn copied(all: &Validators, network: &Path, to: &Path) -> PathBuf {
    for file in ["genesis.tally", "machine.key"] {
        std::fs::copy(network.join(file), to.join(file)).unwrap();
    }
    let mut copy = Command::new("cp");
    copy.args(["-a", "--sparse=always"]).arg(all.node_folder(LOST)).arg(to);
    assert!(copy.status().unwrap().success());
    let folder = to.join(all.node_folder(LOST).file_name().unwrap());
    let config = folder.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let anywhere = |line: &str| match line.split_once(" = ") {
        Some((key @ ("listen" | "listen_peers"), _)) => format!("{key} = \"127.0.0.1:0\"\n"),
        _ => format!("{line}\n"),
    };
    std::fs::write(&config, text.lines().map(anywhere).collect::<String>()).unwrap();
    folder
}

/// Starts a validator that must end by itself: its exit code, and what it said.
fn ended(folder: &Path) -> (Option<i32>, String) {
    let log = folder.join("ended.log");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tally"))
        .args(["node", "--config"])
        .arg(folder.join("config.toml"))
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut status = None;
    wait("the damaged node ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    (status.unwrap().code(), std::fs::read_to_string(&log).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_engines_folder_is_refused_with_the_way_out_or_recovered_from() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Validators::found(folder.path(), 4);
    all.start_all().await;
    let payments = Payments::begin(&all, Bank::open(folder.path()));
    until_height(&all, LOST, 30).await;
    all.kill(LOST);

    // What says what a file is: one file of each kind.
    let aside = tempfile::tempdir().unwrap();
    let copy = copied(&all, folder.path(), aside.path());
    let mut kinds: Vec<PathBuf> = files(&copy.join("state/engine"));
    kinds.dedup_by_key(|file| file.parent().unwrap().to_owned());
    assert!(kinds.len() > 10, "{kinds:?}");
    for file in &kinds {
        alter(file, 10);
        let (code, said) = ended(&copy);
        assert_eq!(code, Some(4), "{}: {said}", file.display());
        assert!(said.contains("storage_corrupt") && said.contains("move state/ledger"), "{said}");
        assert!(said.contains("move all of state away") && !said.contains("panicked"), "{said}");
        alter(file, 10);
    }

    // What they hold: a bit in each, and then half of each.
    let engine = all.node_folder(LOST).join("state/engine");
    let is_full = |file: &PathBuf| file.metadata().unwrap().len() > HEAD_BYTES + 16;
    for is_cut in [false, true] {
        for file in files(&engine).iter().filter(|file| is_full(file)) {
            let middle = HEAD_BYTES + (file.metadata().unwrap().len() - HEAD_BYTES) / 2;
            match is_cut {
                true => File::options().write(true).open(file).unwrap().set_len(middle).unwrap(),
                false => alter(file, middle),
            }
        }
        // The votes that it may have lost are of views that are over.
        let target = height(&all, 0).await + 20;
        until_height(&all, 0, target).await;
        all.start(LOST);
        equal_checkpoint(&all, target).await;
        assert!(!all.whole_log(LOST).contains("panicked"), "{}", all.log(LOST));
        all.kill(LOST);
    }
    assert!(payments.end().await > 20);
}
