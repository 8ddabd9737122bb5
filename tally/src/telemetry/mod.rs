//! What a process says of itself: its log, and the traces of what it does.
//!
//! Invariant: log events and spans name ids, amounts and reasons, never keys, tokens, passwords or
//! codes.

pub mod log_level;
pub mod traces;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, reload};

/// Begins logging to standard error and, where `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector,
/// tracing under the service name `tallystick-ROLE`. Call once, [`end`] at the end.
///
/// `TALLY_LOG` takes a level or directives (`info`, `tallystick=debug,hyper=warn`).
pub fn begin(role: &str) {
    let filter = std::env::var("TALLY_LOG").ok().and_then(|text| EnvFilter::try_new(text).ok());
    let filter = filter.unwrap_or_else(|| log_level::filter(log_level::AT_START));
    let (filter, handle) = reload::Layer::new(filter);
    log_level::remember(handle);
    let log = fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_filter(filter);
    let subscriber = tracing_subscriber::registry().with(traces::layer(role)).with(log);
    // A second call finds the first one's subscriber in place, which is as good.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Sends what is not sent yet. The last thing that a process does.
pub fn end() {
    traces::flush();
}
