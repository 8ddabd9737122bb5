//! Results under a root, and the receipts that follow from them.

use tallystick_kernel::limits::BLOCK_ENTRIES_MAX;
use tallystick_kernel::{
    AccountId, Codec, Digest, Reader, Reason, Reference, TransactionId, Writer,
};
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::header::Header;
use tallystick_proofs::merkle::{self, MerklePath};
use tallystick_proofs::receipt::Receipt;
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Transaction;

use crate::state_key::{self, StateStore};

/// The root over results in the order of their execution.
pub fn results_root<'r>(results: impl IntoIterator<Item = &'r TransactionResult>) -> Digest {
    let leaves: Vec<Vec<u8>> = results.into_iter().map(Codec::to_bytes).collect();
    merkle::root(&leaves)
}

/// The result of `id` among `results` and the way from it to their root; none if it is not there.
pub fn result_path(
    results: &[TransactionResult],
    id: &TransactionId,
) -> Option<(TransactionResult, MerklePath)> {
    let index = results.iter().position(|result| result.id == *id)?;
    let leaves: Vec<Vec<u8>> = results.iter().map(Codec::to_bytes).collect();
    Some((results[index], merkle::path(&leaves, index)?))
}

/// The results of one executed height, from what was persisted; empty for a height not executed.
pub fn results_at(store: &dyn StateStore, height: u64) -> Result<Vec<TransactionResult>, Reason> {
    match store.get(&state_key::results(height))? {
        Some(bytes) => decode_results(&bytes),
        None => Ok(Vec::new()),
    }
}

/// The receipt of `transaction`, reported by `header` whose parent reported up to `above`.
///
/// Returns [`Reason::NotFound`] when the header does not report it, and the store's reasons. The
/// caller hands over the witness that was executed, the headers up to the first one with a
/// certificate of its own, and that certificate.
pub fn receipt(
    store: &dyn StateStore,
    transaction: Transaction,
    header: Header,
    above: u64,
    descendants: Vec<Header>,
    finality: FinalityCertificate,
) -> Result<Receipt, Reason> {
    let mut results = Vec::new();
    for height in above + 1..=header.executed_height {
        results.extend(results_at(store, height)?);
    }
    let (result, path) = result_path(&results, &transaction.id()).ok_or(Reason::NotFound)?;
    Ok(Receipt { transaction, result, path, header, descendants, finality, changes: Vec::new() })
}

/// The successful transactions that paid `payee` under `reference`, in the order of their ids, at
/// most `count_max`.
pub fn by_reference(
    store: &dyn StateStore,
    payee: &AccountId,
    reference: &Reference,
    count_max: usize,
) -> Result<Vec<TransactionId>, Reason> {
    let prefix = state_key::references(payee, reference);
    let mut found = Vec::new();
    let scanned = store.scan(&prefix, &mut |key, _| {
        if found.len() >= count_max {
            // Only ends the scan; what was found stands.
            return Err(Reason::TooLarge);
        }
        found.push(TransactionId(state_key::id_after(&prefix, key)?));
        Ok(())
    });
    match scanned {
        Err(reason) if reason != Reason::TooLarge => Err(reason),
        _ => Ok(found),
    }
}

/// The results of one height as they are persisted.
pub fn encode_results(results: &[TransactionResult]) -> Vec<u8> {
    let mut out = Writer::new();
    out.list(results);
    out.finish()
}

pub(crate) fn decode_results(bytes: &[u8]) -> Result<Vec<TransactionResult>, Reason> {
    Reader::new(bytes).list(BLOCK_ENTRIES_MAX).map_err(|_| Reason::StorageCorrupt)
}
