//! Which transactions are here, durable, and stay.

use std::sync::Arc;

use tallystick_kernel::{Reason, TransactionId};
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::Transaction;

use crate::archive;
use crate::core::Core;
use crate::keys;

impl Core {
    /// A stored transaction, executed or not.
    pub fn transaction(&self, entry: &Entry) -> Result<Option<Arc<Transaction>>, Reason> {
        if let Some(transaction) = self.stored.get(entry) {
            return Ok(Some(Arc::clone(transaction)));
        }
        Ok(archive::transaction(self.kv.as_ref(), entry)?.map(Arc::new))
    }

    /// A stored transaction, executed or not, with the length of its canonical bytes.
    pub(crate) fn sized(&self, entry: &Entry) -> Result<Option<(Arc<Transaction>, usize)>, Reason> {
        if let Some((transaction, bytes)) = self.stored.sized(entry) {
            return Ok(Some((Arc::clone(transaction), bytes)));
        }
        let found = archive::sized_transaction(self.kv.as_ref(), entry)?;
        Ok(found.map(|(transaction, bytes)| (Arc::new(transaction), bytes)))
    }

    /// Which of these entries are neither stored nor known to be invalid.
    pub fn missing(&self, entries: &[Entry]) -> Result<Vec<Entry>, Reason> {
        let mut missing = Vec::new();
        for entry in entries {
            let here = self.stored.contains(entry)
                || self.invalid.contains_key(entry)
                || (self.is_durable(entry) && self.kv.get(&keys::body(entry))?.is_some());
            if !here {
                missing.push(*entry);
            }
        }
        Ok(missing)
    }

    /// Whether this transaction, if it can be read, is durable and stays: what is being written may
    /// be read already, and what is being let go of may be read still.
    pub(crate) fn is_durable(&self, entry: &Entry) -> bool {
        !self.storing.contains(entry) && !self.is_let_go(&entry.id)
    }

    /// Whether a transaction is just being let go of.
    pub(crate) fn is_let_go(&self, id: &TransactionId) -> bool {
        self.ending.contains_key(id) && self.state.result(id).is_none()
    }
}
