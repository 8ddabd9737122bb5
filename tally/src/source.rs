//! Where time and randomness come from: read here and passed on as arguments.

use std::time::{SystemTime, UNIX_EPOCH};

use tallystick_kernel::{Reason, TimeMs, hex};

/// The system clock.
pub fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Random bytes of the operating system; [`Reason::Internal`] when it has none.
pub fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], Reason> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|_| Reason::Internal)?;
    Ok(bytes)
}

/// A new idempotency key: 32 hexadecimal digits.
pub fn idempotency_key() -> Result<String, Reason> {
    random::<16>().map(|bytes| hex::encode(&bytes))
}
