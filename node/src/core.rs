//! A node's one piece of shared state: the ledger, the pool, and what is stored but not executed.
//!
//! Invariants: nothing is in `stored`, or may be picked from the pool, that is not durable; a
//! transaction is marked pending exactly while it is in `stored` or being written; all effects of a block are one commit; after a commit
//! that failed nothing is proposed, judged, stored or stated any more.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tallystick_crypto::{PublicKey, Signature};
use tallystick_kernel::{Digest, NetworkId, Reason, TimeMs, TransactionId};
use tallystick_ledger::{Admitted, Ancestor, Pool, PoolLimits, Rules, State, StateChange};
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::{Entry, Header};

use crate::acknowledgements::{Acknowledgements, Due};
use crate::archive;
use crate::config::Preset;
use crate::keys;
use crate::kv::{Kv, LedgerView};
use crate::members::Members;
use crate::pending;
use crate::snapshot_restore;
use crate::snapshot_source::Checkpoint;
use crate::store_check;
use crate::stored::Stored;
use crate::verification::Verified;

/// The version of the folder's format.
const FORMAT_VERSION: u64 = 3;
/// Invalid bodies that are remembered, so that a block that lists one is refused at once.
const INVALID_MAX: usize = 4096;
/// Stored transactions that are tried again after each block, at most.
const RETRIED_MAX: usize = 1024;

/// Where an offered transaction comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A client: what cannot be admitted is refused and leaves no trace.
    Client,
    /// The node with this key, which has admitted it: stored even if it cannot be admitted here,
    /// within that node's quota.
    Peer(PublicKey),
    /// A validator, because a block lists it and this node asked: always stored, because what a
    /// node has admitted must never keep it from voting, for as long as a vote may need it.
    Vote,
}

/// A transaction that is being written.
#[derive(Debug)]
pub struct Storing {
    verified: Verified,
    group: u64,
    unpooled_for: Option<PublicKey>,
    /// Whether nobody is told that it is here.
    for_vote: bool,
}

/// What is to be written for transactions that were offered.
#[derive(Debug, Default)]
pub struct Intent {
    /// One answer for each that was offered, in order; true once the changes are written.
    pub answers: Vec<Result<Admitted, Reason>>,
    /// What to write, in one commit.
    pub changes: Vec<StateChange>,
    /// What [`Core::settle`] takes up afterwards.
    pub storing: Vec<Storing>,
    bytes: usize,
}

/// What a node knows, all under one lock.
pub struct Core {
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) network: NetworkId,
    pub(crate) rules: Rules,
    pub(crate) preset: Preset,
    /// This node's key.
    pub(crate) own: PublicKey,
    pub(crate) state: State,
    pub(crate) pool: Pool,
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) acknowledgements: Acknowledgements,
    /// The header of the last block whose execution is written; the state may be ahead of it.
    pub(crate) tip: Header,
    /// How many validator sets need no receipt any more: the genesis file's, and those whose change
    /// has one that is kept.
    pub(crate) kept_sets: usize,
    pub(crate) stored: Stored,
    /// The number of the next commit that stores something.
    pub(crate) next_group: u64,
    /// Being written.
    pub(crate) storing: HashSet<Entry>,
    /// What has ended, and with the block of which height, while that is being written.
    pub(crate) ending: HashMap<TransactionId, u64>,
    pub(crate) invalid: BTreeMap<Entry, Reason>,
    pub(crate) ancestors: BTreeMap<(u64, [u8; 32]), Arc<Ancestor>>,
    /// The last checkpoints, the newest last, of which a snapshot can be made.
    pub(crate) checkpoints: VecDeque<Checkpoint>,
    /// Whether a commit failed: then memory may hold what storage does not.
    broken: bool,
}

