//! `tally snapshot`: a node's state in one file, verified offline, and a new node's beginning.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;
use tallystick_kernel::hex;
use tallystick_node::snapshot_file::{self, Facts};

use super::receipt::read_genesis;
use crate::data_folder::DataFolder;
use crate::failure::Failure;
use crate::output::Output;

/// `tally snapshot`.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    #[command(subcommand)]
    command: SnapshotCommand,
}

#[derive(Debug, Subcommand)]
enum SnapshotCommand {
    /// Check a snapshot offline: its blocks, its entries and its money, from the genesis file alone.
    #[command(
        after_help = "Example:\n  tally snapshot verify .tally/node-0/snapshot.tally --genesis .tally/genesis.tally"
    )]
    Verify {
        /// The snapshot.
        file: PathBuf,
        /// The network's genesis file: the one thing that is trusted.
        #[arg(long, default_value = ".tally/genesis.tally")]
        genesis: PathBuf,
    },
    /// Check a snapshot and begin a stopped node's ledger with it; the node must have none.
    #[command(
        after_help = "Example:\n  tally snapshot restore snapshot.tally --data .tally/node-3"
    )]
    Restore {
        /// The snapshot.
        file: PathBuf,
        /// The node's data folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The network's genesis file: the one thing that is trusted.
        #[arg(long, default_value = ".tally/genesis.tally")]
        genesis: PathBuf,
    },
}

/// What a verified snapshot says, for the output.
#[derive(Debug, Serialize)]
struct SnapshotShown {
    /// The height of the checkpoint.
    checkpoint: u64,
    /// Its root.
    root: String,
    /// The height up to which blocks are executed.
    height: u64,
    /// The lowest block of it.
    lowest: u64,
    /// The time of the last executed block.
    time_ms: u64,
}

/// Runs the command.
pub fn run(args: &SnapshotArgs, output: Output) -> Result<(), Failure> {
    let facts = match &args.command {
        SnapshotCommand::Verify { file, genesis } => {
            let genesis = Arc::new(read_genesis(genesis)?);
            let verified = snapshot_file::verify(file, &genesis);
            verified.map_err(|reason| Failure::new(reason).cause(file.display().to_string()))?
        }
        SnapshotCommand::Restore { file, data, genesis } => {
            let genesis = Arc::new(read_genesis(genesis)?);
            let folder = DataFolder::open(data, "node")?;
            let restored = snapshot_file::restore(file, &genesis, &folder.file("state"));
            restored.map_err(|reason| Failure::new(reason).cause(data.display().to_string()))?
        }
    };
    output.show(&shown(&facts), to_text);
    Ok(())
}

fn shown(facts: &Facts) -> SnapshotShown {
    SnapshotShown {
        checkpoint: facts.checkpoint,
        root: hex::encode(&facts.root),
        height: facts.height,
        lowest: facts.lowest,
        time_ms: facts.time.0,
    }
}

fn to_text(shown: &SnapshotShown) -> String {
    format!(
        "the snapshot verifies\nexecuted up to   {}\ncheckpoint       {}\nroot             {}\n\
         lowest block     {}",
        shown.height, shown.checkpoint, shown.root, shown.lowest
    )
}
