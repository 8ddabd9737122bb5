//! Tables, and the steps from one version of them to the next.
//!
//! Portable on purpose: `BIGINT` and bytes, keys that start with the party (the shard key), no
//! trigger, sequence or foreign key. A step is never edited once it was released; a new one follows.

use sqlx::{AnyConnection, Connection as _, Row as _};
use tallystick_kernel::Reason;

use crate::store::failed;

/// The steps; step `n` leads to version `n + 1`. `BYTES` is `BLOB` or `BYTEA`.
const STEPS: [&[&str]; 3] = [
    &[
        "CREATE TABLE record (
        party TEXT NOT NULL, kind TEXT NOT NULL, key BYTES NOT NULL,
        version BIGINT NOT NULL, bytes BYTES NOT NULL,
        PRIMARY KEY (party, kind, key))",
        "CREATE TABLE record_index (
        party TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, value BYTES NOT NULL,
        key BYTES NOT NULL,
        PRIMARY KEY (party, kind, name, value, key))",
        "CREATE INDEX record_index_key ON record_index (party, kind, key)",
        "CREATE TABLE used (
        party TEXT NOT NULL, space TEXT NOT NULL, id BYTES NOT NULL, expiry BIGINT NOT NULL,
        PRIMARY KEY (party, space, id))",
        "CREATE INDEX used_expiry ON used (party, expiry)",
        "CREATE TABLE outbox (
        party TEXT NOT NULL, queue TEXT NOT NULL, id BYTES NOT NULL, due BIGINT NOT NULL,
        attempts BIGINT NOT NULL, bytes BYTES NOT NULL,
        PRIMARY KEY (party, queue, id))",
        "CREATE INDEX outbox_due ON outbox (party, queue, due)",
        "CREATE TABLE answer (
        party TEXT NOT NULL, key BYTES NOT NULL, fingerprint BYTES NOT NULL,
        bytes BYTES NOT NULL, expiry BIGINT NOT NULL,
        PRIMARY KEY (party, key))",
        "CREATE INDEX answer_expiry ON answer (party, expiry)",
        "CREATE TABLE audit (
        party TEXT NOT NULL, sequence BIGINT NOT NULL, time BIGINT NOT NULL,
        previous BYTES NOT NULL, event BYTES NOT NULL, hash BYTES NOT NULL,
        PRIMARY KEY (party, sequence))",
    ],
    &[
        "CREATE TABLE event (
        party TEXT NOT NULL, sequence BIGINT NOT NULL, feed BYTES NOT NULL, time BIGINT NOT NULL,
        bytes BYTES NOT NULL,
        PRIMARY KEY (party, sequence))",
        "CREATE INDEX event_feed ON event (party, feed, sequence)",
    ],
    &["ALTER TABLE outbox ADD COLUMN trace TEXT NOT NULL DEFAULT ''"],
];

/// Brings a database to the current version.
///
/// Returns [`Reason::FolderOfOtherVersion`] for a database of a newer version.
pub(crate) async fn migrate(connection: &mut AnyConnection, bytes: &str) -> Result<(), Reason> {
    let table = "CREATE TABLE IF NOT EXISTS tallystick_version (version BIGINT NOT NULL)";
    sqlx::query(table).execute(&mut *connection).await.map_err(failed)?;
    let mut transaction = connection.begin().await.map_err(failed)?;
    let row = sqlx::query("SELECT COALESCE(MAX(version), 0) FROM tallystick_version")
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
    let version: i64 = row.try_get(0).map_err(failed)?;
    let version = usize::try_from(version).map_err(|_| Reason::StorageCorrupt)?;
    if version > STEPS.len() {
        return Err(Reason::FolderOfOtherVersion);
    }
    for (step, statements) in (1_i64..).zip(STEPS).skip(version) {
        for statement in statements {
            let statement = sqlx::AssertSqlSafe(statement.replace("BYTES", bytes));
            sqlx::query(statement).execute(&mut *transaction).await.map_err(failed)?;
        }
        sqlx::query("INSERT INTO tallystick_version (version) VALUES ($1)")
            .bind(step)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}
