//! What a running node has executed, read from storage alone: whoever reads much of it holds nobody up.

use std::sync::Arc;

use tallystick_kernel::{Reason, TransactionId};
use tallystick_proofs::header::Entry;
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Transaction;

use crate::archive;
use crate::block::Block;
use crate::kv::Kv;

/// The executed blocks of a node with their transactions, as far as they are kept.
pub struct History(pub(crate) Arc<dyn Kv>);

impl History {
    /// An executed block; none where it is not here yet, or no longer.
    pub fn block(&self, height: u64) -> Result<Option<Block>, Reason> {
        archive::block(self.0.as_ref(), height)
    }

    /// The transaction behind an entry of an executed block.
    pub fn transaction(&self, entry: &Entry) -> Result<Option<Transaction>, Reason> {
        archive::transaction(self.0.as_ref(), entry)
    }

    /// What became of a transaction.
    pub fn result(&self, id: &TransactionId) -> Result<Option<TransactionResult>, Reason> {
        archive::result(self.0.as_ref(), id)
    }
}
