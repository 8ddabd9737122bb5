//! Runs seeds, in parallel over the cores, and prints for a failure the line that plays it again.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use tallystick_sim::catch_up::{Plan, Way, catch_up};
use tallystick_sim::run::{Outcome, broken, run};

/// Simulates the network under seeds.
#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Print the whole event log.
    #[arg(long)]
    log: bool,
    /// How many at once; all cores unless told otherwise.
    #[arg(long)]
    jobs: Option<usize>,
    /// Print what the nodes and the engine say beside it, as `RUST_LOG` asks.
    #[arg(long)]
    trace: bool,
    /// Stop at the first failure.
    #[arg(long)]
    first: bool,
    /// Instead of seeds: leave one node behind by so many blocks, and let it come back.
    #[arg(long, value_name = "BLOCKS")]
    behind: Option<u64>,
    /// With --behind: the others have given the blocks up.
    #[arg(long, requires = "behind")]
    pruned: bool,
    /// With --behind: the node has lost all it had.
    #[arg(long, requires = "behind")]
    wiped: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    std::panic::set_hook(Box::new(|_| ()));
    if arguments.trace {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).without_time().init();
    }
    if let Some(blocks) = arguments.behind {
        return come_back(&arguments, blocks);
    }
    let (from, count) = match arguments.seed {
        Some(seed) => (seed, 1),
        None => (arguments.from, arguments.seeds),
    };
    let begun = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let next = AtomicU64::new(0);
    let sums = Mutex::new(Sums::default());
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.unwrap_or(cores) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count || (arguments.first && has_failed(&sums)) {
                        return;
                    }
                    let outcome = guarded(from + at);
                    report(from + at, &outcome, arguments.log);
                    if let Ok(mut sums) = sums.lock() {
                        sums.add(&outcome);
                    }
                }
            });
        }
    });
    let sums = sums.into_inner().unwrap_or_default();
    println!(
        "sim: {} passed, {} failed; {} blocks, {} transactions final, {} acknowledged; {:.1} s",
        sums.passed,
        sums.failed,
        sums.blocks,
        sums.transactions,
        sums.acknowledged,
        begun.elapsed().as_secs_f64()
    );
    if sums.failed == 0 && sums.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn come_back(arguments: &Arguments, blocks: u64) -> ExitCode {
    let (is_pruned, is_wiped) = (arguments.pruned, arguments.wiped);
    match catch_up(Plan::behind(blocks, is_pruned, is_wiped)) {
        Err(what) => {
            println!("behind: failed: {what}");
            ExitCode::FAILURE
        }
        Ok(report) => {
            let way = match report.way {
                Way::Blocks(count) => format!("by {count} blocks"),
                Way::Snapshot(count) => format!("by a snapshot and {count} blocks after it"),
            };
            println!(
                "behind: {} blocks and {} payments, caught up {way}: {:.1} s of network time, \
                 {:.1} s on the wall, {:.0} blocks a second",
                report.behind,
                report.payments,
                report.simulated.as_secs_f64(),
                report.wall.as_secs_f64(),
                report.behind as f64 / report.wall.as_secs_f64().max(0.001)
            );
            println!("the same at all nodes: checkpoint {}", report.compared.checkpoint);
            println!("the same at all nodes: whole state {}", report.compared.state);
            ExitCode::SUCCESS
        }
    }
}

#[derive(Default)]
struct Sums {
    passed: u64,
    failed: u64,
    blocks: u64,
    transactions: usize,
    acknowledged: usize,
}

impl Sums {
    fn add(&mut self, outcome: &Outcome) {
        self.passed += u64::from(outcome.faults.is_empty());
        self.failed += u64::from(!outcome.faults.is_empty());
        self.blocks += outcome.height;
        self.transactions += outcome.transactions;
        self.acknowledged += outcome.acknowledged;
    }
}

fn has_failed(sums: &Mutex<Sums>) -> bool {
    sums.lock().is_ok_and(|sums| sums.failed > 0)
}

/// Runs a seed; a panic anywhere in it is a fault.
fn guarded(seed: u64) -> Outcome {
    std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        broken(&format!("panic: {}", text.unwrap_or_default()))
    })
}

fn report(seed: u64, outcome: &Outcome, shows_log: bool) {
    if shows_log {
        outcome.log.iter().for_each(|line| println!("{line}"));
    }
    if outcome.faults.is_empty() {
        return;
    }
    println!("seed {seed} fails; again: cargo xtask sim --seed {seed} --log");
    outcome.faults.iter().take(5).for_each(|fault| println!("  {fault}"));
}
