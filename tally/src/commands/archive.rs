//! `tally archive`: blocks that nodes gave up, verified offline.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use tallystick_node::archive_folder;

use super::receipt::read_genesis;
use crate::failure::Failure;
use crate::output::Output;

/// `tally archive`.
#[derive(Debug, Args)]
pub struct ArchiveArgs {
    #[command(subcommand)]
    command: ArchiveCommand,
}

#[derive(Debug, Subcommand)]
enum ArchiveCommand {
    /// Check the archives of a folder offline: every block, body, result and certificate, from the
    /// genesis file alone, and that none is missing between the first and the last.
    #[command(
        after_help = "Example:\n  tally archive verify archive --genesis .tally/genesis.tally"
    )]
    Verify {
        /// The folder of the archives.
        folder: PathBuf,
        /// The network's genesis file: the one thing that is trusted.
        #[arg(long, default_value = ".tally/genesis.tally")]
        genesis: PathBuf,
    },
}

/// What verified archives say, for the output.
#[derive(Debug, Serialize)]
struct ArchiveShown {
    /// The first block.
    from: u64,
    /// The last block.
    to: u64,
    /// How many files.
    files: u64,
    /// How many transactions.
    transactions: u64,
    /// From which height on every result is proven.
    results_from: u64,
}

/// Runs the command.
pub fn run(args: &ArchiveArgs, output: Output) -> Result<(), Failure> {
    let ArchiveCommand::Verify { folder, genesis } = &args.command;
    let genesis = read_genesis(genesis)?;
    let verified = archive_folder::verify(folder, &genesis);
    let facts = verified.map_err(|refused| Failure::new(refused.reason).cause(refused.place))?;
    let (from, to, files) = (facts.from, facts.to, facts.files);
    let (transactions, results_from) = (facts.transactions, facts.results_from);
    let shown = ArchiveShown { from, to, files, transactions, results_from };
    output.show(&shown, |shown| {
        format!(
            "the archives verify\nblocks         {} to {}\nfiles          {}\ntransactions   {}\n\
             results from   {}",
            shown.from, shown.to, shown.files, shown.transactions, shown.results_from
        )
    });
    Ok(())
}
