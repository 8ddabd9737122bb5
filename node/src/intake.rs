//! What waits for verification: a lane for each sender, bounded, served in turn.
//!
//! Invariants: what one sender has waiting is bounded in transactions and bytes, and so is the
//! whole; a sender waits for others' turns, never for others' backlog; who sent a bad signature
//! lately is served alone, and after the others.

use std::collections::{BTreeMap, VecDeque};

use commonware_cryptography::ed25519;
use tallystick_crypto::PublicKey;
use tallystick_kernel::{DurationMs, Reason, TimeMs, TransactionId};
use tallystick_ledger::Admitted;
use tokio::sync::oneshot;

use crate::gossip_message::{BATCH_BYTES_MAX, BATCH_MAX};

/// Transactions of one sender that wait at most.
pub const SENDER_TRANSACTIONS_MAX: usize = 8192;
/// Bytes of one sender's transactions that wait at most.
pub const SENDER_BYTES_MAX: usize = 8 << 20;
/// Bytes that wait in all.
const BYTES_MAX: usize = 64 << 20;
/// Senders at a time.
const SENDERS_MAX: usize = 4096;
/// Transactions that are taken out together, unless the first batch has more.
pub const TOGETHER_MAX: usize = 256;
/// How long a sender stays in the slow lane after a bad signature.
pub const SLOW_FOR: DurationMs = DurationMs::seconds(10);
/// In how many turns the slow lane has one while others wait.
const TURNS_PER_SLOW: u64 = 16;
/// Of so many turns, one is a client's while validators wait too.
const TURNS_PER_CLIENT: u64 = 4;

const _: () = assert!(BATCH_MAX <= SENDER_TRANSACTIONS_MAX && BATCH_BYTES_MAX <= SENDER_BYTES_MAX);

/// Who sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// The node with this key, with bodies that this node asked for: served first.
    Asked(PublicKey),
    /// The node with this key.
    Peer(PublicKey),
    /// A client, by whatever tells clients apart where it came in: an address, for example.
    Client(u128),
}

/// The answers to a submission: an id where the bytes could be read.
pub type Answers = Vec<(Option<TransactionId>, Result<Admitted, Reason>)>;

/// What is to be done with a batch once it is verified and stored.
#[derive(Debug)]
pub enum Purpose {
    /// A client waits for the answers.
    Submission(oneshot::Sender<Answers>),
    /// A validator waits for a storage statement.
    Offer(ed25519::PublicKey),
    /// A block waits for them.
    Bodies,
}

/// Transactions in their canonical bytes, on their way to verification.
#[derive(Debug)]
pub struct Batch {
    /// Who sent it.
    pub sender: Sender,
    /// What for.
    pub purpose: Purpose,
    /// The transactions.
    pub transactions: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Lane {
    batches: VecDeque<Batch>,
    transactions: usize,
    bytes: usize,
}

/// Batches that wait.
#[derive(Default)]
pub struct Intake {
    lanes: BTreeMap<Sender, Lane>,
    turns: [VecDeque<Sender>; 4],
    slow: BTreeMap<Sender, TimeMs>,
    bytes: usize,
    turn: u64,
}

/// The places in [`Intake::turns`].
const ASKED: usize = 0;
const PEERS: usize = 1;
const CLIENTS: usize = 2;
const SLOW: usize = 3;

impl Batch {
    fn bytes(&self) -> usize {
        self.transactions.iter().map(Vec::len).sum()
    }
}

impl Intake {
    /// Puts a batch into its sender's lane.
    ///
    /// Refuses it with [`Reason::SenderQuota`] when this sender has too much waiting, with
    /// [`Reason::PoolFull`] when all together have.
    pub fn push(&mut self, batch: Batch, now: TimeMs) -> Result<(), Reason> {
        let (sender, count, bytes) = (batch.sender, batch.transactions.len(), batch.bytes());
        let is_new = !self.lanes.contains_key(&sender);
        let is_full = self.bytes.saturating_add(bytes) > BYTES_MAX;
        if is_full || (is_new && self.lanes.len() >= SENDERS_MAX) {
            return Err(Reason::PoolFull);
        }
        let turn = self.turn_of(&sender, now);
        let lane = self.lanes.entry(sender).or_default();
        let is_over = lane.transactions.saturating_add(count) > SENDER_TRANSACTIONS_MAX
            || lane.bytes.saturating_add(bytes) > SENDER_BYTES_MAX;
        if is_over && !lane.batches.is_empty() {
            return Err(Reason::SenderQuota);
        }
        lane.transactions += count;
        lane.bytes += bytes;
        lane.batches.push_back(batch);
        self.bytes += bytes;
        if is_new {
            self.turns[turn].push_back(sender);
        }
        Ok(())
    }

