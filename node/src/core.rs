//! A node's one piece of shared state: the ledger, the pool, and what is stored but not executed.
//!
//! Invariants: nothing is in the pool or in `stored` that is not durable; a transaction is marked
//! pending exactly while it is in `stored`; all effects of a block are one commit; after a commit
//! that failed nothing is proposed, judged, stored or stated any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tallystick_crypto::PublicKey;
use tallystick_kernel::limits::TRANSACTION_BYTES_MAX;
use tallystick_kernel::{Codec, NetworkId, Reason, TimeMs, TransactionId};
use tallystick_ledger::{
    Admitted, Ancestor, Pool, PoolLimits, Rules, State, StateChange, entry_of,
};
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::{Entry, Header};
use tallystick_proofs::transaction::Transaction;

use crate::acknowledgements::Acknowledgements;
use crate::keys;
use crate::kv::{Kv, LedgerView};
use crate::members::Members;

/// The version of the folder's format.
const FORMAT_VERSION: u64 = 1;
/// Stored transactions that are not executed, in all.
const STORED_MAX: usize = 131_072;
/// Invalid bodies that are remembered, so that a block that lists one is refused at once.
const INVALID_MAX: usize = 4096;

/// A transaction whose form, network and signatures were verified.
#[derive(Clone, Debug)]
pub struct Verified {
    /// How a block names it.
    pub entry: Entry,
    /// The transaction.
    pub transaction: Arc<Transaction>,
}

impl Verified {
    /// Reads and verifies canonical bytes: the stateless part of the verification.
    ///
    /// Returns the reasons of decoding and of [`Transaction::verify`].
    pub fn read(bytes: &[u8], network: &NetworkId) -> Result<Verified, Reason> {
        let transaction = Transaction::from_bytes(bytes, TRANSACTION_BYTES_MAX)?;
        transaction.verify(network)?;
        Ok(Verified { entry: entry_of(&transaction), transaction: Arc::new(transaction) })
    }
}

/// Where an offered transaction comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A client: what cannot be admitted is refused and leaves no trace.
    Client,
    /// Another validator, which has admitted it: stored even if it cannot be admitted here, because
    /// what a node has admitted must never keep it from voting.
    Peer,
}

