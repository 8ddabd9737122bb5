//! The pool: transactions that wait for a block, in the order of their arrival, without conflicts.
//!
//! Invariants: with the claim rule on, no two entries share a claim; every index holds exactly the
//! entries; a refusal leaves no trace. The pool is this node's own filter: what it holds never
//! decides whether a block is valid.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tallystick_kernel::limits::BLOCK_TRANSACTION_BYTES_MAX;
use tallystick_kernel::{AccountId, Reason, ReserveId, TimeMs, TransactionId};
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::{Body, Transaction};

use crate::claims::{Claim, Made, Rules, check_claims, claims, made, touches};
use crate::deadlines::Deadlines;
use crate::execute::would_fail;
use crate::lookup::Lookup;
use crate::pre_block::Ancestor;
use crate::state::State;
use crate::validity::{Taken, check_time};

/// Transactions that a node keeps waiting, unless it is told otherwise.
pub const POOL_ENTRIES_MAX: usize = 65_536;
/// Transactions of one account that a node keeps waiting, unless it is told otherwise.
pub const ACCOUNT_ENTRIES_MAX: usize = 1024;

const _: () = assert!(ACCOUNT_ENTRIES_MAX < POOL_ENTRIES_MAX);

/// How much a pool takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Transactions in all.
    pub entries_max: usize,
    /// Transactions whose body names the same account. All `account_open`s count as one account's.
    pub account_entries_max: usize,
}

/// What became of a transaction that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It waits now, and its claims are taken.
    New,
    /// It waited already; with the witness that came first.
    AlreadyHere,
}

/// Transactions that wait.
#[derive(Clone, Debug)]
pub struct Pool {
    limits: PoolLimits,
    rules: Rules,
    arrived: u64,
    waiting: BTreeMap<u64, Waiting>,
    bytes: usize,
    by_id: Lookup<TransactionId, u64>,
    by_claim: Lookup<Claim, u64>,
    by_time: Deadlines<TransactionId>,
    by_account: BTreeMap<AccountId, usize>,
    accounts_made: BTreeSet<AccountId>,
    reserves_made: Lookup<ReserveId>,
    /// Entries that may not be picked yet.
    held: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
struct Waiting {
    entry: Entry,
    transaction: Arc<Transaction>,
    bytes: usize,
}

/// How a block names a transaction.
pub fn entry_of(transaction: &Transaction) -> Entry {
    Entry { id: transaction.id(), witness_hash: transaction.witness.hash() }
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits, rules: Rules) -> Pool {
        Pool {
            limits,
            rules,
            arrived: 0,
            waiting: BTreeMap::new(),
            bytes: 0,
            by_id: Lookup::default(),
            by_claim: Lookup::default(),
            by_time: Deadlines::default(),
            by_account: BTreeMap::new(),
            accounts_made: BTreeSet::new(),
            reserves_made: Lookup::default(),
            held: BTreeSet::new(),
        }
    }