    /// Takes out what is verified next: batches of different senders in turn, up to
    /// [`TOGETHER_MAX`] transactions; one alone for a sender in the slow lane. Empty when nothing
    /// waits.
    pub fn take(&mut self, now: TimeMs) -> Vec<Batch> {
        let (mut taken, mut count) = (Vec::new(), 0);
        while let Some(turn) = self.next_turn(taken.is_empty()) {
            let Some(batch) = self.take_one(turn, now) else { break };
            count += batch.transactions.len();
            taken.push(batch);
            if turn == SLOW || count >= TOGETHER_MAX {
                break;
            }
        }
        taken
    }

    /// Puts a sender into the slow lane: it sent a bad signature.
    pub fn slow_down(&mut self, sender: Sender, now: TimeMs) {
        self.slow.retain(|_, until| *until > now);
        if self.slow.len() >= SENDERS_MAX {
            self.slow.pop_first();
        }
        self.slow.insert(sender, now.after(SLOW_FOR));
    }

    /// Whether a sender is in the slow lane.
    pub fn is_slow(&self, sender: &Sender, now: TimeMs) -> bool {
        self.slow.get(sender).is_some_and(|until| *until > now)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.transactions).sum()
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    fn turn_of(&self, sender: &Sender, now: TimeMs) -> usize {
        match sender {
            Sender::Asked(_) => ASKED,
            _ if self.is_slow(sender, now) => SLOW,
            Sender::Peer(_) => PEERS,
            Sender::Client(_) => CLIENTS,
        }
    }

    /// Whose turn it is; the slow lane's only when it would be alone.
    fn next_turn(&mut self, is_first: bool) -> Option<usize> {
        self.turn += 1;
        let waits = |turn: &usize| !self.turns[*turn].is_empty();
        let clients_first = self.turn.is_multiple_of(TURNS_PER_CLIENT);
        let slow_first = is_first && self.turn.is_multiple_of(TURNS_PER_SLOW);
        let order = match (slow_first, clients_first) {
            (true, _) => [ASKED, SLOW, PEERS, CLIENTS],
            (false, true) => [ASKED, CLIENTS, PEERS, SLOW],
            (false, false) => [ASKED, PEERS, CLIENTS, SLOW],
        };
        order.into_iter().find(waits).filter(|turn| is_first || *turn != SLOW)
    }

