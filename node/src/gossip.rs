//! The tasks that hear the other validators, fetch what is missing, and repeat what was lost.
//!
//! Invariants: nothing that a peer sends is parsed deeper before its size is bounded; what costs
//! more than reading waits its turn in [`crate::intake`]; what one peer is given, and may ask for,
//! is bounded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commonware_codec::DecodeExt as _;
use commonware_cryptography::ed25519;
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::Clock;
use tallystick_crypto::{PublicKey, Signature, SigningKey};
use tallystick_kernel::{Codec, Digest, DurationMs, NetworkId, Reason, TimeMs};
use tallystick_proofs::header::Entry;

use crate::acknowledgements::{Due, check_statement};
use crate::application::now;
use crate::gossip_message::{BATCH_MAX, MESSAGE_BYTES_MAX, Message, batches};
use crate::intake::{self, Batch, Purpose};
use crate::keys;
use crate::shared::Shared;
use crate::verification::Named;

/// How long a wanted body may still come by itself before it is asked for.
pub const BEFORE_WANT: Duration = Duration::from_millis(50);
/// How often wanted bodies are asked for, and how often it is seen what nobody acknowledged.
const PER_WANT: Duration = Duration::from_millis(100);
const PER_OFFER: Duration = Duration::from_millis(500);
/// How often a sign of life is given: to everyone, and to those who may not be connected yet.
const PER_ALIVE: Duration = Duration::from_secs(4);
const PER_FINDING: Duration = Duration::from_millis(25);
/// How long a node looks for the others with frequent signs of life.
const FINDING_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of bodies that one peer is given in a second, at most.
const GIVEN_PER_SECOND_MAX: usize = 32 << 20;

/// What every gossip task knows.
#[derive(Clone)]
pub struct Gossip {
    /// The node's state.
    pub shared: Arc<Shared>,
    /// The network that transactions must be for.
    pub network: NetworkId,
    /// Signs storage statements.
    pub key: Arc<SigningKey>,
}

type Key = ed25519::PublicKey;

/// What each peer was given in the second that began then.
#[derive(Default)]
struct Given(BTreeMap<PublicKey, (TimeMs, usize)>);

impl Given {
    /// Whether a peer may be given so much more.
    fn allows(&mut self, key: PublicKey, bytes: usize, now: TimeMs) -> bool {
        let (since, given) = self.0.entry(key).or_insert((now, 0));
        if now >= since.after(DurationMs::seconds(1)) || now < *since {
            (*since, *given) = (now, 0);
        }
        *given = given.saturating_add(bytes);
        *given <= GIVEN_PER_SECOND_MAX
    }
}

impl Gossip {
    /// Handles what the others send, until the network ends.
    pub async fn listen(
        self,
        clock: impl Clock,
        mut receiver: impl Receiver<PublicKey = Key>,
        mut sender: impl Sender<PublicKey = Key>,
    ) {
        let mut given = Given::default();
        while let Ok((peer, bytes)) = receiver.recv().await {
            let Ok(bytes_of_key) = <[u8; 32]>::try_from(peer.as_ref()) else { continue };
            let key = PublicKey::Ed25519(bytes_of_key);
            // None for one who only follows: it may fetch bodies, and what it states counts nowhere.
            let place = self.shared.members().place_of(key.bytes());
            let bytes: Vec<u8> = bytes.as_ref().to_vec();
            let time = now(&clock);
            if place.is_some() && self.shared.hear(key, time) {
                sender.send(Recipients::All, self.alive(time).to_bytes(), false);
                self.shared.change();
            }
            let handled = Message::from_bytes(&bytes, MESSAGE_BYTES_MAX).and_then(|message| {
                self.handle((key, place, &peer), message, time, &mut given, &mut sender)
            });
            match handled {
                Ok(()) => {}
                Err(reason @ (Reason::StorageFailed | Reason::StorageCorrupt)) => {
                    return self.shared.fail(reason);
                }
                Err(reason) => {
                    tracing::warn!(?place, code = reason.code(), "a peer sent a bad message");
                }
            }
        }
    }

