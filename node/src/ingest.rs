//! From arrival to storage: the tasks that verify what waits and write what was verified.
//!
//! Invariants: nothing is stored that was not verified, in a batch or before; an answer or a
//! storage statement goes out only after the commit that makes it true; the core is free while a
//! commit is synced.

use std::sync::Arc;

use commonware_cryptography::ed25519;
use commonware_p2p::{Recipients, Sender as Outgoing};
use commonware_runtime::Clock;
use tallystick_kernel::{Codec as _, Reason, TimeMs};
use tallystick_ledger::Admitted;
use tallystick_proofs::header::Entry;
use tokio::sync::mpsc;

use crate::acknowledgements;
use crate::application::now;
use crate::core::Source;
use crate::gossip::Gossip;
use crate::gossip_message::{Message, batches};
use crate::intake::{Batch, Purpose, Sender};
use crate::shared::Shared;
use crate::verification::{Named, Verified, verify_all};

/// Batches between verification and storage at most.
pub const CHECKED_MAX: usize = 64;
/// Transactions that one durable commit takes at most.
const COMMIT_MAX: usize = 4096;

type Key = ed25519::PublicKey;

/// A batch that was verified: each transaction, or why not.
pub struct Checked {
    sender: Sender,
    purpose: Purpose,
    transactions: Vec<Result<Verified, (Option<Entry>, Reason)>>,
}

/// Ends all waiting when the task that would serve it ends, however it does.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close_intake();
    }
}

