//! Wiring of the consensus engine: its archives and the delivery of final blocks.
//!
//! Only this crate names the engine, and only this file and `epochs.rs`, which runs agreement, know
//! how its parts fit together.

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
use commonware_consensus::types::{FixedEpocher, ViewDelta};
use commonware_cryptography::certificate::Verifier as _;
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{Digested, Digestible, ed25519};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_storage::archive::prunable;
use commonware_storage::translator::EightCap;
use commonware_utils::{NZDuration, NZU64, NZUsize};
use tallystick_proofs::genesis::Genesis;
use tokio::sync::mpsc;

use crate::application::{Deliveries, Delivery};
use crate::applier::{self, Applier, UNWRITTEN_MAX};
use crate::block::Block;
use crate::config::MAILBOX;
use crate::pruner::{self, Pruning};
use crate::schemes::Schemes;
use crate::shared::Shared;
use crate::snapshot_restore;
use crate::validator::{Incoming, Outgoing, Peers, Runtime};

/// Final blocks and their certificates, as the engine keeps them.
pub type Mailbox = marshal::core::Mailbox<Scheme, Standard<Block>>;

type MarshalConfig = marshal::Config<Schemes, FixedEpocher, Sequential, Block, Digested<Block>>;

/// Blocks that are delivered before one must have been applied.
const PENDING_BLOCKS_MAX: usize = 64;
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
    /// How long blocks are kept, and where afterwards.
    pub pruning: Pruning,
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
        let delivering = Deliveries { shared: Arc::clone(&self.shared), out: deliver };
        marshal.start(delivering, buffer, resolver);
        self.apply(context, &mailbox, deliveries);
        let (clock, shared, finalized, pruning) = (
            context.child("prune_clock"),
            Arc::clone(&self.shared),
            mailbox.clone(),
            self.pruning.clone(),
        );
        context
            .child("prune")
            .shared(true)
            .spawn(move |_| pruner::run(clock, shared, finalized, pruning));
        Some(mailbox)
    }

    /// Starts the tasks that execute final blocks and write what follows.
    fn apply<E: Runtime>(
        &self,
        context: &E,
        mailbox: &Mailbox,
        deliveries: mpsc::UnboundedReceiver<Delivery>,
    ) {
        let (out, unwritten) = mpsc::channel(UNWRITTEN_MAX);
        let applier = Applier {
            clock: context.child("apply_clock"),
            shared: Arc::clone(&self.shared),
            schemes: self.schemes.clone(),
            finalized: mailbox.clone(),
        };
        let (clock, shared, finalized) =
            (context.child("write_clock"), Arc::clone(&self.shared), mailbox.clone());
        let writer = context
            .child("write")
            .shared(true)
            .spawn(|_| applier::write(clock, shared, finalized, unwritten));
        context.child("apply").shared(true).spawn(|_| applier.run(deliveries, out, writer));
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
