//! A validator on any runtime and any network: what a process on tokio and the simulator share.

use std::sync::Arc;

use bytes::Bytes;
use commonware_codec::DecodeExt;
use commonware_consensus::marshal::standard::Standard;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::{marshal, simplex};
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{Signer as _, ed25519};
use commonware_p2p::utils::mux::prefixed;
use commonware_p2p::{Blocker, Provider, Receiver, Sender};
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, Metrics, Spawner, Storage};
use commonware_utils::{NZU16, NZUsize};
use rand::CryptoRng;
use tallystick_crypto::{PublicKey, SigningKey};
use tallystick_kernel::limits::VALIDATORS_MAX;
use tallystick_kernel::{Reason, TimeMs};
use tallystick_ledger::Rules;
use tallystick_proofs::finality;
use tallystick_proofs::genesis::Genesis;
use tokio::sync::{Notify, mpsc};
use zeroize::Zeroizing;

use crate::application::{Application, now};
use crate::block::Block;
use crate::config::Preset;
use crate::consensus::{Consensus, Judge};
use crate::core::Core;
use crate::counted::{Counted, SentBytes};
use crate::failure::Failure;
use crate::gossip::Gossip;
use crate::gossip_message::MESSAGE_BYTES_MAX;
use crate::handle::NodeHandle;
use crate::ingest::CHECKED_MAX;
use crate::keys;
use crate::kv::Kv;
use crate::pruner::Pruning;
use crate::schemes::Schemes;
use crate::shared::Shared;
use crate::snapshot_exchange::Exchange;
use crate::snapshot_message::SNAPSHOT_MESSAGE_BYTES_MAX;

/// A page of the engine's storage, less its checksum.
const PAGE_BYTES: u16 = 4084;
const PAGES_CACHED: usize = 512;

/// What a validator runs on: tasks, time, randomness and the engine's own storage.
pub trait Runtime: Clock + CryptoRng + Spawner + Storage + Metrics {}

impl<T: Clock + CryptoRng + Spawner + Storage + Metrics> Runtime for T {}

/// Who the other validators are, and a way to stop listening to one.
pub trait Peers:
    Provider<PublicKey = ed25519::PublicKey> + Blocker<PublicKey = ed25519::PublicKey> + Sync
{
}

impl<T> Peers for T where
    T: Provider<PublicKey = ed25519::PublicKey> + Blocker<PublicKey = ed25519::PublicKey> + Sync
{
}

/// One end of a channel that sends.
pub trait Outgoing: Sender<PublicKey = ed25519::PublicKey> {}

impl<T: Sender<PublicKey = ed25519::PublicKey>> Outgoing for T {}

/// One end of a channel that receives.
pub trait Incoming: Receiver<PublicKey = ed25519::PublicKey> {}

impl<T: Receiver<PublicKey = ed25519::PublicKey>> Incoming for T {}

/// The channels of a validator's network, in the order of their numbers from zero.
pub struct Channels<S, R> {
    /// Votes.
    pub votes: (S, R),
    /// Certificates.
    pub certificates: (S, R),
    /// Requests for certificates.
    pub requests: (S, R),
    /// Requests for final blocks.
    pub backfill: (S, R),
    /// New blocks.
    pub blocks: (S, R),
    /// Transactions, storage statements, signs of life.
    pub gossip: (S, R),
    /// Snapshots.
    pub snapshots: (S, R),
}

impl<S: Outgoing, R> Channels<S, R> {
    /// The same, with what is sent counted.
    fn counted(self, sent: &Arc<SentBytes>) -> Channels<Counted<S>, R> {
        let counted = |(sender, receiver), channel| (Counted::new(sender, channel, sent), receiver);
        Channels {
            votes: counted(self.votes, 0),
            certificates: counted(self.certificates, 1),
            requests: counted(self.requests, 2),
            backfill: counted(self.backfill, 3),
            blocks: counted(self.blocks, 4),
            gossip: counted(self.gossip, 5),
            snapshots: counted(self.snapshots, 6),
        }
    }
}

