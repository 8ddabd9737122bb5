//! Every metric: its name, kind, labels and meaning. `docs/metrics.md` is made from this list.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How values are spread.
    Histogram,
}

/// A metric as it is documented.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// The name. Its end is the unit: `_seconds`, `_bytes`; of a counter `_total`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// Which roles have it; all where none is named.
    pub roles: &'static [&'static str],
    /// What it means.
    pub says: &'static str,
}

const fn of(
    kind: Kind,
    name: &'static str,
    labels: &'static [&'static str],
    roles: &'static [&'static str],
    says: &'static str,
) -> Described {
    Described { name, kind, labels, roles, says }
}

const NODE: &[&str] = &["node"];

/// Requests.
pub const HTTP_REQUESTS: Described = of(
    Kind::Counter,
    "tally_http_requests_total",
    &["operation", "status"],
    &[],
    "Requests that were answered, by operation (as in the OpenAPI document) and HTTP status.",
);
/// How long requests take.
pub const HTTP_REQUEST_SECONDS: Described = of(
    Kind::Histogram,
    "tally_http_request_duration_seconds",
    &["operation"],
    &[],
    "Time from a request's headers to the head of its answer, waiting that the client asked for \
     included.",
);
/// Processor time.
pub const PROCESS_CPU_SECONDS: Described = of(
    Kind::Counter,
    "process_cpu_seconds_total",
    &[],
    &[],
    "Processor time of all threads since the start, user and system.",
);
/// Memory.
pub const PROCESS_RESIDENT_BYTES: Described = of(
    Kind::Gauge,
    "process_resident_memory_bytes",
    &[],
    &[],
    "Resident memory, pages shared with others included.",
);
/// File descriptors.
pub const OPEN_FDS: Described =
    of(Kind::Gauge, "process_open_fds", &[], &[], "Open file descriptors, sockets among them.");
/// When the process began.
pub const PROCESS_START_TIME_SECONDS: Described = of(
    Kind::Gauge,
    "process_start_time_seconds",
    &[],
    &[],
    "When the process began, since 1970-01-01 UTC.",
);
/// Height.
pub const BLOCK_HEIGHT: Described =
    of(Kind::Gauge, "tally_block_height", &[], NODE, "The height that was executed last.");
/// Reported height.
pub const BLOCK_REPORTED_HEIGHT: Described = of(
    Kind::Gauge,
    "tally_block_reported_height",
    &[],
    NODE,
    "The height whose results were reported last; receipts exist up to it.",
);
/// Block time.
pub const BLOCK_TIME_SECONDS: Described = of(
    Kind::Gauge,
    "tally_block_time_seconds",
    &[],
    NODE,
    "The time of the block that was executed last, since 1970-01-01 UTC. Far behind the clock: the \
     network stands still or this node lags.",
);
/// Peers.
pub const PEERS_CONNECTED: Described =
    of(Kind::Gauge, "tally_peers_connected", &[], NODE, "Other validators that this one hears.");
/// Peers that are needed.
pub const PEERS_NEEDED: Described = of(
    Kind::Gauge,
    "tally_peers_needed",
    &[],
    NODE,
    "Other validators that a quorum needs beside this one. Fewer connected: no block is made.",
);
/// Pool.
pub const POOL_TRANSACTIONS: Described = of(
    Kind::Gauge,
    "tally_pool_transactions",
    &[],
    NODE,
    "Transactions that are stored and wait for a block.",
);
/// Transactions.
pub const TRANSACTIONS: Described = of(
    Kind::Counter,
    "tally_transactions_submitted_total",
    &["outcome"],
    NODE,
    "Transactions that clients handed in here, by what became of them: `taken`, or the code of the \
     refusal.",
);
/// Fundings.
pub const FUNDINGS: Described = of(
    Kind::Counter,
    "tally_fundings_total",
    &["outcome"],
    &["issuer"],
    "Fundings that have ended, by outcome: `settled`, or the code of the reason why not.",
);
/// Authorizations.
pub const AUTHORIZATIONS: Described = of(
    Kind::Counter,
    "tally_authorizations_total",
    &["outcome"],
    &["issuer"],
    "Authorizations that have ended, by outcome: `settled`, or the code of the reason why not.",
);
/// Charges.
pub const CHARGES: Described = of(
    Kind::Counter,
    "tally_charges_total",
    &["outcome"],
    &["merchant"],
    "Charges that have ended, by outcome: `settled`, or the code of the reason why not.",
);
/// How long charges take.
pub const CHARGE_SECONDS: Described = of(
    Kind::Histogram,
    "tally_charge_duration_seconds",
    &[],
    &["merchant"],
    "Time from a charge that was taken to its verified receipt.",
);

/// Every metric, in the order of the documentation.
pub const ALL: &[Described] = &[
    HTTP_REQUESTS,
    HTTP_REQUEST_SECONDS,
    PROCESS_CPU_SECONDS,
    PROCESS_RESIDENT_BYTES,
    OPEN_FDS,
    PROCESS_START_TIME_SECONDS,
    BLOCK_HEIGHT,
    BLOCK_REPORTED_HEIGHT,
    BLOCK_TIME_SECONDS,
    PEERS_CONNECTED,
    PEERS_NEEDED,
    POOL_TRANSACTIONS,
    TRANSACTIONS,
    FUNDINGS,
    AUTHORIZATIONS,
    CHARGES,
    CHARGE_SECONDS,
];
