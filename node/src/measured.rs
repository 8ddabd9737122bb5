//! A node whose agreement is measured: proposals wait at a gate, and bodies travel before their
//! block or with it.
//!
//! Only a workload of `tally bench` starts nodes with a gate. It stands around the node and not in
//! it: what is verified, stored and voted on behind it is what every node does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use commonware_actor::{Feedback, Unreliable};
use commonware_consensus::Application as ConsensusApplication;
use commonware_consensus::marshal::ancestry::Ancestry;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::Context;
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{Digested, ed25519};
use commonware_p2p::{CheckedSender, LimitedSender, Recipients};
use commonware_runtime::{Clock, IoBuf, IoBufs};
use tallystick_crypto::PublicKey;
use tokio::sync::watch;

use crate::application::Application;
use crate::block::Block;
use crate::gossip_message::{is_offer, is_want};
use crate::validator::{Channels, Outgoing};

/// When the other validators get the bodies of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// Before it, as always: they have verified and stored them when it comes.
    Before,
    /// With it, as where blocks hold bodies: each verifies and stores them before its vote.
    With,
    /// After it: each asks for them, because the block lists what it lacks.
    After,
}

/// Which proposals may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    All,
    Next,
    None,
}

/// A proposal that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// Its height.
    pub height: u64,
    /// Its transactions.
    pub entries: usize,
    /// When its proposer had it.
    pub at: Instant,
}

/// What the measured nodes of one process share.
pub struct Gate {
    passage: watch::Sender<Passage>,
    waiting: watch::Sender<Option<PublicKey>>,
    proposed: watch::Sender<Option<Proposed>>,
    held: Mutex<Held>,
}

struct Held {
    bodies: Bodies,
    offers: Vec<IoBuf>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            passage: watch::Sender::new(Passage::All),
            waiting: watch::Sender::new(None),
            proposed: watch::Sender::new(None),
            held: Mutex::new(Held { bodies: Bodies::Before, offers: Vec::new() }),
        }
    }
}

impl Gate {
    /// From now on proposals wait.
    pub fn close(&self) {
        self.passage.send_replace(Passage::None);
    }

    /// From now on all pass, and bodies travel as always.
    pub fn open(&self) {
        self.carry(Bodies::Before);
        self.passage.send_replace(Passage::All);
    }

    /// How the bodies of what is submitted from now on travel.
    pub fn carry(&self, bodies: Bodies) {
        *self.held() = Held { bodies, offers: Vec::new() };
    }

    /// The key of the leader whose proposal waits.
    pub fn waiting(&self) -> watch::Receiver<Option<PublicKey>> {
        self.waiting.subscribe()
    }

    /// Lets one proposal pass; gives what will say which it was.
    pub fn let_one_pass(&self) -> watch::Receiver<Option<Proposed>> {
        self.proposed.send_replace(None);
        let proposed = self.proposed.subscribe();
        self.passage.send_replace(Passage::Next);
        proposed
    }

    async fn pass(&self, own: PublicKey) {
        self.waiting.send_replace(Some(own));
        let _at_gate = AtGate(self, own);
        let mut passage = self.passage.subscribe();
        loop {
            passage.mark_unchanged();
            let mut may_pass = false;
            self.passage.send_if_modified(|passage| {
                may_pass = *passage != Passage::None;
                let is_last = *passage == Passage::Next;
                if is_last {
                    *passage = Passage::None;
                }
                is_last
            });
            if may_pass || passage.changed().await.is_err() {
                return;
            }
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a message of gossip is kept back.
    fn keeps(&self, message: &IoBuf) -> bool {
        let mut held = self.held();
        match held.bodies {
            Bodies::Before => false,
            Bodies::With if is_offer(message.as_ref()) => {
                held.offers.push(message.clone());
                true
            }
            // The bodies are on their way already.
            Bodies::With => is_want(message.as_ref()),
            Bodies::After => is_offer(message.as_ref()),
        }
    }
}

/// A leader at the gate; it may be called away when its view is given up.
struct AtGate<'g>(&'g Gate, PublicKey);

impl Drop for AtGate<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_if_modified(|waiting| {
            let is_own = *waiting == Some(self.1);
            if is_own {
                *waiting = None;
            }
            is_own
        });
    }
}

