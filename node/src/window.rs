//! Which blocks a snapshot of a checkpoint must carry, and so which no node may give up.
//!
//! Times and executed heights never fall along a chain, so every bound here is found by halving.

use tallystick_kernel::Reason;
use tallystick_ledger::restore::{is_forgotten, recent_from};
use tallystick_proofs::header::Header;

use crate::archive;
use crate::kv::View;

/// The blocks from which a checkpoint's remembered transactions and recent heights follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The lowest block of it.
    pub lowest: u64,
    /// The height whose header's executed height is the last of which no result is needed; zero is
    /// the genesis block.
    pub anchor: u64,
    /// That executed height: the results of all heights above it can be verified.
    pub results_above: u64,
}

/// The header of a block that must be here.
pub fn header(kv: &dyn View, height: u64) -> Result<Header, Reason> {
    Ok(archive::block(kv, height)?.ok_or(Reason::StorageCorrupt)?.header)
}

/// The last height in `[from, to)` whose header satisfies what no later one satisfies once one does
/// not.
fn last_where(
    kv: &dyn View,
    from: u64,
    to: u64,
    satisfies: impl Fn(&Header) -> bool,
) -> Result<Option<u64>, Reason> {
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = low + (high - low) / 2;
        if satisfies(&header(kv, middle)?) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(if low > from { Some(low - 1) } else { None })
}

/// The window of a checkpoint; all blocks from `held` on are here. None when it reaches below them.
pub fn of_checkpoint(
    kv: &dyn View,
    held: u64,
    checkpoint: &Header,
) -> Result<Option<Window>, Reason> {
    let kept_from = recent_from(checkpoint);
    let anchor = last_where(kv, held.max(1), checkpoint.height, |header| {
        is_forgotten(header.time, checkpoint.time)
            && header.executed_height < kept_from
            && header.height <= kept_from
    })?;
    match anchor {
        Some(anchor) => {
            let results_above = header(kv, anchor)?.executed_height;
            let lowest = anchor.min(results_above + 1);
            Ok(Some(Window { lowest, anchor, results_above }).filter(|_| lowest >= held))
        }
        None if held <= 1 => Ok(Some(Window { lowest: 1, anchor: 0, results_above: 0 })),
        None => Ok(None),
    }
}

/// The first height from `held` to `head` whose block is not older than `age` before the head's.
pub fn since(kv: &dyn View, held: u64, head: &Header, age: u64) -> Result<u64, Reason> {
    let oldest = head.time.0.saturating_sub(age);
    let last = last_where(kv, held, head.height, |header| header.time.0 < oldest)?;
    Ok(last.map_or(held, |last| last + 1))
}
