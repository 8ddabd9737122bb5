//! Serving a snapshot: which one there is, and its chunks, read when they are asked for.
//!
//! Nothing is copied: the checkpoint's entries are read from a view of storage that was taken when
//! the checkpoint's block was committed.

use std::ops::ControlFlow;
use std::sync::Arc;

use tallystick_kernel::{Codec, NetworkId, Reason};
use tallystick_ledger::state_key::CHECKPOINTED;
use tallystick_proofs::header::Header;
use tallystick_proofs::receipt::DESCENDANTS_MAX;

use crate::archive;
use crate::core::Core;
use crate::keys;
use crate::kv::View;
use crate::prune;
use crate::snapshot::{CHUNK_BYTES, CHUNKS_MAX, Manifest, Pair, chunk_hash, encode_chunk};
use crate::window::{self, Window};

/// Checkpoints that are kept: the last one may not be reported yet.
const CHECKPOINTS_KEPT: usize = 2;

/// A checkpoint whose entries can still be read.
#[derive(Clone)]
pub struct Checkpoint {
    /// The header of its height.
    pub header: Header,
    /// Storage right after its block was executed.
    pub view: Arc<dyn View>,
}

/// What a node can make a snapshot of.
pub struct Offer {
    network: NetworkId,
    checkpoints: Vec<Checkpoint>,
    blocks: Arc<dyn View>,
    head: Header,
    interval: u64,
}

impl Core {
    /// Keeps the view of the checkpoint that storage stands at, if it does.
    pub(crate) fn note_checkpoint(&mut self) {
        let interval = self.genesis.parameters.checkpoint_interval;
        if self.tip.height == 0 || !self.tip.height.is_multiple_of(interval) {
            return;
        }
        if self.checkpoints.len() >= CHECKPOINTS_KEPT {
            self.checkpoints.pop_front();
        }
        self.checkpoints.push_back(Checkpoint { header: self.tip.clone(), view: self.kv.view() });
    }

    /// What a snapshot can be made of now.
    pub fn snapshot_offer(&self) -> Offer {
        Offer {
            network: self.network,
            checkpoints: self.checkpoints.iter().rev().cloned().collect(),
            blocks: self.kv.view(),
            head: self.tip.clone(),
            interval: self.genesis.parameters.checkpoint_interval,
        }
    }
}

impl Offer {
    /// The height of the newest checkpoint.
    pub fn newest(&self) -> Option<u64> {
        self.checkpoints.first().map(|checkpoint| checkpoint.header.height)
    }

    /// Makes the snapshot of the newest checkpoint that has one; the reasons of
    /// [`Source::prepare`].
    pub fn prepare(self) -> Result<Source, Reason> {
        for checkpoint in &self.checkpoints {
            let blocks = Arc::clone(&self.blocks);
            let made = Source::prepare(self.network, checkpoint, blocks, &self.head, self.interval);
            if made.as_ref().err() != Some(&Reason::NotReady) {
                return made;
            }
        }
        Err(Reason::NotReady)
    }
}

/// Where a chunk begins.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// With the `item`th pair of a block.
    Block { height: u64, item: usize },
    /// With the first entry from this key on under one of the prefixes.
    State { prefix: usize, key: Vec<u8> },
}

/// A snapshot that can be served.
pub struct Source {
    manifest: Manifest,
    places: Vec<Place>,
    window: Window,
    entries: Arc<dyn View>,
    blocks: Arc<dyn View>,
}

/// Called with each pair and where it stands.
type Take<'t> = dyn FnMut(Place, Pair) -> ControlFlow<()> + 't;

impl Source {
    /// Makes the snapshot of a checkpoint; reads it once from end to end.
    ///
    /// `head` is the last executed header. Returns [`Reason::NotReady`] while no certified header
    /// reports the checkpoint or not all blocks that it needs are here, [`Reason::TooLarge`] for
    /// more than [`CHUNKS_MAX`] chunks, and storage's reasons.
    pub fn prepare(
        network: NetworkId,
        checkpoint: &Checkpoint,
        blocks: Arc<dyn View>,
        head: &Header,
        interval: u64,
    ) -> Result<Source, Reason> {
        let view = blocks.as_ref();
        let held = prune::lowest(view)?;
        let window = window::of_checkpoint(view, held, &checkpoint.header)?;
        let window = window.ok_or(Reason::NotReady)?;
        let certified = certified(view, &checkpoint.header, head, interval)?;
        let (certified, finality) = certified.ok_or(Reason::NotReady)?;
        let changes = archive::set_changes(view, finality.epoch)?.ok_or(Reason::NotReady)?;
        let entries = Arc::clone(&checkpoint.view);
        let checkpoint = checkpoint.header.height;
        let chunks = Vec::new();
        let manifest = Manifest { network, checkpoint, certified, finality, changes, chunks };
        let places = Vec::new();
        let mut source = Source { manifest, places, window, entries, blocks };
        let start = Place::Block { height: window.lowest, item: 0 };
        let (mut chunks, mut places) = (Vec::new(), Vec::new());
        let mut next = Some(start);
        while let Some(place) = next {
            if chunks.len() >= CHUNKS_MAX {
                return Err(Reason::TooLarge);
            }
            let (chunk, following) = source.read(&place)?;
            chunks.push(chunk_hash(&chunk));
            places.push(place);
            next = following;
        }
        source.manifest.chunks = chunks;
        source.places = places;
        Ok(source)
    }

