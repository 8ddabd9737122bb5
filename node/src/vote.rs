//! Proposing and judging blocks on the shared state.

use std::sync::Arc;

use tallystick_kernel::{DurationMs, Reason, TimeMs};
use tallystick_ledger::{Ancestor, BlockContext, Found, Verdict, Waiting, build, check};
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::Transaction;

use crate::block::Block;
use crate::core::Core;

/// The shortest time between the first block of an epoch and its parent: the others must have
/// entered it to hear of it.
const ENTERING: DurationMs = DurationMs(300);

/// How long a proposer waits at least to look again when nothing of what waits fits.
const LOOK_AGAIN: DurationMs = DurationMs(10);

/// What a proposer should do now.
#[derive(Debug)]
pub enum Proposal {
    /// Propose this.
    Block(Box<Block>),
    /// There is nothing to do; look again after this time, or when something changed.
    Wait(DurationMs),
    /// These bodies of ancestors must be here first.
    Missing(Vec<Entry>),
}

impl Core {
    /// Makes a block on `chain` (the parent first, then its ancestors down to the executed ones),
    /// if there is a reason for one.
    ///
    /// Returns [`Reason::NotReady`] when this node cannot propose here, and storage's reasons.
    pub fn propose(
        &mut self,
        chain: &[Arc<Block>],
        proposer: u64,
        now: TimeMs,
    ) -> Result<Proposal, Reason> {
        self.check_storage()?;
        let parent = &chain.first().ok_or(Reason::NotReady)?.header;
        let ancestors = match self.ancestors_of(chain)? {
            Ok(ancestors) => ancestors,
            Err(missing) => return Ok(Proposal::Missing(missing)),
        };
        let parameters = &self.genesis.parameters;
        let begins = parameters.epoch_of(parent.height + 1) > parent.epoch;
        let earliest = match begins {
            true => parent.time.after(ENTERING),
            false if self.is_enough(&ancestors) => parent.time,
            false => parent.time.after(self.preset.interval),
        };
        let idle_until = parent.time.after(self.genesis.parameters.idle_interval);
        let busy = !self.pool.is_empty()
            || self.state.has_results(parent.executed_height, self.state.height());
        if now < earliest && now < idle_until {
            // A view is given up soon after the network should have had an idle block.
            return Ok(Proposal::Wait(DurationMs(earliest.min(idle_until).0 - now.0)));
        }
        if !busy && now < idle_until {
            return Ok(Proposal::Wait(DurationMs(idle_until.0 - now.0)));
        }
        let context =
            BlockContext { parent, ancestors: &ancestors, now, proposer, rules: self.rules };
        let (header, entries) = build(&self.state, &self.pool, &context)?;
        if entries.is_empty() && !self.has_reason(&header, parent, now) {
            // What waits cannot go into a block on these ancestors.
            let until_idle = DurationMs(idle_until.0.saturating_sub(now.0));
            return Ok(Proposal::Wait(self.preset.interval.min(until_idle).max(LOOK_AGAIN)));
        }
        Ok(Proposal::Block(Box::new(Block { header, entries })))
    }

    /// Whether so much waits beside what the ancestors hold that a block is made at once.
    fn is_enough(&self, ancestors: &[Arc<Ancestor>]) -> bool {
        let held: usize = ancestors.iter().map(|ancestor| ancestor.ids.len()).sum();
        let waiting = self.pool.len().saturating_sub(held);
        // In flight or not, one is about as long as another.
        let bytes = self.pool.bytes() / self.pool.len().max(1) * waiting;
        waiting >= self.preset.entries || (waiting > 0 && bytes >= self.preset.bytes)
    }

    /// Judges `chain[0]`, proposed by the validator at `proposer` on `chain[1..]`.
    pub fn judge(
        &mut self,
        chain: &[Arc<Block>],
        proposer: u64,
        now: TimeMs,
    ) -> Result<Verdict, Reason> {
        self.check_storage()?;
        let [block, ancestors @ ..] = chain else { return Err(Reason::NotReady) };
        let parent = &ancestors.first().ok_or(Reason::NotReady)?.header;
        self.rules.check_known(self.state.governance().rules_version(parent.height + 1))?;
        let known = match self.ancestors_of(ancestors)? {
            Ok(known) => known,
            Err(mut missing) => {
                missing.extend(self.missing(&block.entries)?);
                return Ok(Verdict::Wait(Waiting::Bodies(missing)));
            }
        };
        let context = BlockContext { parent, ancestors: &known, now, proposer, rules: self.rules };
        let bodies = |entry: &Entry| self.find(entry);
        let verdict = check(&self.state, &context, &block.header, &block.entries, &bodies);
        let height = self.state.height();
        match verdict {
            Verdict::Valid => self.stored.for_votes.voted(&block.entries, height),
            Verdict::Invalid(_) => self.stored.for_votes.refused(&block.entries),
            Verdict::Wait(_) => {}
        }
        Ok(verdict)
    }

    /// The ancestors above the executed ones, or the bodies that are missing to know them.
    fn ancestors_of(
        &mut self,
        chain: &[Arc<Block>],
    ) -> Result<Result<Vec<Arc<Ancestor>>, Vec<Entry>>, Reason> {
        let head = self.state.height();
        self.ancestors.retain(|(height, _), _| *height > head);
        let mut ancestors = Vec::new();
        for block in chain.iter().filter(|block| block.header.height > head) {
            let key = (block.header.height, block.header.id().0);
            if let Some(known) = self.ancestors.get(&key) {
                ancestors.push(Arc::clone(known));
                continue;
            }
            let missing = self.missing(&block.entries)?;
            if !missing.is_empty() {
                return Ok(Err(missing));
            }
            let transactions = self.transactions(&block.entries)?;
            let listed = block.entries.iter().zip(transactions.iter().map(Arc::as_ref));
            let ancestor = Arc::new(Ancestor::new(block.header.height, listed));
            self.ancestors.insert(key, Arc::clone(&ancestor));
            ancestors.push(ancestor);
        }
        Ok(Ok(ancestors))
    }

    /// The transactions of a block whose bodies are all here.
    pub(crate) fn transactions(&self, entries: &[Entry]) -> Result<Vec<Arc<Transaction>>, Reason> {
        entries.iter().map(|entry| self.transaction(entry)?.ok_or(Reason::StorageCorrupt)).collect()
    }

    fn find(&self, entry: &Entry) -> Found {
        if let Some(reason) = self.invalid(entry) {
            return Found::Invalid(reason);
        }
        if !self.is_durable(entry) {
            return Found::Missing;
        }
        match self.sized(entry) {
            Ok(Some((transaction, bytes))) => Found::Verified { transaction, bytes },
            _ => Found::Missing,
        }
    }

    /// Whether an empty block is worth making: it reports a transaction, or the network is idle.
    fn has_reason(
        &self,
        header: &tallystick_proofs::header::Header,
        parent: &tallystick_proofs::header::Header,
        now: TimeMs,
    ) -> bool {
        self.state.has_results(parent.executed_height, header.executed_height)
            || now >= parent.time.after(self.genesis.parameters.idle_interval)
    }
}
