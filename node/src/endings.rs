//! How stored transactions end: executed, past their time, or without what they claim.
//!
//! Invariants: what is said to be never paid can be in no block any more; a body stays exactly if its
//! transaction waits or was executed.

use std::collections::HashSet;

use tallystick_kernel::TimeMs;
use tallystick_ledger::StateChange;
use tallystick_ledger::claims::{Claim, claims};
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::Transaction;

use crate::core::Core;
use crate::keys;

impl Core {
    /// Forgets what was executed or has expired; gives the writes for it.
    pub(crate) fn forget(&mut self, executed: &[Entry], block_time: TimeMs) -> Vec<StateChange> {
        let mut changes = Vec::new();
        for entry in executed {
            // Another witness for the same id is dead too, and no receipt needs its body.
            for stored in self.stored.of_id(&entry.id) {
                changes.extend(self.let_go(&stored));
                if stored != *entry {
                    changes.push(keys::remove(keys::body(&stored)));
                }
            }
            self.acknowledgements.forget(&entry.id);
            self.ending.insert(entry.id, self.state.height());
        }
        for entry in self.stored.past(block_time) {
            changes.extend(self.end(&entry));
        }
        for entry in self.stored.for_votes.past(self.state.height()) {
            changes.extend(self.vanish(&entry));
        }
        changes
    }

    /// Claims of a block's transactions that something stands behind before it is executed.
    pub(crate) fn claimed(&self, executed: &[(Entry, &Transaction)]) -> Vec<Claim> {
        let all = executed.iter().flat_map(|(_, one)| claims(&one.body));
        all.filter(|Claim::Reserve(id)| self.state.reserve(id).is_some()).collect()
    }

    /// Lets go of what can never be in a block any more, because the block just executed used up
    /// what it claims; gives the writes for it. `claimed` is [`Core::claimed`] before the block.
    ///
    /// What cannot use its claim for another reason leaves the pool and waits: a lock may go, and a
    /// reserve that is not there may still be opened.
    pub(crate) fn drop_rivals(
        &mut self,
        executed: &[(Entry, &Transaction)],
        mut claimed: Vec<Claim>,
    ) -> Vec<StateChange> {
        claimed.retain(|Claim::Reserve(id)| self.state.reserve(id).is_none());
        let used: HashSet<Claim> = claimed.iter().copied().collect();
        let own = self.own;
        let mut dead: Vec<Entry> =
            self.stored.rivals(&claimed).into_iter().map(|(entry, _)| entry).collect();
        for (id, _) in self.pool.executed(&self.state, executed) {
            for entry in self.stored.of_id(&id) {
                let is_dead = self.stored.get(&entry).is_some_and(|transaction| {
                    claims(&transaction.body).any(|claim| used.contains(&claim))
                });
                if is_dead {
                    dead.push(entry);
                } else {
                    self.stored.unadmitted(&entry, own);
                }
            }
        }
        dead.sort_unstable();
        dead.dedup();
        let mut changes = Vec::new();
        for entry in dead {
            tracing::debug!(id = %entry.id, "lost its claim to another transaction");
            changes.extend(self.end(&entry));
        }
        changes
    }

    /// Lets go of a stored transaction that will never be in a block; gives the writes for it.
    fn end(&mut self, entry: &Entry) -> Vec<StateChange> {
        let mut changes = self.vanish(entry);
        if self.state.result(&entry.id).is_none() {
            changes.push(keys::put(keys::expired(&entry.id), Vec::new()));
            let then = keys::expired_then(self.state.height(), &entry.id);
            changes.push(keys::put(then, Vec::new()));
        }
        changes
    }

    /// Lets go of a stored transaction and its body, as if it had never come; gives the writes for it.
    fn vanish(&mut self, entry: &Entry) -> Vec<StateChange> {
        self.acknowledgements.forget(&entry.id);
        self.ending.insert(entry.id, self.state.height());
        let mut changes = vec![keys::remove(keys::body(entry))];
        changes.extend(self.let_go(entry));
        changes
    }

    /// The write for a stored transaction that waits no more, if it was the last of its group.
    fn let_go(&mut self, entry: &Entry) -> Option<StateChange> {
        self.stored.remove(entry).map(|group| keys::remove(keys::pending(group)))
    }
}
