//! Wiring: the consensus engine, its storage and its network, around this node's application.
//!
//! Only this crate names the engine, and only this file knows how its parts fit together.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commonware_broadcast::buffered;
use commonware_codec::DecodeExt;
use commonware_consensus::marshal::core::Actor as Marshal;
use commonware_consensus::marshal::resolver::p2p as marshal_resolver;
use commonware_consensus::marshal::standard::{Inline, Standard};
use commonware_consensus::marshal::{self, Start};
use commonware_consensus::simplex;
use commonware_consensus::simplex::config::{Floor, ForwardPolicy, SkipBudget, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::types::{Epoch, FixedEpocher, Height, ViewDelta};
use commonware_cryptography::certificate::{ConstantProvider, Verifier as _};
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{
    ChaCha20Poly1305, Digested, Digestible, Sha256, Signer as _, ed25519,
};
use commonware_p2p::authenticated::lookup::{self, Network};
use commonware_p2p::{Address, AddressableManager as _};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::tokio as runtime;
use commonware_runtime::{Quota, Runner as _, Spawner as _, Supervisor as _};
use commonware_storage::archive::immutable;
use commonware_stream::{cups, sake};
use commonware_utils::acknowledgement::Acknowledgement as _;
use commonware_utils::ordered::{Map, Set};
use commonware_utils::{NZDuration, NZU16, NZU64, NZUsize, TryCollect};
use tallystick_crypto::SigningKey;
use tallystick_kernel::{DurationMs, Reason};
use tallystick_proofs::finality;
use tokio::sync::{Notify, mpsc};

use crate::application::{Application, Deliveries, Delivery, now, wait_for_change};
use crate::block::Block;
use crate::certificate;
use crate::config::{LEADER_GRACE, MESSAGES_PER_SECOND, NodeConfig, SKIP_AFTER};
use crate::core::Core;
use crate::gossip::{Gossip, SUBMISSIONS_MAX, stop_for};
use crate::gossip_message::MESSAGE_BYTES_MAX;
use crate::handle::NodeHandle;
use crate::kv_fjall::FjallKv;
use crate::shared::Shared;

type Mailbox = marshal::core::Mailbox<Scheme, Standard<Block>>;

/// Blocks of one epoch; the validator set does not change yet, so there is one epoch.
const EPOCH_BLOCKS: u64 = 1 << 40;
/// Blocks that are delivered before one must have been applied.
const PENDING_BLOCKS_MAX: usize = 16;
/// A page of the engine's storage, less its checksum.
const PAGE_BYTES: u16 = 4084;
const PAGES_CACHED: usize = 512;
const MAILBOX: usize = 256;

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
    let Ok(private) = ed25519::PrivateKey::decode(Bytes::copy_from_slice(&config.seed[..])) else {
        return stop_for(Reason::KeyMalformed);
    };
    let namespace = finality::namespace(&config.genesis.network());
    let validators = engine_keys(&config);
    let (mut network, mut oracle) = Network::new(
        context.child("network"),
        network_config(&config, &private, &namespace, validators.len()),
    );
    oracle.track(0, addresses(&config, &validators));
    let quota = Quota::per_second(NonZeroU32::MIN.saturating_add(MESSAGES_PER_SECOND - 1));
    let votes = network.register(0, quota);
    let certificates = network.register(1, quota);
    let requests = network.register(2, quota);
    let backfill = network.register(3, quota);
    let blocks = network.register(4, quota);
    let (sender, receiver) = network.register(5, quota);

    let ingest = gossip.clone();
    let (clock, out) = (context.child("ingest_clock"), sender.clone());
    context.child("ingest").shared(true).spawn(|_| ingest.ingest(clock, submitted, out));
    let listen = gossip.clone();
    let (clock, out) = (context.child("gossip_clock"), sender.clone());
    context.child("gossip").shared(true).spawn(|_| listen.listen(clock, receiver, out));
    let tick = gossip.clone();
    let clock = context.child("tick_clock");
    context.child("tick").shared(true).spawn(|_| tick.tick(clock, sender));

    let application = Application::new(Arc::clone(&shared), Arc::clone(&gossip.validators));
    let participants: Set<ed25519::PublicKey> = match validators.into_iter().try_collect() {
        Ok(participants) => participants,
        Err(_) => return stop_for(Reason::GenesisMalformed),
    };
    let Some(scheme) = Scheme::signer(&namespace, participants, private.clone()) else {
        return stop_for(Reason::SignerUnknown);
    };
    let pages = CacheRef::new(NZU16!(PAGE_BYTES), NZUsize!(PAGES_CACHED));
    let resolver = marshal_resolver::init(
        context.child("resolver"),
        marshal_resolver::Config {
            public_key: private.public_key(),
            peer_provider: oracle.clone(),
            blocker: oracle.clone(),
            mailbox_size: NZUsize!(MAILBOX),
            fetch_timeout: NZDuration!(Duration::from_secs(2)),
            fetch_retry_delay: Duration::from_millis(100),
            priority_requests: false,
            priority_responses: false,
        },
        backfill,
    );
    let (broadcast, buffer) = buffered::Engine::new(
        context.child("broadcast"),
        buffered::Config {
            public_key: private.public_key(),
            mailbox_size: NZUsize!(MAILBOX),
            deque_size: 10,
            priority: true,
            codec_config: (),
            peer_provider: oracle.clone(),
            strategy: Sequential,
        },
    );
    broadcast.start(blocks);
    let certificate_codec = Scheme::certificate_codec_config_unbounded();
    let finalizations = immutable::Archive::init(
        context.child("finalizations"),
        archive_config("finalizations", certificate_codec, &pages),
    );
    let archive =
        immutable::Archive::init(context.child("blocks"), archive_config("blocks", (), &pages));
    let (Ok(finalizations), Ok(archive)) = (finalizations.await, archive.await) else {
        return stop_for(Reason::StorageCorrupt);
    };
    let first =
        Block { header: tallystick_ledger::genesis_header(&config.genesis), entries: Vec::new() };
    let first_digest = first.digest();
    let epochs = FixedEpocher::new(NZU64!(EPOCH_BLOCKS));
    let (marshal, mailbox, _) = Marshal::<_, Standard<Block>, _, _, _, _, _>::init(
        context.child("marshal"),
        finalizations,
        archive,
        marshal::Config {
            provider: ConstantProvider::new(scheme.clone()),
            epocher: epochs.clone(),
            start: Start::Genesis(Digested::precomputed(first, first_digest)),
            partition_prefix: "marshal".into(),
            mailbox_size: NZUsize!(MAILBOX),
            view_retention: ViewDelta::new(20),
            prunable_items_per_section: NZU64!(4096),
            page_cache: pages.clone(),
            replay_buffer: NZUsize!(1 << 20),
            key_write_buffer: NZUsize!(1 << 16),
            value_write_buffer: NZUsize!(1 << 16),
            block_codec_config: (),
            max_repair: NZUsize!(20),
            max_pending_acks: NZUsize!(PENDING_BLOCKS_MAX),
            strategy: Sequential,
        },
    )
    .await;
    let (deliver, deliveries) = mpsc::unbounded_channel();
    marshal.start(Deliveries(deliver), buffer, resolver);
    let (clock, apply_shared, finalized) =
        (context.child("apply_clock"), Arc::clone(&shared), mailbox.clone());
    context
        .child("apply")
        .shared(true)
        .spawn(|_| apply_blocks(clock, apply_shared, finalized, deliveries));
    let inline = Inline::new(context.child("inline"), application, mailbox, epochs);
    let idle = Duration::from_millis(config.genesis.parameters.idle_interval.0);
    let grace = Duration::from_millis(LEADER_GRACE.0);
    let engine = simplex::Engine::new(
        context.child("engine"),
        simplex::Config {
            scheme,
            elector: RoundRobin::<Sha256>::default(),
            blocker: oracle.clone(),
            automaton: inline.clone(),
            relay: inline.clone(),
            reporter: inline,
            strategy: Sequential,
            partition: "simplex".into(),
            mailbox_size: NZUsize!(MAILBOX),
            epoch: Epoch::zero(),
            floor: Floor::Genesis(first_digest),
            replay_buffer: NZUsize!(1 << 20),
            write_buffer: NZUsize!(1 << 16),
            page_cache: pages,
            leader_timeout: idle + grace,
            certification_timeout: idle + grace * 2,
            timeout_retry: idle,
            view_retention: ViewDelta::new(20),
            skip: SkipPolicy::Enabled {
                timeout: idle + grace * 2 + Duration::from_millis(SKIP_AFTER.0),
                budget: SkipBudget::Participants,
            },
            fetch_timeout: NZDuration!(Duration::from_secs(1)),
            fetch_retry_delay: Duration::from_millis(100),
            forward: ForwardPolicy::Disabled,
            track_historical_votes: false,
        },
    );
    network.start();
    let running = engine.start(votes, certificates, requests);
    let stopped = std::pin::pin!(stop.notified());
    match futures::future::select(stopped, running).await {
        futures::future::Either::Left(_) => {
            drop(context.stop(0, Some(Duration::from_secs(5))).await);
        }
        // The engine ends by itself only when one of its parts has failed.
        futures::future::Either::Right(_) => stop_for(Reason::Internal),
    }
}

