//! What is read off the wire: blocks, votes, storage statements; and whether a node that keeps to
//! the rules may say what it says.

use std::collections::BTreeMap;
use std::sync::Arc;

use commonware_codec::DecodeExt;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::Vote;
use commonware_consensus::{Epochable as _, Viewable as _};
use commonware_cryptography::sha256;
use commonware_runtime::IoBuf;
use tallystick_kernel::Codec;
use tallystick_kernel::limits::TRANSACTION_BYTES_MAX;
use tallystick_ledger::entry_of;
use tallystick_node::block::Block;
use tallystick_node::gossip_message::{MESSAGE_BYTES_MAX, Message};
use tallystick_node::keys;
use tallystick_proofs::acknowledgement::batch_root;
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::Transaction;

use crate::byzantine;
use crate::clients::short;
use crate::disk::Disk;
use crate::wire::{BLOCKS, CERTIFICATES, GOSSIP, VOTES};
use crate::world::{World, held};

/// Messages that are remembered, so that they can be said again much later.
const REMEMBERED_MAX: usize = 64;

/// What went over the wire so far.
#[derive(Default)]
pub struct Tap {
    /// Blocks by their digest.
    pub blocks: BTreeMap<[u8; 32], Block>,
    /// Offered batches by their root.
    batches: BTreeMap<[u8; 32], Vec<Entry>>,
    /// By place and view, what was voted for.
    votes: BTreeMap<(usize, u64, u64), sha256::Digest>,
    /// Old messages by their channel.
    pub old: BTreeMap<usize, Vec<IoBuf>>,
}

/// What a seat's message becomes on its way out; none when it is swallowed.
pub fn outgoing(world: &World, seat: usize, channel: usize, message: &IoBuf) -> Option<IoBuf> {
    let seats = held(&world.seats);
    let found = seats.get(seat)?;
    let (is_honest, place, disk) = (found.is_honest, found.place, Arc::clone(&found.disk));
    let vices = found.vices.clone();
    drop(seats);
    let message = byzantine::outgoing(world, seat, &vices, channel, message)?;
    let bytes: &[u8] = message.as_ref();
    remember(world, channel, &message);
    match channel {
        BLOCKS => {
            if let Ok(block) = <Block as DecodeExt<()>>::decode(message.clone()) {
                held(&world.tap).blocks.insert(block.header.id().0, block);
            }
        }
        VOTES if is_honest => check_vote(world, seat, place, &disk, message.clone()),
        GOSSIP => check_gossip(world, seat, is_honest, &disk, bytes),
        _ => {}
    }
    Some(message)
}

fn remember(world: &World, channel: usize, message: &IoBuf) {
    if world.scenario.vices.is_empty() || !matches!(channel, VOTES | CERTIFICATES | BLOCKS) {
        return;
    }
    let mut tap = held(&world.tap);
    let old = tap.old.entry(channel).or_default();
    if old.len() < REMEMBERED_MAX {
        old.push(message.clone());
    }
}

/// A vote says that every body is durable here, and a validator votes once in a view.
fn check_vote(world: &World, seat: usize, place: usize, disk: &Disk, bytes: IoBuf) {
    // Each epoch has a channel of its own, told by a number before the vote.
    let Ok((_, bytes)) = commonware_p2p::utils::mux::parse(bytes) else { return };
    let Ok(Vote::<Scheme, sha256::Digest>::Notarize(vote)) = Vote::decode(bytes) else { return };
    let payload = vote.proposal.payload;
    let key = (place, vote.proposal.epoch().get(), vote.proposal.view().get());
    let mut tap = held(&world.tap);
    let before = tap.votes.insert(key, payload);
    let is_again = tap
        .votes
        .iter()
        .any(|((_, epoch, view), voted)| *epoch == key.1 && *view < key.2 && *voted == payload);
    let block = tap.blocks.get(payload.as_ref()).cloned();
    drop(tap);
    if before.is_some_and(|before| before != payload) {
        world.fault(seat, &format!("votes for two blocks in view {}", key.2));
    }
    let Some(block) = block else {
        return world.fault(seat, &format!("votes in view {} for what nobody sent", key.2));
    };
    let missing = block.entries.iter().filter(|entry| !disk.holds(&keys::body(entry)));
    let missing: Vec<String> = missing.map(|entry| short(&entry.id)).collect();
    let parameters = &world.genesis.parameters;
    let next_epoch = parameters.epoch_of(block.header.height.saturating_add(1));
    // The last block of an epoch is proposed again until it is final. Who votes for that relies on
    // the quorum that judged and stored it before.
    let is_relied_on = is_again && next_epoch > block.header.epoch;
    if !missing.is_empty() && !is_relied_on {
        let (height, proposer) = (block.header.height, block.header.proposer);
        let what = format!("votes at height {height} for n{proposer}'s, {missing:?} not durable");
        world.fault(seat, &what);
    }
}

/// A storage statement says that the whole batch is durable here.
fn check_gossip(world: &World, seat: usize, is_honest: bool, disk: &Disk, bytes: &[u8]) {
    match Message::from_bytes(bytes, MESSAGE_BYTES_MAX) {
        Ok(Message::Offer(batch)) => {
            let read =
                batch.iter().map(|bytes| Transaction::from_bytes(bytes, TRANSACTION_BYTES_MAX));
            let Ok(read) = read.collect::<Result<Vec<_>, _>>() else { return };
            let entries: Vec<Entry> = read.iter().map(entry_of).collect();
            let lost = entries.iter().filter(|entry| !disk.holds(&keys::body(entry))).count();
            if is_honest && lost > 0 {
                world.fault(seat, &format!("offers {lost} transactions that it has not stored"));
            }
            held(&world.tap).batches.insert(batch_root(&entries), entries);
        }
        Ok(Message::Stored { root, .. }) if is_honest => {
            let entries = held(&world.tap).batches.get(&root).cloned().unwrap_or_default();
            let network_time = world.now();
            for entry in entries {
                let is_done =
                    disk.holds(&keys::result(&entry.id)) || disk.holds(&keys::expired(&entry.id));
                if !disk.holds(&keys::body(&entry)) && !is_done {
                    let what = format!("states at {network_time} that {} is stored", entry.id);
                    world.fault(seat, &what);
                }
            }
        }
        _ => {}
    }
}
