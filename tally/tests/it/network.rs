//! A local network under test: `tally up` as a process of its own.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Nothing here takes this long but when it is broken.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running `tally up`; killed when dropped.
pub struct Network {
    child: Child,
    folder: PathBuf,
}

/// The binary under test with these arguments.
pub fn tally(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tally"));
    command.args(arguments).env_remove("TALLY_DATA").env_remove("TALLY_OUTPUT");
    command
}

/// Runs the binary to its end: exit code, standard output, standard error.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = tally(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

impl Network {
    /// Starts a network in `folder` and waits until it is ready.
    pub fn up(folder: &Path, more: &[&str]) -> Network {
        Network::up_with(folder, more, &[])
    }

    /// The same, with these variables in its environment.
    pub fn up_with(folder: &Path, more: &[&str], environment: &[(&str, &str)]) -> Network {
        let mut network = Network::start(folder, more, environment);
        wait("the network is ready", || {
            if let Some(status) = network.child.try_wait().unwrap() {
                let mut said = String::new();
                network.child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
                panic!("up ended with {status}: {said}");
            }
            network.folder.join("up.json").exists()
        });
        network
    }

    fn start(folder: &Path, more: &[&str], environment: &[(&str, &str)]) -> Network {
        let data = folder.to_str().unwrap();
        let child = tally(&["up", "--data", data, "--output", "json"])
            .args(more)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Network { child, folder: folder.to_owned() }
    }

    /// `up.json` as it is now.
    pub fn table(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.folder.join("up.json")).unwrap()).unwrap()
    }

    /// The process ids of the roles.
    pub fn pids(&self) -> Vec<i32> {
        let table = self.table();
        let pid = |role: &Value| role["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        table["roles"].as_array().unwrap().iter().filter_map(pid).collect()
    }

    /// The HTTP address of a role.
    pub fn address(&self, role: &str) -> String {
        let table = self.table();
        let mut roles = table["roles"].as_array().unwrap().iter();
        let role = roles.find(|entry| entry["role"] == role).unwrap();
        role["address"].as_str().unwrap().to_owned()
    }

    /// Sends a signal to the parent.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// The next warning of the parent.
    pub fn warning(&mut self) -> String {
        let said = self.child.stderr.as_mut().unwrap();
        let mut line = Vec::new();
        while !line.ends_with(b"}\n") {
            let mut byte = [0];
            assert_eq!(said.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&line));
            line.push(byte[0]);
            // What was said before, of how few validators there are.
            if line.ends_with(b"}\n") && String::from_utf8_lossy(&line).contains("tolerate") {
                line.clear();
            }
        }
        let said: Value = serde_json::from_slice(&line).unwrap();
        said["warning"].as_str().unwrap().to_owned()
    }

    /// Waits for the parent's end.
    pub fn ended(&mut self) -> ExitStatus {
        wait("up ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            // The roles go with their parent; what is asked for kindly is waited for.
            self.signal(Signal::SIGTERM);
            let end = Instant::now() + PATIENCE;
            while self.child.try_wait().unwrap().is_none() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Whether a process is there and not only waiting to be reaped.
pub fn is_running(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// Waits until something is so; fails when it never is.
pub fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
