//! The README's payment, typed by a shell from its fenced block, beside a network of its own.
//!
//! The block is run as it stands. Only the two commands that must work offline are moved into a
//! network namespace with no link at all.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::gate::Tally;

/// The info string of the block.
const BLOCK: &str = "```sh payment";
/// Nothing here takes this long but when it is broken.
const PATIENCE: Duration = Duration::from_secs(120);
/// Wraps the block's own `tally`; the namespace needs no privilege of the machine.
const OFFLINE: &str = r#"
tally_online=$(declare -f tally)
eval "${tally_online/tally ()/tally_anywhere ()}"
tally() {
  case "$1 $2" in
    "merchant verify" | "receipt verify")
      unshare --map-root-user --net -- target/release/tally "$@" ;;
    *) tally_anywhere "$@" ;;
  esac
}
set -x
"#;

/// Runs the block; each of its commands is a check.
pub fn run(root: &Path) -> Tally {
    match payment(root) {
        Ok(commands) => Tally { passed: commands, failed: 0 },
        Err(cause) => {
            println!("readme: {cause}");
            Tally::one(false)
        }
    }
}

fn payment(root: &Path) -> Result<u64, String> {
    let readme = std::fs::read_to_string(root.join("README.md")).map_err(|e| e.to_string())?;
    for command in ["cargo run --release -- up", "cargo xtask test"] {
        if !readme.contains(command) {
            return Err(format!("README.md does not name `{command}`"));
        }
    }
    let block = block(&readme).ok_or("README.md has no payment")?;
    let namespace = Command::new("unshare").args(["--map-root-user", "--net", "true"]).status();
    if !namespace.is_ok_and(|status| status.success()) {
        return Err("missing: network namespaces (unshare --map-root-user --net)".to_owned());
    }
    let target = target_folder(root)?;
    let folder = std::env::temp_dir().join(format!("tallystick-readme-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let result = std::os::unix::fs::symlink(target, folder.join("target"))
        .map_err(|error| error.to_string())
        .and_then(|()| with_network(&folder, &block));
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        println!("{}: {error}", folder.display());
    }
    result.map(|()| commands(&block))
}

/// The lines of the payment's block.
fn block(readme: &str) -> Option<String> {
    let (_, rest) = readme.split_once(&format!("{BLOCK}\n"))?;
    let (block, _) = rest.split_once("\n```")?;
    Some(block.to_owned())
}

fn commands(block: &str) -> u64 {
    block.lines().filter(|line| line.starts_with("tally ")).count() as u64
}

/// The script: the block with the offline commands moved, after its own definition of `tally`.
fn script(block: &str) -> Result<String, String> {
    let (definition, rest) = block.split_once('\n').ok_or("the payment is empty")?;
    if !definition.starts_with("tally() {") {
        return Err("the payment does not begin with its definition of tally".to_owned());
    }
    Ok(format!("{definition}\n{OFFLINE}\n{rest}\n"))
}

fn with_network(folder: &Path, block: &str) -> Result<(), String> {
    let script = script(block)?;
    let mut up = Command::new("target/release/tally")
        .args(["up", "--listen", "127.0.0.1:0"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("tally up: {error}"))?;
    let done = ready(folder, &mut up).and_then(|()| {
        let status = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(folder)
            .status()
            .map_err(|error| format!("bash: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("the payment ended with {status}")) }
    });
    let stopped = stop(&mut up);
    done.and(stopped)
}

fn ready(folder: &Path, up: &mut Child) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while !folder.join(".tally/up.json").exists() {
        if let Ok(Some(status)) = up.try_wait() {
            return Err(format!("tally up ended with {status}"));
        }
        if Instant::now() > end {
            return Err("tally up is not ready".to_owned());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Stops the network by its process id, as Ctrl-C does.
fn stop(up: &mut Child) -> Result<(), String> {
    let asked = Command::new("kill").args(["-INT", &up.id().to_string()]).status();
    let end = Instant::now() + PATIENCE;
    while asked.as_ref().is_ok_and(|status| status.success()) && Instant::now() < end {
        if let Ok(Some(status)) = up.try_wait() {
            let clean = status.success();
            return if clean { Ok(()) } else { Err(format!("tally up ended with {status}")) };
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let killed = up.kill().and_then(|()| up.wait());
    Err(format!("tally up did not stop: {killed:?}"))
}

fn target_folder(root: &Path) -> Result<std::path::PathBuf, String> {
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root).no_deps().exec();
    let metadata = metadata.map_err(|error| error.to_string())?;
    Ok(metadata.target_directory.into_std_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str =
        "# T\n```sh\ncargo\n```\n```sh payment\ntally() { x; }\n\n# a\ntally a\ntally b > c\n```\n";

    #[test]
    fn the_block_is_taken_as_it_stands() {
        let block = block(README).unwrap();
        assert_eq!(block, "tally() { x; }\n\n# a\ntally a\ntally b > c");
        assert_eq!(commands(&block), 2);
        let script = script(&block).unwrap();
        assert!(script.starts_with("tally() { x; }\n") && script.ends_with("tally b > c\n"));
        assert!(super::script("echo\ntally a").is_err());
        assert_eq!(super::block("no block"), None);
    }
}
