//! A simulated disk: what a node has committed, and the faults that are drawn for it.
//!
//! A commit is all or nothing, and durable when it returns, as [`Kv`] promises. A fault breaks a
//! commit the way a real disk would: nothing is written, or everything is and nobody is told. A disk
//! notes how the state on it moved, so that a run can tell how a node came to where it stands.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tallystick_kernel::Reason;
use tallystick_ledger::StateChange;
use tallystick_ledger::state_key::{self, Visit};
use tallystick_node::keys;
use tallystick_node::kv::{Kv, MemoryView, View};

/// What goes wrong with the next commits or reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// No space: nothing is written, until there is space again.
    Full,
    /// Power is lost while the next commit is written: its record is torn, and the whole of it is
    /// gone.
    Torn,
    /// Power is lost after the next commit was written and before anyone was told.
    Untold,
    /// The next read fails.
    Unreadable,
}

/// How the state on a disk moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The block of this height was executed.
    Block(u64),
    /// A snapshot was taken over.
    Snapshot,
}

/// The disk of one node; outlives the node's processes.
#[derive(Default)]
pub struct Disk {
    content: Mutex<MemoryView>,
    moves: Mutex<Vec<Move>>,
    fault: Mutex<Option<DiskFault>>,
    struck: AtomicBool,
    is_spared: AtomicBool,
}

impl Disk {
    /// Sets what goes wrong from now on; none makes the disk whole.
    pub fn set_fault(&self, fault: Option<DiskFault>) {
        *held(&self.fault) = fault;
        self.struck.store(false, Ordering::Relaxed);
    }

    /// Whether the fault has struck since it was set.
    pub fn has_struck(&self) -> bool {
        self.struck.load(Ordering::Relaxed)
    }

    /// Whether faults wait: the simulator's own reads must not be what they strike.
    pub fn spare(&self, is_spared: bool) {
        self.is_spared.store(is_spared, Ordering::Relaxed);
    }

    /// Whether a key is durable here; no fault keeps the simulator from looking.
    pub fn holds(&self, key: &[u8]) -> bool {
        held(&self.content).get(key).is_ok_and(|found| found.is_some())
    }

    /// How the state moved since this was asked last.
    pub fn take_moves(&self) -> Vec<Move> {
        std::mem::take(&mut held(&self.moves))
    }

    /// A block is written with the head that it leads to, a snapshot's head with its floor.
    fn note_moves(&self, changes: &[StateChange]) {
        let written = || changes.iter().filter(|change| change.value.is_some());
        if !written().any(|change| change.key == state_key::HEAD) {
            return;
        }
        let mut moves = held(&self.moves);
        for change in written() {
            moves.extend((change.key == keys::FLOOR).then_some(Move::Snapshot));
            moves.extend(keys::height_of(&change.key).map(Move::Block));
        }
    }

    fn strike(&self, concerned: &[DiskFault]) -> Option<DiskFault> {
        if self.is_spared.load(Ordering::Relaxed) {
            return None;
        }
        let mut fault = held(&self.fault);
        let struck = fault.filter(|fault| concerned.contains(fault))?;
        self.struck.store(true, Ordering::Relaxed);
        if struck != DiskFault::Full {
            *fault = None;
        }
        Some(struck)
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl View for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        if self.strike(&[DiskFault::Unreadable]).is_some() {
            return Err(Reason::StorageFailed);
        }
        held(&self.content).get(key)
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
        if self.strike(&[DiskFault::Unreadable]).is_some() {
            return Err(Reason::StorageFailed);
        }
        // What visits may read meanwhile.
        let content = held(&self.content).clone();
        content.scan_from(prefix, from, visit)
    }
}

impl Kv for Disk {
    fn commit(&self, changes: Vec<StateChange>) -> Result<(), Reason> {
        let struck = self.strike(&[DiskFault::Full, DiskFault::Torn, DiskFault::Untold]);
        if matches!(struck, Some(DiskFault::Full | DiskFault::Torn)) {
            return Err(Reason::StorageFailed);
        }
        self.note_moves(&changes);
        held(&self.content).write(changes);
        if struck.is_some() { Err(Reason::StorageFailed) } else { Ok(()) }
    }

    fn view(&self) -> Arc<dyn View> {
        Arc::new(held(&self.content).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: u8) -> Vec<StateChange> {
        vec![StateChange { key: vec![key], value: Some(vec![key]) }]
    }

    #[test]
    fn a_commit_that_fails_is_there_wholly_or_not_at_all_and_a_full_disk_stays_full() {
        let disk = Disk::default();
        assert_eq!(disk.commit(put(1)), Ok(()));
        for (fault, is_there) in [(DiskFault::Torn, false), (DiskFault::Untold, true)] {
            let key = 10 + u8::from(is_there);
            disk.set_fault(Some(fault));
            assert!(!disk.has_struck());
            assert_eq!(disk.commit(put(key)), Err(Reason::StorageFailed));
            assert!(disk.has_struck());
            assert_eq!(disk.holds(&[key]), is_there);
            assert_eq!(disk.commit(put(20)), Ok(()), "it strikes once");
        }
        disk.set_fault(Some(DiskFault::Full));
        assert_eq!(disk.commit(put(2)), Err(Reason::StorageFailed));
        assert_eq!(disk.commit(put(2)), Err(Reason::StorageFailed));
        assert_eq!(disk.get(&[1]), Ok(Some(vec![1])));
        disk.set_fault(None);
        assert_eq!(disk.commit(put(2)), Ok(()));
    }

    #[test]
    fn a_disk_tells_blocks_that_were_executed_from_a_snapshot_that_was_taken_over() {
        let disk = Disk::default();
        let written = |keys: &[&[u8]]| {
            let put = |key: &&[u8]| StateChange { key: key.to_vec(), value: Some(vec![1]) };
            assert_eq!(disk.commit(keys.iter().map(put).collect()), Ok(()));
        };
        written(&[&keys::block(7), state_key::HEAD]);
        written(&[&keys::block(3)]);
        written(&[state_key::HEAD, keys::FLOOR]);
        assert_eq!(disk.take_moves(), [Move::Block(7), Move::Snapshot]);
        assert_eq!(disk.take_moves(), []);
    }

    #[test]
    fn a_read_that_fails_says_so_once_and_serves_nothing() {
        let disk = Disk::default();
        assert_eq!(disk.commit(put(1)), Ok(()));
        disk.set_fault(Some(DiskFault::Unreadable));
        assert_eq!(disk.get(&[1]), Err(Reason::StorageFailed));
        assert_eq!(disk.get(&[1]), Ok(Some(vec![1])));
        disk.set_fault(Some(DiskFault::Unreadable));
        assert_eq!(disk.scan(&[], &mut |_, _| Ok(())), Err(Reason::StorageFailed));
    }
}
