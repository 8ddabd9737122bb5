//! The store on SQLite and on a real PostgreSQL.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail so")]

mod guards;
mod kill;
mod postgres;
