//! The simulated world: its nodes, what was seen on the wire, and what is held against the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use commonware_runtime::{Clock as _, Handle, IoBuf, deterministic};
use tallystick_crypto::SigningKey;
use tallystick_kernel::{TimeMs, TransactionId};
use tallystick_ledger::Rules;
use tallystick_node::NodeHandle;
use tallystick_proofs::genesis::{Genesis, ValidatorSet};
use tallystick_proofs::transaction::Transaction;

use crate::byzantine::Vice;
use crate::chain::Chain;
use crate::context::Skew;
use crate::disk::Disk;
use crate::log::{Log, name};
use crate::scenario::Scenario;
use crate::tap::Tap;
use crate::wire::{Key, Port};

/// One node: a disk, a clock, and its current life if it has one. A validator that runs twice with
/// one key has two seats.
pub struct Seat {
    /// The validator's place in the genesis file; one that is not in it comes after those.
    pub place: usize,
    /// Whether it keeps to the rules.
    pub is_honest: bool,
    /// What it does against them.
    pub vices: BTreeSet<Vice>,
    /// Whom it reaches, when not everyone.
    pub audience: Option<BTreeSet<Key>>,
    /// What it has stored.
    pub disk: Arc<Disk>,
    /// Its clock.
    pub skew: Skew,
    /// Whether its next life begins with nothing.
    pub is_wiped: bool,
    /// Its current life.
    pub life: Option<Life>,
    /// How many lives it has had.
    pub lives: u64,
    /// When it is to be started, by the true clock.
    pub start_at: Option<SystemTime>,
    /// The greatest height that it was seen to have executed.
    pub seen_height: u64,
    /// The rules that its program knows.
    pub rules: Rules,
}

/// One life of a node.
pub struct Life {
    /// Its end of the network.
    pub port: Arc<Port>,
    /// What clients and checks ask of it.
    pub handle: NodeHandle,
    /// Its tasks.
    pub task: Handle<()>,
}

/// A transaction that a client has signed, and what the simulation knows of it.
#[derive(Clone)]
pub struct Tracked {
    /// The transaction.
    pub transaction: Transaction,
    /// What the client meant by it.
    pub meaning: &'static str,
    /// Whether another transaction may rightly keep it from being final.
    pub has_rivals: bool,
    /// The seats that it was offered at.
    pub offered_at: BTreeSet<usize>,
    /// The seats of those that signed that they stored it, once a quorum has.
    pub acknowledged_by: Option<Vec<u64>>,
    /// Whether an honest node has ever taken it.
    pub was_taken: bool,
}

/// Everything that is not inside a node.
pub struct World {
    /// What happened.
    pub log: Log,
    /// What was drawn from the seed.
    pub scenario: Scenario,
    /// The network's genesis file.
    pub genesis: Arc<Genesis>,
    /// Each validator's key, in the order of the genesis file; then those that come later.
    pub validators: Vec<Key>,
    /// Each validator's seed, in that order.
    pub seeds: Vec<[u8; 32]>,
    /// The currency's authority.
    pub bank: Arc<SigningKey>,
    /// The accounts' holders.
    pub holders: Vec<Arc<SigningKey>>,
    /// The true clock.
    pub clock: deterministic::Context,
    /// The nodes.
    pub seats: Mutex<Vec<Seat>>,
    /// Seats whose node has said that it cannot go on.
    pub failing: Mutex<BTreeSet<usize>>,
    /// Whether all faults are over.
    pub is_healed: Mutex<bool>,
    /// What clients have signed.
    pub tracked: Mutex<BTreeMap<TransactionId, Tracked>>,
    /// Transactions with witnesses that do not verify, which a liar lists and gives out.
    pub forged: Mutex<Vec<Transaction>>,
    /// What went over the wire.
    pub tap: Mutex<Tap>,
    /// The blocks that became final.
    pub chain: Mutex<Chain>,
}

/// A lock of the simulation; nothing is awaited while it is held.
pub fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// The true time.
    pub fn time(&self) -> SystemTime {
        self.clock.current()
    }

    /// The true time in milliseconds.
    pub fn now(&self) -> TimeMs {
        tallystick_node::application::now(&self.clock)
    }

    /// Notes an event of a seat.
    pub fn note(&self, seat: usize, what: &str) {
        self.log.note(self.time(), &self.called(seat), what);
    }

    /// Notes an event of the world.
    pub fn note_all(&self, what: &str) {
        self.log.note(self.time(), "world", what);
    }

    /// Notes a breach.
    pub fn fault(&self, seat: usize, what: &str) {
        self.log.fault(self.time(), &self.called(seat), what);
    }

    /// Notes a breach that no single node is to be named for.
    pub fn fault_all(&self, what: &str) {
        self.log.fault(self.time(), "world", what);
    }

    /// A seat's name: its validator's, with a dash for the second one.
    fn called(&self, seat: usize) -> String {
        let count = self.scenario.seats();
        if seat < count { name(seat) } else { format!("n{}'", self.scenario.twin_of(seat)) }
    }

    /// The handles of living seats that keep to the rules.
    pub fn honest(&self) -> Vec<(usize, NodeHandle)> {
        let seats = held(&self.seats);
        let living = seats.iter().enumerate().filter(|(_, seat)| seat.is_honest);
        living.filter_map(|(at, seat)| Some((at, seat.life.as_ref()?.handle.clone()))).collect()
    }

    /// How many of `1000` messages come late, and how many come twice.
    pub fn disorder(&self) -> (u64, u64) {
        if *held(&self.is_healed) { (0, 0) } else { self.scenario.disorder }
    }

    /// What a seat's message becomes on its way out; none when it is swallowed.
    pub fn outgoing(&self, seat: usize, channel: usize, message: &IoBuf) -> Option<IoBuf> {
        crate::tap::outgoing(self, seat, channel, message)
    }

    /// The seat of the validator at a place of a set.
    pub fn seat_of(&self, set: &ValidatorSet, place: u64) -> Option<u64> {
        let key = set.keys().get(usize::try_from(place).ok()?)?;
        let mut keys = self.validators.iter();
        keys.position(|known| known.as_ref() == key.bytes()).map(|seat| seat as u64)
    }

    /// Takes note that a seat no longer listens to a validator.
    pub fn blocked(&self, seat: usize, peer: &Key) {
        let place = self.validators.iter().position(|key| key == peer).unwrap_or(usize::MAX);
        let seats = held(&self.seats);
        let is_honest = |at: usize| seats.get(at).is_some_and(|seat| seat.is_honest);
        let (by_honest, of_honest) = (is_honest(seat), is_honest(place));
        drop(seats);
        self.note(seat, &format!("listens no longer to {}", name(place)));
        if by_honest && of_honest {
            self.fault(seat, &format!("blocks {}, who keeps to the rules", name(place)));
        }
    }
}
