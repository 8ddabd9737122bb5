//! `tally issuer`: the role, and what its operator and its holders type.

pub mod approve;
pub mod ca;
pub mod fund;
pub mod operator;

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::output::Output;
use crate::roles::{self, RoleArgs};

/// `tally issuer`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct IssuerArgs {
    #[command(flatten)]
    role: RoleArgs,
    #[command(subcommand)]
    command: Option<IssuerCommand>,
}

#[derive(Debug, Subcommand)]
enum IssuerCommand {
    /// Give a holder money; it waits until the holder has linked an account.
    #[command(
        after_help = "Example:\n  tally issuer fund --data .tally/issuer --holder demo 100.00"
    )]
    Fund(fund::FundArgs),
    /// Make a holder.
    #[command(
        after_help = "Example:\n  tally issuer account --data .tally/issuer --holder ada --password-file ada.password"
    )]
    Account(operator::AccountArgs),
    /// As a holder, decide a device's request; shows the code to carry to the wallet.
    #[command(
        after_help = "Example:\n  tally issuer approve --network .tally/network.toml --holder demo --password-file .tally/demo.password --request request.txt"
    )]
    Approve(approve::ApproveArgs),
    /// Write the root certificate and the revocation list; revoke a device's certificate.
    #[command(
        after_help = "Example:\n  tally issuer ca --data .tally/issuer --certificate root.der --revocation-list revoked.crl"
    )]
    Ca(ca::CaArgs),
}

/// Runs the command, or the role.
pub fn run(args: &IssuerArgs, output: Output) -> Result<(), Failure> {
    match &args.command {
        None => roles::issuer::run(&args.role),
        Some(IssuerCommand::Fund(args)) => fund::run(args, output),
        Some(IssuerCommand::Account(args)) => operator::run(args, output),
        Some(IssuerCommand::Approve(args)) => approve::run(args, output),
        Some(IssuerCommand::Ca(args)) => ca::run(args, output),
    }
}
