//! What a batch promises, on both databases.

use tallystick_kernel::{Reason, TimeMs};
use tallystick_store::{Batch, Kind, Store, retry_conflicts};

use crate::postgres::Postgres;

const HOLDER: Kind = Kind("holder");
const HOLD: Kind = Kind("hold");

/// Runs a check on SQLite and on PostgreSQL, with a store that nobody else uses.
async fn on_both(check: impl AsyncFn(&str)) {
    let folder = tempfile::tempdir().unwrap();
    check(&format!("sqlite:{}", folder.path().join("party.db").display())).await;
    let postgres = Postgres::start();
    check(&postgres.url()).await;
}

async fn open(url: &str) -> Store {
    Store::open(url, "issuer").await.unwrap()
}

fn name(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    vec![("name", text.as_bytes().to_vec())]
}

async fn guards_hold(store: &Store) {
    let made = Batch::new().put(HOLDER, *b"1", 0, *b"ada", &name("ada"));
    assert_eq!(store.write(made).await, Ok(()));
    let again = Batch::new().put(HOLDER, *b"1", 0, *b"eve", &name("eve"));
    assert_eq!(store.write(again).await, Err(Reason::Conflict));
    let changed = Batch::new().put(HOLDER, *b"1", 1, *b"ida", &name("ida"));
    assert_eq!(store.write(changed).await, Ok(()));
    let late = Batch::new().put(HOLDER, *b"1", 1, *b"eve", &name("eve"));
    assert_eq!(store.write(late).await, Err(Reason::Conflict));
    let record = store.read(HOLDER, b"1").await.unwrap().unwrap();
    assert_eq!((record.version, record.bytes.as_slice()), (2, b"ida".as_slice()));
    assert_eq!(store.find(HOLDER, "name", b"ada", None, 9).await.unwrap(), []);
    assert_eq!(store.find(HOLDER, "name", b"ida", None, 9).await.unwrap(), [record]);
    let gone = Batch::new().delete(HOLDER, *b"1", 2);
    assert_eq!(store.write(gone).await, Ok(()));
    assert_eq!(store.read(HOLDER, b"1").await.unwrap(), None);
    assert_eq!(store.find(HOLDER, "name", b"ida", None, 9).await.unwrap(), []);
    assert_eq!(store.write(Batch::new().delete(HOLDER, *b"1", 2)).await, Err(Reason::Conflict));
}

async fn a_batch_is_whole_or_nothing(store: &Store) {
    let now = TimeMs(1000);
    let half = Batch::new()
        .put(HOLD, *b"a", 0, *b"x", &[])
        .push("settle", *b"a", now, *b"pay", "trace")
        .audit(now, *b"held")
        .put(HOLDER, *b"none", 7, *b"x", &[]);
    assert_eq!(store.write(half).await, Err(Reason::Conflict));
    assert_eq!(store.read(HOLD, b"a").await.unwrap(), None);
    assert_eq!(store.due("settle", now, 9).await.unwrap(), []);
    assert_eq!(store.audit_verify().await, Ok(None));
}

async fn one_of_many_writers_wins(store: &Store) {
    let writers = (0..40_u8).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let batch = Batch::new().put(HOLD, *b"reserve", 0, [writer], &[]);
            store.write(batch).await
        })
    });
    let mut wins = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Ok(()) => wins += 1,
            Err(reason) => assert_eq!(reason, Reason::Conflict),
        }
    }
    assert_eq!(wins, 1);
    // Forty increments, each decided on what is there, lose nothing.
    let count = Kind("count");
    let writers = (0..40).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            retry_conflicts(1000, || async {
                let record = store.read(count, b"n").await?;
                let (version, value) = record.map_or((0, 0), |r| (r.version, r.bytes[0]));
                store.write(Batch::new().put(count, *b"n", version, [value + 1], &[])).await
            })
            .await
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        assert_eq!(writer.await.unwrap(), Ok(()));
    }
    assert_eq!(store.read(count, b"n").await.unwrap().unwrap().bytes, [40]);
}

async fn used_once(url: &str, store: &Store) {
    let spend = |expiry, now| {
        Batch::new().once("code", *b"cti", TimeMs(expiry), TimeMs(now), Reason::CodeReplayed)
    };
    assert_eq!(store.write(spend(2000, 1000)).await, Ok(()));
    assert_eq!(store.write(spend(2000, 1000)).await, Err(Reason::CodeReplayed));
    assert_eq!(store.write(spend(3000, 1999)).await, Err(Reason::CodeReplayed));
    let reopened = open(url).await;
    assert_eq!(reopened.write(spend(3000, 1999)).await, Err(Reason::CodeReplayed));
    assert_eq!(reopened.used("code", b"cti", TimeMs(1999)).await, Ok(true));
    assert_eq!(reopened.used("code", b"cti", TimeMs(2000)).await, Ok(false));
    assert_eq!(reopened.write(spend(3000, 2000)).await, Ok(()));
    assert_eq!(reopened.write(spend(4000, 2500)).await, Err(Reason::CodeReplayed));
    let other = Store::open(url, "merchant").await.unwrap();
    assert_eq!(other.write(spend(3000, 2500)).await, Ok(()), "another party's codes are others");
    assert_eq!(reopened.sweep(TimeMs(2999)).await, Ok(0));
    assert_eq!(reopened.sweep(TimeMs(3000)).await, Ok(1));
}

