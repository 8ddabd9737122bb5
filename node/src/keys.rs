//! Every key that a node keeps beside the ledger's state.
//!
//! Invariant: none begins with `state/`; heights are big-endian, so that a scan follows them.

use tallystick_kernel::TransactionId;
use tallystick_ledger::StateChange;
use tallystick_proofs::header::Entry;

/// The format of the folder and the network that it belongs to.
pub const FORMAT: &[u8] = b"node/format";
/// Prefix of stored transactions that are not executed yet.
pub const PENDING: &[u8] = b"node/pending/";

/// A stored transaction, body and witness.
pub fn body(entry: &Entry) -> Vec<u8> {
    [b"node/body/", &entry.id.0[..], &entry.witness_hash[..]].concat()
}

/// The mark of a stored transaction that is not executed yet.
pub fn pending(entry: &Entry) -> Vec<u8> {
    [PENDING, &entry.id.0[..], &entry.witness_hash[..]].concat()
}

/// The result of a transaction, kept for as long as its block.
pub fn result(id: &TransactionId) -> Vec<u8> {
    [b"node/result/", &id.0[..]].concat()
}

/// The height of the header that reports the results of a height.
pub fn report(height: u64) -> Vec<u8> {
    [&b"node/report/"[..], &height.to_be_bytes()].concat()
}

/// A final block: header and entries.
pub fn block(height: u64) -> Vec<u8> {
    [&b"node/block/"[..], &height.to_be_bytes()].concat()
}

/// The finality certificate of a height, where there is one of its own.
pub fn certificate(height: u64) -> Vec<u8> {
    [&b"node/certificate/"[..], &height.to_be_bytes()].concat()
}

/// The receipt of the change that decided the validator set from an epoch on, kept for good.
pub fn set_change(epoch: u64) -> Vec<u8> {
    [&b"node/set-change/"[..], &epoch.to_be_bytes()].concat()
}

/// A write.
pub fn put(key: Vec<u8>, value: Vec<u8>) -> StateChange {
    StateChange { key, value: Some(value) }
}

/// A removal.
pub fn remove(key: Vec<u8>) -> StateChange {
    StateChange { key, value: None }
}

/// The mark of a transaction that was stored here and expired.
pub fn expired(id: &TransactionId) -> Vec<u8> {
    [b"node/expired/", &id.0[..]].concat()
}

/// The entry that a pending key marks.
pub fn pending_entry(key: &[u8]) -> Option<Entry> {
    let ids = key.strip_prefix(PENDING)?;
    let (id, witness_hash) = ids.split_at_checked(32)?;
    Some(Entry {
        id: TransactionId(id.try_into().ok()?),
        witness_hash: witness_hash.try_into().ok()?,
    })
}
