//! A snapshot as one file: written by a node, verified by anyone, and the beginning of a new folder.
//!
//! `tallystick-snapshot-1`, a line feed, then the manifest and each chunk, each after its length in
//! four big-endian bytes.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use tallystick_kernel::{Codec, Digest, Reason, TimeMs};
use tallystick_proofs::genesis::Genesis;

use crate::file_parts::{read_part, unwritable, write_part};
use crate::kv::{Kv, MemoryKv};
use crate::kv_fjall::FjallKv;
use crate::snapshot::{CHUNK_BYTES_MAX, MANIFEST_BYTES_MAX};
use crate::snapshot_restore::Restore;
use crate::snapshot_source::Source;
use crate::snapshot_verify::Verified;

const MAGIC: &[u8] = b"tallystick-snapshot-1\n";
/// The folder of a node's ledger, and of one that is being restored.
const LEDGER: &str = "ledger";
const UNFINISHED: &str = "ledger.restoring";

/// What a verified snapshot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The height of the checkpoint.
    pub checkpoint: u64,
    /// Its root.
    pub root: Digest,
    /// The height up to which blocks are executed.
    pub height: u64,
    /// The lowest block of it.
    pub lowest: u64,
    /// The time of the last executed block.
    pub time: TimeMs,
}

/// Writes a snapshot whole or not at all; [`Reason::FileUnreadable`], and storage's reasons.
pub fn write(source: &Source, path: &Path) -> Result<(), Reason> {
    let unfinished = path.with_extension("unfinished");
    let file = File::create(&unfinished).map_err(unwritable)?;
    let mut out = BufWriter::new(file);
    out.write_all(MAGIC).map_err(unwritable)?;
    write_part(&mut out, &source.manifest().to_bytes())?;
    for index in 0..source.manifest().chunks.len() {
        write_part(&mut out, &source.chunk(index)?)?;
    }
    let file = out.into_inner().map_err(|error| unwritable(error.into_error()))?;
    file.sync_all().map_err(unwritable)?;
    std::fs::rename(&unfinished, path).map_err(unwritable)
}

/// Verifies a snapshot from the genesis file; keeps nothing of it.
///
/// Returns [`Reason::Malformed`] for another file, and the reasons of [`Restore`].
pub fn verify(path: &Path, genesis: &Arc<Genesis>) -> Result<Facts, Reason> {
    let kv: Arc<dyn Kv> = Arc::new(MemoryKv::default());
    read(path, kv, genesis)?.verify().map(|verified| facts(&verified))
}

/// Makes the ledger of a node in its folder of state, which must have none yet.
///
/// Returns [`Reason::AlreadyOther`] when there is a ledger, and the reasons of [`verify`]. When it
/// fails there is none afterwards either.
pub fn restore(path: &Path, genesis: &Arc<Genesis>, folder: &Path) -> Result<Facts, Reason> {
    let (ledger, unfinished) = (folder.join(LEDGER), folder.join(UNFINISHED));
    if ledger.exists() {
        return Err(Reason::AlreadyOther);
    }
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).map_err(unwritable)?;
    }
    std::fs::create_dir_all(&unfinished).map_err(unwritable)?;
    let restored = restore_into(path, genesis, &unfinished);
    if restored.is_err() {
        drop(std::fs::remove_dir_all(&unfinished));
    }
    let facts = restored?;
    std::fs::rename(&unfinished, &ledger).map_err(unwritable)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable)?;
    Ok(facts)
}

fn restore_into(path: &Path, genesis: &Arc<Genesis>, folder: &Path) -> Result<Facts, Reason> {
    let kv: Arc<dyn Kv> = Arc::new(FjallKv::open(folder)?);
    let restore = read(path, kv, genesis)?;
    let verified = restore.verify()?;
    restore.finish(&verified)?;
    Ok(facts(&verified))
}

fn facts(verified: &Verified) -> Facts {
    let head = verified.state.head();
    Facts {
        checkpoint: head.checkpoint_height,
        root: head.checkpoint_root,
        height: head.height,
        lowest: verified.lowest,
        time: head.time,
    }
}

fn read(path: &Path, kv: Arc<dyn Kv>, genesis: &Arc<Genesis>) -> Result<Restore, Reason> {
    let mut input = BufReader::new(File::open(path).map_err(unwritable)?);
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic).map_err(|_| Reason::Malformed)?;
    if magic != MAGIC {
        return Err(Reason::Malformed);
    }
    let manifest = read_part(&mut input, MANIFEST_BYTES_MAX)?;
    let mut restore = Restore::begin(kv, Arc::clone(genesis), &manifest, 0)?;
    while restore.next().is_some() {
        restore.take(&read_part(&mut input, CHUNK_BYTES_MAX)?)?;
    }
    match input.read(&mut [0]) {
        Ok(0) => Ok(restore),
        Ok(_) => Err(Reason::TrailingBytes),
        Err(error) => Err(unwritable(error)),
    }
}
