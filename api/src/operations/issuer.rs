//! The endpoints of an issuer.

use tallystick_kernel::{Group, Reason};

use super::{CURSOR, MADE_ID, MADE_ID_AND_WAIT};
use crate::batch::{BatchAnswer, BatchItem, BatchItemAnswer, BatchRequest};
use crate::issuer::{
    AuditEntry, Authorization, AuthorizationRequest, CertificateChain, CertificateRequest,
    Decision, DeviceAuthorization, DeviceAuthorizationRequest, Empty, Funding, FundingRequest,
    Holder, HolderRequest, LinkRequest, Mandate, Payment, Progress, Session, SessionRequest,
    WAIT_MAX,
};
use crate::json::{Bytes, Page};
use crate::node::CBOR;
use crate::operation::{Access, BATCH_BYTES_MAX, Documented, Operation, Parameter, Place};
use crate::text_schema::{self, HexText};
use utoipa::PartialSchema as _;

/// Every endpoint, in the order of the documentation.
pub const ALL: &[Operation] = &[
    super::LIVEZ,
    super::METRICS,
    super::LOG_LEVEL,
    super::READYZ,
    super::OPENAPI,
    CREATE_HOLDER,
    HOLDERS,
    BEGIN_SESSION,
    ME,
    LINK_ACCOUNT,
    PAYMENTS,
    PAYMENT_EVENTS,
    FUND,
    FUND_BATCH,
    FUNDINGS,
    FUNDING,
    AUTHORIZE_DEVICE,
    CERTIFICATE_AUTHORITY,
    REVOCATION_LIST,
    MANDATE,
    CERTIFY,
    REVOKE,
    AUTHORIZE,
    AUTHORIZATIONS,
    AUTHORIZATION,
    AUTHORIZATION_RECEIPT,
    AUDIT,
];

/// The scope of an operator who makes holders.
pub const SCOPE_HOLDERS: &str = "holders";
/// The scope of an operator who gives money.
pub const SCOPE_FUNDINGS: &str = "fundings";
/// The scope of an operator who revokes certificates.
pub const SCOPE_CERTIFICATES: &str = "certificates";
/// The scope of a merchant.
pub const SCOPE_AUTHORIZATIONS: &str = "authorizations";
/// The scope of who may read the audit chain and the lists of an operator.
pub const SCOPE_LIST: &str = "list";

const PUBLIC: Access = Access::Public;
const SESSION: Access = Access::Session;

/// Makes a holder.
pub const CREATE_HOLDER: Operation = Operation::post(
    "createHolder",
    "/v1/holders",
    Access::Scope(SCOPE_HOLDERS),
    "Makes a holder with a login name and a password.",
)
.reads::<HolderRequest>()
.answers::<Holder>()
.refuses(&[Reason::HolderExists], &[]);

/// The holders.
pub const HOLDERS: Operation = Operation::get(
    "holders",
    "/v1/holders",
    Access::Scope(SCOPE_LIST),
    "Lists holders in the order of their ids, at most 100 on a page.",
)
.with(&[CURSOR])
.answers::<Page<Holder>>();

/// Logs a holder in.
pub const BEGIN_SESSION: Operation = Operation::post(
    "beginSession",
    "/v1/sessions",
    PUBLIC,
    "Logs a holder in. A wrong password counts as a guess.",
)
.without_key()
.guess_limited()
.reads::<SessionRequest>()
.answers::<Session>()
.refuses(&[Reason::LoginWrong], &[]);

/// The holder of the session.
pub const ME: Operation =
    Operation::get("me", "/v1/holders/me", SESSION, "Gives the holder of the session.")
        .answers::<Holder>();

/// Links a ledger account.
pub const LINK_ACCOUNT: Operation = Operation::post(
    "linkAccount",
    "/v1/holders/me/account",
    SESSION,
    "Links the holder's ledger account, proven by a signature of its owner.",
)
.reads::<LinkRequest>()
.answers::<Holder>()
.refuses(
    &[
        Reason::AccountUnknown,
        Reason::AccountLinked,
        Reason::NotOwner,
        Reason::Unreachable,
        Reason::AnswerMalformed,
    ],
    &[Group::Witness, Group::Form],
);