/// What a node knows, all under one lock.
pub struct Core {
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) network: NetworkId,
    pub(crate) rules: Rules,
    /// This node's key.
    pub(crate) own: PublicKey,
    pub(crate) state: State,
    pub(crate) pool: Pool,
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) acknowledgements: Acknowledgements,
    /// The last executed header.
    pub(crate) tip: Header,
    /// Whether an executed block with transactions is not reported by `tip` yet.
    pub(crate) unreported: bool,
    /// How many validator sets need no receipt any more: the genesis file's, and those whose change
    /// has one that is kept.
    pub(crate) kept_sets: usize,
    stored: BTreeMap<Entry, Arc<Transaction>>,
    stored_by_time: BTreeSet<(TimeMs, Entry)>,
    /// Stored, but not admitted here so far.
    unpooled: BTreeSet<Entry>,
    invalid: BTreeMap<Entry, Reason>,
    pub(crate) ancestors: BTreeMap<(u64, [u8; 32]), Arc<Ancestor>>,
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
        let state = match State::load(&genesis, &LedgerView(kv.as_ref()))? {
            Some(state) => state,
            None => begin(kv.as_ref(), &genesis)?,
        };
        let tip = match state.height() {
            0 => tallystick_ledger::genesis_header(&genesis),
            height => {
                crate::archive::block(kv.as_ref(), height)?.ok_or(Reason::StorageCorrupt)?.header
            }
        };
        rules.check_known(state.governance().rules_version(state.height() + 1))?;
        let members = Members::of(&state, own);
        let acknowledgements =
            Acknowledgements::new(genesis.network(), &members.validators, members.own_place());
        let mut core = Core {
            network: genesis.network(),
            genesis,
            rules,
            unreported: false,
            kept_sets: 1,
            own,
            tip,
            pool: Pool::new(PoolLimits::default(), rules),
            state,
            kv,
            acknowledgements,
            stored: BTreeMap::new(),
            stored_by_time: BTreeSet::new(),
            unpooled: BTreeSet::new(),
            invalid: BTreeMap::new(),
            ancestors: BTreeMap::new(),
            broken: false,
        };
        core.unreported = core.has_unreported()?;
        core.count_kept_sets()?;
        core.take_up_pending(now)?;
        Ok(core)
    }

    /// Admits and stores transactions in one durable commit; answers each in order.
    ///
    /// `Ok` means that it is durable here. From a client a refusal is one of [`Pool::admit`]'s;
    /// from a peer only [`Reason::Expired`], [`Reason::ValidityTooLong`] and [`Reason::PoolFull`]
    /// are refusals.
    pub fn offer(
        &mut self,
        offered: &[Verified],
        source: Source,
        now: TimeMs,
    ) -> Result<Vec<Result<Admitted, Reason>>, Reason> {
        self.check_storage()?;
        let mut answers = Vec::with_capacity(offered.len());
        let mut changes = Vec::new();
        for verified in offered {
            let answer = self.offer_one(verified, source, now);
            if answer == Ok(Admitted::New) {
                let bytes = verified.transaction.to_bytes();
                changes.push(keys::put(keys::body(&verified.entry), bytes));
                changes.push(keys::put(keys::pending(&verified.entry), Vec::new()));
            }
            answers.push(answer);
        }
        if !changes.is_empty() {
            self.commit(changes)?;
        }
        Ok(answers)
    }

    fn offer_one(
        &mut self,
        verified: &Verified,
        source: Source,
        now: TimeMs,
    ) -> Result<Admitted, Reason> {
        let Verified { entry, transaction } = verified;
        if self.stored.contains_key(entry) {
            return Ok(Admitted::AlreadyHere);
        }
        if self.stored.len() >= STORED_MAX {
            return Err(Reason::PoolFull);
        }
        match self.pool.admit(&self.state, *entry, Arc::clone(transaction), now) {
            Ok(Admitted::AlreadyHere) if source == Source::Client => Ok(Admitted::AlreadyHere),
            Err(Reason::AlreadyExecuted) if source == Source::Peer => Ok(Admitted::AlreadyHere),
            Err(reason) if source == Source::Client => Err(reason),
            Err(reason @ (Reason::Expired | Reason::ValidityTooLong)) => Err(reason),
            admitted => {
                if admitted != Ok(Admitted::New) {
                    self.unpooled.insert(*entry);
                }
                self.keep(*entry, Arc::clone(transaction));
                Ok(Admitted::New)
            }
        }
    }

    /// Stores transactions that a block lists, whatever the pool would say of them.
    pub fn store_for_vote(&mut self, fetched: &[Verified]) -> Result<(), Reason> {
        let mut changes = Vec::new();
        for Verified { entry, transaction } in fetched {
            if !self.stored.contains_key(entry) {
                changes.push(keys::put(keys::body(entry), transaction.to_bytes()));
                changes.push(keys::put(keys::pending(entry), Vec::new()));
                self.unpooled.insert(*entry);
                self.keep(*entry, Arc::clone(transaction));
            }
        }
        if changes.is_empty() { self.check_storage() } else { self.commit(changes) }
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

    /// A stored transaction, executed or not.
    pub fn transaction(&self, entry: &Entry) -> Result<Option<Arc<Transaction>>, Reason> {
        if let Some(transaction) = self.stored.get(entry) {
            return Ok(Some(Arc::clone(transaction)));
        }
        Ok(crate::archive::transaction(self.kv.as_ref(), entry)?.map(Arc::new))
    }

    /// Which of these entries are neither stored nor known to be invalid.
    pub fn missing(&self, entries: &[Entry]) -> Result<Vec<Entry>, Reason> {
        let mut missing = Vec::new();
        for entry in entries {
            let here = self.stored.contains_key(entry)
                || self.invalid.contains_key(entry)
                || self.kv.get(&keys::body(entry))?.is_some();
            if !here {
                missing.push(*entry);
            }
        }
        Ok(missing)
    }

    /// Whether a transaction is stored and waits.
    pub fn is_pending(&self, id: &TransactionId) -> bool {
        let from = Entry { id: *id, witness_hash: [0; 32] };
        self.stored.range(from..).next().is_some_and(|(entry, _)| entry.id == *id)
    }

    /// Whether a quorum has stored it.
    pub fn is_acknowledged(&self, id: &TransactionId) -> bool {
        self.acknowledgements.is_acknowledged(id)
    }

    /// Everything that waits and is not acknowledged yet.
    pub(crate) fn unacknowledged(&self) -> Vec<Verified> {
        self.stored
            .iter()
            .filter(|(entry, _)| !self.acknowledgements.is_acknowledged(&entry.id))
            .map(|(entry, transaction)| Verified {
                entry: *entry,
                transaction: Arc::clone(transaction),
            })
            .collect()
    }

    /// Forgets what was executed or has expired; gives the writes for it.
    pub(crate) fn forget(&mut self, executed: &[Entry], block_time: TimeMs) -> Vec<StateChange> {
        let mut changes = Vec::new();
        for entry in executed {
            // Another witness for the same id is dead too.
            let from = Entry { id: entry.id, witness_hash: [0; 32] };
            let same: Vec<Entry> = self
                .stored
                .range(from..)
                .take_while(|(stored, _)| stored.id == entry.id)
                .map(|(stored, _)| *stored)
                .collect();
            for stored in same {
                changes.push(keys::remove(keys::pending(&stored)));
                self.drop_stored(&stored);
            }
            self.acknowledgements.forget(&entry.id);
        }
        let past: Vec<Entry> = self
            .stored_by_time
            .iter()
            .take_while(|(valid_until, _)| *valid_until <= block_time)
            .map(|(_, entry)| *entry)
            .collect();
        for entry in past {
            changes.push(keys::remove(keys::pending(&entry)));
            changes.push(keys::remove(keys::body(&entry)));
            changes.push(keys::put(keys::expired(&entry.id), Vec::new()));
            self.drop_stored(&entry);
            self.acknowledgements.forget(&entry.id);
        }
        changes
    }

    /// Tries again to admit what could not be admitted when it came.
    pub(crate) fn admit_unpooled(&mut self, now: TimeMs) {
        for entry in std::mem::take(&mut self.unpooled) {
            let Some(transaction) = self.stored.get(&entry).cloned() else { continue };
            match self.pool.admit(&self.state, entry, transaction, now) {
                Ok(_) => {}
                Err(_) => drop(self.unpooled.insert(entry)),
            }
        }
    }

    /// Whether a block with transactions was executed that `tip` does not report.
    pub(crate) fn has_unreported(&self) -> Result<bool, Reason> {
        for height in self.tip.executed_height + 1..=self.state.height() {
            let block = crate::archive::block(self.kv.as_ref(), height)?;
            if block.is_some_and(|block| !block.entries.is_empty()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn count_kept_sets(&mut self) -> Result<(), Reason> {
        for (epoch, _) in self.state.governance().sets() {
            self.kept_sets += usize::from(self.kv.get(&keys::set_change(epoch))?.is_some());
        }
        Ok(())
    }

    fn keep(&mut self, entry: Entry, transaction: Arc<Transaction>) {
        self.stored_by_time.insert((transaction.body.valid_until, entry));
        self.stored.insert(entry, transaction);
    }

    fn drop_stored(&mut self, entry: &Entry) {
        if let Some(transaction) = self.stored.remove(entry) {
            self.stored_by_time.remove(&(transaction.body.valid_until, *entry));
        }
        self.unpooled.remove(entry);
    }

    fn take_up_pending(&mut self, now: TimeMs) -> Result<(), Reason> {
        let mut entries = Vec::new();
        self.kv.scan(keys::PENDING, &mut |key, _| {
            entries.push(keys::pending_entry(key).ok_or(Reason::StorageCorrupt)?);
            Ok(())
        })?;
        for entry in entries {
            let transaction = crate::archive::transaction(self.kv.as_ref(), &entry)?;
            self.keep(entry, Arc::new(transaction.ok_or(Reason::StorageCorrupt)?));
            self.unpooled.insert(entry);
        }
        self.admit_unpooled(now);
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
