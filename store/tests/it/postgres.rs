//! A PostgreSQL server of the test's own: in a temporary folder, on loopback, stopped by its pid.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Nothing here takes this long but when it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; stopped when dropped.
pub struct Postgres {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).max();
    let found = newest.filter(|folder| folder.join("initdb").exists());
    found.unwrap_or_else(|| panic!("PostgreSQL is missing: apt-get install postgresql"))
}

/// A command that does not run as root, which the server refuses.
fn unprivileged(program: &Path) -> Command {
    if !nix::unistd::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

impl Postgres {
    pub fn start() -> Postgres {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if nix::unistd::geteuid().is_root() {
            let user = nix::unistd::User::from_name("postgres").unwrap().unwrap();
            for path in [folder.path(), data.as_path()] {
                nix::unistd::chown(path, Some(user.uid), Some(user.gid)).unwrap();
            }
        }
        let programs = programs();
        let made = unprivileged(&programs.join("initdb"))
            .args(["--username=tally", "--auth=trust", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .current_dir("/")
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = unprivileged(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-p", &port.to_string(), "-k"])
            .arg(folder.path())
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Postgres { child, port, _folder: folder };
        let end = Instant::now() + PATIENCE;
        let ready = || {
            let mut command = Command::new(programs.join("pg_isready"));
            command.args(["-h", "127.0.0.1", "-U", "tally", "-p", &port.to_string()]);
            command.stdout(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        while !ready() {
            assert!(Instant::now() < end, "PostgreSQL is not ready within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    pub fn url(&self) -> String {
        format!("postgres://tally@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = kill(pid, Signal::SIGINT);
        let _ = self.child.wait();
    }
}
