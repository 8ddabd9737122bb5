//! What happened, line by line, and what should never have happened.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// When every simulation begins: 2026-01-01T00:00:00Z.
pub const BEGINNING: Duration = Duration::from_secs(1_767_225_600);

/// The log of one simulation.
#[derive(Default)]
pub struct Log {
    lines: Mutex<Vec<String>>,
    faults: Mutex<Vec<String>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a node is called in the log.
pub fn name(place: usize) -> String {
    format!("n{place}")
}

impl Log {
    /// Notes an event: who, when by the true clock, and what.
    pub fn note(&self, time: SystemTime, who: &str, what: &str) {
        let since = time.duration_since(SystemTime::UNIX_EPOCH + BEGINNING).unwrap_or_default();
        let line = format!("{:>9.3} {who:<6} {what}", since.as_secs_f64());
        tracing::info!("{line}");
        held(&self.lines).push(line);
    }

    /// Notes a breach of what must always hold.
    pub fn fault(&self, time: SystemTime, who: &str, what: &str) {
        self.note(time, who, &format!("FAULT {what}"));
        held(&self.faults).push(format!("{who}: {what}"));
    }

    /// Whether nothing has gone wrong so far.
    pub fn is_clean(&self) -> bool {
        held(&self.faults).is_empty()
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        held(&self.lines).clone()
    }

    /// All breaches so far.
    pub fn faults(&self) -> Vec<String> {
        held(&self.faults).clone()
    }
}