impl Core {
    /// Opens the state that storage holds, or begins a new one, and takes up what was pending.
    ///
    /// Returns [`Reason::FolderOfOtherVersion`] for another format, [`Reason::WrongNetwork`] for
    /// another genesis file, [`Reason::StorageCorrupt`], [`Reason::RulesUnknown`] when the next block
    /// follows rules that this program does not know, and the reasons of [`State::load`].
    pub fn open(
        genesis: Arc<Genesis>,
        kv: Arc<dyn Kv>,
        rules: Rules,
        own: PublicKey,
        now: TimeMs,
    ) -> Result<Core, Reason> {
        check_format(kv.as_ref(), &genesis)?;
        snapshot_restore::resume(&kv, &genesis)?;
        let state = match State::load(&genesis, &LedgerView(kv.as_ref()))? {
            Some(state) => state,
            None => begin(kv.as_ref(), &genesis)?,
        };
        store_check::check(kv.as_ref(), &state)?;
        let tip = match state.height() {
            0 => tallystick_ledger::genesis_header(&genesis),
            height => archive::block(kv.as_ref(), height)?.ok_or(Reason::StorageCorrupt)?.header,
        };
        rules.check_known(state.governance().rules_version(state.height() + 1))?;
        let members = Members::of(&state, state.next_epoch(), own);
        let acknowledgements = Acknowledgements::new(&members.validators, members.own_place());
        let mut core = Core {
            network: genesis.network(),
            genesis,
            rules,
            preset: Preset::default(),
            kept_sets: 1,
            own,
            tip,
            pool: Pool::new(PoolLimits::default(), rules),
            state,
            kv,
            acknowledgements,
            stored: Stored::default(),
            next_group: 0,
            storing: HashSet::new(),
            ending: HashMap::new(),
            invalid: BTreeMap::new(),
            ancestors: BTreeMap::new(),
            checkpoints: VecDeque::new(),
            broken: false,
        };
        core.note_checkpoint();
        core.count_kept_sets()?;
        core.take_up_pending(now)?;
        Ok(core)
    }

    /// The same, with another condition for making a block.
    pub fn with_preset(self, preset: Preset) -> Core {
        Core { preset, ..self }
    }

    /// Reads everything anew from storage, after a snapshot was taken over.
    pub(crate) fn reopen(&mut self, now: TimeMs) -> Result<(), Reason> {
        let (genesis, kv) = (Arc::clone(&self.genesis), Arc::clone(&self.kv));
        let storing = std::mem::take(&mut self.storing);
        let (next_group, preset) = (self.next_group, self.preset);
        *self = Core {
            storing,
            next_group,
            preset,
            ..Core::open(genesis, kv, self.rules, self.own, now)?
        };
        Ok(())
    }

    /// Decides which of the offered transactions are stored; answers each in order.
    ///
    /// The caller MUST write the changes, then tell [`Core::settle`]: until then none of them is
    /// here for anyone, and their claims are taken. `Ok` stands once they are settled. From a client
    /// a refusal is one of [`Pool::admit`]'s or [`Reason::PoolFull`]; from a validator only
    /// [`Reason::Expired`], [`Reason::ValidityTooLong`] and [`Reason::PoolFull`] are refusals.
    pub fn admit(&mut self, offered: &[(Source, Verified)], now: TimeMs) -> Result<Intent, Reason> {
        self.check_storage()?;
        let mut intent = Intent::default();
        for (source, verified) in offered {
            let answer = self.admit_one(*source, verified, now, &mut intent);
            intent.answers.push(answer);
        }
        if intent.storing.is_empty() {
            return Ok(intent);
        }
        for Storing { verified: Verified { entry, bytes, .. }, .. } in &intent.storing {
            intent.changes.push(keys::put(keys::body(entry), bytes.to_vec()));
        }
        let entries = intent.storing.iter().map(|storing| storing.verified.entry);
        intent.changes.push(pending::list(self.next_group, &entries.collect::<Vec<_>>()));
        self.next_group += 1;
        Ok(intent)
    }

