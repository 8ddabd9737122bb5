//! `tally merchant`: the role, and what a till types.

pub mod charge;
pub mod receipt;
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
    /// List the latest charges and what became of them.
    #[command(after_help = "Example:\n  tally merchant charges --data .tally/merchant")]
    Charges(receipt::ChargesArgs),
    /// Write the receipt of a charge that was made before.
    #[command(
        after_help = "Example:\n  tally merchant receipt --data .tally/merchant CHARGE --receipt receipt.tally"
    )]
    Receipt(receipt::ReceiptArgs),
}

/// Runs the command, or the role.
pub fn run(args: &MerchantArgs, output: Output) -> Result<(), Failure> {
    match &args.command {
        None => roles::merchant::run(&args.role),
        Some(MerchantCommand::Verify(args)) => verify::run(args, output),
        Some(MerchantCommand::Charge(args)) => charge::run(args, output),
        Some(MerchantCommand::Charges(args)) => receipt::list(args, output),
        Some(MerchantCommand::Receipt(args)) => receipt::run(args, output),
    }
}
