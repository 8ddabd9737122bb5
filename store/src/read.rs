//! Reading: records, what is due, answers, and the audit chain.

use sqlx::Row as _;
use sqlx::any::AnyRow;
use tallystick_kernel::{Digest, Reason, TimeMs};

use crate::audit::AuditEntry;
use crate::batch::Kind;
use crate::store::{Store, failed, signed, unsigned};

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its key within its kind.
    pub key: Vec<u8>,
    /// How often it was written; the guard of the next write.
    pub version: u64,
    /// What the party wrote.
    pub bytes: Vec<u8>,
}

/// Where a record stands in a list by one of its indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The value of the index after the prefix of the list.
    pub rest: Vec<u8>,
    /// The record's key.
    pub key: Vec<u8>,
}

/// An event of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place among the events of all feeds; rises.
    pub sequence: u64,
    /// What the party wrote.
    pub bytes: Vec<u8>,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its id within its queue.
    pub id: Vec<u8>,
    /// From when on it is to be done.
    pub due: TimeMs,
    /// How often it was put off.
    pub attempts: u64,
    /// What the party wrote.
    pub bytes: Vec<u8>,
    /// The W3C `traceparent` of the request that asked for it; empty where none was traced.
    pub trace: String,
}

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The fingerprint of the request.
    pub fingerprint: Vec<u8>,
    /// The answer.
    pub bytes: Vec<u8>,
    /// Until when it is kept.
    pub expiry: TimeMs,
}

fn record(row: &AnyRow) -> Result<Record, Reason> {
    Ok(Record {
        key: row.try_get(0).map_err(failed)?,
        version: unsigned(row.try_get(1).map_err(failed)?)?,
        bytes: row.try_get(2).map_err(failed)?,
    })
}

impl Store {
    /// A record.
    pub async fn read(&self, kind: Kind, key: &[u8]) -> Result<Option<Record>, Reason> {
        let text = "SELECT key, version, bytes FROM record
            WHERE party = $1 AND kind = $2 AND key = $3";
        let query = sqlx::query(text).bind(self.party()).bind(kind.0).bind(key);
        let row = query.fetch_optional(self.pool()).await.map_err(failed)?;
        row.as_ref().map(record).transpose()
    }

