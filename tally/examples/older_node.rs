//! A node as it was before the newest version of the ledger's rules: the same program, but that it
//! knows one version less. A test runs it beside nodes that know them all.

use std::process::ExitCode;

use clap::Parser;
use tallystick_ledger::Rules;
use tallystick_tally::roles::{RoleArgs, node};

/// `older_node --config FILE`, as `tally node`.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    role: RoleArgs,
}

fn main() -> ExitCode {
    let newest = Rules::default();
    let older = Rules { version_max: newest.version_max.saturating_sub(1), ..newest };
    match node::run_knowing(&Arguments::parse().role, older) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(?failure, "the older node has failed");
            ExitCode::FAILURE
        }
    }
}
