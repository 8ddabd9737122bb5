//! `tally up`: a whole network on this machine, one child process a role.
//!
//! Invariants: the parent holds the data folder's lock, so there is one network a folder; children
//! never outlive the parent; `network.toml` and `up.json` are written whole or not at all, after
//! everything is ready.

pub mod children;
pub mod founding;
pub mod kept;
pub mod plan;
pub mod published;
pub mod readiness;
pub mod startup;
pub mod supervisor;
pub mod watch;

use std::path::PathBuf;

use clap::Args;

use crate::data_folder::{DataFolder, create_private};
use crate::failure::Failure;
use crate::output::Output;

/// Where `up` keeps a network unless told otherwise.
pub const FOLDER: &str = ".tally";
/// The first of the ports that a network takes.
pub const BASE_PORT: u16 = 7400;
/// The key under which the keys of all development roles lie encrypted.
pub const MACHINE_KEY_FILE: &str = "machine.key";

/// `tally up`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tally up\n  tally up --ephemeral --validators 7 --listen 127.0.0.1:0"
)]
pub struct UpArgs {
    /// How many validators; 4 is the least that tolerates a fault. Fixed when the network begins.
    #[arg(long, value_name = "N")]
    pub validators: Option<usize>,
    /// Where the network lives; what is there is resumed.
    #[arg(long, value_name = "DIR", default_value = FOLDER, env = "TALLY_DATA")]
    pub data: PathBuf,
    /// A new network in a temporary folder that is removed at the end; --data is not looked at.
    #[arg(long)]
    pub ephemeral: bool,
    /// Address and first port; port 0 chooses free ones. Kept for the next time.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<std::net::SocketAddr>,
    /// Do not start a role again that has ended by itself.
    #[arg(long)]
    pub no_restart: bool,
    /// After so many seconds without an answer a role that lives is reported and started again.
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub patience: u64,
}

/// Runs a network until it is told to stop.
pub fn run(args: &UpArgs, output: Output) -> Result<(), Failure> {
    let startup = startup::Startup::begin();
    let temporary = match args.ephemeral {
        true => Some(temporary_folder()?),
        false => None,
    };
    let path = temporary.as_ref().map_or(args.data.as_path(), |folder| folder.path());
    create_private(path)?;
    // Children are given paths, and may run in another working directory one day.
    let path = path.canonicalize().map_err(|error| Failure::file(path, &error))?;
    let folder = DataFolder::open(&path, "up")?;
    let network = founding::found_or_resume(&folder, args, output)?;
    let ended = supervisor::supervise(&folder, &network, startup, args, output);
    drop(folder);
    if let Some(temporary) = temporary {
        let path = temporary.path().to_owned();
        temporary.close().map_err(|error| Failure::file(&path, &error))?;
    }
    ended
}

fn temporary_folder() -> Result<tempfile::TempDir, Failure> {
    let mut builder = tempfile::Builder::new();
    let made = builder.prefix("tally-").tempdir();
    made.map_err(|error| Failure::file(&std::env::temp_dir(), &error))
}