    /// Records of a kind in the order of their keys, after `after`, at most `limit`.
    pub async fn list(
        &self,
        kind: Kind,
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Record>, Reason> {
        let text = "SELECT key, version, bytes FROM record
            WHERE party = $1 AND kind = $2 AND key > $3 ORDER BY key LIMIT $4";
        let query = sqlx::query(text).bind(self.party()).bind(kind.0);
        let query = query.bind(after.unwrap_or_default()).bind(i64::from(limit));
        let rows = query.fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(record).collect()
    }

    /// Records of a kind whose index `name` has `value`, in the order of their keys, after `after`,
    /// at most `limit`.
    pub async fn find(
        &self,
        kind: Kind,
        name: &'static str,
        value: &[u8],
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Record>, Reason> {
        let text = "SELECT r.key, r.version, r.bytes FROM record_index i
            JOIN record r ON r.party = i.party AND r.kind = i.kind AND r.key = i.key
            WHERE i.party = $1 AND i.kind = $2 AND i.name = $3 AND i.value = $4 AND i.key > $5
            ORDER BY i.key LIMIT $6";
        let query = sqlx::query(text).bind(self.party()).bind(kind.0).bind(name).bind(value);
        let query = query.bind(after.unwrap_or_default()).bind(i64::from(limit));
        let rows = query.fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(record).collect()
    }

    /// Records of a kind whose index `name` begins with `prefix`, the greatest value first, before
    /// the one at `before`, at most `limit`; each with the rest of its value.
    pub async fn latest(
        &self,
        kind: Kind,
        name: &'static str,
        prefix: &[u8],
        before: Option<&Place>,
        limit: u32,
    ) -> Result<Vec<(Place, Record)>, Reason> {
        let text = "SELECT r.key, r.version, r.bytes, i.value FROM record_index i
            JOIN record r ON r.party = i.party AND r.kind = i.kind AND r.key = i.key
            WHERE i.party = $1 AND i.kind = $2 AND i.name = $3 AND i.value >= $4
                AND (i.value < $5 OR (i.value = $5 AND i.key < $6))
            ORDER BY i.value DESC, i.key DESC LIMIT $7";
        let end = Place { rest: vec![0xff; 64], key: Vec::new() };
        let before = before.unwrap_or(&end);
        let value = [prefix, &before.rest].concat();
        let query = sqlx::query(text).bind(self.party()).bind(kind.0).bind(name).bind(prefix);
        let query = query.bind(value).bind(before.key.as_slice()).bind(i64::from(limit));
        let rows = query.fetch_all(self.pool()).await.map_err(failed)?;
        let placed = |row: &AnyRow| {
            let record = record(row)?;
            let value: Vec<u8> = row.try_get(3).map_err(failed)?;
            let rest = value.get(prefix.len()..).unwrap_or_default().to_vec();
            Ok((Place { rest, key: record.key.clone() }, record))
        };
        rows.iter().map(placed).collect()
    }

    /// Events of a feed after the one of this sequence, in order, at most `limit`.
    pub async fn events(
        &self,
        feed: &[u8],
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, Reason> {
        let text = "SELECT sequence, bytes FROM event
            WHERE party = $1 AND feed = $2 AND sequence > $3 ORDER BY sequence LIMIT $4";
        // No event has a greater sequence than the greatest number.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let query = sqlx::query(text).bind(self.party()).bind(feed).bind(after);
        let rows = query.bind(i64::from(limit)).fetch_all(self.pool()).await.map_err(failed)?;
        let event = |row: &AnyRow| {
            Ok(StoredEvent {
                sequence: unsigned(row.try_get(0).map_err(failed)?)?,
                bytes: row.try_get(1).map_err(failed)?,
            })
        };
        rows.iter().map(event).collect()
    }

    /// The sequence of the last event of any feed; 0 where there is none.
    pub async fn last_event(&self) -> Result<u64, Reason> {
        let text = "SELECT COALESCE(MAX(sequence), 0) FROM event WHERE party = $1";
        let query = sqlx::query(text).bind(self.party());
        let row = query.fetch_one(self.pool()).await.map_err(failed)?;
        unsigned(row.try_get(0).map_err(failed)?)
    }

    /// What is due in a queue, the earliest first, at most `limit`.
    pub async fn due(
        &self,
        queue: &'static str,
        now: TimeMs,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, Reason> {
        let text = "SELECT id, due, attempts, bytes, trace FROM outbox
            WHERE party = $1 AND queue = $2 AND due <= $3 ORDER BY due, id LIMIT $4";
        let query = sqlx::query(text).bind(self.party()).bind(queue);
        let query = query.bind(signed(now.0)?).bind(i64::from(limit));
        let rows = query.fetch_all(self.pool()).await.map_err(failed)?;
        let entry = |row: &AnyRow| {
            Ok(OutboxEntry {
                id: row.try_get(0).map_err(failed)?,
                due: TimeMs(unsigned(row.try_get(1).map_err(failed)?)?),
                attempts: unsigned(row.try_get(2).map_err(failed)?)?,
                bytes: row.try_get(3).map_err(failed)?,
                trace: row.try_get(4).map_err(failed)?,
            })
        };
        rows.iter().map(entry).collect()
    }

    /// When the next entry of a queue is due; none when the queue is empty.
    pub async fn next_due(&self, queue: &'static str) -> Result<Option<TimeMs>, Reason> {
        let text = "SELECT due FROM outbox WHERE party = $1 AND queue = $2 ORDER BY due LIMIT 1";
        let query = sqlx::query(text).bind(self.party()).bind(queue);
        let row = query.fetch_optional(self.pool()).await.map_err(failed)?;
        row.map(|row| unsigned(row.try_get(0).map_err(failed)?).map(TimeMs)).transpose()
    }

    /// The answer that was given to a key, if it is still kept at `now`.
    pub async fn answer(&self, key: &[u8], now: TimeMs) -> Result<Option<Answer>, Reason> {
        let text = "SELECT fingerprint, bytes, expiry FROM answer
            WHERE party = $1 AND key = $2 AND expiry > $3";
        let query = sqlx::query(text).bind(self.party()).bind(key).bind(signed(now.0)?);
        let row = query.fetch_optional(self.pool()).await.map_err(failed)?;
        let answer = |row: AnyRow| {
            Ok(Answer {
                fingerprint: row.try_get(0).map_err(failed)?,
                bytes: row.try_get(1).map_err(failed)?,
                expiry: TimeMs(unsigned(row.try_get(2).map_err(failed)?)?),
            })
        };
        row.map(answer).transpose()
    }

    /// Whether something that serves once was used and is still remembered.
    pub async fn used(&self, space: &'static str, id: &[u8], now: TimeMs) -> Result<bool, Reason> {
        let text = "SELECT expiry FROM used
            WHERE party = $1 AND space = $2 AND id = $3 AND expiry > $4";
        let query = sqlx::query(text).bind(self.party()).bind(space).bind(id).bind(signed(now.0)?);
        Ok(query.fetch_optional(self.pool()).await.map_err(failed)?.is_some())
    }

    /// Events after the one of this sequence, in order, at most `limit`.
    pub async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, Reason> {
        let text = "SELECT sequence, time, previous, event, hash FROM audit
            WHERE party = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
        let query = sqlx::query(text).bind(self.party()).bind(signed(after)?);
        let rows = query.bind(i64::from(limit)).fetch_all(self.pool()).await.map_err(failed)?;
        rows.iter().map(entry).collect()
    }

    /// Recomputes the whole audit chain; gives the number of entries and the last hash.
    ///
    /// Returns [`Reason::StorageCorrupt`] for an entry that was changed, dropped, added or moved.
    /// Entries cut off at the end are found by whoever noted the last hash.
    pub async fn audit_verify(&self) -> Result<Option<(u64, Digest)>, Reason> {
        let mut last = None;
        loop {
            let after = last.map_or(0, |(sequence, _)| sequence);
            let entries = self.audit(after, 1000).await?;
            if entries.is_empty() {
                return Ok(last);
            }
            for entry in entries {
                if !entry.follows(self.party(), last) {
                    return Err(Reason::StorageCorrupt);
                }
                last = Some((entry.sequence, entry.hash));
            }
        }
    }
}

fn entry(row: &AnyRow) -> Result<AuditEntry, Reason> {
    let digest = |at: usize| -> Result<Digest, Reason> {
        let bytes: Vec<u8> = row.try_get(at).map_err(failed)?;
        bytes.try_into().map_err(|_| Reason::StorageCorrupt)
    };
    Ok(AuditEntry {
        sequence: unsigned(row.try_get(0).map_err(failed)?)?,
        time: TimeMs(unsigned(row.try_get(1).map_err(failed)?)?),
        previous: digest(2)?,
        event: row.try_get(3).map_err(failed)?,
        hash: digest(4)?,
    })
}
