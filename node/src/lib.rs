//! A validator: the only crate that names the consensus engine.
//!
//! A transaction is verified and stored before anyone agrees on it ([`gossip`]); the engine agrees
//! on small blocks of ids ([`application`], [`engine`]); a final block is executed and everything
//! that follows from it is written in one commit ([`apply`]). The rejected alternative, our own
//! consensus protocol, is argued in `docs/adr/0001-consensus-engine.md`.
//!
//! Invariants: no vote to notarize a block whose bodies are not durable here, but where the last block
//! of an epoch is proposed again, which a quorum has judged, stored and notarized (why this is safe is
//! argued in `docs/adr/0007-validator-sets.md`); no acknowledgement to
//! the engine, to a client or to a peer before the commit that makes it true; what a node has
//! admitted is never a reason not to vote.

pub mod acknowledgements;
pub mod application;
pub mod applier;
pub mod apply;
pub mod archive;
#[cfg(feature = "process")]
pub mod archive_folder;
pub mod archive_verify;
pub mod block;
pub mod bodies;
pub mod certificate;
pub mod config;
pub mod consensus;
pub mod core;
pub mod counted;
pub mod endings;
#[cfg(feature = "process")]
pub mod engine;
#[cfg(feature = "process")]
pub mod engine_check;
pub mod epochs;
pub mod failure;
pub mod file_parts;
#[cfg(feature = "process")]
pub mod folder_check;
pub mod for_votes;
pub mod gossip;
pub mod gossip_message;
pub mod handle;
pub mod history;
pub mod ingest;
pub mod intake;
pub mod keys;
pub mod kv;
#[cfg(feature = "process")]
pub mod kv_fjall;
pub mod lock;
pub mod locked_reserves;
#[cfg(feature = "process")]
pub mod measured;
pub mod members;
#[cfg(feature = "process")]
pub mod network;
pub mod pending;
pub mod presence;
pub mod prune;
pub mod pruner;
pub mod schemes;
pub mod shared;
pub mod snapshot;
pub mod snapshot_exchange;
#[cfg(feature = "process")]
pub mod snapshot_file;
pub mod snapshot_message;
pub mod snapshot_restore;
pub mod snapshot_shelf;
pub mod snapshot_source;
pub mod snapshot_verify;
pub mod statement;
pub mod store_check;
pub mod stored;
pub mod validator;
pub mod verification;
pub mod vote;
pub mod wanted;
pub mod window;
pub mod workers;

pub use config::{NodeConfig, Preset};
#[cfg(feature = "process")]
pub use engine::{Running, run, run_measured};
pub use handle::{
    Balance, Decisions, NetworkStatus, NodeHandle, SubmissionOutcome, TransactionStatus,
};
pub use prune::Retention;
