//! Applying a final block: execution and everything that follows from it, in one durable commit,
//! during which the core is free.

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
    /// The caller MUST write the changes, then tell [`Core::applied`]. Until then nobody is told
    /// what became of the block's transactions. That others may be told meanwhile what the state's
    /// roots are does no harm: whoever executes the block comes to the same.
    ///
    /// Returns [`Reason::StorageCorrupt`] for another block than the next one: then storage has lost
    /// what was applied before.
    pub fn execute(
        &mut self,
        block: &Block,
        certificate: Option<&FinalityCertificate>,
    ) -> Result<Vec<StateChange>, Reason> {
        self.check_storage()?;
        if block.header.height != self.state.height() + 1 {
            return Err(Reason::StorageCorrupt);
        }
        let transactions = self.transactions(&block.entries)?;
        let executed: Vec<(Entry, &Transaction)> =
            block.entries.iter().copied().zip(transactions.iter().map(AsRef::as_ref)).collect();
        let outcome =
            execute_with(&mut self.state, &block.header, &executed, &Threads::of_this_machine());
        let mut changes = outcome.changes;
        let height = block.header.height;
        changes.push(keys::put(keys::block(height), block.to_bytes()));
        if let Some(certificate) = certificate {
            changes.push(keys::put(keys::certificate(height), certificate.to_bytes()));
        }
        for result in &outcome.results {
            changes.push(keys::put(keys::result(&result.id), result.to_bytes()));
        }
        for reported in self.tip.executed_height + 1..=block.header.executed_height {
            changes.push(keys::put(keys::report(reported), height.to_bytes()));
        }
        changes.extend(self.forget(&block.entries, block.header.time));
        changes.extend(self.drop_rivals(&executed));
        self.pool.expire(block.header.time);
        Ok(changes)
    }

    /// Takes note that what [`Core::execute`] gave was written.
    ///
    /// Returns [`Reason::RulesUnknown`] after the last block whose rules this program knows. When it
    /// returns an error the caller MUST stop the process; a restart resumes from the last commit.
    pub fn applied(
        &mut self,
        block: &Block,
        certificate: Option<&FinalityCertificate>,
        now: TimeMs,
    ) -> Result<(), Reason> {
        self.check_storage()?;
        self.ending.clear();
        if certificate.is_some() && self.state.governance().sets().count() > self.kept_sets {
            self.keep_set_changes()?;
        }
        self.tip = block.header.clone();
        self.note_checkpoint();
        self.unreported = self.has_unreported()?;
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