/// An application with a gate before its proposals, where there is one.
#[derive(Clone)]
pub struct Gated<S> {
    inner: Application,
    own: PublicKey,
    gate: Option<Arc<Gate>>,
    gossip: S,
}

impl<S> Gated<S> {
    /// Around the application of the node with this key; `gossip` is where its offers go.
    pub fn new(inner: Application, own: PublicKey, gate: Option<Arc<Gate>>, gossip: S) -> Gated<S> {
        Gated { inner, own, gate, gossip }
    }
}

impl<E, S> ConsensusApplication<E> for Gated<S>
where
    E: Clock + Send + Sync + 'static,
    S: Outgoing,
{
    type SigningScheme = Scheme;
    type Context = Context<Digest, ed25519::PublicKey>;
    type Block = Block;
    type Input = ();

    async fn propose(
        &mut self,
        context: (E, Self::Context),
        ancestry: impl Ancestry<Block>,
        (): (),
    ) -> Option<Digested<Block>> {
        if let Some(gate) = &self.gate {
            gate.pass(self.own).await;
        }
        let proposed = self.inner.propose(context, ancestry, ()).await?;
        if let Some(gate) = &self.gate {
            let (height, entries) =
                (proposed.inner().header.height, proposed.inner().entries.len());
            gate.proposed.send_replace(Some(Proposed { height, entries, at: Instant::now() }));
            let offers = std::mem::take(&mut gate.held().offers);
            for offer in offers {
                self.gossip.send(Recipients::All, offer, true);
            }
        }
        Some(proposed)
    }

    async fn verify(
        &mut self,
        context: (E, Self::Context),
        ancestry: impl Ancestry<Block>,
    ) -> bool {
        self.inner.verify(context, ancestry).await
    }
}

/// A sending end of one channel, from which a gate may keep messages back.
#[derive(Clone)]
pub struct Keeping<S> {
    inner: S,
    gate: Option<Arc<Gate>>,
}

/// A message's way to recipients that have room.
pub struct KeepingChecked<C> {
    inner: C,
    gate: Option<Arc<Gate>>,
}

/// The same channels; of gossip the gate keeps back what it wants.
pub fn keeping<S: Outgoing, R>(
    channels: Channels<S, R>,
    gate: Option<&Arc<Gate>>,
) -> Channels<Keeping<S>, R> {
    let free = |(inner, receiver)| (Keeping { inner, gate: None }, receiver);
    let (inner, receiver) = channels.gossip;
    Channels {
        votes: free(channels.votes),
        certificates: free(channels.certificates),
        requests: free(channels.requests),
        backfill: free(channels.backfill),
        blocks: free(channels.blocks),
        gossip: (Keeping { inner, gate: gate.cloned() }, receiver),
        snapshots: free(channels.snapshots),
    }
}

impl<S: LimitedSender> LimitedSender for Keeping<S> {
    type PublicKey = S::PublicKey;
    type Checked<'a> = KeepingChecked<S::Checked<'a>>;

    fn check(
        &mut self,
        recipients: Recipients<Self::PublicKey>,
    ) -> Result<Self::Checked<'_>, SystemTime> {
        Ok(KeepingChecked { gate: self.gate.clone(), inner: self.inner.check(recipients)? })
    }
}

impl<C: CheckedSender> CheckedSender for KeepingChecked<C> {
    type PublicKey = C::PublicKey;

    fn recipients(&self) -> Vec<Self::PublicKey> {
        self.inner.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let Some(gate) = self.gate else { return self.inner.send(message, priority) };
        let message: IoBuf = message.into().coalesce();
        if gate.keeps(&message) {
            return Unreliable::new(Feedback::Ok);
        }
        self.inner.send(message, priority)
    }
}
