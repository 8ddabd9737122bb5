//! A process that writes is killed at random instants: what it was told is durable is there, whole.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tallystick_kernel::TimeMs;
use tallystick_store::{Batch, Kind, Store};

/// Set for the process that is to be killed.
const FOLDER: &str = "TALLYSTICK_KILL_TEST_FOLDER";
const KILLS: u64 = 20;
const LEFT: Kind = Kind("left");
const RIGHT: Kind = Kind("right");

fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("party.db").display())
}

/// Writes pairs of records from several tasks and logs each pair once it is acknowledged.
async fn write_until_killed(folder: &Path) {
    let store = Store::open(&url(folder), "issuer").await.unwrap();
    let begin = store.list(LEFT, None, u32::MAX).await.unwrap().len() as u64;
    let tasks = (0..8_u64).map(|task| {
        let (store, folder) = (store.clone(), folder.to_owned());
        tokio::spawn(async move {
            let log = folder.join("acknowledged");
            let mut log = std::fs::File::options().create(true).append(true).open(log).unwrap();
            for count in 0.. {
                let id = ((begin + count) * 8 + task).to_be_bytes();
                let batch = Batch::new()
                    .put(LEFT, id, 0, id, &[])
                    .push("queue", id, TimeMs(1), id, "")
                    .audit(TimeMs(count), id)
                    .put(RIGHT, id, 0, id, &[]);
                if store.write(batch).await.is_ok() {
                    log.write_all(&id).unwrap();
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_at_any_instant_and_nothing_is_half_there() {
    if let Ok(folder) = std::env::var(FOLDER) {
        return write_until_killed(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let name =
        "kill::what_was_acknowledged_survives_a_kill_at_any_instant_and_nothing_is_half_there";
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(FOLDER, folder.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Instants spread over the start, the first writes and the steady state.
        std::thread::sleep(Duration::from_millis(20 + kill * kill * 2));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let store = Store::open(&url(folder.path()), "issuer").await.unwrap();
    let logged = std::fs::read(folder.path().join("acknowledged")).unwrap();
    assert!(logged.len() / 8 > 100, "only {} writes were acknowledged", logged.len() / 8);
    for id in logged.chunks_exact(8) {
        assert!(store.read(LEFT, id).await.unwrap().is_some(), "{id:?} was acknowledged");
    }
    let left = store.list(LEFT, None, u32::MAX).await.unwrap();
    let right = store.list(RIGHT, None, u32::MAX).await.unwrap();
    let queued = store.due("queue", TimeMs(1), u32::MAX).await.unwrap();
    let audited = store.audit_verify().await.unwrap().unwrap().0;
    assert_eq!(left.len(), right.len());
    assert_eq!((left.len(), left.len() as u64), (queued.len(), audited));
}
