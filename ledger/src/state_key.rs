//! Every key under which the state is persisted, and the seam to whatever persists it.
//!
//! Invariant: all keys begin with `state/`, so that a node can keep other things beside them;
//! ids and big-endian heights follow raw, so that a scan goes in the order of ids and heights.

use tallystick_kernel::{AccountId, CurrencyCode, Reason, Reference, ReserveId, TransactionId};

/// Reads what was persisted; written by the node from [`StateChange`]s, all of a block at once.
pub trait StateStore {
    /// The value under `key`; [`Reason::StorageFailed`] when it cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason>;

    /// Visits every key that begins with `prefix` and its value, in the order of the keys. Ends
    /// early with what `visit` refuses.
    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason>;
}

/// Called with a key and its value; a reason ends the scan.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> Result<(), Reason> + 'v;

/// One write: a value, or none to remove the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// One of this module's keys.
    pub key: Vec<u8>,
    /// Canonical CBOR.
    pub value: Option<Vec<u8>>,
}

/// The one entry that says how far execution has come.
pub const HEAD: &[u8] = b"state/head";
/// Prefix of accounts.
pub const ACCOUNT: &[u8] = b"state/account/";
/// Prefix of free balances.
pub const BALANCE: &[u8] = b"state/balance/";
/// Prefix of currencies.
pub const CURRENCY: &[u8] = b"state/currency/";
/// Prefix of what is remembered of each height.
pub const REMEMBERED: &[u8] = b"state/remembered/";
/// Prefix of the records of recent heights.
pub const RECENT: &[u8] = b"state/recent/";
/// Prefix of the index from payee and reference to transactions.
pub const REFERENCE: &[u8] = b"state/reference/";
/// Prefix of reserves.
pub const RESERVE: &[u8] = b"state/reserve/";
/// Prefix of the versions of the rules, by the height from which each is in force.
pub const RULES: &[u8] = b"state/rules/";
/// Prefix of the validator sets, by the epoch from which each is in force.
pub const VALIDATORS: &[u8] = b"state/validators/";
/// Prefix of the results of each height, kept for receipts.
pub const RESULTS: &[u8] = b"state/results/";

/// The prefixes of all entries that are under a checkpoint's root: what a snapshot carries. All
/// else is made from blocks.
pub const CHECKPOINTED: [&[u8]; 6] = [ACCOUNT, BALANCE, CURRENCY, RESERVE, RULES, VALIDATORS];

/// The key of an account.
pub fn account(id: &AccountId) -> Vec<u8> {
    [ACCOUNT, &id.0].concat()
}

/// The key of an account's free balance in one currency.
pub fn balance(account: &AccountId, currency: &CurrencyCode) -> Vec<u8> {
    [BALANCE, &account.0, currency.as_str().as_bytes()].concat()
}

/// The key of a currency.
pub fn currency(code: &CurrencyCode) -> Vec<u8> {
    [CURRENCY, code.as_str().as_bytes()].concat()
}

/// The key of what is remembered of a height.
pub fn remembered(height: u64) -> Vec<u8> {
    [REMEMBERED, &height.to_be_bytes()].concat()
}

/// The key of a recent height's record.
pub fn recent(height: u64) -> Vec<u8> {
    [RECENT, &height.to_be_bytes()].concat()
}

/// The key under which one payment to `payee` is found by its reference; the value is empty.
pub fn reference(payee: &AccountId, reference: &Reference, id: &TransactionId) -> Vec<u8> {
    [&references(payee, reference)[..], &id.0].concat()
}

/// The prefix of all payments to `payee` under one reference.
pub fn references(payee: &AccountId, reference: &Reference) -> Vec<u8> {
    [REFERENCE, &payee.0, &reference.0].concat()
}

/// The key of a reserve.
pub fn reserve(id: &ReserveId) -> Vec<u8> {
    [RESERVE, &id.0].concat()
}

/// The key of the results of one height.
pub fn results(height: u64) -> Vec<u8> {
    [RESULTS, &height.to_be_bytes()].concat()
}

/// The key of the version of the rules in force from a height on.
pub fn rules(height: u64) -> Vec<u8> {
    [RULES, &height.to_be_bytes()].concat()
}

/// The key of the validator set in force from an epoch on.
pub fn validators(epoch: u64) -> Vec<u8> {
    [VALIDATORS, &epoch.to_be_bytes()].concat()
}

/// The 32 bytes that follow `prefix` in `key`; [`Reason::StorageCorrupt`] for a key of another
/// form.
pub(crate) fn id_after(prefix: &[u8], key: &[u8]) -> Result<[u8; 32], Reason> {
    let rest = key.strip_prefix(prefix).ok_or(Reason::StorageCorrupt)?;
    rest.try_into().map_err(|_| Reason::StorageCorrupt)
}

/// The height that follows `prefix` in `key`.
pub(crate) fn height_after(prefix: &[u8], key: &[u8]) -> Result<u64, Reason> {
    let rest = key.strip_prefix(prefix).ok_or(Reason::StorageCorrupt)?;
    rest.try_into().map(u64::from_be_bytes).map_err(|_| Reason::StorageCorrupt)
}

/// The currency that follows `prefix` in `key`.
pub(crate) fn currency_after(prefix: &[u8], key: &[u8]) -> Result<CurrencyCode, Reason> {
    let rest = key.strip_prefix(prefix).ok_or(Reason::StorageCorrupt)?;
    let text = core::str::from_utf8(rest).map_err(|_| Reason::StorageCorrupt)?;
    CurrencyCode::new(text).map_err(|_| Reason::StorageCorrupt)
}

/// The account and the currency that follow `prefix` in `key`.
pub(crate) fn account_and_currency_after(
    prefix: &[u8],
    key: &[u8],
) -> Result<(AccountId, CurrencyCode), Reason> {
    let rest = key.strip_prefix(prefix).ok_or(Reason::StorageCorrupt)?;
    let (account, code) = rest.split_at_checked(32).ok_or(Reason::StorageCorrupt)?;
    Ok((AccountId(id_after(b"", account)?), currency_after(b"", code)?))
}