/// The holder's payments.
pub const PAYMENTS: Operation = Operation::get(
    "payments",
    "/v1/holders/me/payments",
    SESSION,
    "Lists the holder's payments, the latest first, at most 100 on a page.",
)
.with(&[CURSOR])
.answers::<Page<Payment>>();

/// The holder's payments as they change.
pub const PAYMENT_EVENTS: Operation = Operation::get(
    "paymentEvents",
    "/v1/holders/me/events",
    SESSION,
    "Streams the holder's payments whenever one changes (server-sent events). `Last-Event-ID` goes \
     on after that event, and without it the stream begins now. Events are kept for a week.",
)
.answers_events::<Payment>();

/// Gives money.
pub const FUND: Operation = Operation::post(
    "fund",
    "/v1/fundings",
    Access::Scope(SCOPE_FUNDINGS),
    "Mints to a holder's account, as soon as there is one.",
)
.reads::<FundingRequest>()
.answers::<Funding>()
.refuses(&[Reason::HolderUnknown, Reason::CurrencyUnknown, Reason::SupplyExceeded], &[Group::Form]);

/// Gives money to many.
pub const FUND_BATCH: Operation = Operation::post(
    "fundBatch",
    "/v1/fundings/batch",
    Access::Scope(SCOPE_FUNDINGS),
    "Takes up to 256 fundings, each with an idempotency key of its own, and answers each.",
)
.without_key()
.body_bytes_max(BATCH_BYTES_MAX)
.reads::<BatchRequest<FundingRequest>>()
.answers::<BatchAnswer<Funding>>()
.refuses(&[Reason::ListEmpty], &[]);

/// The fundings.
pub const FUNDINGS: Operation = Operation::get(
    "fundings",
    "/v1/fundings",
    Access::Scope(SCOPE_FUNDINGS),
    "Lists fundings, the latest first, at most 100 on a page.",
)
.with(&[CURSOR])
.answers::<Page<Funding>>();

/// A funding.
pub const FUNDING: Operation = Operation::get(
    "funding",
    "/v1/fundings/{id}",
    Access::Scope(SCOPE_FUNDINGS),
    "Says how far a funding is.",
)
.with(MADE_ID_AND_WAIT)
.waits(WAIT_MAX)
.answers::<Funding>()
.refuses(&[Reason::NotFound, Reason::HexMalformed], &[]);

/// Shows or decides a device's request.
pub const AUTHORIZE_DEVICE: Operation = Operation::post(
    "authorizeDevice",
    "/v1/device-authorizations",
    SESSION,
    "Shows what a device's request is about and, with a decision, gives the authorization code.",
)
.without_key()
.guess_limited()
.reads::<DeviceAuthorizationRequest>()
.answers::<DeviceAuthorization>()
.refuses(
    &[Reason::AccountNotLinked, Reason::AccountMismatch, Reason::PrefixUnknown],
    &[Group::Form, Group::Provisioning],
);

/// The root certificate.
pub const CERTIFICATE_AUTHORITY: Operation = Operation::get(
    "certificateAuthority",
    "/v1/ca",
    PUBLIC,
    "Gives the root certificate of the issuer's certificate authority.",
)
.answers::<CertificateChain>();

/// The revocation list.
pub const REVOCATION_LIST: Operation = Operation::get(
    "revocationList",
    "/v1/crl",
    PUBLIC,
    "Gives the current list of revoked certificates (RFC 5280).",
)
.answers_bytes("application/pkix-crl", "the list, DER");

/// The mandate.
pub const MANDATE: Operation = Operation::get(
    "mandate",
    "/v1/mandate",
    PUBLIC,
    "Gives the key that wallets lock reserves to, and the delay to use.",
)
.answers::<Mandate>();

