//! What a validator that lies does: to its proposals, to its messages, and beside them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use commonware_consensus::Application as ConsensusApplication;
use commonware_consensus::marshal::ancestry::Ancestry;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::Context;
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{Digested, Digestible as _, ed25519};
use commonware_p2p::{Recipients, Sender as _};
use commonware_runtime::{Clock, IoBuf, deterministic};
use tallystick_kernel::{Codec, DurationMs, TransactionId};
use tallystick_node::application::Application;
use tallystick_node::block::Block;
use tallystick_node::gossip_message::{MESSAGE_BYTES_MAX, Message};
use tallystick_proofs::header::{Entry, entries_root};

use crate::draw::Draw;
use crate::wire::{CHANNELS, GOSSIP, NetSender, VOTES};
use crate::world::{World, held};

/// One way of lying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vice {
    /// Runs twice with one key, each half of the network hearing one of the two.
    Twin,
    /// Proposes bodies that it gives to nobody.
    Withhold,
    /// Claims roots that are not those of the state.
    WrongRoots,
    /// Never reports results.
    HeldBackRoots,
    /// Lists more entries than are allowed.
    TooLarge,
    /// Lists transactions that can only fail: executed, expired, or twice.
    Doomed,
    /// Says what nobody can read.
    Garbage,
    /// Says again what was true long ago.
    Stale,
    /// Votes for whatever it is asked about.
    Yes,
    /// Proposes and then does not vote.
    Mute,
    /// Dates its blocks far ahead.
    Future,
    /// Lists transactions whose witnesses do not verify, and gives them to everyone.
    BadWitness,
    /// Forgets everything whenever it is started, its own votes too.
    Amnesia,
}

impl Vice {
    /// All of them.
    pub const ALL: [Vice; 13] = [
        Vice::Twin,
        Vice::Withhold,
        Vice::WrongRoots,
        Vice::HeldBackRoots,
        Vice::TooLarge,
        Vice::Doomed,
        Vice::Garbage,
        Vice::Stale,
        Vice::Yes,
        Vice::Mute,
        Vice::Future,
        Vice::BadWitness,
        Vice::Amnesia,
    ];

    /// One to three.
    pub fn draw(draw: &mut Draw) -> BTreeSet<Vice> {
        let count = draw.between(1, 3);
        (0..count).filter_map(|_| draw.one_of(&Vice::ALL).copied()).collect()
    }
}

/// What a lying seat's message becomes on its way out; none when it is swallowed.
pub fn outgoing(
    _world: &World,
    _seat: usize,
    vices: &BTreeSet<Vice>,
    channel: usize,
    message: &IoBuf,
) -> Option<IoBuf> {
    let swallowed = match channel {
        GOSSIP if vices.contains(&Vice::Withhold) => {
            let read = Message::from_bytes(message.as_ref(), MESSAGE_BYTES_MAX);
            matches!(read, Ok(Message::Offer(_) | Message::Have(_)))
        }
        VOTES => vices.contains(&Vice::Mute),
        _ => false,
    };
    if swallowed { None } else { Some(message.clone()) }
}

/// Says garbage and old messages beside what the node itself says, until all is healed.
pub async fn disturb(
    context: deterministic::Context,
    world: Arc<World>,
    vices: BTreeSet<Vice>,
    mut senders: Vec<NetSender>,
) {
    let mut draw = Draw::new(world.scenario.seed, 77);
    while !*held(&world.is_healed) {
        context.sleep(Duration::from_millis(draw.between(20, 400))).await;
        let channel = draw.place(CHANNELS);
        let Some(sender) = senders.get_mut(channel) else { continue };
        if vices.contains(&Vice::Garbage) {
            sender.send(Recipients::All, IoBuf::from(garbage(&world, &mut draw, channel)), false);
        }
        if vices.contains(&Vice::Stale) {
            let old = held(&world.tap).old.get(&channel).cloned().unwrap_or_default();
            if let Some(message) = draw.one_of(&old) {
                sender.send(Recipients::All, message.clone(), false);
            }
        }
        let forged: Vec<Vec<u8>> = held(&world.forged).iter().map(Codec::to_bytes).collect();
        if let (Some(sender), false) = (senders.get_mut(GOSSIP), forged.is_empty()) {
            let have = Message::Have(forged.into_iter().rev().take(8).collect());
            sender.send(Recipients::All, IoBuf::from(have.to_bytes()), false);
        }
    }
}

