//! Opening a store, writing to it, sweeping it.

use std::str::FromStr as _;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions as _, Executor as _};
use tallystick_kernel::{DurationMs, Reason, TimeMs};
use tokio::sync::{mpsc, oneshot};

use crate::batch::Batch;
use crate::schema;
use crate::writer::{Request, Writer};

/// Batches that wait for the writer at most; more writers wait for their turn.
const WAITING_MAX: usize = 1024;
/// How long an event is kept for those who follow a feed.
pub const EVENTS_KEPT: DurationMs = DurationMs::minutes(7 * 24 * 60);
/// Connections for reading.
const READERS: u32 = 4;

/// A party's state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    party: String,
    writer: mpsc::Sender<Request>,
}

impl Store {
    /// Opens `sqlite:PATH` (made when it is not there) or `postgres://...` for a party, and brings
    /// its tables to the current version.
    ///
    /// Returns [`Reason::StorageFailed`] when the database cannot be reached or is of another kind,
    /// and [`Reason::FolderOfOtherVersion`] for tables of a newer version.
    pub async fn open(url: &str, party: &str) -> Result<Store, Reason> {
        sqlx::any::install_default_drivers();
        let is_sqlite = url.starts_with("sqlite:");
        let url = if is_sqlite { format!("{url}?mode=rwc") } else { url.to_owned() };
        let options = AnyConnectOptions::from_str(&url).map_err(failed)?;
        let options = options.disable_statement_logging();
        let mut connection = options.connect().await.map_err(failed)?;
        if is_sqlite {
            connection.execute("PRAGMA journal_mode = WAL").await.map_err(failed)?;
            connection.execute("PRAGMA synchronous = FULL").await.map_err(failed)?;
        }
        let bytes = if is_sqlite { "BLOB" } else { "BYTEA" };
        schema::migrate(&mut connection, bytes).await?;
        let options_of_writer = options.clone();
        let pool = AnyPoolOptions::new().max_connections(READERS).connect_lazy_with(options);
        let (writer, requests) = mpsc::channel(WAITING_MAX);
        let begin = if is_sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let party = party.to_owned();
        let options = options_of_writer;
        let writing = Writer { connection, options, party: party.clone(), begin };
        tokio::spawn(writing.run(requests));
        Ok(Store { pool, party, writer })
    }

    /// Writes a batch: all of it or nothing, durable when this returns. Batches of many callers
    /// share one commit.
    ///
    /// Returns [`Reason::Conflict`] when a guard does not hold (load again, decide again, write
    /// again: [`retry_conflicts`]), the batch's own reason for something that was used before, and
    /// [`Reason::StorageFailed`].
    pub async fn write(&self, batch: Batch) -> Result<(), Reason> {
        if batch.is_empty() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        let request = Request { batch, answer };
        self.writer.send(request).await.map_err(|_| Reason::StorageFailed)?;
        answered.await.map_err(|_| Reason::StorageFailed)?
    }

    /// Removes what is not remembered any longer; gives how many rows.
    pub async fn sweep(&self, now: TimeMs) -> Result<u64, Reason> {
        let mut removed = 0;
        for text in [
            "DELETE FROM used WHERE party = $1 AND expiry <= $2",
            "DELETE FROM answer WHERE party = $1 AND expiry <= $2",
        ] {
            let query = sqlx::query(text).bind(self.party()).bind(signed(now.0)?);
            removed += query.execute(self.pool()).await.map_err(failed)?.rows_affected();
        }
        // The last one stays, so that no sequence is given twice.
        let text = "DELETE FROM event WHERE party = $1 AND time <= $2
            AND sequence < (SELECT MAX(sequence) FROM event WHERE party = $1)";
        let old = signed(now.0.saturating_sub(EVENTS_KEPT.0))?;
        let query = sqlx::query(text).bind(self.party()).bind(old);
        removed += query.execute(self.pool()).await.map_err(failed)?.rows_affected();
        Ok(removed)
    }

    /// Waits for what is being written and closes all connections.
    pub async fn close(self) {
        let Store { pool, writer, .. } = self;
        drop(writer);
        pool.close().await;
    }

    pub(crate) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Whose state this is.
    pub fn party(&self) -> &str {
        &self.party
    }
}

/// Runs `decide` (load, decide, write) again while it ends in a conflict, `attempts` times at most.
pub async fn retry_conflicts<T, F: Future<Output = Result<T, Reason>>>(
    attempts: u32,
    mut decide: impl FnMut() -> F,
) -> Result<T, Reason> {
    let mut last = Err(Reason::Conflict);
    for _ in 0..attempts {
        last = decide().await;
        if !matches!(last, Err(Reason::Conflict)) {
            return last;
        }
    }
    last
}

/// The reason for what a database says; the text goes to the log.
pub(crate) fn failed(error: sqlx::Error) -> Reason {
    tracing::error!(%error, "the database failed");
    Reason::StorageFailed
}

pub(crate) fn signed(number: u64) -> Result<i64, Reason> {
    i64::try_from(number).map_err(|_| Reason::TooLarge)
}

pub(crate) fn unsigned(number: i64) -> Result<u64, Reason> {
    u64::try_from(number).map_err(|_| Reason::StorageCorrupt)
}
