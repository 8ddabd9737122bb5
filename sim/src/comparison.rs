//! Whether nodes hold the same: blocks, money, the root of a checkpoint and that of the whole state.
//!
//! A comparison waits until the nodes can be compared; one that could not be made is a failure.

use std::time::Duration;

use commonware_runtime::Clock as _;
use tallystick_kernel::{Digest, DurationMs, hex};
use tallystick_ledger::{State, checkpoint};
use tallystick_node::kv::LedgerView;

use crate::catch_up::handle;
use crate::world::{World, held};

/// How long nodes may take until all stand at one height, and have passed one checkpoint.
const LIMIT: DurationMs = DurationMs::minutes(10);
/// How often they are looked at.
const PER_LOOK: Duration = Duration::from_millis(20);

/// A root, and the height at which it is that of every node that was compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// The height.
    pub height: u64,
    /// The root.
    pub root: Digest,
}

impl std::fmt::Display for Root {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} at height {}", hex::encode(&self.root), self.height)
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")
    }
}

/// The roots that were found equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The root that every node took at a checkpoint.
    pub checkpoint: Root,
    /// The root made anew from all entries that each node has stored.
    pub state: Root,
}

/// Demands that all seats hold the same above a height.
pub async fn compare(world: &World, seats: &[usize], above: u64) -> Result<Compared, String> {
    let checkpoint = equal_checkpoint(world, seats, above).await?;
    let state = equal_state(world, seats, above).await?;
    equal_block(world, seats, above)?;
    Ok(Compared { checkpoint, state })
}

/// Waits until all have last passed one checkpoint above the height; its root is the same.
async fn equal_checkpoint(world: &World, seats: &[usize], above: u64) -> Result<Root, String> {
    let until = world.now().after(LIMIT);
    while world.now() <= until {
        let mut roots = Vec::new();
        for seat in seats {
            let status = handle(world, *seat)?.network_status();
            roots.push(Root { height: status.checkpoint_height, root: status.checkpoint_root });
        }
        if let Some(first) = roots.first()
            && first.height > above
            && roots.iter().all(|root| root.height == first.height)
        {
            return same(&roots, "the root of the checkpoint").copied();
        }
        world.clock.sleep(PER_LOOK).await;
    }
    Err(format!("no checkpoint above {above} was reached by all of {seats:?}: not compared"))
}

/// Waits until all stand at one height above the given one; what each has stored is the same.
async fn equal_state(world: &World, seats: &[usize], above: u64) -> Result<Root, String> {
    let until = world.now().after(LIMIT);
    while world.now() <= until {
        let mut heights = Vec::new();
        for seat in seats {
            heights.push(handle(world, *seat)?.network_status().height);
        }
        if heights.iter().all(|height| *height > above && Some(height) == heights.first()) {
            let states = seats.iter().map(|seat| stored(world, *seat));
            let states = states.collect::<Result<Vec<State>, String>>()?;
            if states.iter().all(|state| Some(&state.height()) == heights.first()) {
                let first = same(&states, "the stored state")?;
                return Ok(Root { height: first.height(), root: checkpoint::root(first) });
            }
        }
        world.clock.sleep(PER_LOOK).await;
    }
    Err(format!("{seats:?} never stood at one height above {above}: not compared"))
}

/// The state read anew from a seat's disk; counts its money.
fn stored(world: &World, seat: usize) -> Result<State, String> {
    let disk = held(&world.seats).get(seat).map(|seat| std::sync::Arc::clone(&seat.disk));
    let disk = disk.ok_or_else(|| format!("n{seat} has no disk"))?;
    let loaded = State::load(&world.genesis, &LedgerView(disk.as_ref()));
    let loaded = loaded.map_err(|reason| format!("n{seat}: {}", reason.code()))?;
    loaded.ok_or_else(|| format!("n{seat} has no state"))
}

/// All have the same block at a height, with the certificate that they have of it if any.
fn equal_block(world: &World, seats: &[usize], height: u64) -> Result<(), String> {
    let mut blocks = Vec::new();
    for seat in seats {
        let found = handle(world, *seat)?.block(height);
        let found = found.map_err(|reason| format!("n{seat}: {}", reason.code()))?;
        let (block, _) = found.ok_or_else(|| format!("n{seat} has no block {height}"))?;
        blocks.push(block);
    }
    same(&blocks, "the block").map(drop)
}

/// The one thing that all have.
fn same<'t, T: PartialEq>(found: &'t [T], what: &str) -> Result<&'t T, String> {
    let first = found.first().ok_or_else(|| format!("nobody has {what}"))?;
    if found.iter().all(|other| other == first) {
        return Ok(first);
    }
    Err(format!("{what} differs between the nodes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_that_differ_and_no_things_at_all_are_never_the_same() {
        assert_eq!(same(&[4, 4, 4], "it"), Ok(&4));
        assert_eq!(same(&[4, 4, 5], "it"), Err("it differs between the nodes".to_owned()));
        assert_eq!(same::<u8>(&[], "it"), Err("nobody has it".to_owned()));
    }
}
