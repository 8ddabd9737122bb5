//! Starting from a snapshot: its chunks are put aside, verified as a whole, and then taken over.
//!
//! Invariants: nothing of a snapshot is used before all of it is verified from the genesis file;
//! once the mark says that it is, it is taken over whole, by the next start if this one ends
//! before; until then the node stands where it stood.

use std::sync::Arc;

use tallystick_kernel::{Codec, Digest, Reader, Reason, Writer};
use tallystick_ledger::StateChange;
use tallystick_ledger::state_key::{self, CHECKPOINTED, Visit};
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::Header;

use crate::keys;
use crate::kv::{Kv, View};
use crate::snapshot::{MANIFEST_BYTES_MAX, Manifest, chunk_hash, decode_chunk};
use crate::snapshot_verify::{self, Verified};

/// Prefix of everything that is put aside.
const ASIDE: &[u8] = b"restore/";
/// Prefix of the pairs of the chunks, each followed by its own key.
const PAIR: &[u8] = b"restore/pair/";
const MANIFEST: &[u8] = b"restore/manifest";
const NEXT: &[u8] = b"restore/next";
/// Says that what is put aside is verified and being taken over.
const MARK: &[u8] = b"restore/mark";
/// Keys that one commit writes or removes at most.
const COMMIT_MAX: usize = 4096;

/// The pairs that were put aside, under their own keys.
struct Aside(Arc<dyn Kv>);

impl Aside {
    fn key(key: &[u8]) -> Vec<u8> {
        [PAIR, key].concat()
    }
}

impl View for Aside {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        self.0.get(&Aside::key(key))
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
        let (prefix, from) = (Aside::key(prefix), Aside::key(prefix.max(from)));
        self.0.scan_from(&prefix, &from, &mut |key, value| {
            visit(key.strip_prefix(PAIR).ok_or(Reason::StorageCorrupt)?, value)
        })
    }
}

/// A snapshot on its way in.
pub struct Restore {
    kv: Arc<dyn Kv>,
    genesis: Arc<Genesis>,
    manifest: Manifest,
    next: usize,
}

impl Restore {
    /// Begins with a manifest, or goes on where an earlier attempt with the same one ended.
    ///
    /// `head` is the height that the node stands at. Returns the reasons of decoding,
    /// [`Reason::WrongNetwork`], the reasons of [`snapshot_verify::check_final`], and
    /// [`Reason::SnapshotStale`] when it leads no further than the
    /// node is.
    pub fn begin(
        kv: Arc<dyn Kv>,
        genesis: Arc<Genesis>,
        bytes: &[u8],
        head: u64,
    ) -> Result<Restore, Reason> {
        let manifest = Manifest::from_bytes(bytes, MANIFEST_BYTES_MAX)?;
        if manifest.network != genesis.network() {
            return Err(Reason::WrongNetwork);
        }
        snapshot_verify::check_final(&genesis, &manifest)?;
        let interval = genesis.parameters.checkpoint_interval;
        let is_checkpoint = manifest.checkpoint.is_multiple_of(interval);
        if !is_checkpoint || manifest.checkpoint >= manifest.certified.height {
            return Err(Reason::HeaderMismatch);
        }
        if manifest.checkpoint <= head {
            return Err(Reason::SnapshotStale);
        }
        let mut restore = Restore { kv, genesis, manifest, next: 0 };
        if restore.kv.get(MANIFEST)?.as_deref() == Some(bytes) {
            restore.next = read_number(restore.kv.as_ref(), NEXT)?;
        } else {
            clear(restore.kv.as_ref(), ASIDE)?;
            restore.kv.commit(vec![keys::put(MANIFEST.to_vec(), bytes.to_vec())])?;
        }
        Ok(restore)
    }

    /// By what peers name the snapshot.
    pub fn hash(&self) -> Digest {
        self.manifest.hash()
    }

    /// The proof that its last header is final.
    pub fn finality(&self) -> &FinalityCertificate {
        &self.manifest.finality
    }

    /// The chunk that is needed next; none when all are here.
    pub fn next(&self) -> Option<u64> {
        (self.next < self.manifest.chunks.len()).then_some(self.next as u64)
    }

    /// Puts the next chunk aside, durably.
    ///
    /// Returns [`Reason::RootMismatch`] when it is not the one that the manifest names, the reasons
    /// of [`decode_chunk`], [`Reason::Malformed`] for a key that no snapshot holds, and storage's.
    pub fn take(&mut self, chunk: &[u8]) -> Result<(), Reason> {
        let expected = self.manifest.chunks.get(self.next).ok_or(Reason::TooLarge)?;
        if chunk_hash(chunk) != *expected {
            return Err(Reason::RootMismatch);
        }
        let mut changes = Vec::new();
        for (key, value) in decode_chunk(chunk)? {
            if !is_carried(&key) {
                return Err(Reason::Malformed);
            }
            changes.push(keys::put(Aside::key(&key), value));
        }
        self.next += 1;
        changes.push(keys::put(NEXT.to_vec(), (self.next as u64).to_bytes()));
        self.kv.commit(changes)
    }

    /// Verifies the whole; changes nothing. Call it when [`Restore::next`] is none.
    ///
    /// Returns the reasons of [`snapshot_verify::verify`].
    pub fn verify(&self) -> Result<Verified, Reason> {
        snapshot_verify::verify(&Aside(Arc::clone(&self.kv)), &self.genesis, &self.manifest)
    }

