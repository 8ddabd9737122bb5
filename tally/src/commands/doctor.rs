//! `tally doctor`: what this machine offers and what a data folder holds.

use std::net::TcpListener;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::data_folder::{FOLDER_VERSION, MARKER_FILE};
use crate::failure::Failure;
use crate::output::Output;
use crate::port_holder;
use crate::up::{BASE_PORT, FOLDER};

/// `tally doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tally doctor --data .tally")]
pub struct DoctorArgs {
    /// The data folder to look at.
    #[arg(long, default_value = FOLDER)]
    data: PathBuf,
}

#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    fine: bool,
    says: String,
}

/// Runs the command; findings are not failures.
pub fn run(args: &DoctorArgs, output: Output) -> Result<(), Failure> {
    let findings = vec![version(), processors(), ports(), folder(args), keys(args)];
    output.show(&findings, |findings| {
        let line = |finding: &Finding| {
            let mark = if finding.fine { "ok  " } else { "note" };
            format!("{mark}  {:<12}{}\n", finding.what, finding.says)
        };
        findings.iter().map(line).collect()
    });
    Ok(())
}

fn version() -> Finding {
    let says =
        format!("tally {}, data folders of version {FOLDER_VERSION}", env!("CARGO_PKG_VERSION"));
    Finding { what: "version", fine: true, says }
}

fn processors() -> Finding {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    Finding {
        what: "processors",
        fine: count >= 2,
        says: format!("{count}; two or more are pleasant"),
    }
}

fn ports() -> Finding {
    let what = "port";
    if TcpListener::bind(("127.0.0.1", BASE_PORT)).is_ok() {
        return Finding { what, fine: true, says: format!("{BASE_PORT} is free for `tally up`") };
    }
    let holder = port_holder::find(BASE_PORT)
        .map_or("another process".to_owned(), |holder| format!("{} ({})", holder.pid, holder.name));
    let says =
        format!("{BASE_PORT} is taken by {holder}; `tally up --listen 127.0.0.1:0` finds others");
    Finding { what, fine: false, says }
}

fn folder(args: &DoctorArgs) -> Finding {
    let what = "data folder";
    let shown = args.data.display();
    match std::fs::read_to_string(args.data.join(MARKER_FILE)) {
        Ok(marker) => {
            let marker = marker.trim().replace('\n', ", ");
            Finding { what, fine: true, says: format!("{shown}: {marker}") }
        }
        Err(_) => Finding { what, fine: true, says: format!("{shown}: none yet") },
    }
}

fn keys(args: &DoctorArgs) -> Finding {
    let what = "keys";
    let machine_key = args.data.join(crate::up::MACHINE_KEY_FILE);
    if machine_key.exists() {
        let says = format!("under {}: for development only", machine_key.display());
        return Finding { what, fine: false, says };
    }
    Finding { what, fine: true, says: "none yet".to_owned() }
}
