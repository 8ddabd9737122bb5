//! The endpoints of a node.
//!
//! Everything on the ledger is public to whoever reaches the node, and a transaction carries its
//! own authority in its witness: so every endpoint is public but the one that has a file written.

use tallystick_kernel::{BlockId, Group, NetworkId, Reason, ReserveId};

use super::{CURSOR, TIMEOUT, WAIT};
use crate::json::Bytes;
use crate::node::{
    Account, Balance, Block, BlockEntry, BlockSummary, CBOR, Checkpoint, Currency, FinalResult,
    Lock, NetworkStatus, Outcome, Reception, ReferenceAnswer, Reserve, RulesVersion,
    SnapshotWritten, Submission, SubmitAnswer, SubmitRequest, TransactionState, TransactionStatus,
    ValidatorSet, Validators, WAIT_MAX,
};
use crate::operation::{Access, Documented, Operation, Parameter, Place};
use crate::text_schema::{
    self, AccountIdText, CurrencyCodeText, PublicKeyText, ReferenceText, TransactionIdText,
};
use utoipa::PartialSchema as _;

/// Every endpoint, in the order of the documentation.
pub const ALL: &[Operation] = &[
    super::LIVEZ,
    super::METRICS,
    super::LOG_LEVEL,
    super::READYZ,
    super::OPENAPI,
    NETWORK,
    VALIDATORS,
    GENESIS,
    SUBMIT,
    TRANSACTION,
    RECEIPT,
    ACKNOWLEDGEMENT,
    ACCOUNT,
    STATEMENT,
    RESERVES,
    RESERVES_LOCKED,
    CURRENCY,
    REFERENCE,
    BLOCKS,
    BLOCK,
    CHECKPOINT,
    SNAPSHOT,
    EVENTS,
];

const PUBLIC: Access = Access::Public;
/// Room for a hundred of the greatest transactions, and for a full batch of usual ones.
const SUBMISSION_BYTES_MAX: usize = 2 * 1024 * 1024;

const TRANSACTION_ID: Parameter = Parameter {
    name: "id",
    place: Place::Path,
    says: "The transaction.",
    schema: TransactionIdText::schema,
};
const ACCOUNT_ID: Parameter = Parameter {
    name: "id",
    place: Place::Path,
    says: "The account.",
    schema: AccountIdText::schema,
};
const HEIGHT: Parameter = Parameter {
    name: "height",
    place: Place::Path,
    says: "The height of the block.",
    schema: text_schema::NumberText::schema,
};

/// The state of the network.
pub const NETWORK: Operation =
    Operation::get("network", "/v1/network", PUBLIC, "Says how this node sees its network.")
        .answers::<NetworkStatus>();

/// Who votes, and by which rules.
pub const VALIDATORS: Operation = Operation::get(
    "validators",
    "/v1/validators",
    PUBLIC,
    "Lists the validators and the rules in force, and those that the operators have decided for later.",
)
.answers::<Validators>();

/// The genesis file.
pub const GENESIS: Operation = Operation::get(
    "genesis",
    "/v1/genesis",
    PUBLIC,
    "Gives the genesis file, from which alone receipts are verified.",
)
.answers_bytes(CBOR, "the genesis file in its canonical encoding");

/// Transactions handed in.
pub const SUBMIT: Operation = Operation::post(
    "submit",
    "/v1/transactions",
    PUBLIC,
    "Takes signed transactions, stores them durably, and answers each. The id of a transaction is \
     its idempotency key. With the media type application/cbor the body is an array of byte \
     strings.",
)
.without_key()
.body_bytes_max(SUBMISSION_BYTES_MAX)
.reads::<SubmitRequest>()
.answers::<SubmitAnswer>()
.refuses(&[Reason::PoolFull, Reason::AccountQuota, Reason::SenderQuota], &[Group::Form]);

/// Where a transaction stands.
pub const TRANSACTION: Operation = Operation::get(
    "transaction",
    "/v1/transactions/{id}",
    PUBLIC,
    "Says where a transaction stands; `unknown` where it was never seen.",
)
.with(&[TRANSACTION_ID, WAIT, TIMEOUT])
.waits(WAIT_MAX)
.answers::<TransactionStatus>()
.refuses(&[Reason::IdMalformed], &[]);

/// The receipt of a transaction.
pub const RECEIPT: Operation = Operation::get(
    "transactionReceipt",
    "/v1/transactions/{id}/receipt",
    PUBLIC,
    "Gives the receipt of a transaction, which verifies offline from the genesis file.",
)
.with(&[TRANSACTION_ID])
.answers_bytes(CBOR, "the receipt in its canonical encoding")
.refuses(&[Reason::IdMalformed, Reason::NotFound, Reason::Pruned], &[]);