    fn admit_one(
        &mut self,
        source: Source,
        verified: &Verified,
        now: TimeMs,
        intent: &mut Intent,
    ) -> Result<Admitted, Reason> {
        let Verified { entry, transaction, bytes } = verified;
        if self.stored.contains(entry) || self.storing.contains(entry) {
            if source != Source::Vote {
                self.promise(entry, intent);
            }
            return Ok(Admitted::AlreadyHere);
        }
        if source != Source::Client && self.knows(entry) {
            // Executed meanwhile: its body is kept, and waits for nothing.
            return Ok(Admitted::AlreadyHere);
        }
        if self.is_let_go(&entry.id) {
            // It is just being let go of; afterwards it may come again.
            return Err(Reason::PoolFull);
        }
        let (verified, group) = (verified.clone(), self.next_group);
        let for_vote = source == Source::Vote;
        let mut storing = Storing { verified, group, unpooled_for: None, for_vote };
        if for_vote {
            storing.unpooled_for = Some(self.own);
            return Ok(self.will_store(storing, intent));
        }
        if !self.stored.has_room(self.storing.len() + 1, intent.bytes + bytes.len()) {
            return Err(Reason::PoolFull);
        }
        match self.pool.admit(&self.state, *entry, Arc::clone(transaction), bytes.len(), now) {
            Ok(Admitted::New) => {
                self.pool.hold(&entry.id);
                Ok(self.will_store(storing, intent))
            }
            Err(reason @ (Reason::Expired | Reason::ValidityTooLong)) => Err(reason),
            answer => {
                let Source::Peer(peer) = source else { return answer };
                if answer == Err(Reason::AlreadyExecuted) {
                    return Ok(Admitted::AlreadyHere);
                }
                if !self.stored.has_room_for(&peer, &transaction.body.account, bytes.len()) {
                    return Err(Reason::PoolFull);
                }
                storing.unpooled_for = Some(peer);
                Ok(self.will_store(storing, intent))
            }
        }
    }

    fn will_store(&mut self, storing: Storing, intent: &mut Intent) -> Admitted {
        self.storing.insert(storing.verified.entry);
        intent.bytes += storing.verified.bytes.len();
        intent.storing.push(storing);
        Admitted::New
    }

    /// Somebody is told that it is here.
    fn promise(&mut self, entry: &Entry, intent: &mut Intent) {
        self.stored.for_votes.remove(entry);
        for storing in intent.storing.iter_mut().filter(|one| one.for_vote) {
            storing.for_vote &= storing.verified.entry != *entry;
        }
    }

    /// Takes up what was written: from now on it is here, and may be proposed.
    pub fn settle(&mut self, storing: Vec<Storing>) {
        for Storing { verified, group, unpooled_for, for_vote } in storing {
            let Verified { entry, transaction, bytes } = verified;
            self.storing.remove(&entry);
            self.pool.release(&entry.id);
            if self.stored.contains(&entry) {
                // Storage was read anew meanwhile.
                continue;
            }
            // A pool that was made anew meanwhile does not have it.
            let lost = (!self.pool.contains(&entry.id)).then_some(self.own);
            let unpooled_for = unpooled_for.or(lost);
            self.stored.insert(entry, transaction, bytes.len(), group, unpooled_for);
            if for_vote {
                self.stored.for_votes.insert(entry, self.state.height());
            }
        }
    }

    /// Notes that a write failed: this core is of no use any more.
    pub(crate) fn broke(&mut self) {
        self.broken = true;
    }

    /// Whether a transaction of this very entry was verified here and is remembered.
    pub fn knows(&self, entry: &Entry) -> bool {
        let executed = self.state.result(&entry.id).map(|executed| executed.result.witness_hash);
        self.stored.contains(entry)
            || self.storing.contains(entry)
            || executed == Some(entry.witness_hash)
    }

    /// Writes durably. When it fails this core is of no use any more.
    pub(crate) fn commit(&mut self, changes: Vec<StateChange>) -> Result<(), Reason> {
        self.check_storage()?;
        let written = self.kv.commit(changes);
        self.broken = written.is_err();
        written
    }

    /// [`Reason::StorageFailed`] once a commit has failed.
    pub(crate) fn check_storage(&self) -> Result<(), Reason> {
        if self.broken { Err(Reason::StorageFailed) } else { Ok(()) }
    }

