//! What travels to and from a node.

use serde::{Deserialize, Serialize};
use tallystick_kernel::{
    AccountId, Amount, BlockId, CurrencyCode, DurationMs, NetworkId, ReserveId, TransactionId,
};
use utoipa::ToSchema;

use crate::json::{self, Bytes};
use crate::problem::Problem;
use crate::text_schema;

/// The media type of genesis files, receipts and batches of transactions.
pub const CBOR: &str = "application/cbor";
/// Transactions of one submission at most.
pub const SUBMISSION_MAX: usize = 256;
/// Reserves on one page at most.
pub const PAGE_MAX: usize = 256;
/// Blocks on one page at most.
pub const BLOCKS_PAGE_MAX: usize = 32;
/// The longest wait that `wait=final` grants.
pub const WAIT_MAX: DurationMs = DurationMs::seconds(60);

/// `GET /v1/network`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkStatus {
    /// The network's id.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::NetworkIdText)]
    pub network: NetworkId,
    /// Its name for people.
    pub name: String,
    /// The height of the last final block that this node has executed.
    pub height: u64,
    /// Up to which height results are reported: for these there are receipts.
    pub reported_height: u64,
    /// The time of the block at `height`.
    pub time_ms: u64,
    /// The root of the last checkpoint of the state, hexadecimal; the same on every node that has
    /// taken the same checkpoint last.
    pub checkpoint_root: String,
    /// The epoch of the next block.
    pub epoch: u64,
    /// The version of the rules that the next block follows.
    pub rules_version: u64,
    /// How many validators there are.
    pub validators: u64,
    /// How many of them must agree.
    pub quorum: u64,
    /// How many other validators this one heard of lately.
    pub peers_connected: u64,
    /// Transactions that wait for a block.
    pub pool_size: u64,
}

/// `GET /v1/validators`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Validators {
    /// The epoch of the next block.
    pub epoch: u64,
    /// How many heights an epoch has.
    pub epoch_blocks: u64,
    /// The set in force, and after it those that are decided and not in force yet.
    pub sets: Vec<ValidatorSet>,
    /// The rules in force, and after them those that are decided and not in force yet.
    pub rules: Vec<RulesVersion>,
}

/// A set of validators, in force for whole epochs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValidatorSet {
    /// The first epoch in which it is in force.
    pub from_epoch: u64,
    /// The first height of that epoch.
    pub from_height: u64,
    /// The keys (`tlyk1...`), each at its place.
    pub keys: Vec<String>,
    /// How many of them must agree.
    pub quorum: u64,
    /// The transaction that decided it; not there for the genesis file's.
    #[serde(with = "json::text_option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<text_schema::TransactionIdText>)]
    pub decided_by: Option<TransactionId>,
}

/// A version of the ledger's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RulesVersion {
    /// Its number.
    pub version: u64,
    /// The first height that follows it.
    pub from_height: u64,
    /// Whether this node's program knows it; one that does not stops before that height.
    pub is_known: bool,
}

/// `POST /v1/transactions` as JSON; as CBOR it is an array of byte strings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    /// Signed transactions in their canonical encoding, 1 to 256.
    pub transactions: Vec<Bytes>,
}

/// The answer to a submission: one for each transaction, in the same order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitAnswer {
    /// What became of each.
    pub submissions: Vec<Submission>,
}

/// How a submitted transaction was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reception {
    /// A quorum stored it durably: it will end in exactly one of a result or `expired`.
    Acknowledged,
    /// This node stored it durably; a quorum has not said so yet.
    StoredHere,
    /// It came before; `status` says what became of it so far.
    FirstAnswer,
    /// It was refused; `problem` says why. A refusal is not remembered.
    Refused,
}

/// One entry of a [`SubmitAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Submission {
    /// The transaction's id; not there when the bytes could not be read.
    #[serde(with = "json::text_option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<text_schema::TransactionIdText>)]
    pub id: Option<TransactionId>,
    /// How it was received.
    pub outcome: Reception,
    /// The answer so far, for `first_answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TransactionStatus>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransactionState {
    /// Never seen here, or forgotten.
    Unknown,
    /// Stored, not in a final block yet.
    Pending,
    /// Executed; `result` says how.
    Final,
    /// It was not included in time and never will be.
    Expired,
}

/// What became of an executed transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FinalResult {
    /// Whether it succeeded. Only a success is a payment.
    pub success: bool,
    /// The reason's name when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The height of its block.
    pub height: u64,
    /// Its place in the block.
    pub index: u64,
}

/// `GET /v1/transactions/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionStatus {
    /// The transaction.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::TransactionIdText)]
    pub id: TransactionId,
    /// Where it stands.
    pub state: TransactionState,
    /// Whether a quorum stored it durably, while it is pending.
    pub acknowledged: bool,
    /// What became of it, once final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<FinalResult>,
    /// The height of the header that reports the result; from then on there is a receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_in: Option<u64>,
}