/// The acknowledgement of a transaction.
pub const ACKNOWLEDGEMENT: Operation = Operation::get(
    "transactionAcknowledgement",
    "/v1/transactions/{id}/acknowledgement",
    PUBLIC,
    "Gives a quorum's statements that a waiting transaction is stored durably.",
)
.with(&[TRANSACTION_ID])
.answers_bytes(CBOR, "the acknowledgement certificate in its canonical encoding")
.refuses(&[Reason::IdMalformed, Reason::NotFound], &[]);

/// An account.
pub const ACCOUNT: Operation =
    Operation::get("account", "/v1/accounts/{id}", PUBLIC, "Gives an account with its balances.")
        .with(&[ACCOUNT_ID])
        .answers::<Account>()
        .refuses(&[Reason::IdMalformed, Reason::AccountUnknown], &[]);

/// What an account held at the last checkpoint.
pub const STATEMENT: Operation = Operation::get(
    "accountStatement",
    "/v1/accounts/{id}/statement",
    PUBLIC,
    "Gives the owners and the free balances of an account at the last checkpoint, or that there was \
     none, with proofs that verify offline from the genesis file. Reserves are not in it. Refused as \
     not ready for the few blocks until a certified header holds the checkpoint's root, and after a \
     start until the next checkpoint.",
)
.with(&[ACCOUNT_ID])
.answers_bytes(CBOR, "the statement in its canonical encoding")
.refuses(&[Reason::IdMalformed, Reason::NotReady], &[]);

/// The reserves of an account.
pub const RESERVES: Operation = Operation::get(
    "reserves",
    "/v1/accounts/{id}/reserves",
    PUBLIC,
    "Lists the reserves of an account in the order of their ids, at most 256 on a page.",
)
.with(&[ACCOUNT_ID, CURSOR])
.answers::<crate::json::Page<Reserve>>()
.refuses(&[Reason::IdMalformed], &[]);

/// The reserves of an account that are locked to a mandate.
pub const RESERVES_LOCKED: Operation = Operation::get(
    "reservesLocked",
    "/v1/mandates/{key}/accounts/{id}/reserves",
    PUBLIC,
    "Lists the reserves of an account that are locked to a mandate key, at most 256 on a page. One \
     call looks at 1,024 of the account's reserves: a page can be empty and still have a next one.",
)
.with(&[
    Parameter {
        name: "key",
        place: Place::Path,
        says: "The mandate key.",
        schema: PublicKeyText::schema,
    },
    ACCOUNT_ID,
    CURSOR,
])
.answers::<crate::json::Page<Reserve>>()
.refuses(&[Reason::IdMalformed, Reason::KeyMalformed, Reason::KeyWeak], &[]);

/// A currency.
pub const CURRENCY: Operation = Operation::get(
    "currency",
    "/v1/currencies/{code}",
    PUBLIC,
    "Gives a currency with its authority and its supply.",
)
.with(&[Parameter {
    name: "code",
    place: Place::Path,
    says: "The currency's code.",
    schema: CurrencyCodeText::schema,
}])
.answers::<Currency>()
.refuses(&[Reason::CurrencyMalformed, Reason::CurrencyUnknown], &[]);

/// The payments with a reference.
pub const REFERENCE: Operation = Operation::get(
    "paymentsByReference",
    "/v1/references/{payee}/{reference}",
    PUBLIC,
    "Finds the transactions that paid an account with a reference, the oldest 256 at most.",
)
.with(&[
    Parameter {
        name: "payee",
        place: Place::Path,
        says: "The account that was paid.",
        schema: AccountIdText::schema,
    },
    Parameter {
        name: "reference",
        place: Place::Path,
        says: "The reference.",
        schema: ReferenceText::schema,
    },
])
.answers::<ReferenceAnswer>()
.refuses(&[Reason::IdMalformed], &[]);

/// The latest blocks.
pub const BLOCKS: Operation = Operation::get(
    "blocks",
    "/v1/blocks",
    PUBLIC,
    "Lists executed blocks with what became of their transactions, the latest first, at most 32 on \
     a page.",
)
.with(&[CURSOR])
.answers::<crate::json::Page<BlockSummary>>();

/// A block.
pub const BLOCK: Operation = Operation::get(
    "block",
    "/v1/blocks/{height}",
    PUBLIC,
    "Gives a block in its canonical encoding with its finality certificate.",
)
.with(&[HEIGHT])
.answers::<Block>()
.refuses(&[Reason::NotFound], &[]);

/// The last checkpoint.
pub const CHECKPOINT: Operation = Operation::get(
    "latestCheckpoint",
    "/v1/checkpoints/latest",
    PUBLIC,
    "Gives the last checkpoint of the state that this node has taken, and where it is reported and \
     certified: `/v1/blocks/{certified_in}` has the certificate.",
)
.answers::<Checkpoint>();

/// A snapshot, written now.
pub const SNAPSHOT: Operation = Operation::post(
    "writeSnapshot",
    "/v1/snapshots",
    Access::Scope("snapshots"),
    "Writes a snapshot of the last checkpoint into the node's folder, in place of the one before: \
     `tally snapshot verify` checks it, and `tally snapshot restore` begins a node with it. It reads \
     the whole state. Asking twice writes it twice.",
)
.without_key()
.answers::<SnapshotWritten>()
.refuses(&[Reason::NotReady], &[]);

