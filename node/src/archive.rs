//! Reading what a node keeps of final blocks: blocks, certificates, results, receipts.

use tallystick_kernel::limits::TRANSACTION_BYTES_MAX;
use tallystick_kernel::{Codec, Reason, TransactionId};
use tallystick_ledger::receipts;
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::header::Entry;
use tallystick_proofs::receipt::{DESCENDANTS_MAX, Receipt};
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Transaction;

use crate::block::{BLOCK_BYTES_MAX, Block};
use crate::keys;
use crate::kv::{Kv, LedgerView};

/// Bytes of a stored result or certificate at most.
const RECORD_BYTES_MAX: usize = 16 * 1024;

fn read<T: Codec>(kv: &dyn Kv, key: &[u8], bytes_max: usize) -> Result<Option<T>, Reason> {
    match kv.get(key)? {
        Some(bytes) => {
            T::from_bytes(&bytes, bytes_max).map(Some).map_err(|_| Reason::StorageCorrupt)
        }
        None => Ok(None),
    }
}

/// A stored transaction.
pub fn transaction(kv: &dyn Kv, entry: &Entry) -> Result<Option<Transaction>, Reason> {
    read(kv, &keys::body(entry), TRANSACTION_BYTES_MAX)
}

/// A final block that was executed here.
pub fn block(kv: &dyn Kv, height: u64) -> Result<Option<Block>, Reason> {
    read(kv, &keys::block(height), BLOCK_BYTES_MAX)
}

/// The certificate of a height, where it has one of its own.
pub fn certificate(kv: &dyn Kv, height: u64) -> Result<Option<FinalityCertificate>, Reason> {
    read(kv, &keys::certificate(height), RECORD_BYTES_MAX)
}

/// The result of an executed transaction.
pub fn result(kv: &dyn Kv, id: &TransactionId) -> Result<Option<TransactionResult>, Reason> {
    read(kv, &keys::result(id), RECORD_BYTES_MAX)
}

/// The height of the header that reports the results of `height`.
pub fn reported_in(kv: &dyn Kv, height: u64) -> Result<Option<u64>, Reason> {
    read(kv, &keys::report(height), RECORD_BYTES_MAX)
}

/// The receipt of an executed transaction; none until its result is reported and certified.
pub fn receipt(kv: &dyn Kv, id: &TransactionId) -> Result<Option<Receipt>, Reason> {
    let Some(result) = result(kv, id)? else { return Ok(None) };
    let Some(reporting) = reported_in(kv, result.height)? else { return Ok(None) };
    let entry = Entry { id: result.id, witness_hash: result.witness_hash };
    let transaction = transaction(kv, &entry)?.ok_or(Reason::StorageCorrupt)?;
    let header = block(kv, reporting)?.ok_or(Reason::StorageCorrupt)?.header;
    let above = match reporting {
        0 | 1 => 0,
        _ => block(kv, reporting - 1)?.ok_or(Reason::StorageCorrupt)?.header.executed_height,
    };
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
