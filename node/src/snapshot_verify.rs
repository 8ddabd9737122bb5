//! Verifying a snapshot that was put aside: everything follows from the one certificate.
//!
//! The certified header names its parent, and so every block below; blocks name their entries, and
//! so the bodies; headers report results and the checkpoint's root. What none of them names is not
//! looked at, and not taken over.

use std::collections::BTreeMap;

use tallystick_kernel::{Codec, Digest, Reason};
use tallystick_ledger::receipts::{encode_results, results_root};
use tallystick_ledger::restore::{Past, Restored, references};
use tallystick_ledger::{State, StateChange, entry_of, execute, genesis_header, state_key};
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::{Entry, Header};
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Transaction;
use tallystick_proofs::validator_sets::KnownSets;

use crate::archive;
use crate::block::Block;
use crate::keys;
use crate::kv::{LedgerView, View};
use crate::snapshot::Manifest;
use crate::window::{self, Window};

/// A snapshot that is what it claims to be.
pub struct Verified {
    /// The state before the certified block.
    pub state: State,
    /// The lowest block of it.
    pub lowest: u64,
    /// The last header of it, which the state has not executed.
    pub certified: Header,
    window: Window,
    /// The results of the blocks above the checkpoint, as they were executed here.
    executed: BTreeMap<u64, Vec<TransactionResult>>,
}

/// Verifies the pairs of a snapshot whose manifest's certificate was verified.
///
/// Returns [`Reason::HeaderMismatch`] when a block is missing or does not follow from its parent,
/// [`Reason::ReceiptMismatch`] for bodies and results that are missing or belong to no entry,
/// [`Reason::RootMismatch`] when results or entries come to another root than the headers report,
/// [`Reason::NotConserved`], the reasons of certificates, and [`Reason::StorageCorrupt`] for values
/// that cannot be read.
pub fn verify(
    pairs: &dyn View,
    genesis: &Genesis,
    manifest: &Manifest,
) -> Result<Verified, Reason> {
    let chain = Chain::read(pairs, genesis, manifest)?;
    let checkpoint = chain.header(manifest.checkpoint)?;
    let window = window::of_checkpoint(pairs, chain.lowest, checkpoint)?;
    let window = window.ok_or(Reason::HeaderMismatch)?;
    let mut restored =
        Restored::read(genesis, &LedgerView(pairs), checkpoint, chain.roots(genesis)?)?;
    let mut results = BTreeMap::new();
    for height in window.results_above + 1..=manifest.checkpoint {
        let header = chain.header(height)?;
        let block = archive::block(pairs, height)?.ok_or(Reason::HeaderMismatch)?;
        let of_block = results_of(pairs, &block)?;
        let bodies = bodies_of(pairs, &block.entries)?;
        let past = Past {
            header: header.clone(),
            transactions: bodies.into_iter().zip(of_block.iter().copied()).collect(),
        };
        restored.recall(&past);
        results.insert(height, of_block);
    }
    let mut state = restored.finish(genesis)?;
    let mut executed = BTreeMap::new();
    for height in manifest.checkpoint + 1..manifest.certified.height {
        let block = archive::block(pairs, height)?.ok_or(Reason::HeaderMismatch)?;
        let bodies = bodies_of(pairs, &block.entries)?;
        let listed: Vec<(Entry, &Transaction)> =
            block.entries.iter().copied().zip(&bodies).collect();
        let outcome = execute(&mut state, &block.header, &listed);
        results.insert(height, outcome.results.clone());
        executed.insert(height, outcome.results);
    }
    chain.check_results(&window, &results)?;
    let (lowest, certified) = (chain.lowest, manifest.certified.clone());
    Ok(Verified { state, lowest, certified, window, executed })
}

