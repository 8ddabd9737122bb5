//! What a node must be told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tallystick_crypto::PublicKey;
use tallystick_kernel::DurationMs;
use tallystick_ledger::Rules;
use tallystick_proofs::genesis::Genesis;
use zeroize::Zeroizing;

use crate::prune::Retention;

/// When a proposer makes a block of what waits here: as soon as one of these holds, and the block
/// before it is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// So many transactions wait that no block before it holds.
    pub entries: usize,
    /// So many bytes of them.
    pub bytes: usize,
    /// So long after the block before it; zero for no other condition than that this is decided.
    pub interval: DurationMs,
}

impl Default for Preset {
    fn default() -> Self {
        Preset { entries: 2048, bytes: 1 << 20, interval: DurationMs(40) }
    }
}

/// The configuration of one validator.
pub struct NodeConfig {
    /// The network's genesis file, checked.
    pub genesis: Arc<Genesis>,
    /// The seed of this validator's Ed25519 key; the key must be in the genesis file, unless the
    /// network's validators can change.
    pub seed: Zeroizing<[u8; 32]>,
    /// Where everything is kept. Never run one key with two folders, or with an emptied one: a
    /// validator that forgets what it voted may vote twice.
    pub folder: PathBuf,
    /// Where other validators reach this one.
    pub listen: SocketAddr,
    /// Where this one reaches everyone who may take part: the validators, and those who follow or
    /// will be validators in a later epoch. Its own entry is ignored.
    pub peers: Vec<(PublicKey, SocketAddr)>,
    /// Threads of the runtime.
    pub worker_threads: usize,
    /// The rules in force: [`Rules::default`] outside of tests.
    pub rules: Rules,
    /// How long blocks and transactions are kept.
    pub retention: Retention,
    /// When this node makes a block.
    pub preset: Preset,
    /// The folder in which blocks are kept that are given up; none keeps them when it is not said.
    pub archive: Option<PathBuf>,
}

/// Messages a second that a peer may send on one channel. Mailboxes are allocated for
/// quota x peers x channels in advance.
pub const MESSAGES_PER_SECOND: u32 = 256;
/// The same on the channel of snapshots, whose messages are large.
pub const SNAPSHOT_MESSAGES_PER_SECOND: u32 = 32;
/// How much longer than an idle interval a leader may take before its view is given up.
pub const LEADER_GRACE: DurationMs = DurationMs(1000);
/// How long a leader must have been silent before its views are skipped at once.
pub const SKIP_AFTER: DurationMs = DurationMs::seconds(2);
/// Messages that wait for one part of the engine at most.
pub const MAILBOX: usize = 256;
