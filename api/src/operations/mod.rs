//! Every endpoint of every role, and an example of everything that travels as JSON.
//!
//! Invariant: a path or a query parameter that an operation does not name is not read.

pub mod issuer;
pub mod merchant;
pub mod node;
pub mod provisioner;

use utoipa::PartialSchema as _;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::json::Page;
use crate::log_level::{Level, LogLevel};
use crate::operation::{Access, Documented, Operation, Parameter, Place};
use crate::problem::Problem;
use crate::text_schema;

/// A role as its interface describes it.
#[derive(Clone, Copy, Debug)]
pub struct RoleInterface {
    /// The role's name, as in `tally NAME`.
    pub name: &'static str,
    /// What the role does, in one sentence.
    pub says: &'static str,
    /// Every endpoint.
    pub operations: &'static [Operation],
}

/// Every role.
pub const ROLES: &[RoleInterface] = &[
    RoleInterface {
        name: "node",
        says: "A validator: takes transactions, agrees on blocks, proves results.",
        operations: node::ALL,
    },
    RoleInterface {
        name: "issuer",
        says: "The party that knows the holders, certifies devices, authorises payments and \
               settles them.",
        operations: issuer::ALL,
    },
    RoleInterface {
        name: "provisioner",
        says: "The party that hands credentials to devices whose requests an issuer approved.",
        operations: provisioner::ALL,
    },
    RoleInterface {
        name: "merchant",
        says: "The party that takes codes from tills and keeps the receipts.",
        operations: merchant::ALL,
    },
];

impl RoleInterface {
    /// The role's OpenAPI document, as it is committed and served.
    pub fn document(&self) -> String {
        crate::openapi::text(&format!("Tallystick {}", self.name), self.says, self.operations)
    }
}

/// Whether the process runs.
pub const LIVEZ: Operation =
    Operation::get("livez", "/livez", Access::Public, "Says that the process runs.")
        .answers_bytes("text/plain", "`alive` and a line feed");

/// Whether the role can do its work.
pub const READYZ: Operation = Operation::get(
    "readyz",
    "/readyz",
    Access::Public,
    "Says whether the role can do its work now.",
)
.answers_bytes("text/plain", "`ready` and a line feed");

/// The description of the role's interface.
pub const OPENAPI: Operation = Operation::get(
    "openapi",
    "/openapi.json",
    Access::Public,
    "This document: the role's interface as OpenAPI 3.1.",
)
.answers_bytes("application/json", "an OpenAPI document");

/// The metrics.
pub const METRICS: Operation = Operation::get(
    "metrics",
    "/metrics",
    Access::Scope("metrics"),
    "Gives what the role counts, for Prometheus; `docs/metrics.md` says what each line means.",
)
.answers_bytes("application/openmetrics-text", "metrics in the text format of OpenMetrics 1.0");

/// The level of the log.
pub const LOG_LEVEL: Operation = Operation::post(
    "logLevel",
    "/v1/log-level",
    Access::Scope("log-level"),
    "Sets what goes to the log from now on, until the process ends. Setting it twice is the same \
     as setting it once.",
)
.without_key()
.reads::<LogLevel>()
.answers::<LogLevel>();

/// `?wait=`.
pub const WAIT: Parameter = Parameter {
    name: "wait",
    place: Place::Query,
    says: "`final`: answer when what is asked about has ended, or `timeout_ms` have passed.",
    schema: wait,
};
/// `?timeout_ms=`.
pub const TIMEOUT: Parameter = Parameter {
    name: "timeout_ms",
    place: Place::Query,
    says: "How long to wait at most, in milliseconds; a longer time is cut to a minute.",
    schema: milliseconds,
};
/// `?cursor=`.
pub const CURSOR: Parameter = Parameter {
    name: "cursor",
    place: Place::Query,
    says: "`next` of the page before; without it the first page.",
    schema: text_schema::BytesText::schema,
};
/// Where an object made by a keyed write stands in a path: 64 hexadecimal digits.
pub const MADE_ID: Parameter = Parameter {
    name: "id",
    place: Place::Path,
    says: "What the write that made it answered as `id`.",
    schema: text_schema::DigestText::schema,
};
/// The parameters of a read that can wait for the end of what was made.
const MADE_ID_AND_WAIT: &[Parameter] = &[MADE_ID, WAIT, TIMEOUT];

fn wait() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["final"])).into()
}

fn milliseconds() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(60_000)).into()
}

impl Documented for LogLevel {
    fn example() -> Self {
        LogLevel { level: Level::Debug, libraries: Level::Warn }
    }
}

impl<T: Documented> Documented for Page<T> {
    fn example() -> Self {
        Page { items: vec![T::example()], next: Some("AAAAAAAAAAEk".to_owned()) }
    }
}

impl Documented for Problem {
    fn example() -> Self {
        Problem {
            request_id: Some("5a1f0c22".to_owned()),
            ..Problem::new(tallystick_kernel::Reason::FieldInvalid)
        }
        .field("amount")
        .cause("expected a decimal string of minor units")
    }
}
