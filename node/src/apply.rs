//! Applying final blocks: each is executed in memory, and everything that follows from it is then
//! written in one durable commit, during which the core is free and the next block is executed.
//!
//! Invariants: blocks are written in the order of their heights; what was executed and is not
//! written is told to nobody as a payment's end, and is executed again after a crash.

use tallystick_kernel::{Codec, Reason, TimeMs};
use tallystick_ledger::{StateChange, execute_with};
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::Transaction;

use crate::block::Block;
use crate::core::Core;
use crate::keys;
use crate::workers::Threads;

impl Core {
    /// Executes the final block after the head in memory; gives what to write, in one commit. Its
    /// bodies MUST all be here.
    ///
    /// The caller MUST write the changes of each block, in order, then tell [`Core::applied`]. Until
    /// then nobody is told what became of the block's transactions. That others may be told
    /// meanwhile what the state's roots are does no harm: whoever executes the block comes to the
    /// same.
    ///
    /// Returns [`Reason::StorageCorrupt`] for another block than the next one: then storage has lost
    /// what was applied before; and [`Reason::RulesUnknown`] for one whose rules this program does
    /// not know.
    pub fn execute(&mut self, block: &Block) -> Result<Vec<StateChange>, Reason> {
        self.check_storage()?;
        self.rules.check_known(block.header.version)?;
        if block.header.height != self.state.height() + 1 {
            return Err(Reason::StorageCorrupt);
        }
        let reported = self.reported();
        let transactions = self.transactions(&block.entries)?;
        let executed: Vec<(Entry, &Transaction)> =
            block.entries.iter().copied().zip(transactions.iter().map(AsRef::as_ref)).collect();
        let claimed = self.claimed(&executed);
        let outcome =
            execute_with(&mut self.state, &block.header, &executed, &Threads::of_this_machine());
        let mut changes = outcome.changes;
        let height = block.header.height;
        changes.push(keys::put(keys::block(height), block.to_bytes()));
        for result in &outcome.results {
            changes.push(keys::put(keys::result(&result.id), result.to_bytes()));
        }
        for reported in reported + 1..=block.header.executed_height {
            changes.push(keys::put(keys::report(reported), height.to_bytes()));
        }
        changes.extend(self.forget(&block.entries, block.header.time));
        changes.extend(self.drop_rivals(&executed, claimed));
        self.pool.expire(block.header.time);
        Ok(changes)
    }

    /// The height up to which the last executed block reports.
    fn reported(&self) -> u64 {
        self.state.recent(self.state.height()).map_or(0, |record| record.executed_height)
    }

    /// Takes note that what [`Core::execute`] gave was written, and whether with a certificate.
    ///
    /// Returns [`Reason::RulesUnknown`] after the last block whose rules this program knows. When it
    /// returns an error the caller MUST stop the process; a restart resumes from the last commit.
    pub fn applied(
        &mut self,
        block: &Block,
        is_certified: bool,
        now: TimeMs,
    ) -> Result<(), Reason> {
        self.check_storage()?;
        self.ending.retain(|_, height| *height > block.header.height);
        if is_certified && self.state.governance().sets().count() > self.kept_sets {
            self.keep_set_changes()?;
        }
        self.tip = block.header.clone();
        self.note_checkpoint();
        self.admit_unpooled(now);
        self.rules.check_known(self.state.governance().rules_version(block.header.height + 1))
    }

    /// Keeps the receipts of changes of the validator set that have become possible.
    pub(crate) fn keep_set_changes(&mut self) -> Result<(), Reason> {
        let kept = crate::archive::set_changes_to_keep(self.kv.as_ref())?;
        self.kept_sets += kept.len();
        if kept.is_empty() { Ok(()) } else { self.commit(kept) }
    }
}

/// The write of a block's finality certificate.
pub fn certify(height: u64, certificate: &FinalityCertificate) -> StateChange {
    keys::put(keys::certificate(height), certificate.to_bytes())
}
