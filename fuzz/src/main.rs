//! Gives decoders damaged bytes for a while, and prints the first input that goes wrong.

use std::alloc::System;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tallystick_fuzz::case::run;
use tallystick_fuzz::targets::all;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Gives every decoder that faces the network damaged bytes.
#[derive(Debug, Parser)]
#[command(name = "fuzz")]
struct Arguments {
    /// How long, for all targets together.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Where the inputs begin; the same seed gives the same ones.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Only the targets whose name holds this text.
    #[arg(long, default_value = "")]
    target: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let targets: Vec<_> =
        all().into_iter().filter(|target| target.name.contains(&arguments.target)).collect();
    let share = Duration::from_secs(arguments.seconds) / targets.len().max(1) as u32;
    let (mut failed, mut cases) = (0_usize, 0);
    for target in &targets {
        let begun = Instant::now();
        match run(target, arguments.seed, ALLOCATOR, |_| begun.elapsed() < share) {
            Ok(counts) => {
                cases += counts.cases;
                println!(
                    "{:<24} {:>9} cases, {:>7} accepted, {:>9} bytes allocated at most",
                    target.name, counts.cases, counts.accepted, counts.allocated_max
                );
            }
            Err(wrong) => {
                println!("{wrong}");
                failed += 1;
            }
        }
    }
    println!("fuzz: {} passed, {failed} failed; {cases} cases", targets.len() - failed);
    if failed == 0 && !targets.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
