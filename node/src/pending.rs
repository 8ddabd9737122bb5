//! Which stored transactions wait: one list for each commit that stored some.
//!
//! Invariants: a list goes when nothing of it waits any more; what a list names waits exactly if
//! its body is here, its id has no result, and a block of about now could hold it.

use std::sync::Arc;

use tallystick_kernel::limits::{REMEMBERED, VALIDITY_MAX};
use tallystick_kernel::{Reader, Reason, TimeMs, Writer};
use tallystick_ledger::StateChange;
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::Transaction;

use crate::archive;
use crate::core::Core;
use crate::keys;

/// Transactions in one list at most; far more than one commit stores.
const LIST_MAX: usize = 1 << 16;

/// The write of a list.
pub fn list(group: u64, entries: &[Entry]) -> StateChange {
    let mut out = Writer::new();
    out.list(entries);
    keys::put(keys::pending(group), out.finish())
}

impl Core {
    /// Takes up what waits. Lists of which nothing waits are removed, and bodies that came only for
    /// a vote or for whose end a snapshot has led past: what became of those is not known here.
    pub(crate) fn take_up_pending(&mut self, now: TimeMs) -> Result<(), Reason> {
        let mut groups: Vec<(u64, Vec<Entry>)> = Vec::new();
        self.kv.scan(keys::PENDING, &mut |key, value| {
            let group = keys::pending_group(key).ok_or(Reason::StorageCorrupt)?;
            let entries = Reader::new(value).list(LIST_MAX).map_err(|_| Reason::StorageCorrupt)?;
            groups.push((group, entries));
            Ok(())
        })?;
        let (mut waiting, mut ended) = (Vec::new(), Vec::new());
        for (group, entries) in groups {
            self.next_group = group + 1;
            let before = waiting.len();
            for entry in entries {
                let Some((transaction, bytes)) = self.waiting(&entry)? else { continue };
                if self.is_timely(&transaction, now) {
                    waiting.push(entry);
                    self.take_up(entry, (transaction, bytes), group, now);
                } else {
                    ended.push(keys::remove(keys::body(&entry)));
                }
            }
            if waiting.len() == before {
                ended.push(keys::remove(keys::pending(group)));
            }
        }
        self.acknowledgements.loosen(waiting);
        if ended.is_empty() { Ok(()) } else { self.commit(ended) }
    }

    /// The transaction behind an entry of such a list, and its bytes' count, if it still waits.
    fn waiting(&self, entry: &Entry) -> Result<Option<(Arc<Transaction>, usize)>, Reason> {
        if self.stored.contains(entry) || archive::result(self.kv.as_ref(), &entry.id)?.is_some() {
            return Ok(None);
        }
        let Some(bytes) = self.kv.get(&keys::body(entry))? else { return Ok(None) };
        match Transaction::read(&bytes) {
            Ok((transaction, found)) if found == *entry => {
                Ok(Some((Arc::new(transaction), bytes.len())))
            }
            _ => Err(Reason::StorageCorrupt),
        }
    }

    /// Whether a block above the head may hold it, by any clock that is not far from `now`.
    fn is_timely(&self, transaction: &Transaction, now: TimeMs) -> bool {
        let (until, time) = (transaction.body.valid_until, self.state.time());
        until > time && until <= now.max(time).after(VALIDITY_MAX).after(REMEMBERED)
    }

    fn take_up(
        &mut self,
        entry: Entry,
        (transaction, bytes): (Arc<Transaction>, usize),
        group: u64,
        now: TimeMs,
    ) {
        let pooled = Arc::clone(&transaction);
        let admitted = self.pool.admit(&self.state, entry, pooled, bytes, now);
        let unpooled_for = admitted.is_err().then_some(self.own);
        self.stored.insert(entry, transaction, bytes, group, unpooled_for);
    }
}
