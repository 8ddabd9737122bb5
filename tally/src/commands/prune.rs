//! `tally prune`: gives up a stopped node's old blocks.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tallystick_kernel::DurationMs;
use tallystick_node::Retention;
use tallystick_node::archive_folder::ArchiveFolder;
use tallystick_node::kv::Kv;
use tallystick_node::kv_fjall::FjallKv;
use tallystick_node::prune::{self, Keeper};

use super::receipt::read_genesis;
use crate::data_folder::DataFolder;
use crate::failure::Failure;
use crate::output::Output;

/// `tally prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// The stopped node's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Keep the blocks of so many days, by the time of blocks.
    #[arg(long, value_name = "DAYS", required_unless_present = "keep_blocks")]
    keep_days: Option<u32>,
    /// Keep so many of the newest blocks.
    #[arg(long, value_name = "N", conflicts_with = "keep_days")]
    keep_blocks: Option<u64>,
    /// Keep the blocks that are given up in files of this folder, which tally archive verify checks.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// The network's genesis file.
    #[arg(long, default_value = ".tally/genesis.tally")]
    genesis: PathBuf,
}

/// What was given up.
#[derive(Debug, Serialize)]
struct PruneShown {
    /// The lowest block before.
    before: u64,
    /// The lowest block now.
    lowest: u64,
}

/// Runs the command.
pub fn run(args: &PruneArgs, output: Output) -> Result<(), Failure> {
    let genesis = read_genesis(&args.genesis)?;
    let folder = DataFolder::open(&args.data, "node")?;
    let days = u64::from(args.keep_days.unwrap_or_default());
    let retention = match args.keep_blocks {
        Some(count) => Retention::Blocks(count),
        None => Retention::Time(DurationMs::minutes(days * 24 * 60)),
    };
    let kv: Arc<dyn Kv> = Arc::new(FjallKv::open(&folder.file("state").join("ledger"))?);
    let archive = args.archive.clone().map(ArchiveFolder);
    let keeper = archive.as_ref().map(|archive| archive as &dyn Keeper);
    let (before, lowest) = prune::all(&kv, &genesis, retention, keeper)?;
    output.show(&PruneShown { before, lowest }, to_text);
    Ok(())
}

fn to_text(shown: &PruneShown) -> String {
    let PruneShown { before, lowest } = *shown;
    if lowest > before {
        return format!("blocks {before} to {} are given up", lowest - 1);
    }
    format!(
        "nothing is given up: all blocks from {before} on were asked for, or are needed for a snapshot \
         (those of 20 minutes and more before the last two checkpoints)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_is_given_up_and_that_nothing_is() {
        let told = |before, lowest| to_text(&PruneShown { before, lowest });
        assert_eq!(told(1, 65), "blocks 1 to 64 are given up");
        let nothing = told(1, 1);
        assert!(nothing.starts_with("nothing is given up: all blocks from 1 on"), "{nothing}");
    }
}