/// How a validator's tasks came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// [`NodeHandle::shutdown`] asked for it.
    Asked,
    /// It cannot go on; the failure policy was told.
    Failed,
}

/// What a validator must be told before it opens its storage.
pub struct Setup {
    /// The network's genesis file, checked.
    pub genesis: Arc<Genesis>,
    /// The seed of this validator's Ed25519 key; the key must be in the genesis file, unless the
    /// network's validators can change.
    pub seed: Zeroizing<[u8; 32]>,
    /// The rules in force.
    pub rules: Rules,
    /// Tasks that verify at a time; at least one.
    pub verifiers: usize,
    /// How long blocks and transactions are kept, and where afterwards.
    pub pruning: Pruning,
    /// When it makes a block.
    pub preset: Preset,
    /// What is done when it cannot go on.
    pub failure: Failure,
}

/// A validator whose storage is open.
pub struct Validator {
    setup: Setup,
    gossip: Gossip,
    handle: NodeHandle,
}

impl Validator {
    /// Opens the state in `kv` at the time `time`.
    ///
    /// Returns [`Reason::SignerUnknown`] when the key is not a validator's, and the reasons of
    /// [`Core::open`].
    pub fn open(setup: Setup, kv: Arc<dyn Kv>, time: TimeMs) -> Result<Validator, Reason> {
        let key = SigningKey::ed25519_from_seed(&setup.seed);
        let public = key.public_key();
        let is_first = setup.genesis.validators.keys().contains(&public);
        if !is_first && setup.genesis.parameters.governance.is_none() {
            return Err(Reason::SignerUnknown);
        }
        let core = Core::open(Arc::clone(&setup.genesis), kv, setup.rules, public, time)?;
        let core = core.with_preset(setup.preset);
        let shared = Arc::new(Shared::new(core, setup.failure.clone()));
        let stop = Arc::new(Notify::new());
        let handle = NodeHandle { shared: Arc::clone(&shared), stop };
        let gossip = Gossip { shared, network: setup.genesis.network(), key: Arc::new(key) };
        Ok(Validator { setup, gossip, handle })
    }

    /// What the rest of the process, or of the simulation, asks of it.
    pub fn handle(&self) -> NodeHandle {
        self.handle.clone()
    }

    /// Its public key.
    pub fn own(&self) -> PublicKey {
        self.gossip.shared.own()
    }

    /// Its key as the engine has it; [`Reason::KeyMalformed`].
    pub fn key(&self) -> Result<ed25519::PrivateKey, Reason> {
        ed25519::PrivateKey::decode(Bytes::copy_from_slice(&self.setup.seed[..]))
            .map_err(|_| Reason::KeyMalformed)
    }