    fn handle(
        &self,
        (key, place, peer): (PublicKey, Option<u64>, &Key),
        message: Message,
        time: TimeMs,
        given: &mut Given,
        sender: &mut impl Sender<PublicKey = Key>,
    ) -> Result<(), Reason> {
        match message {
            Message::Offer(transactions) => {
                let sender = intake::Sender::Peer(key);
                self.put(
                    Batch { sender, purpose: Purpose::Offer(peer.clone()), transactions },
                    time,
                );
                Ok(())
            }
            Message::Stored { root, signature } => match place {
                Some(place) => self.count(place, &root, signature),
                None => Ok(()),
            },
            Message::Declined { root } => {
                self.shared.core().acknowledgements.decline(&root);
                Ok(())
            }
            Message::Want(entries) => self.give(key, peer, &entries, time, given, sender),
            Message::Have(batch) => self.receive(key, batch, time),
            Message::Alive { heard, .. } => {
                if place.is_some() && self.shared.hears(&key, heard) {
                    // It has begun anew, or looks for us: it need not wait for our next sign.
                    let alive = self.alive(time);
                    sender.send(Recipients::One(peer.clone()), alive.to_bytes(), false);
                    self.shared.change();
                }
                Ok(())
            }
        }
    }

    /// Lets a batch wait for its verification. What has no room is offered again by who sent it.
    fn put(&self, batch: Batch, time: TimeMs) {
        let sender = batch.sender;
        if let Err(reason) = self.shared.put_batch(batch, time) {
            tracing::debug!(?sender, code = reason.code(), "left a batch out");
        }
    }

    /// Counts a storage statement, once its signature was verified; the core is free meanwhile.
    fn count(&self, place: u64, root: &Digest, signature: Signature) -> Result<(), Reason> {
        if !self.shared.core().acknowledgements.is_open(root) {
            return Ok(());
        }
        let members = self.shared.members();
        check_statement(&self.network, &members.validators, place, root, &signature)?;
        let is_complete = self.shared.core().acknowledge(place, root, signature);
        if is_complete {
            self.shared.change();
        }
        Ok(())
    }

    fn give(
        &self,
        key: PublicKey,
        peer: &Key,
        entries: &[Entry],
        time: TimeMs,
        given: &mut Given,
        sender: &mut impl Sender<PublicKey = Key>,
    ) -> Result<(), Reason> {
        for part in entries.chunks(BATCH_MAX) {
            let found = self.bodies(part)?;
            for batch in batches(&found) {
                if !given.allows(key, batch.iter().map(Vec::len).sum(), time) {
                    return Err(Reason::SenderQuota);
                }
                let have = Message::Have(batch.to_vec());
                sender.send(Recipients::One(peer.clone()), have.to_bytes(), true);
            }
        }
        Ok(())
    }

    /// The canonical bytes of those of these transactions that are here.
    fn bodies(&self, entries: &[Entry]) -> Result<Vec<Vec<u8>>, Reason> {
        let kv = Arc::clone(&self.shared.core().kv);
        let found = entries.iter().map(|entry| kv.get(&keys::body(entry)));
        found.filter_map(Result::transpose).collect()
    }

    /// Takes bodies that were asked for; others are ignored.
    fn receive(&self, key: PublicKey, batch: Vec<Vec<u8>>, time: TimeMs) -> Result<(), Reason> {
        let wanted = self.shared.wanted();
        let mut transactions = Vec::new();
        for bytes in batch.into_iter().take(wanted.len()) {
            let entry = Named::read(&bytes)?.entry;
            if wanted.binary_search(&entry).is_ok() {
                transactions.push(bytes);
            }
        }
        if !transactions.is_empty() {
            let sender = intake::Sender::Asked(key);
            self.put(Batch { sender, purpose: Purpose::Bodies, transactions }, time);
        }
        Ok(())
    }

