//! The endpoints of a merchant.

use tallystick_kernel::{Group, Reason};

use super::{CURSOR, MADE_ID, MADE_ID_AND_WAIT};
use crate::batch::{BatchAnswer, BatchItem, BatchItemAnswer, BatchRequest};
use crate::issuer::Progress;
use crate::json::Page;
use crate::merchant::{Charge, ChargeRequest, Merchant, WAIT_MAX};
use crate::node::CBOR;
use crate::operation::{Access, BATCH_BYTES_MAX, Documented, Operation};
use crate::text_schema;

/// Every endpoint, in the order of the documentation.
pub const ALL: &[Operation] = &[
    super::LIVEZ,
    super::METRICS,
    super::LOG_LEVEL,
    super::READYZ,
    super::OPENAPI,
    MERCHANT,
    CHARGE,
    CHARGE_BATCH,
    CHARGES,
    CHARGE_EVENTS,
    CHARGE_STATUS,
    CHARGE_RECEIPT,
];

/// The scope of a till.
pub const SCOPE_CHARGES: &str = "charges";

const TILL: Access = Access::Scope(SCOPE_CHARGES);

/// Who is paid.
pub const MERCHANT: Operation =
    Operation::get("merchant", "/v1/merchant", Access::Public, "Says who is paid here.")
        .answers::<Merchant>();

/// Charges the holder of a code.
pub const CHARGE: Operation = Operation::post(
    "charge",
    "/v1/charges",
    TILL,
    "Verifies a payment code offline, stores the charge, and has it authorised and settled.",
)
.reads::<ChargeRequest>()
.answers::<Charge>()
.refuses(
    &[Reason::CurrencyMismatch],
    &[Group::Form, Group::Witness, Group::Time, Group::Certificate, Group::Payment],
);

/// Charges many.
pub const CHARGE_BATCH: Operation = Operation::post(
    "chargeBatch",
    "/v1/charges/batch",
    TILL,
    "Takes up to 256 charges, each with an idempotency key of its own, and answers each.",
)
.without_key()
.body_bytes_max(BATCH_BYTES_MAX)
.reads::<BatchRequest<ChargeRequest>>()
.answers::<BatchAnswer<Charge>>()
.refuses(&[Reason::ListEmpty], &[]);

/// The charges.
pub const CHARGES: Operation = Operation::get(
    "charges",
    "/v1/charges",
    TILL,
    "Lists charges, the latest first, at most 100 on a page.",
)
.with(&[CURSOR])
.answers::<Page<Charge>>();

/// Charges as they change.
pub const CHARGE_EVENTS: Operation = Operation::get(
    "chargeEvents",
    "/v1/charges/events",
    TILL,
    "Streams charges whenever one changes (server-sent events). `Last-Event-ID` goes on after that \
     event, and without it the stream begins now. Events are kept for a week.",
)
.answers_events::<Charge>();

/// A charge.
pub const CHARGE_STATUS: Operation =
    Operation::get("chargeStatus", "/v1/charges/{id}", TILL, "Says how far a charge is.")
        .with(MADE_ID_AND_WAIT)
        .waits(WAIT_MAX)
        .answers::<Charge>()
        .refuses(&[Reason::NotFound, Reason::HexMalformed], &[]);

/// The receipt of a charge.
pub const CHARGE_RECEIPT: Operation = Operation::get(
    "chargeReceipt",
    "/v1/charges/{id}/receipt",
    TILL,
    "Gives the verified receipt of a settled charge.",
)
.with(&[MADE_ID])
.answers_bytes(CBOR, "the receipt in its canonical encoding")
.refuses(&[Reason::NotFound, Reason::HexMalformed], &[]);

impl Documented for Merchant {
    fn example() -> Self {
        Merchant { name: "Corner shop".to_owned(), account: text_schema::account() }
    }
}

impl Documented for ChargeRequest {
    fn example() -> Self {
        ChargeRequest {
            code: "TLY1:NCFOXN".to_owned(),
            currency: text_schema::currency(),
            amount: text_schema::amount(1230),
            order: "table 4".to_owned(),
        }
    }
}

impl Documented for Charge {
    fn example() -> Self {
        Charge {
            id: "5a".repeat(32),
            state: Progress::Settled,
            order: "table 4".to_owned(),
            amount: text_schema::amount(1230),
            currency: text_schema::currency(),
            reference: tallystick_kernel::Reference([6; 32]).to_string(),
            transaction: Some(text_schema::transaction()),
            failure: None,
            created_ms: 1_800_000_000_000,
        }
    }
}

impl Documented for BatchRequest<ChargeRequest> {
    fn example() -> Self {
        let item = BatchItem { key: "till-2-0017".to_owned(), body: ChargeRequest::example() };
        BatchRequest { items: vec![item] }
    }
}

impl Documented for BatchAnswer<Charge> {
    fn example() -> Self {
        let body = Some(Charge::example());
        let item = BatchItemAnswer { status: 200, idempotency_hit: false, body, problem: None };
        BatchAnswer { items: vec![item] }
    }
}
