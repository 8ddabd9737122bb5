//! The one writer of a party: all batches that wait go into one commit.
//!
//! Each batch is a savepoint of its own, so that one which fails takes nothing with it. Answers go
//! out only after the commit.

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _, Executor as _, Row as _};
use tallystick_kernel::{Digest, Reason, TimeMs};
use tokio::sync::{mpsc, oneshot};

use crate::audit::AuditEntry;
use crate::batch::{Batch, Kind, Step};
use crate::store::{failed, signed, unsigned};

/// Batches in one commit at most.
const GROUP_MAX: usize = 256;
/// How often a group is tried that the database could not serialise with others.
const SERIALISATION_ATTEMPTS: usize = 5;

/// A batch and where its end is told.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) batch: Batch,
    pub(crate) answer: oneshot::Sender<Result<(), Reason>>,
}

/// Owns the connection that writes.
pub(crate) struct Writer {
    pub(crate) connection: AnyConnection,
    pub(crate) options: AnyConnectOptions,
    pub(crate) party: String,
    pub(crate) begin: &'static str,
}

/// Why a batch or a group was not written.
enum Stop {
    /// A guard does not hold, or the batch cannot be written at all.
    Refused(Reason),
    /// The database could not serialise it with others; it may be tried again.
    Again,
    /// The database failed.
    Failed(Reason),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Stop {
        let code = error.as_database_error().and_then(|error| error.code());
        match code.as_deref() {
            Some("40001" | "40P01") => Stop::Again,
            _ => Stop::Failed(failed(error)),
        }
    }
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Stop {
        Stop::Refused(reason)
    }
}

