//! What the tasks of a node share: the core under its lock, what is wanted, and who is there.
//!
//! Invariant: nobody holds two of these locks at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tallystick_crypto::PublicKey;
use tallystick_kernel::{DurationMs, Reason, TimeMs};
use tallystick_ledger::{Admitted, StateChange};
use tallystick_proofs::header::Entry;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

use crate::core::{Core, Source};
use crate::counted::SentBytes;
use crate::failure::Failure;
use crate::intake::{Batch, Intake, Sender};
use crate::kv::Kv;
use crate::lock::{Guard, Overlaps, lock};
use crate::members::Members;
use crate::verification::Verified;
use crate::wanted::Wanted;

/// A validator that was heard this recently counts as connected.
pub const ALIVE_WITHIN: DurationMs = DurationMs::seconds(12);

/// Shared by all tasks of one node.
pub struct Shared {
    core: Mutex<Core>,
    /// None once nobody serves it any more.
    intake: Mutex<Option<Intake>>,
    arrived: Notify,
    wanted: Mutex<Wanted>,
    more_wanted: Notify,
    heard: Mutex<BTreeMap<PublicKey, Heard>>,
    members: Mutex<Arc<Members>>,
    own: PublicKey,
    changed: watch::Sender<u64>,
    changes: Notify,
    /// The last final height, executed or not.
    finals: watch::Sender<u64>,
    failure: Failure,
    overlaps: Overlaps,
    sent: Arc<SentBytes>,
    /// Whether the engine no longer has the blocks that this node lacks.
    gap: AtomicBool,
}

/// When a validator was last heard, and how many others it then said to have heard.
#[derive(Clone, Copy, Default)]
struct Heard {
    at: TimeMs,
    others: u64,
}

impl Heard {
    fn is_lately(&self, now: TimeMs) -> bool {
        self.at.after(ALIVE_WITHIN) > now
    }
}

impl Shared {
    /// Around an opened core, with what is done when the node cannot go on.
    pub fn new(core: Core, failure: Failure) -> Shared {
        let (own, members) = (core.own, core.members());
        let height = core.state.height();
        Shared {
            core: Mutex::new(core),
            members: Mutex::new(Arc::new(members)),
            own,
            intake: Mutex::new(Some(Intake::default())),
            arrived: Notify::new(),
            wanted: Mutex::default(),
            more_wanted: Notify::new(),
            heard: Mutex::default(),
            changed: watch::Sender::new(0),
            changes: Notify::new(),
            finals: watch::Sender::new(height),
            failure,
            overlaps: Overlaps::default(),
            sent: Arc::default(),
            gap: AtomicBool::new(false),
        }
    }

