//! Between a node and the simulated network: who may still send, what goes over the wire, and in
//! which order it arrives.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use commonware_actor::{Feedback, Unreliable};
use commonware_cryptography::ed25519;
use commonware_p2p::simulated::{Control, Manager};
use commonware_p2p::{
    BlockedSubscription, Blocker, CheckedSender, LimitedSender, Message, PeerSetSubscription,
    Provider, Receiver, Recipients, TrackedPeers, simulated,
};
use commonware_runtime::{Clock as _, IoBuf, IoBufs, Spawner as _, Supervisor as _, deterministic};
use rand::Rng as _;
use tokio::sync::mpsc;

use crate::world::World;

/// A validator as the network knows it.
pub type Key = ed25519::PublicKey;
/// The network's own end of a channel.
pub type NetSender = simulated::Sender<Key, deterministic::Context>;
/// The network's own end of a channel.
pub type NetReceiver = simulated::Receiver<Key>;

/// How many channels a node has.
pub const CHANNELS: usize = 7;
/// The channel of votes.
pub const VOTES: usize = 0;
/// The channel of certificates.
pub const CERTIFICATES: usize = 1;
/// The channel of new blocks.
pub const BLOCKS: usize = 4;
/// The channel of transactions and storage statements.
pub const GOSSIP: usize = 5;

/// One life of a node: from its start to its crash.
pub struct Port {
    /// The validator's place in the genesis file.
    pub place: usize,
    /// The seat that lives.
    pub seat: usize,
    dead: AtomicBool,
    /// Whom it reaches; none means everyone.
    audience: Option<BTreeSet<Key>>,
    world: Arc<World>,
}

impl Port {
    /// A new life.
    pub fn new(
        world: &Arc<World>,
        place: usize,
        seat: usize,
        audience: Option<BTreeSet<Key>>,
    ) -> Arc<Port> {
        let dead = AtomicBool::new(false);
        Arc::new(Port { place, seat, dead, audience, world: Arc::clone(world) })
    }

    /// Ends it: nothing that its tasks still do is heard by anyone.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Whether it has ended.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    fn narrow(&self, recipients: Recipients<Key>) -> Recipients<Key> {
        let Some(audience) = &self.audience else { return recipients };
        let kept = match recipients {
            Recipients::All => audience.iter().cloned().collect(),
            Recipients::Some(some) => {
                some.into_iter().filter(|key| audience.contains(key)).collect()
            }
            Recipients::One(one) => {
                Some(one).filter(|key| audience.contains(key)).into_iter().collect()
            }
        };
        Recipients::Some(kept)
    }
}

/// A node's sending end.
#[derive(Clone)]
pub struct Outbox {
    inner: NetSender,
    port: Arc<Port>,
    channel: usize,
}

/// A message that may be sent now.
pub struct CheckedOutbox<'a> {
    inner: <NetSender as LimitedSender>::Checked<'a>,
    port: Arc<Port>,
    channel: usize,
}

impl Outbox {
    /// The end of a channel for one life.
    pub fn new(inner: NetSender, port: Arc<Port>, channel: usize) -> Outbox {
        Outbox { inner, port, channel }
    }
}

impl LimitedSender for Outbox {
    type PublicKey = Key;
    type Checked<'a> = CheckedOutbox<'a>;

    fn check(&mut self, recipients: Recipients<Key>) -> Result<CheckedOutbox<'_>, SystemTime> {
        let inner = self.inner.check(self.port.narrow(recipients))?;
        Ok(CheckedOutbox { inner, port: Arc::clone(&self.port), channel: self.channel })
    }
}

impl CheckedSender for CheckedOutbox<'_> {
    type PublicKey = Key;

    fn recipients(&self) -> Vec<Key> {
        self.inner.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        if self.port.is_dead() {
            return Unreliable::new(Feedback::Closed);
        }
        let message: IoBuf = message.into().coalesce();
        let world = &self.port.world;
        match world.outgoing(self.port.seat, self.channel, &message) {
            Some(message) => self.inner.send(message, priority),
            // Swallowed by a node that lies.
            None => Unreliable::new(Feedback::Ok),
        }
    }
}

/// A node's receiving end.
#[derive(Debug)]
pub struct Inbox {
    inner: mpsc::UnboundedReceiver<Message<Key>>,
    capacity: NonZeroUsize,
}

/// Why nothing more is received.
#[derive(Debug)]
pub struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the node's life has ended")
    }
}

impl std::error::Error for Closed {}

