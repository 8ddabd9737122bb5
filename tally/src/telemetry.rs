//! Logs: to standard error, at the level that `TALLY_LOG` names.

use tracing_subscriber::EnvFilter;

/// Begins logging; `level` serves when `TALLY_LOG` says nothing. Call once.
///
/// `TALLY_LOG` takes a level or directives (`info`, `tallystick=debug,hyper=warn`). Log events name
/// ids, amounts and reasons, never keys, tokens, passwords or codes.
pub fn begin(level: &str) {
    let filter = std::env::var("TALLY_LOG").unwrap_or_else(|_| level.to_owned());
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(true)
        .finish();
    // A second call finds the first one's subscriber in place, which is as good.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
