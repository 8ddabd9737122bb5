//! `tally bench`: workloads on a running network, measured as its users see them.

mod charges;
mod idle;
mod payments;
mod phase;
mod reads;

use std::path::Path;

use clap::{Args, Subcommand};
use tallystick_kernel::Reason;
use tempfile::TempDir;

use crate::failure::Failure;
use crate::output::Output;

/// `tally bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Debug, Subcommand)]
enum Workload {
    /// One payment after another: from the charge at the till to the verified receipt.
    #[command(
        after_help = "Example:\n  tally bench charges --wallet alice --data .tally/merchant --count 50 --amount 0.10"
    )]
    Charges(charges::ChargesArgs),
    /// Nothing: what a network costs while nobody pays.
    #[command(after_help = "Example:\n  tally bench idle --data .tally --seconds 60")]
    Idle(idle::IdleArgs),
    /// A cheap read of a node, against a bare handler that answers the same.
    #[command(after_help = "Example:\n  tally bench reads --data .tally --rounds 5")]
    Reads(reads::ReadsArgs),
    /// Signed payments on nodes in this process, durable and final.
    #[command(after_help = "Example:\n  tally bench payments --nodes 4 --payments 20000")]
    Payments(payments::PaymentsArgs),
    /// From a proposal to its finality, with bodies stored before it and with it.
    #[command(after_help = "Example:\n  tally bench phase --nodes 4 --sizes 1,256,2000")]
    Phase(phase::PhaseArgs),
    /// The bare handler.
    #[command(hide = true)]
    Bare(reads::BareArgs),
}

/// Runs the workload.
pub fn run(args: &BenchArgs, output: Output) -> Result<(), Failure> {
    match &args.workload {
        Workload::Charges(args) => charges::run(args, output),
        Workload::Idle(args) => idle::run(args, output),
        Workload::Payments(args) => payments::run(args, output),
        Workload::Phase(args) => phase::run(args, output),
        Workload::Reads(args) => reads::run(args, output),
        Workload::Bare(args) => reads::serve_bare(args),
    }
}

/// A folder for the nodes of a workload, in `data` if that is given; removed when it is dropped.
fn temporary_folder(data: Option<&Path>) -> Result<TempDir, Failure> {
    let made = data.map_or_else(tempfile::tempdir, tempfile::tempdir_in);
    made.map_err(|error| Failure::new(Reason::FileUnreadable).cause(error.to_string()))
}
