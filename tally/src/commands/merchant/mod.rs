//! `tally merchant`: the role, and what a till types.

pub mod charge;
pub mod till;
pub mod verify;

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::output::Output;
use crate::roles::{self, RoleArgs};

/// `tally merchant`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct MerchantArgs {
    #[command(flatten)]
    role: RoleArgs,
    #[command(subcommand)]
    command: Option<MerchantCommand>,
}

#[derive(Debug, Subcommand)]
enum MerchantCommand {
    /// Verify a payment code offline: nothing is asked of anyone.
    #[command(
        after_help = "Example:\n  tally merchant verify --data .tally/merchant --image code.png"
    )]
    Verify(verify::VerifyArgs),
    /// Charge the holder of a payment code, and wait for the receipt.
    #[command(
        after_help = "Example:\n  tally merchant charge --data .tally/merchant --image code.png --amount 12.30 --receipt receipt.tally"
    )]
    Charge(charge::ChargeArgs),
}

/// Runs the command, or the role.
pub fn run(args: &MerchantArgs, output: Output) -> Result<(), Failure> {
    match &args.command {
        None => roles::merchant::run(&args.role),
        Some(MerchantCommand::Verify(args)) => verify::run(args, output),
        Some(MerchantCommand::Charge(args)) => charge::run(args, output),
    }
}