/// Whether the last header of a snapshot is final: the changes of the validator set lead from the
/// genesis file to its epoch's, and a quorum of that has signed it.
///
/// Returns the reasons of [`KnownSets::follow`], [`Reason::ValidatorSetMismatch`], and those of the
/// certificate.
pub fn check_final(genesis: &Genesis, manifest: &Manifest) -> Result<(), Reason> {
    let sets = sets(genesis, manifest)?;
    check_certificate(genesis, &sets, &manifest.certified, &manifest.finality)
}

fn sets(genesis: &Genesis, manifest: &Manifest) -> Result<KnownSets, Reason> {
    let mut sets = KnownSets::new(genesis);
    manifest.changes.iter().try_for_each(|change| sets.follow(genesis, &change.0))?;
    Ok(sets)
}

fn check_certificate(
    genesis: &Genesis,
    sets: &KnownSets,
    header: &Header,
    finality: &FinalityCertificate,
) -> Result<(), Reason> {
    let validators = sets.at(header.epoch);
    let is_of_epoch = header.epoch == genesis.parameters.epoch_of(header.height);
    if !is_of_epoch
        || header.epoch != finality.epoch
        || header.validator_set_hash != validators.hash()
    {
        return Err(Reason::ValidatorSetMismatch);
    }
    finality.verify(&genesis.network(), validators, &header.id())
}

impl Verified {
    /// Visits the writes for every block, in the order of their heights: what a node keeps of
    /// blocks that it executed itself.
    pub fn records(
        &self,
        pairs: &dyn View,
        write: &mut dyn FnMut(Vec<StateChange>) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let mut reported = None;
        for height in self.lowest..=self.certified.height {
            let block = archive::block(pairs, height)?.ok_or(Reason::StorageCorrupt)?;
            let mut changes = Vec::new();
            for entry in &block.entries {
                let key = keys::body(entry);
                let body = pairs.get(&key)?.ok_or(Reason::StorageCorrupt)?;
                changes.push(keys::put(key, body));
            }
            if height < self.certified.height {
                self.records_of(pairs, &block, &mut changes)?;
                let from = reported.unwrap_or(block.header.executed_height);
                for of_height in from + 1..=block.header.executed_height {
                    changes.push(keys::put(keys::report(of_height), height.to_bytes()));
                }
                reported = Some(block.header.executed_height);
            }
            write(changes)?;
        }
        Ok(())
    }

    fn records_of(
        &self,
        pairs: &dyn View,
        block: &Block,
        changes: &mut Vec<StateChange>,
    ) -> Result<(), Reason> {
        let height = block.header.height;
        changes.push(keys::put(keys::block(height), block.to_bytes()));
        if let Some(certificate) = archive::certificate(pairs, height)? {
            changes.push(keys::put(keys::certificate(height), certificate.to_bytes()));
        }
        if height <= self.window.results_above {
            return Ok(());
        }
        let results = match self.executed.get(&height) {
            Some(results) => results.clone(),
            None => results_of(pairs, block)?,
        };
        changes.push(keys::put(state_key::results(height), encode_results(&results)));
        for (result, body) in results.iter().zip(bodies_of(pairs, &block.entries)?) {
            changes.push(keys::put(keys::result(&result.id), result.to_bytes()));
            if result.is_success() {
                for (payee, reference) in references(&body.body) {
                    let key = state_key::reference(&payee, &reference, &result.id);
                    changes.push(keys::put(key, Vec::new()));
                }
            }
        }
        Ok(())
    }
}

/// The headers of a snapshot, each the parent of the next, up to the certified one.
struct Chain {
    lowest: u64,
    headers: Vec<Header>,
    interval: u64,
}

