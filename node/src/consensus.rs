//! Wiring of the consensus engine: its archives and the delivery of final blocks.
//!
//! Only this crate names the engine, and only this file and `epochs.rs`, which runs agreement, know
//! how its parts fit together.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use commonware_broadcast::buffered;
use commonware_consensus::Application as ConsensusApplication;
use commonware_consensus::marshal::core::Actor as Marshal;
use commonware_consensus::marshal::resolver::p2p as marshal_resolver;
use commonware_consensus::marshal::standard::Standard;
use commonware_consensus::marshal::{self, Start};
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::Context;
use commonware_consensus::types::{FixedEpocher, Height, ViewDelta};
use commonware_cryptography::certificate::Verifier as _;
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{Digested, Digestible, ed25519};
use commonware_parallel::Sequential;
use commonware_runtime::Clock;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_storage::archive::prunable;
use commonware_storage::translator::EightCap;
use commonware_utils::acknowledgement::Acknowledgement as _;
use commonware_utils::{NZDuration, NZU64, NZUsize};
use tallystick_kernel::{DurationMs, Reason};
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::Entry;
use tokio::sync::mpsc;

use crate::application::{Deliveries, Delivery, now, wait_for_change};
use crate::block::Block;
use crate::certificate;
use crate::config::MAILBOX;
use crate::prune::Retention;
use crate::pruner;
use crate::schemes::Schemes;
use crate::shared::Shared;
use crate::snapshot_restore;
use crate::validator::{Incoming, Outgoing, Peers, Runtime};

/// Final blocks and their certificates, as the engine keeps them.
pub type Mailbox = marshal::core::Mailbox<Scheme, Standard<Block>>;

type MarshalConfig = marshal::Config<Schemes, FixedEpocher, Sequential, Block, Digested<Block>>;

/// Blocks that are delivered before one must have been applied.
const PENDING_BLOCKS_MAX: usize = 64;
/// How often a node that lost blocks looks whether a snapshot has led past them.
const PER_LOOK_FOR_LOST: Duration = Duration::from_secs(1);
/// Final blocks that the engine gives up together.
const BLOCKS_PER_SECTION: u64 = 1024;

/// What the engine asks to propose and to judge: [`crate::application::Application`], or what a
/// test puts around it.
pub trait Judge<E>:
    ConsensusApplication<
        E,
        SigningScheme = Scheme,
        Context = Context<Digest, ed25519::PublicKey>,
        Block = Block,
        Input = (),
    > + Sync
{
}

impl<E, A> Judge<E> for A where
    A: ConsensusApplication<
            E,
            SigningScheme = Scheme,
            Context = Context<Digest, ed25519::PublicKey>,
            Block = Block,
            Input = (),
        > + Sync
{
}

/// What the parts of the engine have in common.
pub struct Consensus<P> {
    /// The network's genesis file.
    pub genesis: Arc<Genesis>,
    /// The node's state.
    pub shared: Arc<Shared>,
    /// This validator.
    pub key: ed25519::PublicKey,
    /// Sign and verify votes, epoch by epoch.
    pub schemes: Schemes,
    /// The network's view of who is there; it can block peers.
    pub peers: P,
    /// How long blocks are kept.
    pub retention: Retention,
    /// The cache of the engine's storage.
    pub pages: CacheRef,
}

