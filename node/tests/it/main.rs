//! Networks of real nodes in one process, on loopback, each with its own folder and thread.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail so")]

mod archives;
mod cluster;
mod corruption;
mod endings;
mod epochs;
mod finality;
mod history;
mod large_blocks;
mod network;
mod payments;
mod pending;
mod rivals;
mod snapshot;