/// Certifies a device key.
pub const CERTIFY: Operation = Operation::post(
    "certify",
    "/v1/certificates",
    Access::SessionAndDevice,
    "Certifies the key of a device that was provisioned.",
)
.reads::<CertificateRequest>()
.answers::<CertificateChain>()
.refuses(
    &[Reason::AccountNotLinked, Reason::AccountMismatch, Reason::RequestUsed],
    &[Group::Form, Group::Witness, Group::Time, Group::Certificate, Group::Provisioning],
);

/// Revokes a certificate.
pub const REVOKE: Operation = Operation::post(
    "revokeCertificate",
    "/v1/certificates/{serial}/revoke",
    Access::Scope(SCOPE_CERTIFICATES),
    "Revokes a device's certificate; codes that it signs are refused from now on.",
)
.with(&[Parameter {
    name: "serial",
    place: Place::Path,
    says: "The certificate's serial number, hexadecimal.",
    schema: HexText::schema,
}])
.answers::<Empty>()
.refuses(&[Reason::NotFound, Reason::HexMalformed], &[]);

/// Authorises a payment.
pub const AUTHORIZE: Operation = Operation::post(
    "authorize",
    "/v1/authorizations",
    Access::Scope(SCOPE_AUTHORIZATIONS),
    "Verifies a payment code, holds reserves of its holder and begins to settle. A code pays once.",
)
.reads::<AuthorizationRequest>()
.answers::<Authorization>()
.refuses(
    &[Reason::AccountNotLinked, Reason::Unreachable, Reason::AnswerMalformed],
    &[
        Group::Form,
        Group::Witness,
        Group::Time,
        Group::Authority,
        Group::Funds,
        Group::Certificate,
        Group::Payment,
    ],
);

/// The authorizations of a merchant.
pub const AUTHORIZATIONS: Operation = Operation::get(
    "authorizations",
    "/v1/authorizations",
    Access::Scope(SCOPE_AUTHORIZATIONS),
    "Lists what was authorised for this key, the latest first, at most 100 on a page.",
)
.with(&[CURSOR])
.answers::<Page<Authorization>>();

/// An authorization.
pub const AUTHORIZATION: Operation = Operation::get(
    "authorization",
    "/v1/authorizations/{id}",
    Access::Scope(SCOPE_AUTHORIZATIONS),
    "Says how far the settlement of an authorization is.",
)
.with(MADE_ID_AND_WAIT)
.waits(WAIT_MAX)
.answers::<Authorization>()
.refuses(&[Reason::AuthorizationUnknown, Reason::HexMalformed], &[]);

/// The receipt of an authorization.
pub const AUTHORIZATION_RECEIPT: Operation = Operation::get(
    "authorizationReceipt",
    "/v1/authorizations/{id}/receipt",
    Access::Scope(SCOPE_AUTHORIZATIONS),
    "Gives the receipt of a settled authorization.",
)
.with(&[MADE_ID])
.answers_bytes(CBOR, "the receipt in its canonical encoding")
.refuses(&[Reason::AuthorizationUnknown, Reason::NotFound, Reason::HexMalformed], &[]);

/// The audit chain.
pub const AUDIT: Operation = Operation::get(
    "audit",
    "/v1/audit",
    Access::Scope(SCOPE_LIST),
    "Lists the entries of the audit chain from the first on, at most 100 on a page.",
)
.with(&[CURSOR])
.answers::<Page<AuditEntry>>();

impl Documented for HolderRequest {
    fn example() -> Self {
        HolderRequest { name: "ada".to_owned(), password: "correct horse".to_owned() }
    }
}

impl Documented for Holder {
    fn example() -> Self {
        Holder {
            id: text_schema::holder(),
            name: "ada".to_owned(),
            account: Some(text_schema::account()),
            account_token: Some("a1b2c3d4".to_owned()),
        }
    }
}

impl Documented for SessionRequest {
    fn example() -> Self {
        SessionRequest { name: "ada".to_owned(), password: "correct horse".to_owned() }
    }
}

