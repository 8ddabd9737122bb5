//! What is written together: all of it or nothing.

use tallystick_kernel::{Reason, TimeMs};

/// A kind of records, such as `holder`; part of their key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub &'static str);

/// Writes that belong together. Made by the party's code, consumed by [`crate::Store::write`].
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) steps: Vec<Step>,
}

/// One write of a batch.
#[derive(Debug)]
pub(crate) enum Step {
    Put {
        kind: Kind,
        key: Vec<u8>,
        expected_version: u64,
        bytes: Vec<u8>,
        indexes: Vec<(&'static str, Vec<u8>)>,
    },
    Delete {
        kind: Kind,
        key: Vec<u8>,
        expected_version: u64,
    },
    Once {
        space: &'static str,
        id: Vec<u8>,
        expiry: TimeMs,
        now: TimeMs,
        otherwise: Reason,
    },
    Push {
        queue: &'static str,
        id: Vec<u8>,
        due: TimeMs,
        bytes: Vec<u8>,
        trace: String,
    },
    Done {
        queue: &'static str,
        id: Vec<u8>,
    },
    Reschedule {
        queue: &'static str,
        id: Vec<u8>,
        due: TimeMs,
        bytes: Option<Vec<u8>>,
    },
    Answer {
        key: Vec<u8>,
        fingerprint: Vec<u8>,
        bytes: Vec<u8>,
        expiry: TimeMs,
    },
    Audit {
        now: TimeMs,
        event: Vec<u8>,
    },
    Event {
        feed: Vec<u8>,
        now: TimeMs,
        bytes: Vec<u8>,
    },
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Writes a record with its index entries, which replace the former ones.
    ///
    /// `expected_version` 0 means that there must be none; otherwise the record must be at that
    /// version, and is at the next one afterwards. The batch fails with [`Reason::Conflict`] if not.
    pub fn put(
        mut self,
        kind: Kind,
        key: impl Into<Vec<u8>>,
        expected_version: u64,
        bytes: impl Into<Vec<u8>>,
        indexes: &[(&'static str, Vec<u8>)],
    ) -> Batch {
        let (key, bytes, indexes) = (key.into(), bytes.into(), indexes.to_vec());
        self.steps.push(Step::Put { kind, key, expected_version, bytes, indexes });
        self
    }

    /// Removes a record that is at a version; [`Reason::Conflict`] if it is not.
    pub fn delete(mut self, kind: Kind, key: impl Into<Vec<u8>>, expected_version: u64) -> Batch {
        self.steps.push(Step::Delete { kind, key: key.into(), expected_version });
        self
    }

    /// Spends something that serves once until `expiry`; a second use before fails the batch with
    /// `otherwise`. `expiry` MUST cover the thing's own expiry, the verifier's skew and
    /// [`tallystick_kernel::limits::REPLAY_SLACK`].
    pub fn once(
        mut self,
        space: &'static str,
        id: impl Into<Vec<u8>>,
        expiry: TimeMs,
        now: TimeMs,
        otherwise: Reason,
    ) -> Batch {
        self.steps.push(Step::Once { space, id: id.into(), expiry, now, otherwise });
        self
    }

    /// Puts something to be done into the outbox, from `due` on. An id that is in the queue already
    /// stays as it is. `trace` says what asked for it ([`crate::OutboxEntry::trace`]), or nothing.
    pub fn push(
        mut self,
        queue: &'static str,
        id: impl Into<Vec<u8>>,
        due: TimeMs,
        bytes: impl Into<Vec<u8>>,
        trace: impl Into<String>,
    ) -> Batch {
        let (id, bytes, trace) = (id.into(), bytes.into(), trace.into());
        self.steps.push(Step::Push { queue, id, due, bytes, trace });
        self
    }

    /// Takes something out of the outbox. One that is not there any more is [`Reason::Conflict`]:
    /// someone else has done it.
    pub fn done(mut self, queue: &'static str, id: impl Into<Vec<u8>>) -> Batch {
        self.steps.push(Step::Done { queue, id: id.into() });
        self
    }

    /// Sets when something in the outbox is due again, counts the attempt, and replaces its bytes
    /// if there are new ones. One that is not there any more is [`Reason::Conflict`].
    pub fn reschedule(
        mut self,
        queue: &'static str,
        id: impl Into<Vec<u8>>,
        due: TimeMs,
        bytes: Option<Vec<u8>>,
    ) -> Batch {
        self.steps.push(Step::Reschedule { queue, id: id.into(), due, bytes });
        self
    }

    /// Keeps the answer to a request until `expiry`, with a fingerprint of the request. A key that
    /// was answered already is [`Reason::Conflict`].
    pub fn answer(
        mut self,
        key: impl Into<Vec<u8>>,
        fingerprint: impl Into<Vec<u8>>,
        bytes: impl Into<Vec<u8>>,
        expiry: TimeMs,
    ) -> Batch {
        let (key, fingerprint, bytes) = (key.into(), fingerprint.into(), bytes.into());
        self.steps.push(Step::Answer { key, fingerprint, bytes, expiry });
        self
    }

    /// Adds an event to a feed, for whoever follows it ([`crate::Store::events`]).
    pub fn event(
        mut self,
        feed: impl Into<Vec<u8>>,
        now: TimeMs,
        bytes: impl Into<Vec<u8>>,
    ) -> Batch {
        self.steps.push(Step::Event { feed: feed.into(), now, bytes: bytes.into() });
        self
    }

    /// Appends an event to the party's audit chain.
    pub fn audit(mut self, now: TimeMs, event: impl Into<Vec<u8>>) -> Batch {
        self.steps.push(Step::Audit { now, event: event.into() });
        self
    }
}