    /// The core. Held for short, and never while a commit to storage is synced.
    pub fn core(&self) -> Guard<'_, Core> {
        lock(&self.core, &self.overlaps)
    }

    /// Admits and stores transactions in one durable commit, during which the core is free; answers
    /// each in order. Only one task may do so. The reasons are those of [`Core::admit`], and
    /// [`Reason::StorageFailed`] when the write may not be durable.
    pub fn store(
        &self,
        offered: &[(Source, Verified)],
        now: TimeMs,
    ) -> Result<Vec<Result<Admitted, Reason>>, Reason> {
        if offered.is_empty() {
            return Ok(Vec::new());
        }
        let (intent, kv) = {
            let mut core = self.core();
            (core.admit(offered, now)?, Arc::clone(&core.kv))
        };
        if !intent.storing.is_empty() {
            self.write(kv.as_ref(), intent.changes)?.settle(intent.storing);
        }
        Ok(intent.answers)
    }

    /// Writes durably while the core is free, then gives the core. When it fails the core is of no
    /// use any more.
    pub(crate) fn write(
        &self,
        kv: &dyn Kv,
        changes: Vec<StateChange>,
    ) -> Result<Guard<'_, Core>, Reason> {
        let written = kv.commit(changes);
        let mut core = self.core();
        if let Err(reason) = written {
            core.broke();
            return Err(reason);
        }
        core.check_storage()?;
        Ok(core)
    }

    /// Lets a batch wait for its verification; refuses it with the reasons of
    /// [`Intake::push`], and [`Reason::NotReady`] when nobody serves it any more.
    pub fn put_batch(&self, batch: Batch, now: TimeMs) -> Result<(), Reason> {
        let mut intake = lock(&self.intake, &self.overlaps);
        match intake.as_mut() {
            None => return Err(Reason::NotReady),
            Some(intake) => intake.push(batch, now)?,
        }
        drop(intake);
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes out what is verified next.
    pub fn take_batches(&self, now: TimeMs) -> Vec<Batch> {
        let mut intake = lock(&self.intake, &self.overlaps);
        intake.as_mut().map(|intake| intake.take(now)).unwrap_or_default()
    }

    /// Returns when something has arrived since somebody last waited.
    pub async fn more_arrived(&self) {
        self.arrived.notified().await;
    }

    /// Puts a sender into the slow lane.
    pub fn slow_down(&self, sender: Sender, now: TimeMs) {
        if let Some(intake) = lock(&self.intake, &self.overlaps).as_mut() {
            intake.slow_down(sender, now);
        }
    }

    /// Nobody verifies any more: whoever waits for an answer learns that there is none.
    pub fn close_intake(&self) {
        let waiting = lock(&self.intake, &self.overlaps).take();
        drop(waiting);
    }

    /// What this node has sent.
    pub fn sent(&self) -> &Arc<SentBytes> {
        &self.sent
    }

    /// How often two of these locks were held at once, against the invariant.
    pub fn overlaps(&self) -> u64 {
        self.overlaps.count()
    }

    /// Says that the node cannot go on. Storage that failed cannot be trusted any more: the node
    /// ends, and a restart resumes from the last commit.
    pub fn fail(&self, reason: Reason) {
        self.failure.report(reason);
    }

    /// A receiver that wakes whenever something was stored, acknowledged or executed: for those
    /// outside of the node. It wakes them in no order that could be had again.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Ends with the first change after it was made, whether it was polled before or not: for the
    /// node's own tasks.
    pub fn next_change(&self) -> Notified<'_> {
        self.changes.notified()
    }

    /// Wakes everyone who watches.
    pub fn change(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
        self.changes.notify_waiters();
    }

    /// Notes that a block is final; it is not executed yet.
    pub fn note_final(&self, height: u64) {
        self.finals.send_if_modified(|last| {
            let is_news = height > *last;
            *last = height.max(*last);
            is_news
        });
    }

    /// The last final height, executed or not.
    pub fn finals(&self) -> watch::Receiver<u64> {
        self.finals.subscribe()
    }

    /// Asks for bodies to be fetched from the others.
    pub fn want(&self, entries: &[Entry]) {
        if self.wanted_set().want(entries) {
            self.more_wanted.notify_one();
        }
    }

    /// A block with these is refused: they are not wanted any more, and what is still on its way is
    /// not stored, until somebody wants it again.
    pub fn refuse(&self, entries: &[Entry]) {
        self.wanted_set().refuse(entries);
    }

    /// Those of these entries that only refused blocks list.
    pub fn refused(&self, entries: impl Iterator<Item = Entry>) -> BTreeSet<Entry> {
        self.wanted_set().refused(entries)
    }

    /// Wants nothing any more: whoever still waits for bodies asks again.
    pub fn want_nothing(&self) {
        self.wanted_set().entries.clear();
    }

    /// Notes whether blocks are missing here that the engine counts as delivered and no longer has:
    /// then only a snapshot leads on.
    pub fn set_gap(&self, is_there: bool) {
        self.gap.store(is_there, Ordering::Relaxed);
    }

    /// Whether only a snapshot leads on.
    pub fn has_gap(&self) -> bool {
        self.gap.load(Ordering::Relaxed)
    }

    /// Returns when something was wanted that was not before.
    pub async fn more_wanted(&self) {
        self.more_wanted.notified().await;
    }

    /// What is wanted and still not here.
    pub fn wanted(&self) -> Vec<Entry> {
        let asked: Vec<Entry> = self.wanted_set().entries.iter().copied().collect();
        if asked.is_empty() {
            return asked;
        }
        let found = self.core().missing(&asked);
        let missing: BTreeSet<Entry> =
            found.unwrap_or_else(|_| asked.clone()).into_iter().collect();
        let mut wanted = self.wanted_set();
        // What was wanted since is not known to be here.
        wanted
            .entries
            .retain(|entry| missing.contains(entry) || asked.binary_search(entry).is_err());
        wanted.entries.iter().copied().collect()
    }

    fn wanted_set(&self) -> Guard<'_, Wanted> {
        lock(&self.wanted, &self.overlaps)
    }

    fn heard(&self) -> Guard<'_, BTreeMap<PublicKey, Heard>> {
        lock(&self.heard, &self.overlaps)
    }

    /// This node's key.
    pub fn own(&self) -> PublicKey {
        self.own
    }

    /// The validators of the current epoch.
    pub fn members(&self) -> Arc<Members> {
        Arc::clone(&lock(&self.members, &self.overlaps))
    }

    /// Begins an epoch.
    pub fn enter(&self, members: Members) {
        let (validators, place) = (members.validators.clone(), members.own_place());
        *lock(&self.members, &self.overlaps) = Arc::new(members);
        self.core().acknowledgements.enter(&validators, place);
        self.change();
    }

    /// Notes that a validator was heard; whether it was not heard lately before.
    pub fn hear(&self, validator: PublicKey, now: TimeMs) -> bool {
        let mut heard = self.heard();
        let known = heard.entry(validator).or_default();
        let is_new = !known.is_lately(now);
        if is_new {
            // It may have been started again since, and then hears nobody yet.
            known.others = 0;
        }
        known.at = now;
        is_new
    }

    /// Notes how many others a validator says to have heard; whether that is news.
    pub fn hears(&self, validator: &PublicKey, others: u64) -> bool {
        let mut heard = self.heard();
        heard
            .get_mut(validator)
            .is_some_and(|known| std::mem::replace(&mut known.others, others) != others)
    }

    /// How many other validators of the epoch were heard lately.
    pub fn connected(&self, now: TimeMs) -> usize {
        self.heard_lately(now).len()
    }

    /// Whether each other validator was heard lately and says that it hears as many.
    pub fn is_complete(&self, now: TimeMs) -> bool {
        let others = self.members().others();
        let heard = self.heard_lately(now);
        heard.iter().filter(|known| known.others >= others as u64).count() >= others
    }

    /// The other validators of the epoch that were heard no longer ago than this.
    pub fn heard_within(&self, limit: DurationMs, now: TimeMs) -> Vec<PublicKey> {
        let members = self.members();
        let heard = self.heard();
        let of_epoch = |key: &PublicKey| members.place_of(key.bytes()).is_some();
        let within = heard.iter().filter(|(_, known)| known.at.after(limit) > now);
        within.map(|(key, _)| *key).filter(of_epoch).collect()
    }

    fn heard_lately(&self, now: TimeMs) -> Vec<Heard> {
        let members = self.members();
        let heard = self.heard();
        let of_epoch = |key: &PublicKey| members.place_of(key.bytes()).is_some();
        heard
            .iter()
            .filter(|(key, known)| known.is_lately(now) && of_epoch(key))
            .map(|(_, known)| *known)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use tallystick_crypto::SigningKey;
    use tallystick_kernel::TransactionId;
    use tallystick_ledger::Rules;
    use tallystick_proofs::genesis::{Genesis, Parameters, ValidatorSet};
    use tallystick_proofs::owners::Owners;

    use super::*;
    use crate::kv::MemoryKv;

    const NOW: TimeMs = TimeMs(1_000_000);

    fn key(place: u8) -> PublicKey {
        SigningKey::ed25519_from_seed(&[place; 32]).public_key()
    }

    fn shared() -> Shared {
        let keys: Vec<_> = (0..4).map(key).collect();
        let genesis = Genesis {
            name: "test".to_owned(),
            time: NOW,
            accounts: vec![Owners::single(keys[0])],
            validators: ValidatorSet::new(keys).unwrap(),
            currencies: Vec::new(),
            parameters: Parameters {
                block_entries_max: 10,
                idle_interval: DurationMs::seconds(2),
                checkpoint_interval: 8,
                governance: None,
            },
        };
        let kv = Arc::new(MemoryKv::default());
        let core = Core::open(Arc::new(genesis), kv, Rules::default(), key(0), NOW).unwrap();
        Shared::new(core, Failure::new(|_| ()))
    }

    #[test]
    fn validators_are_complete_when_each_is_heard_and_says_that_it_hears_all_others() {
        let shared = shared();
        for place in 1..4 {
            assert!(shared.hear(key(place), NOW));
            assert!(!shared.hear(key(place), NOW), "it was heard just now");
        }
        assert_eq!(shared.connected(NOW), 3);
        assert!(!shared.is_complete(NOW), "nobody has said whom it hears");
        assert!(shared.hears(&key(1), 3) && shared.hears(&key(2), 3) && shared.hears(&key(3), 2));
        assert!(!shared.is_complete(NOW), "the last hears only two");
        assert!(shared.hears(&key(3), 3));
        assert!(!shared.hears(&key(3), 3), "that is no news");
        assert!(shared.is_complete(NOW));
        assert!(!shared.hears(&key(9), 3), "nobody was heard there");
    }

    #[test]
    fn a_validator_that_was_silent_is_heard_anew_and_hears_nobody_until_it_says_so() {
        let shared = shared();
        for place in 1..4 {
            shared.hear(key(place), NOW);
            shared.hears(&key(place), 3);
        }
        let later = NOW.after(ALIVE_WITHIN);
        assert_eq!(shared.connected(later), 0);
        assert!(!shared.is_complete(later));
        assert!((1..4).all(|place| shared.hear(key(place), later)));
        assert_eq!(shared.connected(later), 3);
        assert!(!shared.is_complete(later), "what they said is out of date");
    }

    #[test]
    fn who_looks_for_what_is_wanted_keeps_nobody_with_the_core_from_wanting_more() {
        let shared = shared();
        let entry = |id| Entry { id: TransactionId([id; 32]), witness_hash: [2; 32] };
        let shared = Arc::new(shared);
        shared.want(&[entry(1)]);
        let core = shared.core();
        let looking = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.wanted())
        };
        // It waits for the core, which is held here, and must not hold the list meanwhile.
        std::thread::sleep(std::time::Duration::from_millis(100));
        let (done, is_done) = std::sync::mpsc::channel();
        let wanting = Arc::clone(&shared);
        std::thread::spawn(move || {
            wanting.want(&[entry(3)]);
            let _ = done.send(());
        });
        let wanted = is_done.recv_timeout(std::time::Duration::from_secs(10));
        assert!(wanted.is_ok(), "the list is held by one who waits for the core");
        drop(core);
        assert_eq!(looking.join().unwrap(), [entry(1), entry(3)]);
    }

    #[tokio::test]
    async fn who_fetches_bodies_is_woken_by_what_was_not_wanted_before_and_only_by_that() {
        let shared = shared();
        let entry = Entry { id: TransactionId([1; 32]), witness_hash: [2; 32] };
        shared.want(&[entry]);
        shared.more_wanted().await;
        assert_eq!(shared.wanted(), [entry]);
        shared.want(&[entry]);
        let mut woken = std::pin::pin!(shared.more_wanted());
        assert!(futures::poll!(woken.as_mut()).is_pending(), "woken by what is wanted already");
        shared.want(&[Entry { witness_hash: [3; 32], ..entry }]);
        woken.await;
    }
}
