//! The simulator: starting it, and showing that it finds what is planted.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Args;

use crate::commands::{counted, number_before};
use crate::gate::Tally;
use crate::repository;

/// Seeds of the gate.
const SEEDS: u64 = 200;
/// Patches that break a promise, each to be found by the gate's seeds.
const PLANTED: &str = "sim/planted";

/// Simulates the network under seeds (docs/simulator.md).
#[derive(Args, Debug)]
pub struct Arguments {
    /// Break the node with each patch in `sim/planted`, and fail unless the gate's seeds find it.
    #[arg(long)]
    planted: bool,
    /// Flags of the simulator; `cargo xtask sim -- --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    simulator: Vec<String>,
}

/// Runs the command: exit code 0 when nothing failed.
pub fn run(arguments: &Arguments) -> ExitCode {
    let root = repository::root();
    let passed = if arguments.planted {
        planted(&root).failed == 0
    } else {
        let status = cargo(&root).args(&arguments.simulator).status();
        status.is_ok_and(|status| status.success())
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The gate's seeds, on what the gate has built.
pub fn gate(root: &Path) -> Tally {
    match repository::target(root) {
        Ok(target) => {
            let program = target.join("release/tallystick-sim");
            counted(root, &format!("{} --seeds {SEEDS}", program.display()), summary)
        }
        Err(cause) => {
            println!("{cause}");
            Tally::one(false)
        }
    }
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "-p", "tallystick-sim", "--"]).current_dir(root);
    command
}

/// Reads `sim: 200 passed, 0 failed; ...`.
fn summary(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("sim: ")?.split(';').next()?;
    let number = |word| number_before(counts, word);
    Some(Tally { passed: number("passed")?, failed: number("failed")? })
}

/// The patches, in the order of their names.
fn patches(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root.join(PLANTED))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "patch"))
        .collect();
    found.sort();
    found
}

/// Each patch in turn, on a copy of the source that they share: one check for each.
fn planted(root: &Path) -> Tally {
    let copied = repository::target(root).and_then(|target| {
        let folder = target.join("planted/source");
        copy(root, &folder).map(|()| folder)
    });
    let folder = match copied {
        Ok(folder) => folder,
        Err(cause) => {
            println!("planted: {cause}");
            return Tally::one(false);
        }
    };
    let mut tally = Tally::default();
    for patch in patches(root) {
        let name = patch.file_stem().map(|name| name.display().to_string()).unwrap_or_default();
        let found = apply(&folder, &patch, &[]) && is_found(&folder);
        println!("planted {name}: {}", if found { "found" } else { "NOT FOUND" });
        tally.add(Tally::one(found && apply(&folder, &patch, &["--reverse"])));
    }
    println!("planted: {} found, {} not", tally.passed, tally.failed);
    if tally == Tally::default() { Tally::one(false) } else { tally }
}

/// Copies every file of the repository as it is now.
fn copy(root: &Path, folder: &Path) -> Result<(), String> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| error.to_string())?;
    }
    for name in repository::files(root) {
        let to = folder.join(&name);
        let parent = to.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| error.to_string())?;
        std::fs::copy(root.join(&name), to).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// `patch` and not git: the copy lies inside a repository that is not its own.
fn apply(folder: &Path, patch: &Path, options: &[&str]) -> bool {
    let mut command = Command::new("patch");
    command.args(["--strip=1", "--force", "--silent"]).args(options);
    command.arg("--input").arg(patch).current_dir(folder);
    command.status().is_ok_and(|status| status.success())
}

/// Whether the gate's seeds fail on a copy; what does not compile finds nothing.
fn is_found(folder: &Path) -> bool {
    let target = folder.with_file_name("target");
    let mut command = cargo(folder);
    command.args(["--seeds", &SEEDS.to_string(), "--first"]);
    command.env("CARGO_TARGET_DIR", target).stdout(Stdio::piped());
    let Ok(output) = command.output() else { return false };
    print!("{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{text}");
    text.lines().filter_map(summary).any(|tally| tally.failed > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_of_the_simulator_is_read() {
        let line = "sim: 198 passed, 2 failed; 40 blocks, 7 transactions final, 3 acknowledged";
        assert_eq!(summary(line), Some(Tally { passed: 198, failed: 2 }));
        assert_eq!(summary("seed 4 fails"), None);
    }

    #[test]
    fn every_planted_patch_still_applies_to_the_source() {
        let root = repository::root();
        let patches = patches(&root);
        assert!(patches.len() >= 3);
        for patch in patches {
            assert!(apply(&root, &patch, &["--dry-run"]), "{}", patch.display());
        }
    }
}