impl Documented for Session {
    fn example() -> Self {
        Session {
            token: "tls_0123456789".to_owned(),
            expiry_ms: 1_800_028_800_000,
            holder: text_schema::holder(),
        }
    }
}

impl Documented for LinkRequest {
    fn example() -> Self {
        LinkRequest {
            account: text_schema::account(),
            key: text_schema::key(),
            signature: Bytes(vec![0x5a; 64]),
        }
    }
}

impl Documented for Payment {
    fn example() -> Self {
        Payment {
            authorization: Authorization::example(),
            payee: text_schema::account(),
            created_ms: 1_800_000_000_000,
        }
    }
}

impl Documented for FundingRequest {
    fn example() -> Self {
        FundingRequest {
            holder: Some("ada".to_owned()),
            account: None,
            currency: text_schema::currency(),
            amount: text_schema::amount(10_000),
        }
    }
}

impl Documented for Funding {
    fn example() -> Self {
        Funding {
            id: "5a".repeat(32),
            state: Progress::Settled,
            transaction: Some(text_schema::transaction()),
            code: None,
            amount: text_schema::amount(10_000),
            currency: text_schema::currency(),
            created_ms: 1_800_000_000_000,
        }
    }
}

impl Documented for BatchRequest<FundingRequest> {
    fn example() -> Self {
        let item = BatchItem { key: "payday-1".to_owned(), body: FundingRequest::example() };
        BatchRequest { items: vec![item] }
    }
}

impl Documented for BatchAnswer<Funding> {
    fn example() -> Self {
        let body = Some(Funding::example());
        let item = BatchItemAnswer { status: 200, idempotency_hit: false, body, problem: None };
        BatchAnswer { items: vec![item] }
    }
}

impl Documented for DeviceAuthorizationRequest {
    fn example() -> Self {
        DeviceAuthorizationRequest {
            request: "TLYREQ:0123456789".to_owned(),
            decision: Some(Decision::Approve),
        }
    }
}

impl Documented for DeviceAuthorization {
    fn example() -> Self {
        DeviceAuthorization {
            device: "Ada's phone (code WDJB-MJHT-B)".to_owned(),
            account: "tlya1qyqszqg…gpqyqs".to_owned(),
            authorization_code: Some("BCDF-GHJK-LMNP-Q".to_owned()),
            expiry_ms: Some(1_800_000_300_000),
        }
    }
}

impl Documented for CertificateRequest {
    fn example() -> Self {
        CertificateRequest { request: Bytes(vec![0x30]), credential: Bytes(vec![0xd2]) }
    }
}

impl Documented for CertificateChain {
    fn example() -> Self {
        CertificateChain { certificates: vec![Bytes(vec![0x30])], expiry_ms: 1_807_776_000_000 }
    }
}

impl Documented for Mandate {
    fn example() -> Self {
        Mandate { key: text_schema::key(), unlock_delay_ms: 3_600_000 }
    }
}

impl Documented for Empty {
    fn example() -> Self {
        Empty {}
    }
}

impl Documented for AuthorizationRequest {
    fn example() -> Self {
        AuthorizationRequest {
            code: "TLY1:NCFOXN".to_owned(),
            payee: text_schema::account(),
            currency: text_schema::currency(),
            amount: text_schema::amount(1230),
            reference: tallystick_kernel::Reference([6; 32]).to_string(),
        }
    }
}

impl Documented for Authorization {
    fn example() -> Self {
        Authorization {
            id: "5a".repeat(32),
            state: Progress::Settled,
            amount: text_schema::amount(1230),
            currency: text_schema::currency(),
            transaction: Some(text_schema::transaction()),
            code: None,
            expiry_ms: 1_800_001_800_000,
        }
    }
}

impl Documented for AuditEntry {
    fn example() -> Self {
        AuditEntry {
            sequence: 1,
            time_ms: 1_800_000_000_000,
            event: "holder made".to_owned(),
            hash: "5a".repeat(32),
        }
    }
}