impl Receiver for Inbox {
    type Error = Closed;
    type PublicKey = Key;

    async fn recv(&mut self) -> Result<Message<Key>, Closed> {
        self.inner.recv().await.ok_or(Closed)
    }

    fn capacity(&self) -> NonZeroUsize {
        self.capacity
    }
}

type Target = (Arc<Port>, mpsc::UnboundedSender<Message<Key>>);

/// One channel of one validator: passes what arrives on to whoever lives under that key.
#[derive(Clone)]
pub struct Letterbox {
    sender: NetSender,
    targets: Arc<Mutex<Vec<Target>>>,
    capacity: NonZeroUsize,
}

impl Letterbox {
    /// Starts passing on.
    pub fn new(
        context: &deterministic::Context,
        world: &Arc<World>,
        (sender, mut receiver): (NetSender, NetReceiver),
    ) -> Letterbox {
        let targets: Arc<Mutex<Vec<Target>>> = Arc::default();
        let capacity = receiver.capacity();
        let (world, passed) = (Arc::clone(world), Arc::clone(&targets));
        context.child("letterbox").spawn(async move |mut context| {
            while let Ok((peer, message)) = receiver.recv().await {
                let copies = deliveries(&world, &mut context);
                for delay in copies {
                    let targets = Arc::clone(&passed);
                    let (peer, message) = (peer.clone(), message.clone());
                    if delay.is_zero() {
                        deliver(&targets, &peer, &message);
                        continue;
                    }
                    context.child("late").spawn(async move |context| {
                        context.sleep(delay).await;
                        deliver(&targets, &peer, &message);
                    });
                }
            }
        });
        Letterbox { sender, targets, capacity }
    }

    /// Both ends for a new life.
    pub fn open(&self, port: &Arc<Port>, channel: usize) -> (Outbox, Inbox) {
        let (sender, inner) = mpsc::unbounded_channel();
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|(port, _)| !port.is_dead());
        targets.push((Arc::clone(port), sender));
        let outbox = Outbox::new(self.sender.clone(), Arc::clone(port), channel);
        (outbox, Inbox { inner, capacity: self.capacity })
    }

    /// The network's own end, on which a validator that lies says what no node would.
    pub fn raw(&self) -> NetSender {
        self.sender.clone()
    }
}

/// When the copies of a message arrive after it came over the link: mostly one at once.
fn deliveries(world: &World, context: &mut deterministic::Context) -> Vec<Duration> {
    let (late, twice) = world.disorder();
    let drawn = context.next_u64() % 1000;
    let delay = Duration::from_millis(1 + context.next_u64() % 300);
    if drawn < late {
        vec![delay]
    } else if drawn < late + twice {
        vec![Duration::ZERO, delay]
    } else {
        vec![Duration::ZERO]
    }
}

fn deliver(targets: &Mutex<Vec<Target>>, peer: &Key, message: &IoBuf) {
    let targets = targets.lock().unwrap_or_else(PoisonError::into_inner);
    for (port, target) in targets.iter() {
        let in_reach = port.audience.as_ref().is_none_or(|audience| audience.contains(peer));
        if in_reach && !port.is_dead() {
            // A life that has just ended hears nothing.
            drop(target.send((peer.clone(), message.clone())));
        }
    }
}

/// Who the others are, and whom one node no longer listens to.
#[derive(Clone)]
pub struct Neighbours {
    manager: Manager<Key, deterministic::Context>,
    control: Control<Key, deterministic::Context>,
    port: Arc<Port>,
}

impl Neighbours {
    /// For one life.
    pub fn new(
        manager: Manager<Key, deterministic::Context>,
        control: Control<Key, deterministic::Context>,
        port: Arc<Port>,
    ) -> Neighbours {
        Neighbours { manager, control, port }
    }
}

impl std::fmt::Debug for Neighbours {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "neighbours of {}", self.port.place)
    }
}

impl Provider for Neighbours {
    type PublicKey = Key;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<Key>> {
        self.manager.peer_set(id).await
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<Key> {
        self.manager.subscribe().await
    }
}

impl Blocker for Neighbours {
    type PublicKey = Key;

    fn block(&mut self, peer: Key) -> Feedback {
        if self.port.is_dead() {
            return Feedback::Closed;
        }
        self.port.world.blocked(self.port.seat, &peer);
        self.control.block(peer)
    }

    fn blocked(&mut self) -> BlockedSubscription<Key> {
        self.control.blocked()
    }
}
