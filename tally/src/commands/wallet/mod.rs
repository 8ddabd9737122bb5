//! `tally wallet`: the holder's side, with keys of its own in its own data folder.

pub mod balance;
pub mod code;
pub mod folder;
pub mod history;
pub mod init;
pub mod provision;
pub mod reserve;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::output::Output;

/// `tally wallet`.
#[derive(Debug, Args)]
pub struct WalletArgs {
    #[command(subcommand)]
    command: WalletCommand,
}

#[derive(Debug, Subcommand)]
enum WalletCommand {
    /// Make keys, log in at the issuer, open a ledger account and link it. Goes on where it stopped.
    #[command(
        after_help = "Example:\n  tally wallet init --data alice --network .tally/network.toml --holder demo --password-file .tally/demo.password"
    )]
    Init(init::InitArgs),
    /// Have this device certified, in two steps: ask for a request, then hand in the code.
    #[command(
        after_help = "Example:\n  tally wallet provision --data alice --request request.txt\n  tally wallet provision --data alice --authorization-code BCDF-GHJK-LMNP-Q"
    )]
    Provision(provision::ProvisionArgs),
    /// Divide the free balance into reserves that the issuer may spend for the holder.
    #[command(after_help = "Example:\n  tally wallet reserve --data alice 20.00 10.00 5.00")]
    Reserve(reserve::ReserveArgs),
    /// Show what is free and what is reserved.
    #[command(after_help = "Example:\n  tally wallet balance --data alice")]
    Balance(WalletFolderArgs),
    /// Show a payment code, in the terminal or as an image. It lives a minute and pays once.
    #[command(
        after_help = "Example:\n  tally wallet code --data alice --first-contact --image code.png"
    )]
    Code(code::CodeArgs),
    /// Show the payments, each proven by a receipt that is verified here.
    #[command(after_help = "Example:\n  tally wallet history --data alice")]
    History(WalletFolderArgs),
}

/// Where a wallet lives.
#[derive(Debug, Args)]
pub struct WalletFolderArgs {
    /// The wallet's data folder.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Runs the command.
pub fn run(args: &WalletArgs, output: Output) -> Result<(), Failure> {
    match &args.command {
        WalletCommand::Init(args) => init::run(args, output),
        WalletCommand::Provision(args) => provision::run(args, output),
        WalletCommand::Reserve(args) => reserve::run(args, output),
        WalletCommand::Balance(args) => balance::run(args, output),
        WalletCommand::Code(args) => code::run(args, output),
        WalletCommand::History(args) => history::run(args, output),
    }
}