/// Applies final blocks one after the other; acknowledges each after our own durable commit.
async fn apply_blocks(
    clock: runtime::Context,
    shared: Arc<Shared>,
    finalized: Mailbox,
    mut deliveries: mpsc::UnboundedReceiver<Delivery>,
) {
    while let Some((block, acknowledgement)) = deliveries.recv().await {
        let height = block.header.height;
        // Delivery is at least once: what is applied is only acknowledged again.
        if height > shared.core().state.height() {
            fetch_bodies(&clock, &shared, &block).await;
            let finalization = finalized.get_finalization(Height::new(height)).await;
            let certificate = finalization.and_then(|found| certificate::convert(&found).ok());
            let applied = shared.core().apply(&block, certificate.as_ref(), now(&clock));
            if let Err(reason) = applied {
                return stop_for(reason);
            }
            shared.change();
        }
        acknowledgement.acknowledge();
    }
}

async fn fetch_bodies(clock: &runtime::Context, shared: &Shared, block: &Block) {
    let mut watch = shared.watch();
    loop {
        watch.mark_unchanged();
        match shared.core().missing(&block.entries) {
            Ok(missing) if missing.is_empty() => return,
            Ok(missing) => shared.want(&missing),
            Err(reason) => return stop_for(reason),
        }
        wait_for_change(clock, &mut watch, DurationMs(500)).await;
    }
}