impl<P: Peers> Consensus<P> {
    /// Opens the archives and starts what keeps and delivers final blocks; none when the storage
    /// cannot be opened.
    pub async fn open<E: Runtime, S: Outgoing, R: Incoming>(
        &self,
        context: &E,
        backfill: (S, R),
        blocks: (S, R),
    ) -> Option<Mailbox> {
        let resolver = marshal_resolver::init(
            context.child("resolver"),
            marshal_resolver::Config {
                public_key: self.key.clone(),
                peer_provider: self.peers.clone(),
                blocker: self.peers.clone(),
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
                public_key: self.key.clone(),
                mailbox_size: NZUsize!(MAILBOX),
                deque_size: 10,
                priority: true,
                codec_config: (),
                peer_provider: self.peers.clone(),
                strategy: Sequential,
            },
        );
        broadcast.start(blocks);
        let certificate_codec = Scheme::certificate_codec_config_unbounded();
        let finalizations = prunable::Archive::init(
            context.child("finalizations"),
            archive_config("finalizations", certificate_codec, &self.pages),
        );
        let archive = prunable::Archive::init(
            context.child("blocks"),
            archive_config("blocks", (), &self.pages),
        );
        let (finalizations, archive) = (finalizations.await.ok()?, archive.await.ok()?);
        let (marshal, mailbox, _) = Marshal::<_, Standard<Block>, _, _, _, _, _>::init(
            context.child("marshal"),
            finalizations,
            archive,
            self.marshal_config()?,
        )
        .await;
        let (deliver, deliveries) = mpsc::unbounded_channel();
        marshal.start(Deliveries(deliver), buffer, resolver);
        let applier = Applier {
            clock: context.child("apply_clock"),
            shared: Arc::clone(&self.shared),
            schemes: self.schemes.clone(),
            finalized: mailbox.clone(),
        };
        context.child("apply").shared(true).spawn(|_| applier.run(deliveries));
        let (clock, shared, finalized, retention) = (
            context.child("prune_clock"),
            Arc::clone(&self.shared),
            mailbox.clone(),
            self.retention,
        );
        context
            .child("prune")
            .shared(true)
            .spawn(move |_| pruner::run(clock, shared, finalized, retention));
        Some(mailbox)
    }

    pub(crate) fn first_block(&self) -> (Block, Digest) {
        let header = tallystick_ledger::genesis_header(&self.genesis);
        let block = Block { header, entries: Vec::new() };
        let digest = block.digest();
        (block, digest)
    }

    fn marshal_config(&self) -> Option<MarshalConfig> {
        let kv = Arc::clone(&self.shared.core().kv);
        let start = match snapshot_restore::floor(kv.as_ref()).ok()? {
            None => {
                let (first, first_digest) = self.first_block();
                Start::Genesis(Digested::precomputed(first, first_digest))
            }
            Some((header, finality)) => {
                Start::Floor(self.schemes.finalization(&finality, &header).ok()?)
            }
        };
        Some(marshal::Config {
            provider: self.schemes.clone(),
            epocher: epochs(self.genesis.parameters.epoch_blocks()),
            start,
            partition_prefix: "marshal".into(),
            mailbox_size: NZUsize!(MAILBOX),
            view_retention: ViewDelta::new(20),
            prunable_items_per_section: NZU64!(4096),
            page_cache: self.pages.clone(),
            replay_buffer: NZUsize!(1 << 20),
            key_write_buffer: NZUsize!(1 << 16),
            value_write_buffer: NZUsize!(1 << 16),
            block_codec_config: (),
            max_repair: NZUsize!(20),
            max_pending_acks: NZUsize!(PENDING_BLOCKS_MAX),
            strategy: Sequential,
        })
    }
}

/// Epochs of so many heights.
pub(crate) fn epochs(blocks: u64) -> FixedEpocher {
    FixedEpocher::new(NonZeroU64::MIN.saturating_add(blocks.saturating_sub(1).max(1)))
}

/// Applies final blocks one after the other; acknowledges each after our own durable commit.
struct Applier<E> {
    clock: E,
    shared: Arc<Shared>,
    schemes: Schemes,
    finalized: Mailbox,
}

impl<E: Runtime> Applier<E> {
    async fn run(self, mut deliveries: mpsc::UnboundedReceiver<Delivery>) {
        if let Err(reason) = self.replay().await {
            return self.shared.fail(reason);
        }
        let mut ahead = VecDeque::new();
        while let Some((block, acknowledgement)) =
            next(&self.shared, &mut ahead, &mut deliveries).await
        {
            if let Err(reason) = self.apply(&block).await {
                return self.shared.fail(reason);
            }
            if ahead.is_empty() {
                // A block that lost may have listed what nobody has.
                self.shared.want_nothing();
            }
            acknowledgement.acknowledge();
        }
    }

