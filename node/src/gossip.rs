//! The tasks that spread transactions, collect storage statements, and fetch what is missing.
//!
//! Invariants: a storage statement is sent only after the commit that makes it true; nothing that a
//! peer sends is parsed deeper before its size is bounded, nor stored before it is verified.

use std::sync::Arc;
use std::time::Duration;

use commonware_cryptography::ed25519;
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::Clock;
use tallystick_crypto::SigningKey;
use tallystick_kernel::{Codec, NetworkId, Reason, TimeMs};
use tallystick_ledger::Admitted;
use tallystick_proofs::header::Entry;
use tokio::sync::{mpsc, oneshot};

use crate::application::now;
use crate::core::{Source, Verified};
use crate::gossip_message::{MESSAGE_BYTES_MAX, Message, batches};
use crate::shared::Shared;

/// Submissions that wait for the ingest task at most.
pub const SUBMISSIONS_MAX: usize = 1024;
/// Transactions that one durable commit takes at most.
const COMMIT_MAX: usize = 2048;
/// How long a wanted body may still come by itself before it is asked for.
const BEFORE_WANT: Duration = Duration::from_millis(50);
/// How often wanted bodies are asked for, and what nobody acknowledged is offered again.
const PER_WANT: Duration = Duration::from_millis(100);
const PER_OFFER: Duration = Duration::from_secs(1);
/// How often a sign of life is given: to everyone, and to those who may not be connected yet.
const PER_ALIVE: Duration = Duration::from_secs(4);
const PER_FINDING: Duration = Duration::from_millis(25);
/// How long a node looks for the others with frequent signs of life.
const FINDING_TIME_MAX: Duration = Duration::from_secs(10);

/// Verified transactions on their way in, with where the answers go.
pub struct Submission {
    /// What was submitted.
    pub transactions: Vec<Verified>,
    /// One answer for each.
    pub answer: oneshot::Sender<Vec<Result<Admitted, Reason>>>,
}

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

impl Gossip {
    /// Takes submissions from clients: one durable commit for all that wait, then the offer to the
    /// others, then the answers. Ends when nobody can submit any more.
    pub async fn ingest(
        self,
        clock: impl Clock,
        mut submissions: mpsc::Receiver<Submission>,
        mut sender: impl Sender<PublicKey = Key>,
    ) {
        while let Some(first) = submissions.recv().await {
            let mut group = vec![first];
            let mut count = group[0].transactions.len();
            while count < COMMIT_MAX
                && let Ok(next) = submissions.try_recv()
            {
                count += next.transactions.len();
                group.push(next);
            }
            let offered: Vec<Verified> =
                group.iter().flat_map(|s| s.transactions.iter().cloned()).collect();
            let mut answers = match self.take(&offered, &clock, &mut sender) {
                Ok(answers) => answers.into_iter(),
                Err(reason) => return self.shared.fail(reason),
            };
            for submission in group {
                let own = submission.transactions.len();
                // A submitter that went away wants no answer.
                drop(submission.answer.send(answers.by_ref().take(own).collect()));
            }
            self.shared.change();
        }
    }

    fn take(
        &self,
        offered: &[Verified],
        clock: &impl Clock,
        sender: &mut impl Sender<PublicKey = Key>,
    ) -> Result<Vec<Result<Admitted, Reason>>, Reason> {
        let answers = self.shared.core().offer(offered, Source::Client, now(clock))?;
        let fresh: Vec<Verified> = offered
            .iter()
            .zip(&answers)
            .filter(|(_, answer)| **answer == Ok(Admitted::New))
            .map(|(verified, _)| verified.clone())
            .collect();
        self.spread(&fresh, sender);
        Ok(answers)
    }

    /// Opens batches for transactions that are durable here and offers them to the others.
    fn spread(&self, durable: &[Verified], sender: &mut impl Sender<PublicKey = Key>) {
        let bytes: Vec<Vec<u8>> =
            durable.iter().map(|verified| verified.transaction.to_bytes()).collect();
        let mut rest = durable;
        for batch in batches(&bytes) {
            let (these, others) = rest.split_at(batch.len());
            rest = others;
            let entries: Vec<Entry> = these.iter().map(|verified| verified.entry).collect();
            let mut core = self.shared.core();
            let (_, message) = core.acknowledgements.message(&entries);
            core.acknowledgements.open(entries, self.key.sign(&message));
            drop(core);
            sender.send(Recipients::All, Message::Offer(batch.to_vec()).to_bytes(), false);
        }
    }

