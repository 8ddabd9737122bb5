//! The state of issuers, provisioners and merchants in SQL: SQLite on a laptop, PostgreSQL beside
//! it, one text of SQL for both.
//!
//! The store keeps records and never looks inside them. Invariants: a [`Batch`] is written whole or
//! not at all, and durably before [`Store::write`] returns; what is written under a version guard
//! was decided on the record that is replaced; a thing that serves once serves once for all
//! processes and restarts; an entry of the outbox stays until a batch says that it is done.

pub mod audit;
pub mod batch;
mod read;
mod schema;
mod store;
mod writer;

pub use audit::AuditEntry;
pub use batch::{Batch, Kind};
pub use read::{Answer, OutboxEntry, Place, Record, StoredEvent};
pub use store::{EVENTS_KEPT, Store, retry_conflicts};