    /// Repeats what may have been lost: requests for bodies, offers without a quorum, signs of life.
    /// Sleeps as long as there is nothing to repeat.
    pub async fn repeat(self, clock: impl Clock, mut sender: impl Sender<PublicKey = Key>) {
        let began = now(&clock);
        let (mut offered, mut said_alive) = (None, None);
        loop {
            let (time, wanted) = (now(&clock), self.shared.wanted());
            for part in wanted.chunks(BATCH_MAX) {
                sender.send(Recipients::All, Message::Want(part.to_vec()).to_bytes(), true);
            }
            if is_due(offered, PER_OFFER, time) {
                if let Err(reason) = self.offer_again(time, &mut sender) {
                    return self.shared.fail(reason);
                }
                offered = Some(time);
            }
            let is_young = !is_due(Some(began), FINDING_TIME_MAX, time);
            let finding = is_young && !self.shared.is_complete(time);
            if finding || is_due(said_alive, PER_ALIVE, time) {
                sender.send(Recipients::All, self.alive(time).to_bytes(), false);
                said_alive = Some(time);
            }
            let pause = match (finding, wanted.is_empty()) {
                (true, _) => PER_FINDING,
                (false, false) => PER_WANT,
                (false, true) => PER_OFFER,
            };
            let wanted = std::pin::pin!(self.shared.more_wanted());
            let pause = std::pin::pin!(clock.sleep(pause));
            if let futures::future::Either::Left(_) = futures::future::select(wanted, pause).await {
                clock.sleep(BEFORE_WANT).await;
            }
        }
    }

    /// Offers again what has no quorum, to those who have not answered.
    fn offer_again(
        &self,
        time: TimeMs,
        sender: &mut impl Sender<PublicKey = Key>,
    ) -> Result<(), Reason> {
        let due = self.shared.core().due(time);
        for Due { entries, unheard } in due {
            let found = self.bodies(&entries)?;
            if found.len() < entries.len() {
                // Something has expired meanwhile: the batch falls apart at its next turn.
                if unheard.is_none() {
                    self.shared.core().acknowledgements.loosen(entries);
                }
                continue;
            }
            let Some(unheard) = unheard else {
                for (batch, entries) in paired(&found, &entries) {
                    self.offer(entries, batch, time, sender);
                }
                continue;
            };
            let peers = unheard.into_iter().filter_map(|place| self.peer(place)).collect();
            sender.send(Recipients::Some(peers), Message::Offer(found).to_bytes(), false);
        }
        Ok(())
    }

    fn peer(&self, place: u64) -> Option<Key> {
        let members = self.shared.members();
        let key = members.key(place)?;
        Key::decode(Bytes::copy_from_slice(key.bytes())).ok()
    }

    fn alive(&self, time: TimeMs) -> Message {
        let height = self.shared.core().state.height();
        Message::Alive { height, heard: self.shared.connected(time) as u64 }
    }
}

/// Batches that fit a message, each with its entries.
fn paired<'b>(bytes: &'b [Vec<u8>], entries: &[Entry]) -> Vec<(&'b [Vec<u8>], Vec<Entry>)> {
    let mut rest = entries;
    let cut = batches(bytes).into_iter().map(|batch| {
        let (these, others) = rest.split_at(batch.len());
        rest = others;
        (batch, these.to_vec())
    });
    cut.collect()
}

/// Whether what was last done at `last` is to be done again; also when the clock was set back since.
fn is_due(last: Option<TimeMs>, period: Duration, now: TimeMs) -> bool {
    let Some(last) = last else { return true };
    let since = now.0.checked_sub(last.0).map(Duration::from_millis);
    since.is_none_or(|since| since >= period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_due_at_first_after_its_period_and_when_the_clock_was_set_back() {
        let (last, period) = (Some(TimeMs(5000)), Duration::from_secs(1));
        assert!(is_due(None, period, TimeMs(5000)));
        assert!(!is_due(last, period, TimeMs(5000)) && !is_due(last, period, TimeMs(5999)));
        assert!(is_due(last, period, TimeMs(6000)) && is_due(last, period, TimeMs(4999)));
    }

    #[test]
    fn a_peer_is_given_so_much_in_a_second_and_more_in_the_next() {
        let mut given = Given::default();
        let half = GIVEN_PER_SECOND_MAX / 2;
        let [one, two] = [1, 2].map(|number| PublicKey::Ed25519([number; 32]));
        assert!(given.allows(one, half, TimeMs(5000)) && given.allows(one, half, TimeMs(5900)));
        assert!(!given.allows(one, 1, TimeMs(5999)) && given.allows(two, half, TimeMs(5999)));
        assert!(given.allows(one, half, TimeMs(6000)), "a second later");
        assert!(given.allows(one, GIVEN_PER_SECOND_MAX, TimeMs(100)), "the clock was set back");
    }
}