    /// Takes over what was verified. Nothing else may write to storage meanwhile, and whoever holds
    /// an older state MUST read it anew.
    ///
    /// When it fails the node must stop; the next start finishes what was begun.
    pub fn finish(self, verified: &Verified) -> Result<(), Reason> {
        self.kv.commit(vec![keys::put(MARK.to_vec(), Vec::new())])?;
        take_over(&self.kv, &self.genesis, verified, &self.manifest)
    }

    /// Gives up what was put aside.
    pub fn abandon(self) -> Result<(), Reason> {
        clear(self.kv.as_ref(), ASIDE)
    }
}

/// Finishes what an earlier life of the node had begun to take over. Called before anything is
/// read from storage.
pub fn resume(kv: &Arc<dyn Kv>, genesis: &Genesis) -> Result<(), Reason> {
    if kv.get(MARK)?.is_none() {
        return Ok(());
    }
    let bytes = kv.get(MANIFEST)?.ok_or(Reason::StorageCorrupt)?;
    let manifest =
        Manifest::from_bytes(&bytes, MANIFEST_BYTES_MAX).map_err(|_| Reason::StorageCorrupt)?;
    let verified = snapshot_verify::verify(&Aside(Arc::clone(kv)), genesis, &manifest);
    take_over(kv, genesis, &verified.map_err(|_| Reason::StorageCorrupt)?, &manifest)
}

/// The last header of the snapshot that the node went on from, with its certificate; none when it
/// never did.
pub fn floor(kv: &dyn View) -> Result<Option<(Header, FinalityCertificate)>, Reason> {
    let Some(bytes) = kv.get(keys::FLOOR)? else { return Ok(None) };
    let mut input = Reader::new(&bytes);
    let read = |input: &mut Reader<'_>| {
        input.tuple(2)?;
        Ok((Header::decode(input)?, FinalityCertificate::decode(input)?))
    };
    read(&mut input).map(Some).map_err(|_: Reason| Reason::StorageCorrupt)
}

/// Whether a snapshot may hold this key.
fn is_carried(key: &[u8]) -> bool {
    let of_blocks = [keys::BLOCK, keys::CERTIFICATE, keys::BODY, keys::RESULT];
    of_blocks.iter().chain(&CHECKPOINTED).any(|prefix| key.starts_with(prefix))
}

fn read_number(kv: &dyn View, key: &[u8]) -> Result<usize, Reason> {
    let Some(bytes) = kv.get(key)? else { return Ok(0) };
    let number = u64::from_bytes(&bytes, 16).map_err(|_| Reason::StorageCorrupt)?;
    usize::try_from(number).map_err(|_| Reason::StorageCorrupt)
}

/// Every step may be repeated from the start: what it writes does not depend on what it finds.
fn take_over(
    kv: &Arc<dyn Kv>,
    genesis: &Genesis,
    verified: &Verified,
    manifest: &Manifest,
) -> Result<(), Reason> {
    for prefix in [&[state_key::REMEMBERED, state_key::RECENT][..], &CHECKPOINTED].concat() {
        clear(kv.as_ref(), prefix)?;
    }
    give_up_below(kv.as_ref(), genesis, verified.lowest)?;
    let head = |change: &StateChange| change.key == state_key::HEAD;
    let (mut last, mut changes): (Vec<_>, Vec<_>) =
        verified.state.persisted().into_iter().partition(head);
    let mut write = |mut more: Vec<StateChange>| {
        changes.append(&mut more);
        if changes.len() < COMMIT_MAX {
            return Ok(());
        }
        let written = std::mem::take(&mut changes);
        written.chunks(COMMIT_MAX).try_for_each(|part| kv.commit(part.to_vec()))
    };
    verified.records(&Aside(Arc::clone(kv)), &mut write)?;
    kv.commit(changes)?;
    last.push(keys::put(keys::LOWEST.to_vec(), verified.lowest.to_bytes()));
    for change in &manifest.changes {
        let from = genesis.parameters.effective_epoch(change.0.result.height);
        last.push(keys::put(keys::set_change(from), change.to_bytes()));
    }
    let mut floor = Writer::new();
    floor.array(2).value(&manifest.certified).value(&manifest.finality);
    last.push(keys::put(keys::FLOOR.to_vec(), floor.finish()));
    last.push(keys::remove(MARK.to_vec()));
    kv.commit(last)?;
    clear(kv.as_ref(), ASIDE)
}

/// Removes the node's own blocks from before a gap.
fn give_up_below(kv: &dyn Kv, genesis: &Genesis, below: u64) -> Result<(), Reason> {
    let mut held = Vec::new();
    let lowest = crate::prune::lowest(kv)?;
    kv.scan(keys::BLOCK, &mut |key, _| {
        held.extend(keys::height_of(key).filter(|height| (lowest..below).contains(height)));
        Ok(())
    })?;
    for height in held {
        kv.commit(crate::prune::step(kv, genesis, height, height + 1)?.0)?;
    }
    Ok(())
}

/// Removes every key under a prefix, some at a time.
fn clear(kv: &dyn Kv, prefix: &[u8]) -> Result<(), Reason> {
    loop {
        let mut found = Vec::new();
        let scanned = kv.scan(prefix, &mut |key, _| {
            found.push(keys::remove(key.to_vec()));
            // Only ends the scan.
            if found.len() < COMMIT_MAX { Ok(()) } else { Err(Reason::TooLarge) }
        });
        match scanned {
            Ok(()) if found.is_empty() => return Ok(()),
            Ok(()) | Err(Reason::TooLarge) => kv.commit(found)?,
            Err(reason) => return Err(reason),
        }
    }
}