impl Gossip {
    /// Verifies what waits, for as long as there is somewhere to pass it on.
    pub async fn verify(self, clock: impl Clock, out: mpsc::Sender<Checked>) {
        let closing = Closing(Arc::clone(&self.shared));
        loop {
            let time = now(&clock);
            let waiting = closing.0.take_batches(time);
            if waiting.is_empty() {
                closing.0.more_arrived().await;
                continue;
            }
            for checked in self.check(waiting, time) {
                if out.send(checked).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Reads and verifies batches together; who sent a bad signature goes to the slow lane.
    fn check(&self, waiting: Vec<Batch>, time: TimeMs) -> Vec<Checked> {
        let read: Vec<Vec<Result<Named, Reason>>> = waiting
            .iter()
            .map(|batch| batch.transactions.iter().map(|bytes| Named::read(bytes)).collect())
            .collect();
        let fresh = self.unknown(&read);
        let mut verdicts = verify_all(&fresh, &self.network).into_iter();
        let mut fresh = fresh.iter().map(|named| named.entry).peekable();
        let mut all = Vec::with_capacity(waiting.len());
        for (batch, read) in waiting.into_iter().zip(read) {
            let mut transactions = Vec::with_capacity(read.len());
            for one in read {
                transactions.push(match one {
                    Err(reason) => Err((None, reason)),
                    Ok(named) => {
                        let is_fresh = fresh.next_if_eq(&named.entry).is_some();
                        let verdict = if is_fresh { verdicts.next() } else { Some(Ok(())) };
                        match verdict.unwrap_or(Err(Reason::Internal)) {
                            Ok(()) => Ok(named.verified()),
                            Err(reason) => Err((Some(named.entry), reason)),
                        }
                    }
                });
            }
            let is_forged = |one: &Result<_, (_, Reason)>| {
                matches!(one, Err((_, Reason::SignatureInvalid | Reason::KeyMalformed)))
            };
            if transactions.iter().any(is_forged) {
                self.shared.slow_down(batch.sender, time);
            }
            all.push(Checked { sender: batch.sender, purpose: batch.purpose, transactions });
        }
        all
    }

    /// Those whose very bytes were not verified here before, in order.
    fn unknown(&self, read: &[Vec<Result<Named, Reason>>]) -> Vec<Named> {
        let core = self.shared.core();
        let named = read.iter().flatten().filter_map(|one| one.as_ref().ok());
        named.filter(|one| !core.knows(&one.entry)).cloned().collect()
    }

    /// Stores what was verified, one durable commit for all that waits; then answers clients, states
    /// so to validators, and offers to the others what is new from a client.
    pub async fn store(
        self,
        clock: impl Clock,
        mut checked: mpsc::Receiver<Checked>,
        mut sender: impl Outgoing<PublicKey = Key>,
    ) {
        while let Some(first) = checked.recv().await {
            let mut count = first.transactions.len();
            let mut group = vec![first];
            while count < COMMIT_MAX
                && let Ok(next) = checked.try_recv()
            {
                count += next.transactions.len();
                group.push(next);
            }
            group.retain(|one| self.is_whole(one));
            group.iter_mut().for_each(|one| self.leave_out_refused(one));
            let time = now(&clock);
            let offered: Vec<(Source, Verified)> = group.iter().flat_map(offered).collect();
            let answers = match self.shared.store(&offered, time) {
                Ok(answers) => answers,
                Err(reason) => return self.shared.fail(reason),
            };
            self.let_go_of_refused(&offered);
            let fresh: Vec<&Verified> = offered
                .iter()
                .zip(&answers)
                .filter(|((source, _), answer)| {
                    *source == Source::Client && **answer == Ok(Admitted::New)
                })
                .map(|((_, verified), _)| verified)
                .collect();
            self.spread(&fresh, time, &mut sender);
            let mut answers = answers.into_iter();
            for one in group {
                self.answer(one, &mut answers, &mut sender);
            }
            self.shared.change();
        }
    }

    /// Whether a batch goes on. Of a validator's offer all or nothing does; of bodies that were
    /// asked for, those that do not verify make their block invalid.
    fn is_whole(&self, one: &Checked) -> bool {
        let failed = one.transactions.iter().filter_map(|one| one.as_ref().err());
        match one.purpose {
            Purpose::Submission(_) => true,
            Purpose::Bodies => {
                for (entry, reason) in failed {
                    if let Some(entry) = entry {
                        self.shared.core().mark_invalid(*entry, *reason);
                    }
                }
                true
            }
            Purpose::Offer(_) => match failed.into_iter().next() {
                Some((_, reason)) => {
                    let (sender, code) = (one.sender, reason.code());
                    tracing::warn!(?sender, code, "a validator offered what does not verify");
                    false
                }
                None => true,
            },
        }
    }

    /// Bodies that came for a block that was refused meanwhile are not stored.
    fn leave_out_refused(&self, one: &mut Checked) {
        if !matches!(one.purpose, Purpose::Bodies) {
            return;
        }
        let good = one.transactions.iter().filter_map(|one| one.as_ref().ok());
        let refused = self.shared.refused(good.map(|verified| verified.entry));
        let is_refused = |one: &Verified| refused.contains(&one.entry);
        one.transactions.retain(|one| !one.as_ref().is_ok_and(is_refused));
    }

    /// What was refused while it was written need not stay.
    fn let_go_of_refused(&self, stored: &[(Source, Verified)]) {
        let for_votes = stored.iter().filter(|(source, _)| *source == Source::Vote);
        let refused = self.shared.refused(for_votes.map(|(_, verified)| verified.entry));
        if !refused.is_empty() {
            let refused: Vec<Entry> = refused.into_iter().collect();
            self.shared.core().stored.for_votes.refused(&refused);
        }
    }

    fn answer(
        &self,
        one: Checked,
        answers: &mut impl Iterator<Item = Result<Admitted, Reason>>,
        sender: &mut impl Outgoing<PublicKey = Key>,
    ) {
        let mut all = Vec::with_capacity(one.transactions.len());
        let mut entries = Vec::with_capacity(one.transactions.len());
        for transaction in one.transactions {
            all.push(match transaction {
                Err((entry, reason)) => (entry.map(|entry| entry.id), Err(reason)),
                Ok(verified) => {
                    entries.push(verified.entry);
                    let answer = answers.next().unwrap_or(Err(Reason::Internal));
                    (Some(verified.entry.id), answer)
                }
            });
        }
        match one.purpose {
            // A submitter that went away wants no answer.
            Purpose::Submission(answer) => drop(answer.send(all)),
            Purpose::Offer(peer) => {
                let (root, message) = acknowledgements::message(&self.network, &entries);
                let is_member = self.shared.members().own_place().is_some();
                let answer = match all.iter().all(|(_, answer)| answer.is_ok()) {
                    // What one who only follows has stored counts nowhere.
                    true if !is_member => return,
                    true => Message::Stored { root, signature: self.key.sign(&message) },
                    false => Message::Declined { root },
                };
                sender.send(Recipients::One(peer), answer.to_bytes(), false);
            }
            Purpose::Bodies => {}
        }
    }

    /// Opens batches for transactions that are durable here and offers them to the others.
    pub(crate) fn spread(
        &self,
        durable: &[&Verified],
        time: TimeMs,
        sender: &mut impl Outgoing<PublicKey = Key>,
    ) {
        let bytes: Vec<&[u8]> = durable.iter().map(|verified| &verified.bytes[..]).collect();
        let mut rest = durable;
        for batch in batches(&bytes) {
            let (these, others) = rest.split_at(batch.len());
            rest = others;
            let entries = these.iter().map(|verified| verified.entry).collect();
            self.offer(entries, batch, time, sender);
        }
    }

    /// Opens one batch and offers it to everyone.
    pub(crate) fn offer(
        &self,
        entries: Vec<Entry>,
        bytes: &[impl AsRef<[u8]>],
        time: TimeMs,
        sender: &mut impl Outgoing<PublicKey = Key>,
    ) {
        let (_, message) = acknowledgements::message(&self.network, &entries);
        self.shared.core().open_batch(entries, self.key.sign(&message), time);
        let batch = bytes.iter().map(|bytes| bytes.as_ref().to_vec()).collect();
        sender.send(Recipients::All, Message::Offer(batch).to_bytes(), false);
    }
}

fn offered(one: &Checked) -> impl Iterator<Item = (Source, Verified)> + '_ {
    let source = match one.sender {
        Sender::Client(_) => Source::Client,
        Sender::Peer(key) => Source::Peer(key),
        Sender::Asked(_) => Source::Vote,
    };
    let good = one.transactions.iter().filter_map(|one| one.as_ref().ok());
    good.map(move |verified| (source, verified.clone()))
}
