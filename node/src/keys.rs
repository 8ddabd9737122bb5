//! Every key that a node keeps beside the ledger's state.
//!
//! Invariant: none begins with `state/`; heights are big-endian, so that a scan follows them.

use tallystick_kernel::TransactionId;
use tallystick_ledger::StateChange;
use tallystick_proofs::header::Entry;

/// The format of the folder and the network that it belongs to.
pub const FORMAT: &[u8] = b"node/format";
/// Prefix of stored transactions.
pub const BODY: &[u8] = b"node/body/";
/// Prefix of results by transaction.
pub const RESULT: &[u8] = b"node/result/";
/// Prefix of final blocks.
pub const BLOCK: &[u8] = b"node/block/";
/// Prefix of finality certificates.
pub const CERTIFICATE: &[u8] = b"node/certificate/";
/// The last header that a snapshot brought and its certificate: the engine begins with it.
pub const FLOOR: &[u8] = b"node/floor";
/// Written and removed again to see whether storage works.
pub const PROBE: &[u8] = b"node/probe";
/// Prefix of the lists of what was stored together, of which some may still wait.
pub const PENDING: &[u8] = b"node/pending/";
/// The lowest height from which blocks are kept, with all that belongs to them.
pub const LOWEST: &[u8] = b"node/lowest";

/// A stored transaction, body and witness.
pub fn body(entry: &Entry) -> Vec<u8> {
    [BODY, &entry.id.0, &entry.witness_hash].concat()
}

/// The list of what was stored by one commit; it goes when nothing of it waits any more.
pub fn pending(group: u64) -> Vec<u8> {
    [PENDING, &group.to_be_bytes()].concat()
}

/// The number of such a list.
pub fn pending_group(key: &[u8]) -> Option<u64> {
    key.strip_prefix(PENDING)?.try_into().ok().map(u64::from_be_bytes)
}

/// The result of a transaction; kept for good.
pub fn result(id: &TransactionId) -> Vec<u8> {
    [RESULT, &id.0].concat()
}

/// The height of the header that reports the results of a height.
pub fn report(height: u64) -> Vec<u8> {
    [&b"node/report/"[..], &height.to_be_bytes()].concat()
}

/// A final block: header and entries.
pub fn block(height: u64) -> Vec<u8> {
    [BLOCK, &height.to_be_bytes()].concat()
}

/// The height that the key of a block names.
pub fn height_of(key: &[u8]) -> Option<u64> {
    key.strip_prefix(BLOCK)?.try_into().ok().map(u64::from_be_bytes)
}

/// The finality certificate of a height, where there is one of its own.
pub fn certificate(height: u64) -> Vec<u8> {
    [CERTIFICATE, &height.to_be_bytes()].concat()
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

/// The prefix of what had expired when the block at this height was executed.
pub fn expired_at(height: u64) -> Vec<u8> {
    [&b"node/expired-at/"[..], &height.to_be_bytes()].concat()
}

/// The second mark of an expired transaction, found by the height.
pub fn expired_then(height: u64, id: &TransactionId) -> Vec<u8> {
    [&expired_at(height)[..], &id.0].concat()
}

/// The transaction that such a second mark names.
pub fn expired_id(key: &[u8]) -> Option<TransactionId> {
    let id = key.get(expired_at(0).len()..)?;
    id.try_into().ok().map(TransactionId)
}
