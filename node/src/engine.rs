//! Starting a node: its storage, its tasks and its part of the network, on a thread of their own.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commonware_codec::DecodeExt;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_cryptography::{Signer as _, ed25519};
use commonware_p2p::AddressableManager as _;
use commonware_p2p::authenticated::lookup::Network;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::tokio as runtime;
use commonware_runtime::{Quota, Runner as _, Spawner as _, Supervisor as _};
use commonware_utils::ordered::Set;
use commonware_utils::{NZU16, NZUsize, TryCollect};
use tallystick_crypto::SigningKey;
use tallystick_kernel::Reason;
use tallystick_proofs::finality;
use tokio::sync::{Notify, mpsc};

use crate::config::{MESSAGES_PER_SECOND, NodeConfig};
use crate::consensus::Consensus;
use crate::core::Core;
use crate::gossip::{Gossip, SUBMISSIONS_MAX, stop_for};
use crate::handle::NodeHandle;
use crate::kv_fjall::FjallKv;
use crate::network::{self, Channel};
use crate::shared::Shared;

/// A page of the engine's storage, less its checksum.
const PAGE_BYTES: u16 = 4084;
const PAGES_CACHED: usize = 512;

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

/// Opens a node's storage and starts it.
///
/// Returns [`Reason::SignerUnknown`] when the key is not a validator's, [`Reason::AddressInUse`]
/// when another process listens on the address, and the reasons of [`Core::open`].
pub fn run(config: NodeConfig) -> Result<Running, Reason> {
    let key = SigningKey::ed25519_from_seed(&config.seed);
    let public = key.public_key();
    let place = config.genesis.validators.keys().iter().position(|known| *known == public);
    let place = place.ok_or(Reason::SignerUnknown)? as u64;
    check_address(config.listen)?;
    std::fs::create_dir_all(&config.folder).map_err(|_| Reason::FileUnreadable)?;
    let kv = Arc::new(FjallKv::open(&config.folder.join("ledger"))?);
    let genesis = Arc::clone(&config.genesis);
    let core = Core::open(genesis, kv, config.rules, place, crate::handle::system_time())?;
    let shared = Arc::new(Shared::new(core));
    let (submissions, submitted) = mpsc::channel(SUBMISSIONS_MAX);
    let stop = Arc::new(Notify::new());
    let handle = NodeHandle { shared: Arc::clone(&shared), submissions, stop: Arc::clone(&stop) };
    let gossip = Gossip {
        shared: Arc::clone(&shared),
        network: config.genesis.network(),
        validators: Arc::new(config.genesis.validators.clone()),
        key: Arc::new(key),
    };
    let thread = std::thread::Builder::new()
        .name(format!("node-{place}"))
        .spawn(move || {
            let options = runtime::Config::new()
                .with_storage_directory(config.folder.join("engine"))
                .with_worker_threads(config.worker_threads.max(1));
            runtime::Runner::new(options).start(async move |context| {
                serve(context, config, shared, gossip, submitted, stop).await;
            });
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
    shared: Arc<Shared>,
    gossip: Gossip,
    submitted: mpsc::Receiver<crate::gossip::Submission>,
    stop: Arc<Notify>,
) {
    let Ok(key) = ed25519::PrivateKey::decode(Bytes::copy_from_slice(&config.seed[..])) else {
        return stop_for(Reason::KeyMalformed);
    };
    let namespace = finality::namespace(&config.genesis.network());
    let validators = network::validators(&config);
    let participants: Result<Set<ed25519::PublicKey>, _> = validators.iter().cloned().try_collect();
    let scheme = participants
        .ok()
        .and_then(|participants| Scheme::signer(&namespace, participants, key.clone()));
    let Some(scheme) = scheme else { return stop_for(Reason::SignerUnknown) };
    let (mut network, mut oracle) = Network::new(
        context.child("network"),
        network::settings(&config, &key, &namespace, validators.len()),
    );
    oracle.track(0, network::addresses(&config, &validators));
    let quota = Quota::per_second(NonZeroU32::MIN.saturating_add(MESSAGES_PER_SECOND - 1));
    let votes = network.register(0, quota);
    let certificates = network.register(1, quota);
    let requests = network.register(2, quota);
    let backfill = network.register(3, quota);
    let blocks = network.register(4, quota);
    start_gossip(&context, &gossip, submitted, network.register(5, quota));
    let consensus = Consensus {
        config: &config,
        shared,
        validators: gossip.validators,
        key: key.public_key(),
        scheme,
        oracle,
        pages: CacheRef::new(NZU16!(PAGE_BYTES), NZUsize!(PAGES_CACHED)),
    };
    let Some(mailbox) = consensus.open(&context, backfill, blocks).await else {
        return stop_for(Reason::StorageCorrupt);
    };
    network.start();
    let running = consensus.start(&context, mailbox, votes, certificates, requests);
    let stopped = std::pin::pin!(stop.notified());
    match futures::future::select(stopped, running).await {
        futures::future::Either::Left(_) => {
            drop(context.stop(0, Some(Duration::from_secs(5))).await);
        }
        // The engine ends by itself only when one of its parts has failed.
        futures::future::Either::Right(_) => stop_for(Reason::Internal),
    }
}

fn start_gossip(
    context: &runtime::Context,
    gossip: &Gossip,
    submitted: mpsc::Receiver<crate::gossip::Submission>,
    (sender, receiver): Channel,
) {
    let ingest = gossip.clone();
    let (clock, out) = (context.child("ingest_clock"), sender.clone());
    context.child("ingest").shared(true).spawn(|_| ingest.ingest(clock, submitted, out));
    let listen = gossip.clone();
    let (clock, out) = (context.child("gossip_clock"), sender.clone());
    context.child("gossip").shared(true).spawn(|_| listen.listen(clock, receiver, out));
    let repeat = gossip.clone();
    let clock = context.child("repeat_clock");
    context.child("repeat").shared(true).spawn(|_| repeat.repeat(clock, sender));
}
