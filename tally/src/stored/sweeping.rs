//! Sweeping: records that are indexed by the day on which they ended are removed some time later.

use std::time::Duration;

use tallystick_kernel::{DurationMs, Reason, TimeMs};
use tallystick_store::{Batch, Kind, Store};

/// How often a role sweeps.
pub const SWEEP_PERIOD: Duration = Duration::from_secs(60 * 60);
/// The index by the day on which a record ends.
pub const DAY_INDEX: &str = "day";

/// What stands in [`DAY_INDEX`] for a record that ends then.
pub fn day(time: TimeMs) -> Vec<u8> {
    (time.0 / DAY.0).to_be_bytes().to_vec()
}

/// Removes records of a kind that ended more than a day ago.
///
/// Returns the reasons of [`Store::write`]; what was changed meanwhile stays until the next time.
pub async fn sweep_ended(store: &Store, kind: Kind, now: TimeMs) -> Result<(), Reason> {
    for back in 2..=DAYS_BACK_MAX {
        let ended = day(TimeMs(now.0.saturating_sub(back * DAY.0)));
        loop {
            let page = store.find(kind, DAY_INDEX, &ended, None, PAGE).await?;
            if page.is_empty() {
                break;
            }
            let mut batch = Batch::new();
            for record in page {
                batch = batch.delete(kind, record.key, record.version);
            }
            store.write(batch).await?;
        }
    }
    Ok(())
}

const DAY: DurationMs = DurationMs::minutes(24 * 60);
/// A role that was away for a month still finds what ended meanwhile.
const DAYS_BACK_MAX: u64 = 31;
const PAGE: u32 = 200;