    /// Handles what the others send, until the network ends.
    pub async fn listen(
        self,
        clock: impl Clock,
        mut receiver: impl Receiver<PublicKey = Key>,
        mut sender: impl Sender<PublicKey = Key>,
    ) {
        while let Ok((peer, bytes)) = receiver.recv().await {
            // None for one who only follows: it may fetch bodies, and what it says counts nowhere.
            let place = self.shared.members().place_of(peer.as_ref());
            let bytes: Vec<u8> = bytes.as_ref().to_vec();
            let time = now(&clock);
            if self.is_new(place, time) {
                sender.send(Recipients::All, self.alive(time).to_bytes(), false);
                self.shared.change();
            }
            let handled = Message::from_bytes(&bytes, MESSAGE_BYTES_MAX)
                .and_then(|message| self.handle(place, &peer, message, time, &mut sender));
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

    /// Whether a validator was heard that was not heard lately.
    fn is_new(&self, place: Option<u64>, time: TimeMs) -> bool {
        let members = self.shared.members();
        let key = place.and_then(|place| members.key(place));
        key.is_some_and(|key| self.shared.hear(*key, time))
    }

    fn handle(
        &self,
        place: Option<u64>,
        peer: &Key,
        message: Message,
        time: TimeMs,
        sender: &mut impl Sender<PublicKey = Key>,
    ) -> Result<(), Reason> {
        match message {
            Message::Offer(batch) => self.accept(&batch, peer, time, sender),
            Message::Stored { root, signature } => {
                let Some(place) = place else { return Ok(()) };
                if self.shared.core().acknowledgements.state(place, &root, signature)? {
                    self.shared.change();
                }
                Ok(())
            }
            Message::Want(entries) => self.give(&entries, peer, sender),
            Message::Have(batch) => self.receive(&batch),
            Message::Alive { heard, .. } => {
                let members = self.shared.members();
                let key = place.and_then(|place| members.key(place));
                if key.is_some_and(|key| self.shared.hears(key, heard)) {
                    // It has begun anew, or looks for us: it need not wait for our next sign.
                    let alive = self.alive(time);
                    sender.send(Recipients::One(peer.clone()), alive.to_bytes(), false);
                    self.shared.change();
                }
                Ok(())
            }
        }
    }

    /// The second verification: verify, store, then state so.
    fn accept(
        &self,
        batch: &[Vec<u8>],
        peer: &Key,
        time: TimeMs,
        sender: &mut impl Sender<PublicKey = Key>,
    ) -> Result<(), Reason> {
        let verified = batch
            .iter()
            .map(|bytes| Verified::read(bytes, &self.network))
            .collect::<Result<Vec<_>, Reason>>()?;
        let is_member = self.shared.members().own_place().is_some();
        let mut core = self.shared.core();
        let answers = core.offer(&verified, Source::Peer, time)?;
        if is_member && answers.iter().all(Result::is_ok) {
            let entries: Vec<Entry> = verified.iter().map(|verified| verified.entry).collect();
            let (root, message) = core.acknowledgements.message(&entries);
            let stored = Message::Stored { root, signature: self.key.sign(&message) };
            sender.send(Recipients::One(peer.clone()), stored.to_bytes(), false);
        }
        drop(core);
        self.shared.change();
        Ok(())
    }

    fn give(
        &self,
        entries: &[Entry],
        peer: &Key,
        sender: &mut impl Sender<PublicKey = Key>,
    ) -> Result<(), Reason> {
        let mut found = Vec::new();
        let core = self.shared.core();
        for entry in entries {
            if let Some(transaction) = core.transaction(entry)? {
                found.push(transaction.to_bytes());
            }
        }
        drop(core);
        for batch in batches(&found) {
            let have = Message::Have(batch.to_vec());
            sender.send(Recipients::One(peer.clone()), have.to_bytes(), true);
        }
        Ok(())
    }

    /// Takes bodies that were asked for; others are ignored.
    fn receive(&self, batch: &[Vec<u8>]) -> Result<(), Reason> {
        let wanted = self.shared.wanted();
        let mut verified = Vec::new();
        for bytes in batch {
            let transaction = tallystick_proofs::transaction::Transaction::from_bytes(
                bytes,
                tallystick_kernel::limits::TRANSACTION_BYTES_MAX,
            )?;
            let entry = tallystick_ledger::entry_of(&transaction);
            if wanted.binary_search(&entry).is_err() {
                continue;
            }
            match transaction.verify(&self.network) {
                Ok(()) => verified.push(Verified { entry, transaction: Arc::new(transaction) }),
                // The bytes are those that the block lists, so the block is invalid.
                Err(reason) => self.shared.core().mark_invalid(entry, reason),
            }
        }
        self.shared.core().store_for_vote(&verified)?;
        self.shared.change();
        Ok(())
    }

    /// Repeats what may have been lost: requests for bodies, offers without a quorum, signs of life.
    /// Sleeps as long as there is nothing to repeat.
    pub async fn repeat(self, clock: impl Clock, mut sender: impl Sender<PublicKey = Key>) {
        let began = now(&clock);
        let (mut offered, mut said_alive) = (None, None);
        loop {
            let (time, wanted) = (now(&clock), self.shared.wanted());
            for part in wanted.chunks(crate::gossip_message::BATCH_MAX) {
                sender.send(Recipients::All, Message::Want(part.to_vec()).to_bytes(), true);
            }
            if is_due(offered, PER_OFFER, time) {
                let waiting = self.shared.core().unacknowledged();
                self.spread(&waiting, &mut sender);
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

    fn alive(&self, time: TimeMs) -> Message {
        let height = self.shared.core().state.height();
        Message::Alive { height, heard: self.shared.connected(time) as u64 }
    }
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
}