fn engine_keys(config: &NodeConfig) -> Vec<ed25519::PublicKey> {
    let keys = config.genesis.validators.keys().iter();
    keys.filter_map(|key| ed25519::PublicKey::decode(Bytes::copy_from_slice(key.bytes())).ok())
        .collect()
}

fn addresses(
    config: &NodeConfig,
    validators: &[ed25519::PublicKey],
) -> Map<ed25519::PublicKey, Address> {
    let own = (SigningKey::ed25519_from_seed(&config.seed).public_key(), config.listen);
    let known = config.peers.iter().filter(|(key, _)| *key != own.0).chain([&own]);
    let listed = known.filter_map(|(key, address)| {
        let found = validators.iter().find(|candidate| {
            let bytes: &[u8] = (*candidate).as_ref();
            bytes == key.bytes()
        })?;
        Some((found.clone(), Address::from(*address)))
    });
    listed.collect::<Vec<_>>().into_iter().try_collect().unwrap_or_default()
}

type Handshake = cups::Cups<sake::Sake<ed25519::PrivateKey>, ChaCha20Poly1305>;

fn network_config(
    config: &NodeConfig,
    private: &ed25519::PrivateKey,
    namespace: &[u8],
    validators: usize,
) -> lookup::Config<Handshake> {
    let count = u32::try_from(validators).unwrap_or(u32::MAX);
    let largest = commonware_p2p::max_message_size(&[
        simplex::max_payload_size::<Scheme, Digest>(count),
        marshal::max_payload_size::<Standard<Block>, Scheme>(count, &()),
        MESSAGE_BYTES_MAX,
    ]);
    let signer = sake::Sake {
        signer: private.clone(),
        synchrony_bound: Duration::from_secs(5),
        max_handshake_age: Duration::from_secs(10),
        version: sake::Version::V1,
    };
    let handshake = cups::Cups::new(signer, cups::Version::V1);
    let peers = std::num::NonZeroUsize::MIN.saturating_add(validators.saturating_sub(1));
    let mailbox = NZUsize!(MAILBOX);
    let listen = config.listen;
    let mut made = if listen.ip().is_loopback() {
        lookup::Config::local(handshake, namespace, listen, peers, largest, mailbox)
    } else {
        lookup::Config::recommended(handshake, namespace, listen, peers, largest, mailbox)
    };
    made.tracked_peer_sets = NZUsize!(1);
    made.dial_frequency = Duration::from_millis(100);
    made.peer_connection_cooldown = Duration::from_millis(500);
    made
}

fn archive_config<C>(name: &str, codec_config: C, pages: &CacheRef) -> immutable::Config<C> {
    immutable::Config {
        metadata_partition: format!("{name}-meta"),
        freezer_table_partition: format!("{name}-table"),
        freezer_table_initial_size: 4096,
        freezer_table_resize_frequency: 4,
        freezer_table_resize_chunk_size: 4096,
        freezer_key_partition: format!("{name}-key"),
        freezer_key_page_cache: pages.clone(),
        freezer_value_partition: format!("{name}-value"),
        freezer_value_target_size: 1 << 28,
        freezer_value_compression: None,
        ordinal_partition: format!("{name}-ordinal"),
        items_per_section: NZU64!(262_144),
        codec_config,
        replay_buffer: NZUsize!(1 << 20),
        freezer_key_write_buffer: NZUsize!(1 << 16),
        freezer_value_write_buffer: NZUsize!(1 << 16),
        ordinal_write_buffer: NZUsize!(1 << 16),
    }
}
