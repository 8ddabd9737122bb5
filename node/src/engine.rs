//! Starting a node on tokio: its storage, its tasks and its part of the network, on a thread of
//! their own.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use commonware_p2p::AddressableManager as _;
use commonware_p2p::authenticated::lookup::Network;
use commonware_runtime::tokio as runtime;
use commonware_runtime::{Quota, Runner as _, Spawner as _, Supervisor as _};
use tallystick_kernel::Reason;
use tallystick_proofs::finality;

use crate::archive_folder::ArchiveFolder;
use crate::config::{MESSAGES_PER_SECOND, NodeConfig, SNAPSHOT_MESSAGES_PER_SECOND};
use crate::engine_check;
use crate::failure::Failure;
use crate::handle::NodeHandle;
use crate::kv_fjall::FjallKv;
use crate::measured::{Gate, Gated, keeping};
use crate::network;
use crate::prune::Keeper;
use crate::pruner::Pruning;
use crate::validator::{Channels, Ended, Setup, Validator, why_ended};

/// The engine's folder in the node's.
const ENGINE: &str = "engine";

/// A node on a thread of its own.
pub struct Running {
    /// What the rest of the process asks of it.
    pub handle: NodeHandle,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    /// Waits until the node has stopped; [`Reason::Internal`] if it panicked.
    pub fn join(self) -> Result<(), Reason> {
        self.thread.join().map_err(|_| Reason::Internal)
    }
}

/// Opens a node's storage and starts it. Storage that fails later ends the process.
///
/// Returns [`Reason::AddressInUse`] when another process listens on the address, and the reasons of
/// [`Validator::open`].
pub fn run(config: NodeConfig) -> Result<Running, Reason> {
    start(config, None)
}

/// The same, with a gate before its proposals: for measuring agreement.
pub fn run_measured(config: NodeConfig, gate: Arc<Gate>) -> Result<Running, Reason> {
    start(config, Some(gate))
}

fn start(config: NodeConfig, gate: Option<Arc<Gate>>) -> Result<Running, Reason> {
    check_address(config.listen)?;
    std::fs::create_dir_all(&config.folder).map_err(|_| Reason::FileUnreadable)?;
    let kv = Arc::new(FjallKv::open(&config.folder.join("ledger"))?);
    let keeper = config.archive.clone().map(|folder| {
        let keeper: Arc<dyn Keeper> = Arc::new(ArchiveFolder(folder));
        keeper
    });
    let setup = Setup {
        genesis: Arc::clone(&config.genesis),
        seed: config.seed.clone(),
        rules: config.rules,
        verifiers: std::thread::available_parallelism().map_or(1, usize::from),
        pruning: Pruning { retention: config.retention, keeper },
        preset: config.preset,
        failure: Failure::end_process(),
    };
    let storage = Arc::clone(&kv);
    let validator = Validator::open(setup, kv, crate::handle::system_time())?;
    let handle = validator.handle();
    let thread = std::thread::Builder::new()
        .name("node".to_owned())
        .spawn(move || {
            let options = runtime::Config::new()
                .with_storage_directory(config.folder.join(ENGINE))
                .with_worker_threads(config.worker_threads.max(1));
            let is_open = Arc::new(AtomicBool::new(false));
            let opened = Arc::clone(&is_open);
            let ended = std::panic::catch_unwind(AssertUnwindSafe(|| {
                runtime::Runner::new(options).start(async move |context| {
                    serve(context, config, validator, gate, &opened).await;
                });
            }));
            if let Err(panic) = ended {
                // Before it is open, nothing but its own files can make the engine panic.
                let reason = match is_open.load(Ordering::Relaxed) {
                    true => why_ended(storage.as_ref()),
                    false => Reason::StorageCorrupt,
                };
                if reason != Reason::Internal {
                    Failure::end_process().report(reason);
                }
                std::panic::resume_unwind(panic);
            }
        })
        .map_err(|_| Reason::Internal)?;
    Ok(Running { handle, thread })
}

/// Finds out early, and with a clear reason, what the engine would only report by panicking.
fn check_address(address: SocketAddr) -> Result<(), Reason> {
    std::net::TcpListener::bind(address).map(drop).map_err(|_| Reason::AddressInUse)
}

async fn serve(
    context: runtime::Context,
    config: NodeConfig,
    validator: Validator,
    gate: Option<Arc<Gate>>,
    is_open: &AtomicBool,
) {
    if let Err(reason) = engine_check::check(&context, &config.folder.join(ENGINE)).await {
        return Failure::end_process().report(reason);
    }
    let private = match validator.key() {
        Ok(private) => private,
        Err(reason) => return Failure::end_process().report(reason),
    };
    let namespace = finality::namespace(&config.genesis.network());
    let addresses = network::addresses(&config);
    let (mut network, mut oracle) = Network::new(
        context.child("network"),
        network::settings(&config, &private, &namespace, addresses.len()),
    );
    oracle.track(0, addresses);
    let quota = Quota::per_second(NonZeroU32::MIN.saturating_add(MESSAGES_PER_SECOND - 1));
    let snapshots =
        Quota::per_second(NonZeroU32::MIN.saturating_add(SNAPSHOT_MESSAGES_PER_SECOND - 1));
    let channels = Channels {
        votes: network.register(0, quota),
        certificates: network.register(1, quota),
        requests: network.register(2, quota),
        backfill: network.register(3, quota),
        blocks: network.register(4, quota),
        gossip: network.register(5, quota),
        snapshots: network.register(6, snapshots),
    };
    let connect = || {
        is_open.store(true, Ordering::Relaxed);
        drop(network.start());
    };
    // What the gate lets go of is sent past it.
    let (own, gossip) = (validator.own(), channels.gossip.0.clone());
    let channels = keeping(channels, gate.as_ref());
    let wrap = |application| Gated::new(application, own, gate, gossip);
    let ended = validator.run(&context, channels, oracle, connect, wrap).await;
    if ended == Ended::Asked {
        drop(context.stop(0, Some(Duration::from_secs(5))).await);
    }
}