    /// How many transactions wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The bytes of all.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the transaction waits here.
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.by_id.contains(id)
    }

    /// The transaction, if it waits here.
    pub fn get(&self, id: &TransactionId) -> Option<(Entry, Arc<Transaction>)> {
        let waiting = self.waiting.get(self.by_id.get(id)?)?;
        Some((waiting.entry, Arc::clone(&waiting.transaction)))
    }

    /// The state-dependent part of the first verification. `entry` is [`entry_of`] the transaction
    /// and `bytes` the length of its canonical bytes; its form, network and signatures the caller
    /// has verified ([`Transaction::verify`]).
    ///
    /// Returns, in this order: [`Reason::AlreadyExecuted`] (the first result is
    /// [`State::result`]), [`Reason::Expired`], [`Reason::ValidityTooLong`], what executing it now
    /// would come to, [`Reason::OutputInFlight`] in place of an unknown account, payee or reserve
    /// that a waiting transaction makes, [`Reason::ClaimTaken`], [`Reason::PoolFull`],
    /// [`Reason::AccountQuota`].
    pub fn admit(
        &mut self,
        state: &State,
        entry: Entry,
        transaction: Arc<Transaction>,
        bytes: usize,
        now: TimeMs,
    ) -> Result<Admitted, Reason> {
        if self.contains(&entry.id) {
            return Ok(Admitted::AlreadyHere);
        }
        if state.result(&entry.id).is_some() {
            return Err(Reason::AlreadyExecuted);
        }
        let (body, time) = (&transaction.body, now.max(state.time()));
        check_time(body, time)?;
        would_fail(state, &entry.id, &transaction, time)
            .map_err(|reason| self.in_flight(body, reason))?;
        if self.rules.claims && claims(body).any(|claim| self.by_claim.contains(&claim)) {
            return Err(Reason::ClaimTaken);
        }
        if self.len() >= self.limits.entries_max {
            return Err(Reason::PoolFull);
        }
        let of_account = self.by_account.get(&body.account).copied().unwrap_or_default();
        if of_account >= self.limits.account_entries_max {
            return Err(Reason::AccountQuota);
        }
        self.insert(Waiting { entry, transaction, bytes });
        Ok(Admitted::New)
    }

    /// Keeps a waiting transaction from being picked: it has its claims, and is not durable yet.
    pub fn hold(&mut self, id: &TransactionId) {
        self.held.extend(self.by_id.get(id));
    }

    /// Lets a transaction be picked again.
    pub fn release(&mut self, id: &TransactionId) {
        if let Some(place) = self.by_id.get(id) {
            self.held.remove(place);
        }
    }

    /// Picks entries in the order of arrival that may all be in one block of time `time` on top of
    /// `ancestors`, at most `count_max` and no more bytes than a block may hold. The block reports
    /// the state's height as executed.
    pub fn select(
        &self,
        state: &State,
        ancestors: &[Arc<Ancestor>],
        time: TimeMs,
        count_max: usize,
    ) -> Vec<Entry> {
        let mut taken = Taken::by(state, ancestors);
        let (mut picked, mut sum) = (Vec::new(), 0);
        let free = self.waiting.iter().filter(|(place, _)| !self.held.contains(place));
        for (_, Waiting { entry, transaction, bytes }) in free {
            if picked.len() >= count_max || sum + bytes > BLOCK_TRANSACTION_BYTES_MAX {
                break;
            }
            let free = check_time(&transaction.body, time)
                .and_then(|()| taken.check_id(state, &entry.id))
                .and_then(|()| self.take(&mut taken, state, transaction, time));
            if free.is_ok() {
                sum += bytes;
                picked.push(*entry);
            }
        }
        picked
    }

    /// Takes note of a block that was executed: its transactions no longer wait.
    ///
    /// `state` stands after the block. Gives the transactions that are dropped because the block
    /// used up or changed what they claim, and why: they can never be in a block any more.
    pub fn executed(
        &mut self,
        state: &State,
        transactions: &[(Entry, &Transaction)],
    ) -> Vec<(TransactionId, Reason)> {
        for (entry, _) in transactions {
            self.remove(&entry.id);
        }
        let mut touched: BTreeSet<u64> = BTreeSet::new();
        for (_, transaction) in transactions {
            let claims = claims(&transaction.body);
            touched.extend(claims.filter_map(|claim| self.by_claim.get(&claim).copied()));
        }
        let mut dropped = Vec::new();
        for place in touched {
            let Some(waiting) = self.waiting.get(&place) else { continue };
            let verdict = check_claims(state, &waiting.transaction, state.height(), state.time());
            if let Err(reason) = verdict {
                dropped.push((waiting.entry.id, reason));
            }
        }
        dropped.iter().for_each(|(id, _)| self.remove(id));
        dropped
    }

    /// Drops what a block of this time or later can no longer hold, and says which.
    pub fn expire(&mut self, block_time: TimeMs) -> Vec<TransactionId> {
        let ids = self.by_time.due(block_time);
        ids.iter().for_each(|id| self.remove(id));
        ids
    }

    fn take(
        &self,
        taken: &mut Taken<'_>,
        state: &State,
        transaction: &Transaction,
        time: TimeMs,
    ) -> Result<(), Reason> {
        if !self.rules.claims {
            return Ok(());
        }
        check_claims(state, transaction, state.height(), time)?;
        taken.take(&transaction.body)
    }

    /// What is unknown may only be not final yet.
    fn in_flight(&self, body: &Body, reason: Reason) -> Reason {
        let touches = touches(body);
        let waits = match reason {
            Reason::AccountUnknown => self.accounts_made.contains(&body.account),
            Reason::PayeeUnknown => {
                touches.credits.iter().any(|credit| self.accounts_made.contains(&credit.account))
            }
            Reason::ReserveUnknown => touches
                .claims
                .iter()
                .any(|Claim::Reserve(reserve)| self.reserves_made.contains(reserve)),
            _ => false,
        };
        if waits { Reason::OutputInFlight } else { reason }
    }

    fn insert(&mut self, waiting: Waiting) {
        let (place, id, body) = (self.arrived, waiting.entry.id, &waiting.transaction.body);
        self.arrived += 1;
        self.by_id.insert(id, place);
        self.by_time.insert(body.valid_until, id);
        *self.by_account.entry(body.account).or_default() += 1;
        for claim in claims(body) {
            self.by_claim.insert(claim, place);
        }
        let Made { account, reserves } = made(&id, &body.action);
        self.accounts_made.extend(account);
        self.reserves_made.extend(reserves);
        self.bytes += waiting.bytes;
        self.waiting.insert(place, waiting);
    }

    fn remove(&mut self, id: &TransactionId) {
        let Some(place) = self.by_id.remove(id) else { return };
        let Some(waiting) = self.waiting.remove(&place) else { return };
        self.bytes -= waiting.bytes;
        self.held.remove(&place);
        let body = &waiting.transaction.body;
        self.by_time.remove(body.valid_until, id);
        for claim in claims(body) {
            // Without the claim rule another entry may have come over this one.
            if self.by_claim.get(&claim) == Some(&place) {
                self.by_claim.remove(&claim);
            }
        }
        if let Some(count) = self.by_account.get_mut(&body.account) {
            *count -= 1;
            if *count == 0 {
                self.by_account.remove(&body.account);
            }
        }
        let Made { account, reserves } = made(id, &body.action);
        if let Some(account) = account {
            self.accounts_made.remove(&account);
        }
        for reserve in reserves {
            self.reserves_made.remove(&reserve);
        }
    }
}

impl Default for PoolLimits {
    fn default() -> Self {
        PoolLimits { entries_max: POOL_ENTRIES_MAX, account_entries_max: ACCOUNT_ENTRIES_MAX }
    }
}
