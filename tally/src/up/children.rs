//! The child processes: started, watched, started again, stopped.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::plan::Role;
use crate::data_folder::LOG_FILE;
use crate::failure::Failure;

/// A role with the process that plays it.
pub struct Running {
    /// The role.
    pub role: Role,
    child: Option<Child>,
    started: Instant,
    pause: Duration,
}

/// A process that has ended by itself.
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// When to start it again.
    pub restart_at: Instant,
}

impl Running {
    /// Starts the process of a role; its output goes to the log file in its folder.
    ///
    /// The thread that calls this must live as long as the network: the kernel ends children with
    /// the thread that made them.
    pub fn start(role: Role) -> Result<Running, Failure> {
        let child = spawn(&role)?;
        Ok(Running { role, child: Some(child), started: Instant::now(), pause: PAUSE_FIRST })
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Takes note when the process has ended.
    pub fn poll(&mut self) -> Option<Ended> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        self.child = None;
        if self.started.elapsed() >= SETTLED {
            self.pause = PAUSE_FIRST;
        }
        let restart_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Some(Ended { status, restart_at })
    }

    /// Starts it again.
    pub fn restart(&mut self) -> Result<(), Failure> {
        self.child = Some(spawn(&self.role)?);
        self.started = Instant::now();
        Ok(())
    }

    /// Ends it at once; that it has ended is seen by [`Running::poll`].
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// The last lines of its log, for a failure.
    pub fn last_lines(&self) -> Vec<String> {
        let text = std::fs::read(log_path(&self.role)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines.iter().rev().take(5).rev().map(|line| (*line).to_owned()).collect()
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended by itself just now.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

/// Stops all, first kindly; returns when none is left.
pub fn stop_all(children: &mut [Running]) {
    children.iter().for_each(|child| child.signal(Signal::SIGTERM));
    let end = Instant::now() + STOP_TIME_MAX;
    while Instant::now() < end && children.iter().any(|child| child.child.is_some()) {
        for child in &mut *children {
            child.poll();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for running in children {
        if let Some(mut child) = running.child.take() {
            tracing::warn!(role = running.role.name, "did not stop in time and is killed");
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn spawn(role: &Role) -> Result<Child, Failure> {
    let log_path = log_path(role);
    rotate(&log_path);
    let unreadable = |error: std::io::Error| Failure::file(&log_path, &error);
    let mut options = OpenOptions::new();
    let log = options.create(true).append(true).mode(0o600).open(&log_path).map_err(unreadable)?;
    let errors = log.try_clone().map_err(unreadable)?;
    let program = std::env::current_exe().ok().filter(|program| program.exists());
    // A binary that was replaced meanwhile still runs as what it was.
    let program = program.unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
    let mut command = Command::new(&program);
    command
        .arg0("tally")
        .arg(role.command)
        .arg("--config")
        .arg(role.config_file())
        .args(["--parent", &std::process::id().to_string()])
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // A Ctrl-C in the terminal is for the parent, which stops children in order.
        .process_group(0);
    // What is said to `up` by the environment is not said to the roles.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TALLY_") && name != "TALLY_LOG" {
            command.env_remove(name);
        }
    }
    command.spawn().map_err(|error| Failure::file(&program, &error))
}

fn log_path(role: &Role) -> PathBuf {
    role.folder.join(LOG_FILE)
}

/// Keeps one older log, so that logs do not grow without end over restarts.
fn rotate(path: &std::path::Path) {
    let is_long = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX);
    if is_long {
        let _ = std::fs::rename(path, path.with_extension("old.txt"));
    }
}

const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A process that lived this long is started again at once the next time.
const SETTLED: Duration = Duration::from_secs(60);
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
