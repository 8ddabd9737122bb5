//! One input given to one target, and what is wrong about it.

use std::alloc::System;
use std::panic::{AssertUnwindSafe, catch_unwind};

use stats_alloc::{Region, StatsAlloc};
use tallystick_kernel::hex;

use crate::damage::{Numbers, damaged};
use crate::targets::{Read, Target};

/// What a program must set as its allocator so that [`run`] can count.
pub type Allocator = StatsAlloc<System>;

/// What became of many inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Inputs.
    pub cases: u64,
    /// Inputs that were accepted in spite of the damage.
    pub accepted: u64,
    /// The most bytes that one input made the decoder allocate.
    pub allocated_max: usize,
}

/// Runs inputs of `target` from `seed` on while `more` says so. The first that goes wrong ends it
/// with a sentence that holds the input.
pub fn run(
    target: &Target,
    seed: u64,
    allocator: &'static Allocator,
    mut more: impl FnMut(u64) -> bool,
) -> Result<Counts, String> {
    let (mut numbers, mut counts) = (Numbers::new(seed), Counts::default());
    for bytes in &target.seeds {
        if !matches!((target.read)(bytes), Read::Same) {
            return Err(format!("{}: refuses its own sample {}", target.name, hex::encode(bytes)));
        }
    }
    while more(counts.cases) {
        let bytes = damaged(&mut numbers, &target.seeds, target.bytes_max);
        let (accepted, allocated) = one(target, &bytes, allocator)?;
        counts.cases += 1;
        counts.accepted += u64::from(accepted);
        counts.allocated_max = counts.allocated_max.max(allocated);
    }
    Ok(counts)
}

/// Whether the target accepts the bytes, and what it allocated, all together.
pub fn one(
    target: &Target,
    bytes: &[u8],
    allocator: &'static Allocator,
) -> Result<(bool, usize), String> {
    let before = Region::new(allocator);
    let read = catch_unwind(AssertUnwindSafe(|| (target.read)(bytes)));
    let allocated = before.change().bytes_allocated;
    let wrong = match read {
        Err(_) => "panics".to_owned(),
        Ok(Read::Differs(what)) => what,
        Ok(_) if allocated > target.allocates_max(bytes.len()) => {
            format!("allocates {allocated} bytes")
        }
        Ok(read) => return Ok((matches!(read, Read::Same), allocated)),
    };
    Err(format!("{}: {wrong} on {}", target.name, hex::encode(bytes)))
}