async fn the_outbox_keeps_what_is_not_done(store: &Store) {
    let push = |bytes: &[u8]| Batch::new().push("pay", *b"1", TimeMs(10), bytes, "");
    assert_eq!(store.write(push(b"one")).await, Ok(()));
    assert_eq!(store.write(push(b"two")).await, Ok(()));
    assert_eq!(store.due("pay", TimeMs(9), 9).await.unwrap(), []);
    let due = store.due("pay", TimeMs(10), 9).await.unwrap();
    assert_eq!((due.len(), due[0].bytes.as_slice(), due[0].attempts), (1, b"one".as_slice(), 0));
    let later = Batch::new().reschedule("pay", *b"1", TimeMs(20), Some(b"three".to_vec()));
    assert_eq!(store.write(later).await, Ok(()));
    assert_eq!(store.next_due("pay").await, Ok(Some(TimeMs(20))));
    let due = store.due("pay", TimeMs(20), 9).await.unwrap();
    assert_eq!((due[0].bytes.as_slice(), due[0].attempts), (b"three".as_slice(), 1));
    assert_eq!(store.write(Batch::new().done("pay", *b"1")).await, Ok(()));
    assert_eq!(store.write(Batch::new().done("pay", *b"1")).await, Err(Reason::Conflict));
    let gone = Batch::new().reschedule("pay", *b"1", TimeMs(20), None);
    assert_eq!(store.write(gone).await, Err(Reason::Conflict));
    assert_eq!(store.next_due("pay").await, Ok(None));
}

async fn answers_are_kept_for_their_time(store: &Store) {
    let answer = || Batch::new().answer(*b"key", *b"print", *b"201", TimeMs(500));
    assert_eq!(store.write(answer()).await, Ok(()));
    assert_eq!(store.write(answer()).await, Err(Reason::Conflict));
    let kept = store.answer(b"key", TimeMs(499)).await.unwrap().unwrap();
    assert_eq!((kept.fingerprint.as_slice(), kept.bytes.as_slice()), (&b"print"[..], &b"201"[..]));
    assert_eq!(store.answer(b"key", TimeMs(500)).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_hold_their_promises_on_both_databases() {
    on_both(async |url| {
        let store = open(url).await;
        a_batch_is_whole_or_nothing(&store).await;
        guards_hold(&store).await;
        one_of_many_writers_wins(&store).await;
        used_once(url, &store).await;
        the_outbox_keeps_what_is_not_done(&store).await;
        answers_are_kept_for_their_time(&store).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_chain_tells_what_was_changed_dropped_or_moved() {
    on_both(async |url| {
        sqlx::any::install_default_drivers();
        let store = open(url).await;
        for event in 0..5_u8 {
            store.write(Batch::new().audit(TimeMs(u64::from(event)), [event])).await.unwrap();
        }
        let whole = store.audit_verify().await.unwrap().unwrap();
        assert_eq!(whole.0, 5);
        let pool = sqlx::AnyPool::connect(url).await.unwrap();
        for (damage, mend) in [
            (
                "UPDATE audit SET time = 9 WHERE sequence = 2",
                "UPDATE audit SET time = 1 WHERE sequence = 2",
            ),
            (
                "UPDATE audit SET sequence = 9 WHERE sequence = 3",
                "UPDATE audit SET sequence = 3 WHERE sequence = 9",
            ),
        ] {
            sqlx::query(damage).execute(&pool).await.unwrap();
            assert_eq!(store.audit_verify().await, Err(Reason::StorageCorrupt), "{damage}");
            sqlx::query(mend).execute(&pool).await.unwrap();
            assert_eq!(store.audit_verify().await, Ok(Some(whole)));
        }
        sqlx::query("DELETE FROM audit WHERE sequence = 4").execute(&pool).await.unwrap();
        assert_eq!(store.audit_verify().await, Err(Reason::StorageCorrupt));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_a_newer_version_are_left_alone() {
    on_both(async |url| {
        open(url).await.close().await;
        open(url).await.close().await;
        let pool = sqlx::AnyPool::connect(url).await.unwrap();
        let newer = "INSERT INTO tallystick_version (version) VALUES (99)";
        sqlx::query(newer).execute(&pool).await.unwrap();
        let refused = Store::open(url, "issuer").await.unwrap_err();
        assert_eq!(refused, Reason::FolderOfOtherVersion);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_database_exclude_each_other_by_their_guards() {
    on_both(async |url| {
        let (one, two) = (open(url).await, open(url).await);
        let batch = || Batch::new().put(HOLD, *b"r", 0, *b"x", &[]).audit(TimeMs(1), *b"e");
        let (first, second) = tokio::join!(one.write(batch()), two.write(batch()));
        let outcomes = [first, second];
        assert!(outcomes.contains(&Ok(())) && outcomes.contains(&Err(Reason::Conflict)));
        assert_eq!(one.audit_verify().await.unwrap().unwrap().0, 1);
    })
    .await;
}