    /// What it is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// A chunk's bytes; [`Reason::NotFound`] beyond the last.
    pub fn chunk(&self, index: usize) -> Result<Vec<u8>, Reason> {
        let place = self.places.get(index).ok_or(Reason::NotFound)?;
        Ok(self.read(place)?.0)
    }

    /// The chunk that begins at a place, and where the next one does.
    fn read(&self, from: &Place) -> Result<(Vec<u8>, Option<Place>), Reason> {
        let (mut pairs, mut bytes, mut next) = (Vec::new(), 0, None);
        self.walk(from, &mut |place, pair: Pair| {
            let length = pair.0.len() + pair.1.len() + 8;
            if !pairs.is_empty() && bytes + length > CHUNK_BYTES {
                next = Some(place);
                return ControlFlow::Break(());
            }
            bytes += length;
            pairs.push(pair);
            ControlFlow::Continue(())
        })?;
        Ok((encode_chunk(&pairs), next))
    }

    fn walk(&self, from: &Place, take: &mut Take<'_>) -> Result<(), Reason> {
        let (first_prefix, mut first_key) = match from {
            Place::Block { height, item } => {
                let mut skip = *item;
                for height in *height..=self.manifest.certified.height {
                    let pairs = self.of_block(height)?.into_iter().enumerate();
                    for (item, pair) in pairs.skip(std::mem::take(&mut skip)) {
                        if take(Place::Block { height, item }, pair).is_break() {
                            return Ok(());
                        }
                    }
                }
                (0, Vec::new())
            }
            Place::State { prefix, key } => (*prefix, key.clone()),
        };
        for (prefix, name) in CHECKPOINTED.iter().enumerate().skip(first_prefix) {
            let from = std::mem::take(&mut first_key);
            let scanned = self.entries.scan_from(name, &from, &mut |key, value| {
                let place = Place::State { prefix, key: key.to_vec() };
                match take(place, (key.to_vec(), value.to_vec())) {
                    ControlFlow::Continue(()) => Ok(()),
                    // Only ends the scan.
                    ControlFlow::Break(()) => Err(Reason::TooLarge),
                }
            });
            match scanned {
                Ok(()) => {}
                Err(Reason::TooLarge) => return Ok(()),
                Err(reason) => return Err(reason),
            }
        }
        Ok(())
    }

    /// A block, its certificate, its bodies, and its results where they are needed.
    fn of_block(&self, height: u64) -> Result<Vec<Pair>, Reason> {
        let view = self.blocks.as_ref();
        let block = archive::block(view, height)?.ok_or(Reason::StorageCorrupt)?;
        let mut pairs = vec![(keys::block(height), block.to_bytes())];
        let certificate = match height == self.manifest.certified.height {
            true => Some(self.manifest.finality.clone()),
            false => archive::certificate(view, height)?,
        };
        pairs.extend(
            certificate.map(|certificate| (keys::certificate(height), certificate.to_bytes())),
        );
        let has_results = height > self.window.results_above && height <= self.manifest.checkpoint;
        for entry in &block.entries {
            let key = keys::body(entry);
            let body = view.get(&key)?.ok_or(Reason::StorageCorrupt)?;
            pairs.push((key, body));
            if has_results {
                let key = keys::result(&entry.id);
                let result = view.get(&key)?.ok_or(Reason::StorageCorrupt)?;
                pairs.push((key, result));
            }
        }
        Ok(pairs)
    }
}

/// The first header with a certificate of its own that reports the checkpoint's root, or follows on
/// one that does.
fn certified(
    view: &dyn View,
    checkpoint: &Header,
    head: &Header,
    interval: u64,
) -> Result<Option<(Header, tallystick_proofs::finality::FinalityCertificate)>, Reason> {
    let mut is_reported = false;
    let last = head.height.min(checkpoint.height + interval + DESCENDANTS_MAX as u64);
    for height in checkpoint.height + 1..=last {
        let header = window::header(view, height)?;
        let reported = checkpoint.height..checkpoint.height + interval;
        is_reported |= reported.contains(&header.executed_height);
        if is_reported && let Some(finality) = archive::certificate(view, height)? {
            return Ok(Some((header, finality)));
        }
    }
    Ok(None)
}
