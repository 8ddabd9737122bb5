//! Applying a final block: execution and everything that follows from it, in one durable commit.

use tallystick_kernel::{Codec, Reason, TimeMs};
use tallystick_ledger::execute;
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::Transaction;

use crate::block::Block;
use crate::core::Core;
use crate::keys;

impl Core {
    /// Executes the final block after the head. Its bodies MUST all be here.
    ///
    /// When it returns an error the state in memory is ahead of the disk: the caller MUST stop the
    /// process. A restart resumes from the last commit.
    pub fn apply(
        &mut self,
        block: &Block,
        certificate: Option<&FinalityCertificate>,
        now: TimeMs,
    ) -> Result<(), Reason> {
        self.check_storage()?;
        let transactions = self.transactions(&block.entries)?;
        let executed: Vec<(Entry, &Transaction)> =
            block.entries.iter().copied().zip(transactions.iter().map(AsRef::as_ref)).collect();
        let outcome = execute(&mut self.state, &block.header, &executed);
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
        let dropped = self.pool.executed(&self.state, &executed);
        for (id, reason) in &dropped {
            tracing::debug!(%id, code = reason.code(), "lost its claim to another transaction");
        }
        self.pool.expire(block.header.time);
        changes.extend(self.forget(&block.entries, block.header.time));
        self.commit(changes)?;
        self.tip = block.header.clone();
        self.unreported = self.has_unreported()?;
        self.admit_unpooled(now);
        Ok(())
    }
}