/// Random bytes, or something that was true with a few bytes changed.
fn garbage(world: &World, draw: &mut Draw, channel: usize) -> Vec<u8> {
    let old = held(&world.tap).old.get(&channel).cloned().unwrap_or_default();
    let Some(message) = draw.one_of(&old).filter(|message| !message.as_ref().is_empty()) else {
        let length = draw.place(300);
        return draw.bytes(length);
    };
    let mut bytes = message.as_ref().to_vec();
    for _ in 0..draw.between(1, 4) {
        let at = draw.place(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << draw.below(8);
        }
    }
    bytes
}

/// The node's own judgement, or what a liar makes of it.
#[derive(Clone)]
pub struct Liar {
    inner: Application,
    vices: Arc<BTreeSet<Vice>>,
    world: Arc<World>,
}

impl Liar {
    /// Around an application; without vices it changes nothing.
    pub fn new(inner: Application, vices: &BTreeSet<Vice>, world: &Arc<World>) -> Liar {
        Liar { inner, vices: Arc::new(vices.clone()), world: Arc::clone(world) }
    }

    /// Spoils a block that was right.
    fn spoil(&self, mut block: Block, parent: &Block) -> Block {
        let mut draw = Draw::new(self.world.scenario.seed, block.header.height.wrapping_add(1000));
        let vices: Vec<Vice> = self.vices.iter().copied().collect();
        match draw.one_of(&vices) {
            Some(Vice::WrongRoots) => {
                let root = draw.bytes(32).try_into().unwrap_or([1; 32]);
                if draw.percent(50) {
                    block.header.results_root = root;
                } else {
                    block.header.checkpoint_root = root;
                }
            }
            Some(Vice::HeldBackRoots) => {
                block.header.executed_height = parent.header.executed_height;
                block.header.checkpoint_root = parent.header.checkpoint_root;
                block.header.results_root = tallystick_ledger::receipts::results_root([]);
            }
            Some(Vice::TooLarge) => {
                let wanted = self.world.scenario.entries_max + 1;
                let count = wanted.saturating_sub(block.entries.len() as u64);
                for _ in 0..count {
                    let id = draw.bytes(32).try_into().unwrap_or([1; 32]);
                    block.entries.push(Entry { id: TransactionId(id), witness_hash: [7; 32] });
                }
            }
            Some(Vice::Doomed) => {
                let tracked = held(&self.world.tracked);
                let known: Vec<_> = tracked.values().map(|one| &one.transaction).collect();
                for _ in 0..draw.between(1, 3) {
                    let picked = draw.one_of(&known).map(|one| tallystick_ledger::entry_of(one));
                    block.entries.extend(picked);
                }
            }
            Some(Vice::BadWitness) => {
                let tracked = held(&self.world.tracked);
                let known: Vec<_> = tracked.values().map(|one| &one.transaction).collect();
                if let Some(mut forged) = draw.one_of(&known).map(|one| (*one).clone()) {
                    for (_, signature) in &mut forged.witness.0 {
                        signature.0[40] ^= 1;
                    }
                    block.entries.push(tallystick_ledger::entry_of(&forged));
                    held(&self.world.forged).push(forged);
                }
            }
            Some(Vice::Future) => {
                let ahead = DurationMs(draw.between(1000, 20_000));
                block.header.time = block.header.time.after(ahead);
            }
            Some(Vice::Withhold) => {
                let id = draw.bytes(32).try_into().unwrap_or([1; 32]);
                block.entries.push(Entry { id: TransactionId(id), witness_hash: [9; 32] });
            }
            _ => {}
        }
        block.header.count = block.entries.len() as u64;
        block.header.transactions_root = entries_root(&block.entries);
        block
    }
}

impl<E: Clock + Send + Sync + 'static> ConsensusApplication<E> for Liar {
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
        let parent = ancestry.peek().map(|parent| parent.inner().clone());
        let proposed = self.inner.propose(context, ancestry, ()).await?;
        let block = match parent {
            Some(parent) if !self.vices.is_empty() => self.spoil(proposed.inner().clone(), &parent),
            _ => proposed.inner().clone(),
        };
        // Its proposer votes for it before it sends it.
        held(&self.world.tap).blocks.insert(block.header.id().0, block.clone());
        let digest = block.digest();
        Some(Digested::precomputed(block, digest))
    }

    async fn verify(
        &mut self,
        context: (E, Self::Context),
        ancestry: impl Ancestry<Block>,
    ) -> bool {
        self.vices.contains(&Vice::Yes) || self.inner.verify(context, ancestry).await
    }
}