impl Writer {
    /// Writes until nobody can ask any more.
    pub(crate) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut group = Vec::new();
        while requests.recv_many(&mut group, GROUP_MAX).await > 0 {
            let outcomes = self.write_group(&group).await;
            for (request, outcome) in group.drain(..).zip(outcomes) {
                // Whoever went away does not want to know.
                let _ = request.answer.send(outcome);
            }
        }
    }

    async fn write_group(&mut self, group: &[Request]) -> Vec<Result<(), Reason>> {
        for _ in 0..SERIALISATION_ATTEMPTS {
            let stop = match self.try_group(group).await {
                Ok(outcomes) => return outcomes,
                Err(stop) => stop,
            };
            let rolled_back = self.connection.execute("ROLLBACK").await;
            match stop {
                Stop::Again => {}
                Stop::Refused(reason) | Stop::Failed(reason) => {
                    if rolled_back.is_err() || self.connection.ping().await.is_err() {
                        self.reconnect().await;
                    }
                    return vec![Err(reason); group.len()];
                }
            }
        }
        vec![Err(Reason::Conflict); group.len()]
    }

    /// A server that was restarted is found again by the next group.
    async fn reconnect(&mut self) {
        match self.options.connect().await {
            Ok(connection) => self.connection = connection,
            Err(error) => tracing::error!(%error, "the database cannot be reached"),
        }
    }

    async fn try_group(&mut self, group: &[Request]) -> Result<Vec<Result<(), Reason>>, Stop> {
        self.connection.execute(self.begin).await?;
        let mut outcomes = Vec::with_capacity(group.len());
        for request in group {
            self.connection.execute("SAVEPOINT batch").await?;
            let outcome = match self.write_batch(&request.batch).await {
                Ok(()) => Ok(()),
                Err(Stop::Refused(reason)) => {
                    self.connection.execute("ROLLBACK TO SAVEPOINT batch").await?;
                    Err(reason)
                }
                Err(stop) => return Err(stop),
            };
            self.connection.execute("RELEASE SAVEPOINT batch").await?;
            outcomes.push(outcome);
        }
        self.connection.execute("COMMIT").await?;
        Ok(outcomes)
    }

    async fn write_batch(&mut self, batch: &Batch) -> Result<(), Stop> {
        for step in &batch.steps {
            match step {
                Step::Put { kind, key, expected_version, bytes, indexes } => {
                    self.put(*kind, key, *expected_version, bytes).await?;
                    self.index(*kind, key, indexes).await?;
                }
                Step::Delete { kind, key, expected_version } => {
                    self.delete(*kind, key, *expected_version).await?;
                }
                Step::Once { space, id, expiry, now, otherwise } => {
                    // An entry that has expired is not remembered any longer, swept or not.
                    let text = "INSERT INTO used (party, space, id, expiry) VALUES ($1, $2, $3, $4)
                        ON CONFLICT (party, space, id) DO UPDATE SET expiry = excluded.expiry
                        WHERE used.expiry <= $5";
                    let query = sqlx::query(text).bind(&self.party).bind(*space).bind(id);
                    let query = query.bind(signed(expiry.0)?).bind(signed(now.0)?);
                    let done = query.execute(&mut self.connection).await?;
                    guard(done.rows_affected(), *otherwise)?;
                }
                Step::Answer { key, fingerprint, bytes, expiry } => {
                    let text = "INSERT INTO answer (party, key, fingerprint, bytes, expiry)
                        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
                    let query = sqlx::query(text).bind(&self.party).bind(key).bind(fingerprint);
                    let query = query.bind(bytes).bind(signed(expiry.0)?);
                    let done = query.execute(&mut self.connection).await?;
                    guard(done.rows_affected(), Reason::Conflict)?;
                }
                Step::Audit { now, event } => {
                    let last = self.last_audited().await?;
                    let entry = AuditEntry::follow(&self.party, last, *now, event.clone());
                    self.append(&entry).await?;
                }
                Step::Event { feed, now, bytes } => self.event(feed, *now, bytes).await?,
                step => self.outbox(step).await?,
            }
        }
        Ok(())
    }

    async fn put(
        &mut self,
        kind: Kind,
        key: &[u8],
        expected_version: u64,
        bytes: &[u8],
    ) -> Result<(), Stop> {
        let new = "INSERT INTO record (party, kind, key, version, bytes)
            VALUES ($1, $2, $3, 1, $4) ON CONFLICT DO NOTHING";
        let next = "UPDATE record SET version = version + 1, bytes = $4
            WHERE party = $1 AND kind = $2 AND key = $3 AND version = $5";
        let text = if expected_version == 0 { new } else { next };
        let query = sqlx::query(text).bind(&self.party).bind(kind.0).bind(key).bind(bytes);
        let query = match expected_version {
            0 => query,
            version => query.bind(signed(version)?),
        };
        guard(query.execute(&mut self.connection).await?.rows_affected(), Reason::Conflict)
    }

    async fn delete(&mut self, kind: Kind, key: &[u8], version: u64) -> Result<(), Stop> {
        let text = "DELETE FROM record
            WHERE party = $1 AND kind = $2 AND key = $3 AND version = $4";
        let query = sqlx::query(text).bind(&self.party).bind(kind.0).bind(key);
        let done = query.bind(signed(version)?).execute(&mut self.connection).await?;
        guard(done.rows_affected(), Reason::Conflict)?;
        self.index(kind, key, &[]).await
    }

    async fn index(
        &mut self,
        kind: Kind,
        key: &[u8],
        indexes: &[(&'static str, Vec<u8>)],
    ) -> Result<(), Stop> {
        let text = "DELETE FROM record_index WHERE party = $1 AND kind = $2 AND key = $3";
        let query = sqlx::query(text).bind(&self.party).bind(kind.0).bind(key);
        query.execute(&mut self.connection).await?;
        for (name, value) in indexes {
            let text = "INSERT INTO record_index (party, kind, name, value, key)
                VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
            let query = sqlx::query(text).bind(&self.party).bind(kind.0);
            let query = query.bind(*name).bind(value).bind(key);
            query.execute(&mut self.connection).await?;
        }
        Ok(())
    }

    async fn outbox(&mut self, step: &Step) -> Result<(), Stop> {
        let done = match step {
            Step::Push { queue, id, due, bytes, trace } => {
                let text = "INSERT INTO outbox (party, queue, id, due, attempts, bytes, trace)
                    VALUES ($1, $2, $3, $4, 0, $5, $6) ON CONFLICT DO NOTHING";
                let query = sqlx::query(text).bind(&self.party).bind(*queue).bind(id);
                let query = query.bind(signed(due.0)?).bind(bytes).bind(trace);
                query.execute(&mut self.connection).await?;
                return Ok(());
            }
            Step::Done { queue, id } => {
                let text = "DELETE FROM outbox WHERE party = $1 AND queue = $2 AND id = $3";
                let query = sqlx::query(text).bind(&self.party).bind(*queue).bind(id);
                query.execute(&mut self.connection).await?
            }
            Step::Reschedule { queue, id, due, bytes } => {
                let keep = "UPDATE outbox SET due = $4, attempts = attempts + 1
                    WHERE party = $1 AND queue = $2 AND id = $3";
                let replace = "UPDATE outbox SET due = $4, attempts = attempts + 1, bytes = $5
                    WHERE party = $1 AND queue = $2 AND id = $3";
                let text = if bytes.is_some() { replace } else { keep };
                let query = sqlx::query(text).bind(&self.party).bind(*queue).bind(id);
                let query = query.bind(signed(due.0)?);
                let query = match bytes {
                    Some(bytes) => query.bind(bytes),
                    None => query,
                };
                query.execute(&mut self.connection).await?
            }
            _ => return Err(Stop::Refused(Reason::Internal)),
        };
        guard(done.rows_affected(), Reason::Conflict)
    }

    async fn event(&mut self, feed: &[u8], now: TimeMs, bytes: &[u8]) -> Result<(), Stop> {
        let text = "INSERT INTO event (party, sequence, feed, time, bytes)
            SELECT $1, COALESCE(MAX(sequence), 0) + 1, $2, $3, $4 FROM event WHERE party = $1";
        let query = sqlx::query(text).bind(&self.party).bind(feed);
        let query = query.bind(signed(now.0)?).bind(bytes);
        guard(query.execute(&mut self.connection).await?.rows_affected(), Reason::Conflict)
    }

    async fn last_audited(&mut self) -> Result<Option<(u64, Digest)>, Stop> {
        let text = "SELECT sequence, hash FROM audit
            WHERE party = $1 ORDER BY sequence DESC LIMIT 1";
        let query = sqlx::query(text).bind(&self.party);
        let Some(row) = query.fetch_optional(&mut self.connection).await? else { return Ok(None) };
        let hash: Vec<u8> = row.try_get(1)?;
        let hash = hash.try_into().map_err(|_| Reason::StorageCorrupt)?;
        Ok(Some((unsigned(row.try_get(0)?)?, hash)))
    }

    async fn append(&mut self, entry: &AuditEntry) -> Result<(), Stop> {
        let text = "INSERT INTO audit (party, sequence, time, previous, event, hash)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
        let query = sqlx::query(text).bind(&self.party).bind(signed(entry.sequence)?);
        let query = query.bind(signed(entry.time.0)?).bind(&entry.previous[..]);
        let query = query.bind(&entry.event).bind(&entry.hash[..]);
        guard(query.execute(&mut self.connection).await?.rows_affected(), Reason::Conflict)
    }
}

fn guard(rows_affected: u64, otherwise: Reason) -> Result<(), Stop> {
    if rows_affected == 0 { Err(Stop::Refused(otherwise)) } else { Ok(()) }
}