/// `GET /v1/accounts/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// The account.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::AccountIdText)]
    pub id: AccountId,
    /// How many of the keys must sign.
    pub threshold: u64,
    /// The owners' public keys (`tlyk1...`).
    pub keys: Vec<String>,
    /// What it holds, by currency.
    pub balances: Vec<Balance>,
}

/// What an account holds of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Balance {
    /// The currency.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::CurrencyCodeText)]
    pub currency: CurrencyCode,
    /// The free balance, in minor units.
    #[serde(with = "json::amount")]
    #[schema(value_type = text_schema::MinorUnitsText)]
    pub free: Amount,
    /// The sum of its reserves, in minor units.
    #[serde(with = "json::amount")]
    #[schema(value_type = text_schema::MinorUnitsText)]
    pub reserved: Amount,
}

/// The terms of a locked reserve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lock {
    /// The key that may spend it (`tlyk1...`).
    pub mandate: String,
    /// The most that one payment may be.
    #[serde(with = "json::amount_option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<text_schema::MinorUnitsText>)]
    pub payment_max: Option<Amount>,
    /// The only payees allowed; empty for any.
    #[serde(with = "json::text_list", default)]
    #[schema(value_type = Vec<text_schema::AccountIdText>)]
    pub payees: Vec<AccountId>,
    /// How long the owner must wait after `unlock_request`.
    pub unlock_delay_ms: u64,
}

/// One reserve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reserve {
    /// The reserve.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::ReserveIdText)]
    pub id: ReserveId,
    /// Whose it is.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::AccountIdText)]
    pub account: AccountId,
    /// Its currency.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::CurrencyCodeText)]
    pub currency: CurrencyCode,
    /// Its amount, in minor units.
    #[serde(with = "json::amount")]
    #[schema(value_type = text_schema::MinorUnitsText)]
    pub amount: Amount,
    /// To whom it is locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// From when on it can only be closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_ms: Option<u64>,
    /// The height at which it was opened.
    pub created_height: u64,
    /// From when on the owner may spend it in spite of the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlock_at_ms: Option<u64>,
}

/// `GET /v1/currencies/{code}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Currency {
    /// Its code.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::CurrencyCodeText)]
    pub code: CurrencyCode,
    /// How many decimals a major unit has.
    pub exponent: u8,
    /// The account that mints and burns.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::AccountIdText)]
    pub authority: AccountId,
    /// How much of it there is, in minor units.
    #[serde(with = "json::amount")]
    #[schema(value_type = text_schema::MinorUnitsText)]
    pub supply: Amount,
}

/// `GET /v1/checkpoints/latest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkpoint {
    /// The height after whose block the state was hashed.
    pub height: u64,
    /// The root over all entries of the state, hexadecimal, as this node has computed it.
    #[schema(value_type = text_schema::DigestText)]
    pub root: String,
    /// The block of that height.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::BlockIdText)]
    pub block: BlockId,
    /// The time of that block.
    pub time_ms: u64,
    /// The first height whose header holds the root; not there until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_in: Option<u64>,
    /// The height of the block whose finality certificate makes that header final: its own, or that
    /// of a block that follows on it. Not there until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified_in: Option<u64>,
}

/// `POST /v1/snapshots`: a snapshot that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotWritten {
    /// The height of the checkpoint.
    pub checkpoint: u64,
    /// The height of its last header, which is certified.
    pub certified_in: u64,
    /// The file in the node's folder.
    pub file: String,
    /// How long it is.
    pub bytes: u64,
}

/// `GET /v1/references/{payee}/{reference}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReferenceAnswer {
    /// The transactions that paid this payee with this reference, oldest first.
    #[serde(with = "json::text_list")]
    #[schema(value_type = Vec<text_schema::TransactionIdText>)]
    pub transactions: Vec<TransactionId>,
}

/// `GET /v1/blocks/{height}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Block {
    /// Its height.
    pub height: u64,
    /// The header in its canonical encoding.
    pub header: Bytes,
    /// What it orders.
    pub entries: Vec<BlockEntry>,
    /// The finality certificate in its canonical encoding; not there when the block became final
    /// through a descendant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Bytes>,
}

/// One entry of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockEntry {
    /// The transaction.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::TransactionIdText)]
    pub id: TransactionId,
    /// The hash of the witness that is executed.
    pub witness_hash: Bytes,
}

/// A block with what became of its transactions: an entry of `GET /v1/blocks`, an event of
/// `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockSummary {
    /// Its height.
    pub height: u64,
    /// Its time.
    pub time_ms: u64,
    /// The validator that proposed it, by its place in the genesis file.
    pub proposer: u64,
    /// Up to which height it reports results.
    pub reported_height: u64,
    /// Its transactions, in order.
    pub transactions: Vec<Outcome>,
}

/// What became of a transaction of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// The transaction.
    #[serde(with = "json::text")]
    #[schema(value_type = text_schema::TransactionIdText)]
    pub id: TransactionId,
    /// Whether it succeeded.
    pub success: bool,
    /// The reason's name when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}
