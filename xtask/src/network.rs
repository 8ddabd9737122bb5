//! A network that a step of the gate needs: `tally up` in a folder of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::gate::Tally;

/// The binary, from the folder of a network.
pub const TALLY: &str = "target/release/tally";
/// Nothing here takes this long but when it is broken.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `tally up` with `more` in a temporary folder, whose `target` is `target`, and, once it is
/// ready, what is to be done beside it. That it ends cleanly is a check.
pub fn beside_a_network(
    target: &Path,
    more: &[&str],
    what: impl FnOnce(&Path) -> Tally,
) -> Result<Tally, String> {
    let folder = std::env::temp_dir().join(format!("tallystick-gate-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let linked = std::os::unix::fs::symlink(target, folder.join("target"));
    let result = linked.map_err(|error| error.to_string()).and_then(|()| up(&folder, more, what));
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        println!("{}: {error}", folder.display());
    }
    result
}

fn up(folder: &Path, more: &[&str], what: impl FnOnce(&Path) -> Tally) -> Result<Tally, String> {
    let mut up = Command::new(TALLY)
        .args(["up", "--listen", "127.0.0.1:0"])
        .args(more)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("{TALLY} up: {error}; the step `build` makes it"))?;
    let done = ready(folder, &mut up).map(|()| what(folder));
    let stopped = stop(&mut up).inspect_err(|cause| println!("network: {cause}"));
    done.map(|mut tally| {
        tally.add(Tally::one(stopped.is_ok()));
        tally
    })
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

/// Stops the network by its process id, as Ctrl-C does. The shell's own `kill` is there always.
fn stop(up: &mut Child) -> Result<(), String> {
    let kill = format!("kill -INT {}", up.id());
    let asked = Command::new("sh").args(["-c", &kill]).status();
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