impl Chain {
    fn read(pairs: &dyn View, genesis: &Genesis, manifest: &Manifest) -> Result<Chain, Reason> {
        let mut lowest = None;
        let scanned = pairs.scan(keys::BLOCK, &mut |key, _| {
            lowest = keys::height_of(key);
            // Only ends the scan.
            Err(Reason::TooLarge)
        });
        if let Err(reason) = scanned
            && reason != Reason::TooLarge
        {
            return Err(reason);
        }
        let lowest = lowest.filter(|lowest| *lowest > 0).ok_or(Reason::HeaderMismatch)?;
        let sets = sets(genesis, manifest)?;
        let genesis_id = genesis_header(genesis).id();
        let mut previous = (lowest == 1).then_some(genesis_id);
        let mut headers = Vec::new();
        for height in lowest..=manifest.certified.height {
            let block = archive::block(pairs, height)?.ok_or(Reason::HeaderMismatch)?;
            let follows = previous.is_none_or(|previous| previous == block.header.previous);
            if block.header.height != height || !follows {
                return Err(Reason::HeaderMismatch);
            }
            let id = block.header.id();
            if let Some(certificate) = archive::certificate(pairs, height)? {
                check_certificate(genesis, &sets, &block.header, &certificate)?;
            }
            previous = Some(id);
            headers.push(block.header);
        }
        if previous != Some(manifest.certified.id()) {
            return Err(Reason::HeaderMismatch);
        }
        let interval = genesis.parameters.checkpoint_interval;
        Ok(Chain { lowest, headers, interval })
    }

    fn header(&self, height: u64) -> Result<&Header, Reason> {
        let place = height.checked_sub(self.lowest).and_then(|at| usize::try_from(at).ok());
        place.and_then(|at| self.headers.get(at)).ok_or(Reason::HeaderMismatch)
    }

    /// The roots of checkpoints by their heights, as the headers report them.
    fn roots(&self, genesis: &Genesis) -> Result<BTreeMap<u64, Digest>, Reason> {
        let mut roots = BTreeMap::from([(0, genesis_header(genesis).checkpoint_root)]);
        for header in &self.headers {
            let height = header.executed_height - header.executed_height % self.interval;
            if *roots.entry(height).or_insert(header.checkpoint_root) != header.checkpoint_root {
                return Err(Reason::RootMismatch);
            }
        }
        Ok(roots)
    }

    /// Every header from the anchor on reports the results that are here.
    fn check_results(
        &self,
        window: &Window,
        results: &BTreeMap<u64, Vec<TransactionResult>>,
    ) -> Result<(), Reason> {
        let mut above = window.results_above;
        let from = window.anchor + 1;
        let last = self.lowest + self.headers.len() as u64;
        for height in from..last {
            let header = self.header(height)?;
            if header.executed_height < above {
                return Err(Reason::HeaderMismatch);
            }
            let reported = (above + 1..=header.executed_height)
                .map(|height| results.get(&height).ok_or(Reason::ReceiptMismatch))
                .collect::<Result<Vec<_>, Reason>>()?;
            if results_root(reported.into_iter().flatten()) != header.results_root {
                return Err(Reason::RootMismatch);
            }
            above = header.executed_height;
        }
        Ok(())
    }
}

/// The results of a block's entries, in order; each names its entry and its place.
fn results_of(pairs: &dyn View, block: &Block) -> Result<Vec<TransactionResult>, Reason> {
    let height = block.header.height;
    let read = |(index, entry): (u64, &Entry)| {
        let result = archive::result(pairs, &entry.id)?.ok_or(Reason::ReceiptMismatch)?;
        let expected = TransactionResult {
            id: entry.id,
            witness_hash: entry.witness_hash,
            height,
            index,
            failure: result.failure,
        };
        if result == expected { Ok(result) } else { Err(Reason::ReceiptMismatch) }
    };
    (0..).zip(&block.entries).map(read).collect()
}

fn bodies_of(pairs: &dyn View, entries: &[Entry]) -> Result<Vec<Transaction>, Reason> {
    let read = |entry: &Entry| {
        let body = archive::transaction(pairs, entry)?.ok_or(Reason::ReceiptMismatch)?;
        if entry_of(&body) == *entry { Ok(body) } else { Err(Reason::ReceiptMismatch) }
    };
    entries.iter().map(read).collect()
}
