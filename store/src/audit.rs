//! The audit chain: events in order, each bound to all before it by a hash.

use tallystick_kernel::hash::LabelledHash;
use tallystick_kernel::{Digest, TimeMs};

/// What the first entry has before it.
pub const BEGINNING: Digest = [0; 32];

/// One event of a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// 1 for the first; without gaps.
    pub sequence: u64,
    /// When it was appended.
    pub time: TimeMs,
    /// The hash of the entry before it, or [`BEGINNING`].
    pub previous: Digest,
    /// What happened, in the party's own encoding.
    pub event: Vec<u8>,
    /// The hash of all of the above.
    pub hash: Digest,
}

impl AuditEntry {
    /// The entry that follows `previous`.
    pub fn follow(
        party: &str,
        last: Option<(u64, Digest)>,
        time: TimeMs,
        event: Vec<u8>,
    ) -> AuditEntry {
        let (before, previous) = last.unwrap_or((0, BEGINNING));
        let sequence = before + 1;
        let hash = hash(party, sequence, time, &previous, &event);
        AuditEntry { sequence, time, previous, event, hash }
    }

    /// Whether the entry is what was appended after `last`.
    pub fn follows(&self, party: &str, last: Option<(u64, Digest)>) -> bool {
        AuditEntry::follow(party, last, self.time, self.event.clone()) == *self
    }
}

fn hash(party: &str, sequence: u64, time: TimeMs, previous: &Digest, event: &[u8]) -> Digest {
    LabelledHash::new("tallystick/audit/1")
        .part(party.as_bytes())
        .part(&sequence.to_be_bytes())
        .part(&time.0.to_be_bytes())
        .part(previous)
        .part(event)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_follows_only_what_was_before_it_and_only_unchanged() {
        let first = AuditEntry::follow("issuer", None, TimeMs(1), vec![1]);
        let last = Some((first.sequence, first.hash));
        let second = AuditEntry::follow("issuer", last, TimeMs(2), vec![2]);
        assert!(first.follows("issuer", None) && second.follows("issuer", last));
        assert!(!second.follows("issuer", None), "an entry was dropped");
        assert!(!second.follows("merchant", last));
        for change in 0..3 {
            let mut changed = second.clone();
            match change {
                0 => changed.event = vec![3],
                1 => changed.time = TimeMs(3),
                _ => changed.hash[0] ^= 1,
            }
            assert!(!changed.follows("issuer", last), "change {change}");
        }
    }
}
