//! The level of a role's log, as it is asked for and set while the role runs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What goes to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLevel {
    /// What Tallystick itself says.
    pub level: Level,
    /// What the libraries say that it is built on.
    #[serde(default = "libraries")]
    pub libraries: Level,
}

/// How much is said, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// What went wrong and is ours to mend.
    Error,
    /// What may go wrong.
    Warn,
    /// What happens seldom: starts, ends, refusals by the ledger.
    Info,
    /// Every request and every step of a payment.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// As it stands in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

fn libraries() -> Level {
    Level::Warn
}