    fn take_one(&mut self, turn: usize, now: TimeMs) -> Option<Batch> {
        let sender = self.turns[turn].pop_front()?;
        let lane = self.lanes.get_mut(&sender)?;
        let batch = lane.batches.pop_front()?;
        let bytes = batch.bytes();
        lane.transactions -= batch.transactions.len();
        lane.bytes -= bytes;
        self.bytes -= bytes;
        if lane.batches.is_empty() {
            self.lanes.remove(&sender);
        } else {
            let turn = self.turn_of(&sender, now);
            self.turns[turn].push_back(sender);
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimeMs = TimeMs(1_000_000);

    fn key(number: u8) -> PublicKey {
        PublicKey::Ed25519([number; 32])
    }

    fn batch(sender: Sender, count: usize) -> Batch {
        Batch { sender, purpose: Purpose::Bodies, transactions: vec![vec![0; 100]; count] }
    }

    fn senders(taken: &[Batch]) -> Vec<Sender> {
        taken.iter().map(|batch| batch.sender).collect()
    }

    #[test]
    fn a_flood_of_one_sender_delays_another_by_one_turn_only() {
        let mut intake = Intake::default();
        for _ in 0..32 {
            intake.push(batch(Sender::Client(1), 256), NOW).unwrap();
        }
        intake.push(batch(Sender::Client(2), 1), NOW).unwrap();
        intake.take(NOW);
        assert!(senders(&intake.take(NOW)).contains(&Sender::Client(2)));
    }

    #[test]
    fn a_sender_is_bounded_in_transactions_and_bytes_and_all_are_together() {
        let mut intake = Intake::default();
        for _ in 0..SENDER_TRANSACTIONS_MAX / 256 {
            intake.push(batch(Sender::Client(1), 256), NOW).unwrap();
        }
        let refused = intake.push(batch(Sender::Client(1), 1), NOW).unwrap_err();
        assert_eq!(refused, Reason::SenderQuota);
        assert_eq!(intake.len(), SENDER_TRANSACTIONS_MAX);
        let large = |sender| {
            let transactions = vec![vec![0; 16 << 10]; SENDER_BYTES_MAX >> 14];
            Batch { transactions, ..batch(sender, 0) }
        };
        intake.push(large(Sender::Client(2)), NOW).unwrap();
        let refused = intake.push(batch(Sender::Client(2), 1), NOW).unwrap_err();
        assert_eq!(refused, Reason::SenderQuota);
        let others = (3..20).map(|client| intake.push(large(Sender::Client(client)), NOW));
        let refused = others.filter_map(Result::err).next();
        assert_eq!(refused, Some(Reason::PoolFull));
        while !intake.is_empty() {
            assert!(!intake.take(NOW).is_empty());
        }
        assert_eq!((intake.len(), intake.bytes), (0, 0));
    }

    #[test]
    fn who_sent_a_bad_signature_is_served_alone_and_after_the_others_for_a_while() {
        let mut intake = Intake::default();
        intake.slow_down(Sender::Peer(key(3)), NOW);
        intake.push(batch(Sender::Peer(key(3)), 1), NOW).unwrap();
        intake.push(batch(Sender::Client(1), 1), NOW).unwrap();
        intake.push(batch(Sender::Peer(key(1)), 1), NOW).unwrap();
        intake.push(batch(Sender::Asked(key(3)), 1), NOW).unwrap();
        let first = senders(&intake.take(NOW));
        assert_eq!(first, [Sender::Asked(key(3)), Sender::Peer(key(1)), Sender::Client(1)]);
        assert_eq!(senders(&intake.take(NOW)), [Sender::Peer(key(3))]);
        assert!(intake.take(NOW).is_empty());
        let later = NOW.after(SLOW_FOR);
        assert!(
            intake.is_slow(&Sender::Peer(key(3)), NOW)
                && !intake.is_slow(&Sender::Peer(key(3)), later)
        );
        intake.push(batch(Sender::Peer(key(3)), 1), later).unwrap();
        intake.push(batch(Sender::Peer(key(1)), 1), later).unwrap();
        assert_eq!(senders(&intake.take(later)), [Sender::Peer(key(3)), Sender::Peer(key(1))]);
    }

    #[test]
    fn the_slow_lane_moves_while_others_never_end_and_clients_move_while_validators_never_end() {
        let mut intake = Intake::default();
        intake.slow_down(Sender::Client(9), NOW);
        intake.push(batch(Sender::Client(9), 1), NOW).unwrap();
        intake.push(batch(Sender::Client(1), 1), NOW).unwrap();
        let mut seen = Vec::new();
        for _ in 0..2 * TURNS_PER_SLOW {
            intake.push(batch(Sender::Peer(key(1)), 256), NOW).unwrap();
            seen.extend(senders(&intake.take(NOW)));
        }
        assert!(seen.contains(&Sender::Client(9)) && seen.contains(&Sender::Client(1)));
    }
}