/// Blocks as they are executed.
pub const EVENTS: Operation = Operation::get(
    "blockEvents",
    "/v1/events",
    PUBLIC,
    "Streams blocks as they are executed (server-sent events). The id of an event is the height of \
     its block; `Last-Event-ID` goes on after it, and without it the stream begins now.",
)
.answers_events::<BlockSummary>();

impl Documented for NetworkStatus {
    fn example() -> Self {
        NetworkStatus {
            network: NetworkId([4; 32]),
            name: "local".to_owned(),
            height: 1204,
            reported_height: 1202,
            time_ms: 1_800_000_000_000,
            checkpoint_root: "5a".repeat(32),
            epoch: 0,
            rules_version: 3,
            validators: 4,
            quorum: 3,
            peers_connected: 3,
            pool_size: 0,
        }
    }
}

impl Documented for Validators {
    fn example() -> Self {
        let key = |place: u8| format!("{}{place}", &text_schema::key()[..59]);
        let set = |from_epoch: u64, keys: [u8; 4]| ValidatorSet {
            from_epoch,
            from_height: from_epoch * 4096,
            keys: keys.map(key).to_vec(),
            quorum: 3,
            decided_by: (from_epoch > 0).then(text_schema::transaction),
        };
        Validators {
            epoch: 0,
            epoch_blocks: 4096,
            sets: vec![set(0, [2, 3, 4, 5]), set(2, [2, 3, 4, 6])],
            rules: vec![RulesVersion { version: 3, from_height: 0, is_known: true }],
        }
    }
}

impl Documented for SubmitRequest {
    fn example() -> Self {
        SubmitRequest { transactions: vec![Bytes(vec![0x82, 0x87, 1])] }
    }
}

impl Documented for SubmitAnswer {
    fn example() -> Self {
        let submission = Submission {
            id: Some(text_schema::transaction()),
            outcome: Reception::Acknowledged,
            status: None,
            problem: None,
        };
        SubmitAnswer { submissions: vec![submission] }
    }
}

impl Documented for TransactionStatus {
    fn example() -> Self {
        TransactionStatus {
            id: text_schema::transaction(),
            state: TransactionState::Final,
            acknowledged: true,
            result: Some(FinalResult { success: true, code: None, height: 1203, index: 0 }),
            reported_in: Some(1204),
        }
    }
}

impl Documented for Account {
    fn example() -> Self {
        let balance = Balance {
            currency: text_schema::currency(),
            free: text_schema::amount(6500),
            reserved: text_schema::amount(3500),
        };
        Account {
            id: text_schema::account(),
            threshold: 1,
            keys: vec![text_schema::key()],
            balances: vec![balance],
        }
    }
}

impl Documented for Reserve {
    fn example() -> Self {
        let lock = Lock {
            mandate: text_schema::key(),
            payment_max: None,
            payees: Vec::new(),
            unlock_delay_ms: 3_600_000,
        };
        Reserve {
            id: ReserveId([3; 32]),
            account: text_schema::account(),
            currency: text_schema::currency(),
            amount: text_schema::amount(2000),
            lock: Some(lock),
            expiry_ms: None,
            created_height: 7,
            unlock_at_ms: None,
        }
    }
}

impl Documented for Currency {
    fn example() -> Self {
        Currency {
            code: text_schema::currency(),
            exponent: 2,
            authority: text_schema::account(),
            supply: text_schema::amount(10_000),
        }
    }
}

impl Documented for Checkpoint {
    fn example() -> Self {
        Checkpoint {
            height: 1152,
            root: "5a".repeat(32),
            block: BlockId([6; 32]),
            time_ms: 1_800_000_000_000,
            reported_in: Some(1153),
            certified_in: Some(1153),
        }
    }
}

impl Documented for SnapshotWritten {
    fn example() -> Self {
        SnapshotWritten {
            checkpoint: 1152,
            certified_in: 1153,
            file: "snapshot.tally".to_owned(),
            bytes: 148_213,
        }
    }
}

impl Documented for ReferenceAnswer {
    fn example() -> Self {
        ReferenceAnswer { transactions: vec![text_schema::transaction()] }
    }
}

impl Documented for BlockSummary {
    fn example() -> Self {
        let outcome = Outcome { id: text_schema::transaction(), success: true, code: None };
        BlockSummary {
            height: 1203,
            time_ms: 1_800_000_000_000,
            proposer: 2,
            reported_height: 1201,
            transactions: vec![outcome],
        }
    }
}

impl Documented for Block {
    fn example() -> Self {
        let entry =
            BlockEntry { id: text_schema::transaction(), witness_hash: Bytes(vec![0x5a; 32]) };
        Block {
            height: 1203,
            header: Bytes(vec![0x8d]),
            entries: vec![entry],
            certificate: Some(Bytes(vec![0x84])),
        }
    }
}