    /// Runs until it is asked to stop or cannot go on. `connect` is called once everything that
    /// listens is there; `wrap` may put something around what the engine asks of this node.
    pub async fn run<E, P, S, R, A>(
        self,
        context: &E,
        channels: Channels<S, R>,
        peers: P,
        connect: impl FnOnce(),
        wrap: impl FnOnce(Application) -> A,
    ) -> Ended
    where
        E: Runtime,
        P: Peers,
        S: Outgoing,
        R: Incoming,
        A: Judge<E>,
    {
        let channels = channels.counted(self.gossip.shared.sent());
        let failure = self.setup.failure.clone();
        let failed = |reason| {
            failure.report(reason);
            Ended::Failed
        };
        let private = match self.key() {
            Ok(private) => private,
            Err(reason) => return failed(reason),
        };
        let namespace = finality::namespace(&self.setup.genesis.network());
        let shared = Arc::clone(&self.gossip.shared);
        let schemes = Schemes::new(&namespace, private.clone(), &shared.core().state);
        let schemes = match schemes {
            Ok(schemes) => schemes,
            Err(reason) => return failed(reason),
        };
        let application = Application::new(Arc::clone(&shared), now(context));
        let consensus = Consensus {
            genesis: Arc::clone(&self.setup.genesis),
            shared,
            key: private.public_key(),
            schemes,
            peers,
            pruning: self.setup.pruning.clone(),
            pages: CacheRef::new(NZU16!(PAGE_BYTES), NZUsize!(PAGES_CACHED)),
        };
        start_gossip(context, &self.gossip, self.setup.verifiers, channels.gossip);
        let opened = consensus.open(context, channels.backfill, channels.blocks).await;
        let Some(mailbox) = opened else { return failed(Reason::StorageCorrupt) };
        let exchange = Exchange::new(
            Arc::clone(&self.gossip.shared),
            consensus.schemes.clone(),
            mailbox.clone(),
            now(context),
        );
        let (clock, (out, incoming)) = (context.child("snapshot_clock"), channels.snapshots);
        context.child("snapshots").shared(true).spawn(|_| exchange.run(clock, incoming, out));
        connect();
        let (votes, certificates) = (channels.votes, channels.certificates);
        let channels = (votes, certificates, channels.requests);
        let running = consensus.agree(context, wrap(application), mailbox, channels);
        let running = std::pin::pin!(running);
        let stopped = std::pin::pin!(self.handle.stop.notified());
        match futures::future::select(stopped, running).await {
            futures::future::Either::Left(_) => Ended::Asked,
            // The engine ends by itself only when one of its parts has failed.
            futures::future::Either::Right((Reason::Internal, _)) => {
                let kv = Arc::clone(&self.gossip.shared.core().kv);
                failed(why_ended(kv.as_ref()))
            }
            futures::future::Either::Right((reason, _)) => failed(reason),
        }
    }
}

/// Why the engine may have ended: it panics without a reason when its storage fails.
pub(crate) fn why_ended(kv: &dyn Kv) -> Reason {
    let write = keys::put(keys::PROBE.to_vec(), vec![0; PROBE_BYTES]);
    let written = kv.commit(vec![write]);
    match written.and_then(|()| kv.commit(vec![keys::remove(keys::PROBE.to_vec())])) {
        Ok(()) => Reason::Internal,
        Err(reason) => reason,
    }
}

/// What is written to see whether there is room: more than the engine keeps back.
const PROBE_BYTES: usize = 256 * 1024;

/// Bytes of a message at most, on any channel, whatever the validator set.
pub fn message_bytes_max() -> u32 {
    let count = u32::try_from(VALIDATORS_MAX).unwrap_or(u32::MAX);
    commonware_p2p::max_message_size(&[
        prefixed(simplex::max_payload_size::<Scheme, Digest>(count)),
        marshal::max_payload_size::<Standard<Block>, Scheme>(count, &()),
        MESSAGE_BYTES_MAX,
        SNAPSHOT_MESSAGE_BYTES_MAX,
    ])
}

fn start_gossip<E: Runtime>(
    context: &E,
    gossip: &Gossip,
    verifiers: usize,
    (sender, receiver): (impl Outgoing, impl Incoming),
) {
    let (checked, to_store) = mpsc::channel(CHECKED_MAX);
    for place in 0..verifiers.max(1) {
        let (verify, checked) = (gossip.clone(), checked.clone());
        let clock = context.child("verify_clock").with_attribute("place", place);
        let verifier = context.child("verify").with_attribute("place", place);
        verifier.shared(true).spawn(|_| verify.verify(clock, checked));
    }
    let store = gossip.clone();
    let (clock, out) = (context.child("store_clock"), sender.clone());
    context.child("store").shared(true).spawn(|_| store.store(clock, to_store, out));
    let listen = gossip.clone();
    let (clock, out) = (context.child("gossip_clock"), sender.clone());
    context.child("gossip").shared(true).spawn(|_| listen.listen(clock, receiver, out));
    let repeat = gossip.clone();
    let clock = context.child("repeat_clock");
    context.child("repeat").shared(true).spawn(|_| repeat.repeat(clock, sender));
}
