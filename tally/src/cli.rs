//! The command line: what there is, and which code runs it.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands::{
    archive, bench, doctor, issuer, merchant, operators, prune, receipt, shell, snapshot,
    statement, wallet,
};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, Output};
use crate::roles::{self, RoleArgs};
use crate::{picture, up, usage};

/// Payments that settle on a ledger of your own: issuer, wallet, merchant and nodes in one binary.
///
/// Exit codes: 0 done; 1 refused, or a check failed; 2 wrong usage; 3 another party is away; 4
/// something on this machine (files, ports, disk).
#[derive(Debug, Parser)]
#[command(name = "tally", version, propagate_version = true)]
#[command(
    after_help = "Example:\n  tally up        a whole network on this machine\n  tally doctor    what this machine offers"
)]
struct Cli {
    /// The form of the output.
    #[arg(long, value_enum, global = true, default_value_t = Format::Text, env = usage::OUTPUT_VARIABLE)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole network on this machine, and keep it running.
    Up(up::UpArgs),
    /// Run one validator, from a configuration file.
    #[command(after_help = "Example:\n  tally node --config .tally/node-0/config.toml")]
    Node(RoleArgs),
    /// Run an issuer, or work as its operator or holder.
    #[command(after_help = "Example:\n  tally issuer --config .tally/issuer/config.toml")]
    Issuer(issuer::IssuerArgs),
    /// Run a provisioner, from a configuration file.
    #[command(after_help = "Example:\n  tally provisioner --config .tally/provisioner/config.toml")]
    Provisioner(RoleArgs),
    /// Run a merchant, or work at its till.
    #[command(after_help = "Example:\n  tally merchant --config .tally/merchant/config.toml")]
    Merchant(merchant::MerchantArgs),
    /// Be a holder: keys, reserves, payment codes.
    Wallet(wallet::WalletArgs),
    /// Look into receipts.
    Receipt(receipt::ReceiptArgs),
    /// Look into what a node states of an account.
    Statement(statement::StatementArgs),
    /// Decide, with a threshold of the operators, who validates and by which rules.
    Operators(operators::OperatorsArgs),
    /// Check a node's snapshot, or begin a node with it.
    Snapshot(snapshot::SnapshotArgs),
    /// Give up a stopped node's old blocks; what follows from them stays.
    #[command(after_help = "Example:\n  tally prune --data .tally/node-3 --keep-days 30")]
    Prune(prune::PruneArgs),
    /// Check the archives of blocks that nodes gave up.
    Archive(archive::ArchiveArgs),
    /// Measure a running network.
    Bench(bench::BenchArgs),
    /// Say what this machine offers and what a data folder holds.
    Doctor(doctor::DoctorArgs),
    /// Print what makes a shell complete the commands and flags of tally.
    #[command(
        after_help = "Example:\n  tally completions bash > ~/.local/share/bash-completion/completions/tally"
    )]
    Completions(shell::CompletionsArgs),
    /// Write the manual pages, one for every command.
    #[command(
        after_help = "Example:\n  tally man --folder man1 && man -l man1/tally-wallet-code.1"
    )]
    Man(shell::ManArgs),
    /// Read the code in the picture on standard input: what a role starts for pictures of others.
    #[command(name = picture::COMMAND, hide = true)]
    ReadPicture,
}

/// The command line as it can be typed: every command, flag, default and variable.
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// Runs the process's command line.
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage::answer(&error, &arguments),
    };
    let output = Output { format: cli.output };
    match run(cli.command, output) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            output.fail(&failure);
            failure.exit().into()
        }
    }
}

fn run(command: Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Up(args) => up::run(&args, output),
        Command::Node(args) => roles::node::run(&args),
        Command::Issuer(args) => issuer::run(&args, output),
        Command::Provisioner(args) => roles::provisioner::run(&args),
        Command::Merchant(args) => merchant::run(&args, output),
        Command::Wallet(args) => wallet::run(&args, output),
        Command::Receipt(args) => receipt::run(&args, output),
        Command::Statement(args) => statement::run(&args, output),
        Command::Operators(args) => operators::run(&args, output),
        Command::Snapshot(args) => snapshot::run(&args, output),
        Command::Prune(args) => prune::run(&args, output),
        Command::Archive(args) => archive::run(&args, output),
        Command::Bench(args) => bench::run(&args, output),
        Command::Doctor(args) => doctor::run(&args, output),
        Command::Completions(args) => {
            shell::completions(&args, command_line(), output);
            Ok(())
        }
        Command::Man(args) => shell::man(&args, command_line(), output),
        Command::ReadPicture => picture::run(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_description_and_every_leaf_an_example() {
        fn look(command: &clap::Command) {
            let name = command.get_name().to_owned();
            assert!(command.get_about().is_some(), "{name} has no description");
            let is_leaf = command.get_subcommands().next().is_none();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(!is_leaf || help.contains("Example"), "{name} has no example");
            command.get_subcommands().filter(|below| !below.is_hide_set()).for_each(look);
        }
        let cli = command_line();
        cli.clone().debug_assert();
        look(&cli);
    }
}
