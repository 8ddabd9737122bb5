//! Looking through a store before a node serves from it.
//!
//! Each stored value that is damaged fails the storage's own checksums when it is read; what is
//! looked for here is what those cannot see: blocks that are missing or do not belong together.

use tallystick_kernel::{BlockId, Reason};
use tallystick_ledger::{State, entry_of};

use crate::archive;
use crate::kv::View;
use crate::prune;

/// Blocks below the head that are looked at, at most, and transactions after which it ends.
const BLOCKS_MAX: u64 = 2048;
const TRANSACTIONS_MAX: usize = 4096;

/// The newest blocks lead to the state's head one by one, and their transactions are here.
///
/// Returns [`Reason::StorageCorrupt`] when one is missing or is another, and storage's reasons.
pub fn check(kv: &dyn View, state: &State) -> Result<(), Reason> {
    let lowest = prune::lowest(kv)?;
    let (mut expected, mut transactions): (BlockId, usize) = (state.head().block, 0);
    let from = lowest.max(state.height().saturating_sub(BLOCKS_MAX)).max(1);
    for height in (from..=state.height()).rev() {
        let block = archive::block(kv, height)?.ok_or(Reason::StorageCorrupt)?;
        if block.header.id() != expected || block.header.height != height {
            return Err(Reason::StorageCorrupt);
        }
        for entry in &block.entries {
            let body = archive::transaction(kv, entry)?.ok_or(Reason::StorageCorrupt)?;
            if entry_of(&body) != *entry {
                return Err(Reason::StorageCorrupt);
            }
        }
        transactions += block.entries.len();
        if transactions >= TRANSACTIONS_MAX {
            break;
        }
        expected = block.header.previous;
    }
    Ok(())
}
