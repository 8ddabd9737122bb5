//! The level of the log, and setting it while the process runs.

use std::sync::OnceLock;

use tallystick_api::log_level::{Level, LogLevel};
use tallystick_kernel::Reason;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::traces::Traced;

/// What is logged when `TALLY_LOG` says nothing.
pub const AT_START: LogLevel = LogLevel { level: Level::Info, libraries: Level::Warn };

/// The log's filter, where it can be replaced.
pub type Handle = reload::Handle<EnvFilter, Traced<Registry>>;

static HANDLE: OnceLock<Handle> = OnceLock::new();

/// The filter of a level.
pub fn filter(wanted: LogLevel) -> EnvFilter {
    EnvFilter::new(format!("{},tallystick={}", wanted.libraries.name(), wanted.level.name()))
}

/// Keeps what [`set`] works on.
pub fn remember(handle: Handle) {
    // A second call finds the first one's filter in place, as `begin` says.
    let _ = HANDLE.set(handle);
}

/// Sets the level of this process; [`Reason::Internal`] where logging has not begun.
pub fn set(wanted: LogLevel) -> Result<(), Reason> {
    let handle = HANDLE.get().ok_or(Reason::Internal)?;
    handle.reload(filter(wanted)).map_err(|_| Reason::Internal)
}