    /// Applies what the engine counts as delivered and storage has lost since: the engine keeps
    /// blocks of its own. Waits for a snapshot where it no longer has them.
    async fn replay(&self) -> Result<(), Reason> {
        while let Some(processed) = self.finalized.get_processed().await {
            let height = self.shared.core().state.height();
            if height >= processed.height().get() {
                break;
            }
            let block = self.finalized.get_block(Height::new(height + 1)).await;
            self.shared.set_gap(block.is_none());
            match block {
                Some(block) => self.apply(block.inner()).await?,
                None => self.clock.sleep(PER_LOOK_FOR_LOST).await,
            }
        }
        self.shared.set_gap(false);
        Ok(())
    }

    async fn apply(&self, block: &Block) -> Result<(), Reason> {
        let height = block.header.height;
        // Delivery is at least once: what is applied is only acknowledged again.
        if height <= self.shared.core().state.height() {
            return Ok(());
        }
        fetch_bodies(&self.clock, &self.shared, block).await?;
        let finalization = self.finalized.get_finalization(Height::new(height)).await;
        let certificate = finalization.and_then(|found| certificate::convert(&found).ok());
        let (changes, kv) = {
            let mut core = self.shared.core();
            if height <= core.state.height() {
                // A snapshot has led past it meanwhile.
                return Ok(());
            }
            (core.execute(block, certificate.as_ref())?, Arc::clone(&core.kv))
        };
        let mut core = self.shared.write(kv.as_ref(), changes)?;
        core.applied(block, certificate.as_ref(), now(&self.clock))?;
        // Before the engine can ask: the end of an epoch decides who votes two epochs later.
        self.schemes.learn(&core.state)?;
        drop(core);
        self.shared.change();
        Ok(())
    }
}

/// The next block to apply. The bodies of all that wait behind it are asked for together, so that a
/// node that lags behind does not wait for each block's in turn.
async fn next(
    shared: &Shared,
    ahead: &mut VecDeque<Delivery>,
    deliveries: &mut mpsc::UnboundedReceiver<Delivery>,
) -> Option<Delivery> {
    let known = ahead.len();
    if ahead.is_empty() {
        ahead.push_back(deliveries.recv().await?);
    }
    while let Ok(delivery) = deliveries.try_recv() {
        ahead.push_back(delivery);
    }
    if ahead.len() > 1 {
        let entries = ahead.iter().skip(known).flat_map(|(block, _)| &block.entries);
        let entries: Vec<Entry> = entries.copied().collect();
        // What cannot be read here is found out about when the block is applied.
        let missing = shared.core().missing(&entries);
        shared.want(&missing.unwrap_or_default());
    }
    ahead.pop_front()
}

async fn fetch_bodies(clock: &impl Clock, shared: &Shared, block: &Block) -> Result<(), Reason> {
    loop {
        let change = shared.next_change();
        if block.header.height <= shared.core().state.height() {
            return Ok(());
        }
        // Bound first, so that the core's lock is free again when `want` takes its own.
        let missing = shared.core().missing(&block.entries);
        match missing {
            Ok(missing) if missing.is_empty() => return Ok(()),
            Ok(missing) => shared.want(&missing),
            Err(reason) => return Err(reason),
        }
        wait_for_change(clock, change, DurationMs(500)).await;
    }
}

fn archive_config<C>(
    name: &str,
    codec_config: C,
    pages: &CacheRef,
) -> prunable::Config<EightCap, C> {
    prunable::Config {
        translator: EightCap,
        metadata_partition: format!("{name}-meta"),
        key_partition: format!("{name}-key"),
        key_page_cache: pages.clone(),
        value_partition: format!("{name}-value"),
        compression: None,
        codec_config,
        items_per_section: NZU64!(BLOCKS_PER_SECTION),
        key_write_buffer: NZUsize!(1 << 16),
        value_write_buffer: NZUsize!(1 << 16),
        replay_buffer: NZUsize!(1 << 20),
    }
}