    /// Remembers that the bytes behind an entry do not verify.
    pub fn mark_invalid(&mut self, entry: Entry, reason: Reason) {
        if self.invalid.len() >= INVALID_MAX {
            self.invalid.pop_first();
        }
        self.invalid.insert(entry, reason);
    }

    /// Why the bytes behind an entry do not verify, if they were seen.
    pub fn invalid(&self, entry: &Entry) -> Option<Reason> {
        self.invalid.get(entry).copied()
    }

    /// Whether a transaction is stored and waits.
    pub fn is_pending(&self, id: &TransactionId) -> bool {
        !self.stored.of_id(id).is_empty() || self.ending.contains_key(id)
    }

    /// Whether a quorum has stored it.
    pub fn is_acknowledged(&self, id: &TransactionId) -> bool {
        self.acknowledgements.is_acknowledged(id)
    }

    /// Counts a storage statement whose signature was verified; gives whether it completed a quorum.
    pub(crate) fn acknowledge(&mut self, signer: u64, root: &Digest, by: Signature) -> bool {
        let stored = &self.stored;
        self.acknowledgements.state(signer, root, by, |entry| stored.contains(entry))
    }

    /// Opens a batch of transactions that are durable here, with this node's own statement.
    pub(crate) fn open_batch(&mut self, entries: Vec<Entry>, own: Signature, now: TimeMs) {
        let stored = &self.stored;
        self.acknowledgements.open(entries, own, now, |entry| stored.contains(entry));
    }

    /// Batches without a quorum that are offered again now, a few at a time: what still waits of
    /// each, and which validators have not stated that they stored it.
    pub(crate) fn due(&mut self, now: TimeMs) -> Vec<Due> {
        let stored = &self.stored;
        self.acknowledgements.due(now, |entry| stored.contains(entry))
    }

    /// Tries again to admit what could not be admitted when it came, some of it each time.
    pub(crate) fn admit_unpooled(&mut self, now: TimeMs) {
        for (entry, transaction, bytes) in self.stored.next_unpooled(RETRIED_MAX) {
            if self.pool.admit(&self.state, entry, transaction, bytes, now).is_ok() {
                self.stored.admitted(&entry);
            }
        }
    }

    /// The epoch of the block after the last one that is written.
    pub(crate) fn epoch(&self) -> u64 {
        self.genesis.parameters.epoch_of(self.tip.height.saturating_add(1))
    }

    /// The height of the last checkpoint that is written.
    pub(crate) fn checkpoint_height(&self) -> u64 {
        self.tip.height - self.tip.height % self.genesis.parameters.checkpoint_interval
    }

    /// The root of the last checkpoint that is written.
    pub(crate) fn checkpoint_root(&self) -> Digest {
        let written = self.state.recent(self.tip.height).map(|record| record.checkpoint_root);
        written.unwrap_or(self.state.head().checkpoint_root)
    }

    /// Who votes in that epoch.
    pub(crate) fn members(&self) -> Members {
        Members::of(&self.state, self.epoch(), self.own)
    }

    fn count_kept_sets(&mut self) -> Result<(), Reason> {
        for (epoch, _) in self.state.governance().sets() {
            self.kept_sets += usize::from(self.kv.get(&keys::set_change(epoch))?.is_some());
        }
        Ok(())
    }
}

fn check_format(kv: &dyn Kv, genesis: &Genesis) -> Result<(), Reason> {
    let network = genesis.network();
    let expected = [&FORMAT_VERSION.to_be_bytes()[..], &network.0].concat();
    match kv.get(keys::FORMAT)? {
        None => kv.commit(vec![keys::put(keys::FORMAT.to_vec(), expected)]),
        Some(found) if found == expected => Ok(()),
        Some(found) if found.len() == 40 && found[..8] == expected[..8] => {
            Err(Reason::WrongNetwork)
        }
        Some(_) => Err(Reason::FolderOfOtherVersion),
    }
}

fn begin(kv: &dyn Kv, genesis: &Genesis) -> Result<State, Reason> {
    let state = State::genesis(genesis);
    kv.commit(state.persisted())?;
    Ok(state)
}
