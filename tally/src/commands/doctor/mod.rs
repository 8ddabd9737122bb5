//! `tally doctor`: what this machine offers, what a data folder holds, how its network fares.
//!
//! Invariant: nothing is changed: what is there is read, what is asked is asked for, and the file
//! that tries the disk is gone at once.

mod files;
mod finding;
mod keys;
mod machine;
mod network;
mod ports;

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::styling::AnsiColor;
use serde::Serialize;
use tallystick_kernel::Reason;

use finding::{Finding, Level};

use crate::failure::Failure;
use crate::output::Output;
use crate::process;
use crate::up::FOLDER;
use crate::up::founding::{SHAPE_FILE, read_shape};
use crate::up::plan::Shape;
use crate::up::published::RunningNetwork;

/// `tally doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tally doctor --data .tally")]
pub struct DoctorArgs {
    /// The data folder to look at.
    #[arg(long, value_name = "DIR", default_value = FOLDER, env = "TALLY_DATA")]
    data: PathBuf,
}

/// What is looked at.
struct Subject {
    folder: PathBuf,
    /// The network that was founded there.
    shape: Option<Shape>,
    /// The network that runs there.
    running: Option<RunningNetwork>,
}

#[derive(Debug, Serialize)]
struct Shown {
    /// The worst that was found.
    level: Level,
    findings: Vec<Finding>,
}

/// Runs the command; fails with the reason of the first check that failed.
pub fn run(args: &DoctorArgs, output: Output) -> Result<(), Failure> {
    let (subject, mut findings) = subject(&args.data);
    findings.extend(machine::look(&subject));
    findings.extend(files::look(&subject.folder));
    findings.extend(keys::look(&subject));
    findings.extend(ports::look(&subject));
    findings.extend(network::look(&subject)?);
    let level = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    let shown = Shown { level, findings };
    output
        .show(&shown, |shown| shown.findings.iter().map(|finding| line(finding, output)).collect());
    require_none_failed(&shown.findings)
}

/// The folder with what is known of it, and what is wrong with that.
fn subject(folder: &Path) -> (Subject, Vec<Finding>) {
    let mut findings = Vec::new();
    let file = folder.join(SHAPE_FILE);
    let shape = match file.exists().then(|| read_shape(&file)) {
        Some(Ok(shape)) => Some(shape),
        Some(Err(failure)) => {
            findings.push(Finding::failure("network", &failure));
            None
        }
        None => None,
    };
    let running = match RunningNetwork::read(folder) {
        Ok(running) if running.roles.iter().any(is_living_parent) => Some(running),
        Ok(_) => {
            let says = "up.json is left over from a network that was killed";
            let next = "start it again with tally up, which writes it anew";
            findings.push(Finding::warning("network", says, next));
            None
        }
        Err(failure) if failure.reason == Reason::NotReady => None,
        Err(failure) => {
            findings.push(Finding::failure("network", &failure));
            None
        }
    };
    (Subject { folder: folder.to_owned(), shape, running }, findings)
}

fn is_living_parent(role: &crate::up::published::RunningRole) -> bool {
    role.role == "up" && role.pid.is_some_and(|pid| process::usage(pid).is_some())
}

fn line(finding: &Finding, output: Output) -> String {
    let (mark, color) = match finding.level {
        Level::Ok => ("ok     ", AnsiColor::Green),
        Level::Warning => ("warning", AnsiColor::Yellow),
        Level::Failed => ("failed ", AnsiColor::Red),
    };
    let mark = output.coloured(color, mark);
    let mut line = format!("{mark}  {:<10}  {}\n", finding.check, finding.says);
    if let Some(next_step) = &finding.next_step {
        line.push_str(&format!("{:>21}next: {next_step}\n", ""));
    }
    line
}

fn require_none_failed(findings: &[Finding]) -> Result<(), Failure> {
    let failed: Vec<&Finding> =
        findings.iter().filter(|finding| finding.level == Level::Failed).collect();
    let Some((first, reason)) = failed.first().and_then(|one| Some((one, one.reason?))) else {
        return Ok(());
    };
    let mut checks: Vec<&str> = failed.iter().map(|finding| finding.check).collect();
    checks.dedup();
    let (count, all) = (failed.len(), findings.len());
    let cause = format!("{count} of {all} findings failed: {}", checks.join(", "));
    Err(Failure::new(reason).cause(cause).next_step(first.next_step.clone().unwrap_or_default()))
}
