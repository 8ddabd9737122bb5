//! What the tasks of a node share: the core under its lock, what is wanted, and who is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tallystick_kernel::{DurationMs, TimeMs};
use tallystick_proofs::header::Entry;
use tokio::sync::watch;

use crate::core::Core;

/// A validator that was heard this recently counts as connected.
pub const ALIVE_WITHIN: DurationMs = DurationMs::seconds(12);

/// Shared by all tasks of one node.
pub struct Shared {
    core: Mutex<Core>,
    wanted: Mutex<BTreeSet<Entry>>,
    heard: Mutex<BTreeMap<u64, TimeMs>>,
    changed: watch::Sender<u64>,
}

impl Shared {
    /// Around an opened core.
    pub fn new(core: Core) -> Shared {
        Shared {
            core: Mutex::new(core),
            wanted: Mutex::default(),
            heard: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// The core. Held for short; commits to storage happen under it.
    pub fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A receiver that wakes whenever something was stored, acknowledged or executed.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Wakes everyone who watches.
    pub fn change(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Asks for bodies to be fetched from the others.
    pub fn want(&self, entries: &[Entry]) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.extend(entries);
    }

    /// What is wanted and still not here.
    pub fn wanted(&self) -> Vec<Entry> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if !wanted.is_empty() {
            let list: Vec<Entry> = wanted.iter().copied().collect();
            *wanted = self.core().missing(&list).unwrap_or(list).into_iter().collect();
        }
        wanted.iter().copied().collect()
    }

    /// Notes that a validator was heard.
    pub fn hear(&self, place: u64, now: TimeMs) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(place, now);
    }

    /// How many other validators were heard lately.
    pub fn connected(&self, now: TimeMs) -> usize {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.values().filter(|last| last.after(ALIVE_WITHIN) > now).count()
    }
}
