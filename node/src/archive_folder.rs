//! A folder of archives: where a node puts the blocks that it is about to give up.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use tallystick_kernel::{Codec, Reason};
use tallystick_ledger::state_key;
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::Header;
use tallystick_proofs::receipt::DESCENDANTS_MAX;

use crate::archive;
use crate::archive_verify::{ArchiveHead, BLOCKS_MAX, Facts, MAGIC, Verification};
use crate::file_parts::{unwritable, write_part};
use crate::keys;
use crate::kv::View;
use crate::prune::Keeper;
use crate::snapshot::{CHUNK_BYTES, Pair, encode_chunk};

/// What stands before the heights in a file's name, and after them.
const PREFIX: &str = "blocks-";
const SUFFIX: &str = ".tally";

/// Puts blocks into files of a folder, which it makes where it is missing. What is there stays: blocks
/// that a file has already are not written again once that file is verified.
pub struct ArchiveFolder(pub PathBuf);

/// A folder that does not verify: why, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// The file, or what is missing.
    pub place: String,
}

/// Verifies all archives of a folder from the genesis file: one must follow on the other.
///
/// Refused with [`Reason::NotFound`] for a folder without archives, [`Reason::FileUnreadable`], and
/// the reasons of [`Verification::take`].
pub fn verify(folder: &Path, genesis: &Genesis) -> Result<Facts, Refused> {
    let of_folder = |reason| Refused { reason, place: folder.display().to_string() };
    let files = archives(folder).map_err(of_folder)?;
    if files.is_empty() {
        return Err(of_folder(Reason::NotFound));
    }
    let mut verification = Verification::new(genesis);
    for (from, _, path) in files {
        if let Some(next) = verification.next()
            && next < from
        {
            let place = format!("blocks {next} to {} are missing", from - 1);
            return Err(Refused { reason: Reason::HeaderMismatch, place });
        }
        let opened = File::open(&path).map_err(unwritable);
        let taken = opened.and_then(|file| verification.take(&mut BufReader::new(file)));
        taken.map_err(|reason| Refused { reason, place: path.display().to_string() })?;
    }
    Ok(verification.facts().clone())
}

/// The archives of a folder by their first and last blocks, in order.
fn archives(folder: &Path) -> Result<Vec<(u64, u64, PathBuf)>, Reason> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unwritable)? {
        let path = entry.map_err(unwritable)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let heights = name.and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        let heights = heights.and_then(|heights| heights.split_once('-'));
        if let Some((from, to)) = heights
            && let (Ok(from), Ok(to)) = (from.parse(), to.parse())
        {
            found.push((from, to, path));
        }
    }
    found.sort();
    Ok(found)
}

impl Keeper for ArchiveFolder {
    fn keep(
        &self,
        view: &dyn View,
        genesis: &Genesis,
        from: u64,
        below: u64,
    ) -> Result<u64, Reason> {
        std::fs::create_dir_all(&self.0).map_err(unwritable)?;
        let there = archives(&self.0)?;
        if let Some((_, to, path)) = there.iter().find(|file| (file.0..=file.1).contains(&from)) {
            // Written before a start that was to give the blocks up, or by an earlier ledger.
            let mut file = BufReader::new(File::open(path).map_err(unwritable)?);
            Verification::new(genesis).take(&mut file)?;
            return Ok(below.min(to + 1));
        }
        let next = there.iter().map(|file| file.0).find(|next| *next > from);
        let end = below.min(next.unwrap_or(below)).min(from.saturating_add(BLOCKS_MAX));
        self.write(view, &head(view, genesis, from, end.saturating_sub(1))?)?;
        Ok(end)
    }
}

impl ArchiveFolder {
    /// Writes a file whole or not at all.
    fn write(&self, view: &dyn View, head: &ArchiveHead) -> Result<(), Reason> {
        let name = format!("{PREFIX}{:012}-{:012}{SUFFIX}", head.from, head.to);
        let path = self.0.join(name);
        let unfinished = path.with_extension("unfinished");
        let mut out = BufWriter::new(File::create(&unfinished).map_err(unwritable)?);
        out.write_all(MAGIC).map_err(unwritable)?;
        write_part(&mut out, &head.to_bytes())?;
        write_blocks(view, head, &mut out)?;
        let file = out.into_inner().map_err(|error| unwritable(error.into_error()))?;
        file.sync_all().map_err(unwritable)?;
        std::fs::rename(&unfinished, &path).map_err(unwritable)?;
        File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(unwritable)
    }
}

/// What makes the last block final; [`Reason::NotReady`] while nothing does.
fn head(view: &dyn View, genesis: &Genesis, from: u64, to: u64) -> Result<ArchiveHead, Reason> {
    let (descendants, finality) = finality(view, to)?.ok_or(Reason::NotReady)?;
    let changes = archive::set_changes(view, finality.epoch)?.ok_or(Reason::NotReady)?;
    Ok(ArchiveHead { network: genesis.network(), from, to, descendants, finality, changes })
}

/// The headers up to one with a certificate that reports the block's results, or follows on one
/// that does.
fn finality(
    view: &dyn View,
    to: u64,
) -> Result<Option<(Vec<Header>, FinalityCertificate)>, Reason> {
    let mut descendants: Vec<Header> = Vec::new();
    for height in to + 1..=to + DESCENDANTS_MAX as u64 {
        let Some(block) = archive::block(view, height)? else { return Ok(None) };
        let is_reported = block.header.executed_height >= to;
        descendants.push(block.header);
        if is_reported && let Some(finality) = archive::certificate(view, height)? {
            return Ok(Some((descendants, finality)));
        }
    }
    Ok(None)
}

fn write_blocks(view: &dyn View, head: &ArchiveHead, out: &mut impl Write) -> Result<(), Reason> {
    let (mut chunk, mut bytes): (Vec<Pair>, usize) = (Vec::new(), 0);
    let reported = head.descendants.iter().map(|header| header.executed_height).max();
    for height in head.from..=head.to.max(reported.unwrap_or_default()) {
        let pairs =
            if height <= head.to { of_block(view, height)? } else { of_next(view, height)? };
        for pair in pairs {
            let length = pair.0.len() + pair.1.len() + 8;
            if !chunk.is_empty() && bytes + length > CHUNK_BYTES {
                write_part(out, &encode_chunk(&std::mem::take(&mut chunk)))?;
                bytes = 0;
            }
            bytes += length;
            chunk.push(pair);
        }
    }
    write_part(out, &encode_chunk(&chunk))
}

/// The results of a block of the next file.
fn of_next(view: &dyn View, height: u64) -> Result<Vec<Pair>, Reason> {
    let key = state_key::results(height);
    let results = view.get(&key)?.ok_or(Reason::StorageCorrupt)?;
    Ok(vec![(key, results)])
}

/// A block, its certificate, and for each entry the body and the result.
fn of_block(view: &dyn View, height: u64) -> Result<Vec<Pair>, Reason> {
    let block = archive::block(view, height)?.ok_or(Reason::StorageCorrupt)?;
    let mut pairs = vec![(keys::block(height), block.to_bytes())];
    let certificate = archive::certificate(view, height)?;
    pairs.extend(certificate.map(|found| (keys::certificate(height), found.to_bytes())));
    for entry in &block.entries {
        for key in [keys::body(entry), keys::result(&entry.id)] {
            let value = view.get(&key)?.ok_or(Reason::StorageCorrupt)?;
            pairs.push((key, value));
        }
    }
    Ok(pairs)
}
