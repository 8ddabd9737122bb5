//! The one snapshot that a node serves at a time, made when it is asked for.

use tallystick_kernel::{Codec, Digest, DurationMs, Reason, TimeMs};

use crate::snapshot_message::SnapshotMessage;
use crate::snapshot_source::{Offer, Source};

/// How long a snapshot is served at least, once somebody fetches it, and the shortest time between
/// two preparations: each reads the whole state.
const SERVED_FOR: DurationMs = DurationMs::seconds(30);

/// What is served now.
#[derive(Default)]
pub struct Shelf {
    source: Option<(Source, Digest)>,
    used: TimeMs,
    prepared: Option<TimeMs>,
}

impl Shelf {
    /// Gives up what nobody has asked for lately: it keeps storage from clearing up.
    pub fn look(&mut self, now: TimeMs) {
        if self.is_unused(now) {
            self.source = None;
        }
    }

    fn is_unused(&self, now: TimeMs) -> bool {
        self.used.after(SERVED_FOR) <= now
    }

    /// The manifest of the snapshot that is served from now on.
    pub fn manifest(&mut self, offer: Offer, now: TimeMs) -> Result<SnapshotMessage, Reason> {
        if self.source.is_none() {
            if self.prepared.is_some_and(|prepared| prepared.after(SERVED_FOR) > now) {
                return Ok(SnapshotMessage::Gone);
            }
            self.prepared = Some(now);
            self.source = match offer.prepare() {
                Ok(source) => {
                    let hash = source.manifest().hash();
                    Some((source, hash))
                }
                Err(Reason::NotReady | Reason::TooLarge) => None,
                Err(reason) => return Err(reason),
            };
        }
        let Some((source, _)) = &self.source else { return Ok(SnapshotMessage::Gone) };
        self.used = now;
        Ok(SnapshotMessage::Manifest(source.manifest().to_bytes()))
    }

    /// A chunk of it.
    pub fn chunk(
        &mut self,
        snapshot: Digest,
        index: u64,
        now: TimeMs,
    ) -> Result<SnapshotMessage, Reason> {
        let Some((source, hash)) = &self.source else { return Ok(SnapshotMessage::Gone) };
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        if *hash != snapshot || place >= source.manifest().chunks.len() {
            return Ok(SnapshotMessage::Gone);
        }
        let bytes = source.chunk(place)?;
        self.used = now;
        Ok(SnapshotMessage::Chunk { snapshot, index, bytes })
    }
}
