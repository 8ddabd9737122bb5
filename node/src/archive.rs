//! Reading what a node keeps of final blocks: blocks, certificates, results, receipts.

use tallystick_kernel::limits::{RECEIPT_BYTES_MAX, TRANSACTION_BYTES_MAX};
use tallystick_kernel::{Codec, Reason, TransactionId};
use tallystick_ledger::{DecidedSet, StateChange, receipts, state_key};
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::header::Entry;
use tallystick_proofs::receipt::{CHANGES_MAX, DESCENDANTS_MAX, Receipt, SetChange};
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Transaction;

use crate::block::{BLOCK_BYTES_MAX, Block};
use crate::keys;
use crate::kv::{LedgerView, View};

/// Bytes of a stored result or certificate at most.
const RECORD_BYTES_MAX: usize = 16 * 1024;

fn read<T: Codec>(kv: &dyn View, key: &[u8], bytes_max: usize) -> Result<Option<T>, Reason> {
    match kv.get(key)? {
        Some(bytes) => {
            T::from_bytes(&bytes, bytes_max).map(Some).map_err(|_| Reason::StorageCorrupt)
        }
        None => Ok(None),
    }
}

/// A stored transaction.
pub fn transaction(kv: &dyn View, entry: &Entry) -> Result<Option<Transaction>, Reason> {
    read(kv, &keys::body(entry), TRANSACTION_BYTES_MAX)
}

/// A stored transaction with the length of its canonical bytes.
pub(crate) fn sized_transaction(
    kv: &dyn View,
    entry: &Entry,
) -> Result<Option<(Transaction, usize)>, Reason> {
    let Some(bytes) = kv.get(&keys::body(entry))? else { return Ok(None) };
    let transaction = Transaction::from_bytes(&bytes, TRANSACTION_BYTES_MAX);
    transaction.map(|found| Some((found, bytes.len()))).map_err(|_| Reason::StorageCorrupt)
}

/// A final block that was executed here.
pub fn block(kv: &dyn View, height: u64) -> Result<Option<Block>, Reason> {
    read(kv, &keys::block(height), BLOCK_BYTES_MAX)
}

/// The certificate of a height, where it has one of its own.
pub fn certificate(kv: &dyn View, height: u64) -> Result<Option<FinalityCertificate>, Reason> {
    read(kv, &keys::certificate(height), RECORD_BYTES_MAX)
}

/// The result of an executed transaction.
pub fn result(kv: &dyn View, id: &TransactionId) -> Result<Option<TransactionResult>, Reason> {
    read(kv, &keys::result(id), RECORD_BYTES_MAX)
}

/// The height of the header that reports the results of `height`.
pub fn reported_in(kv: &dyn View, height: u64) -> Result<Option<u64>, Reason> {
    read(kv, &keys::report(height), RECORD_BYTES_MAX)
}

/// The receipt of an executed transaction, with the changes of the validator set that lead to it;
/// none until its result is reported and certified.
///
/// Returns [`Reason::TooLarge`] when there were more changes than a receipt may hold, and
/// [`Reason::Pruned`] when its block is no longer kept.
pub fn receipt(kv: &dyn View, id: &TransactionId) -> Result<Option<Receipt>, Reason> {
    let Some(receipt) = plain_receipt(kv, id)? else { return Ok(None) };
    let Some(changes) = set_changes(kv, receipt.finality.epoch)? else { return Ok(None) };
    Ok(Some(Receipt { changes, ..receipt }))
}

/// The receipts of all changes of the validator set up to an epoch's; none while one of them cannot
/// be made yet.
pub fn set_changes(kv: &dyn View, epoch: u64) -> Result<Option<Vec<SetChange>>, Reason> {
    let mut changes = Vec::new();
    for (from, id) in decided_sets(kv)?.into_iter().filter(|(from, _)| *from <= epoch) {
        let kept = read(kv, &keys::set_change(from), RECEIPT_BYTES_MAX)?;
        let change = match kept {
            Some(change) => Some(change),
            None => plain_receipt(kv, &id)?.map(SetChange),
        };
        let Some(change) = change else { return Ok(None) };
        changes.push(change);
    }
    if changes.len() > CHANGES_MAX { Err(Reason::TooLarge) } else { Ok(Some(changes)) }
}

/// The receipts of changes of the validator set that can be made now and are not kept yet. They
/// outlive the blocks that they are made of: every later receipt needs them.
pub fn set_changes_to_keep(kv: &dyn View) -> Result<Vec<StateChange>, Reason> {
    let mut found = Vec::new();
    for (from, id) in decided_sets(kv)? {
        let key = keys::set_change(from);
        if kv.get(&key)?.is_none()
            && let Some(receipt) = plain_receipt(kv, &id)?
        {
            found.push(keys::put(key, SetChange(receipt).to_bytes()));
        }
    }
    Ok(found)
}

fn decided_sets(kv: &dyn View) -> Result<Vec<(u64, TransactionId)>, Reason> {
    let mut decided = Vec::new();
    kv.scan(state_key::VALIDATORS, &mut |key, value| {
        let epoch = key.strip_prefix(state_key::VALIDATORS).and_then(|raw| raw.try_into().ok());
        let epoch = epoch.map(u64::from_be_bytes).ok_or(Reason::StorageCorrupt)?;
        let set = DecidedSet::from_bytes(value, RECORD_BYTES_MAX);
        let id = set.ok().and_then(|set| set.decided_by).ok_or(Reason::StorageCorrupt)?;
        decided.push((epoch, id));
        Ok(())
    })?;
    Ok(decided)
}

fn plain_receipt(kv: &dyn View, id: &TransactionId) -> Result<Option<Receipt>, Reason> {
    let Some(result) = result(kv, id)? else { return Ok(None) };
    let lowest = crate::prune::lowest(kv)?;
    if result.height < lowest {
        return Err(Reason::Pruned);
    }
    let Some(reporting) = reported_in(kv, result.height)? else { return Ok(None) };
    let entry = Entry { id: result.id, witness_hash: result.witness_hash };
    let transaction = transaction(kv, &entry)?.ok_or(Reason::StorageCorrupt)?;
    let header = block(kv, reporting)?.ok_or(Reason::StorageCorrupt)?.header;
    let above = match reporting {
        0 | 1 => 0,
        _ => block(kv, reporting - 1)?.ok_or(Reason::StorageCorrupt)?.header.executed_height,
    };
    if above + 1 < lowest {
        // The path would need results that are gone.
        return Err(Reason::Pruned);
    }
    let mut descendants = Vec::new();
    for height in reporting..=reporting + DESCENDANTS_MAX as u64 {
        if height > reporting {
            let Some(next) = block(kv, height)? else { return Ok(None) };
            descendants.push(next.header);
        }
        if let Some(finality) = certificate(kv, height)? {
            let view = LedgerView(kv);
            return receipts::receipt(&view, transaction, header, above, descendants, finality)
                .map(Some);
        }
    }
    Ok(None)
}
