//! Validators as processes of a test's own, on loopback or each in a network namespace.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tallystick_api::{Client, NodeClient};
use tallystick_kernel::DurationMs;
use tallystick_tally::roles::node::NodeConfig;

use crate::network::Network;

/// Nothing here takes this long but when it is broken.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long a node is asked that may not answer.
const PATIENCE_FOR_ANSWERS: DurationMs = DurationMs::seconds(8);

/// What makes a process see another time of day.
const FAKED_CLOCK: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// The validators of a network; killed when dropped.
pub struct Validators {
    folder: PathBuf,
    running: Vec<Option<Child>>,
    /// By place: the program that is run.
    programs: Vec<PathBuf>,
    /// What a node's command line begins with.
    prefix: Vec<Vec<String>>,
    addresses: Vec<SocketAddr>,
    /// How far ahead the clocks of nodes are that are started from now on.
    ahead: DurationMs,
}

impl Validators {
    /// Founds a network of so many validators; none runs yet.
    pub fn found(folder: &Path, count: usize) -> Validators {
        let count_text = count.to_string();
        let arguments = ["--listen", "127.0.0.1:0", "--validators", &count_text];
        drop(Network::up(folder, &arguments));
        let mut all = Validators {
            folder: folder.to_owned(),
            running: (0..count).map(|_| None).collect(),
            programs: vec![env!("CARGO_BIN_EXE_tally").into(); count],
            prefix: vec![Vec::new(); count],
            addresses: Vec::new(),
            ahead: DurationMs(0),
        };
        all.addresses = (0..count).map(|place| all.config(place).listen).collect();
        all
    }

    /// A node's folder.
    pub fn node_folder(&self, place: usize) -> PathBuf {
        self.folder.join(format!("node-{place}"))
    }

    fn config_file(&self, place: usize) -> PathBuf {
        self.node_folder(place).join("config.toml")
    }

    fn config(&self, place: usize) -> NodeConfig {
        let text = std::fs::read_to_string(self.config_file(place)).unwrap();
        toml::from_str(&text).unwrap()
    }

    /// Changes a node's configuration, for when it is started next.
    pub fn configure(&self, place: usize, change: impl FnOnce(&mut NodeConfig)) {
        let mut config = self.config(place);
        change(&mut config);
        std::fs::write(self.config_file(place), toml::to_string(&config).unwrap()).unwrap();
    }

    /// Sets the clocks of all nodes that are started from now on ahead.
    pub fn set_clocks_ahead(&mut self, by: DurationMs) {
        self.ahead = by;
    }

    /// Removes all that a node has stored; it keeps its key and its configuration.
    pub fn wipe(&self, place: usize) {
        std::fs::remove_dir_all(self.node_folder(place).join("state")).unwrap();
    }

    /// Has every node run in a network namespace of its own: HTTP at `http`, peers at `peers`.
    pub fn move_into(&mut self, namespaces: &[String], http: &[SocketAddr], peers: &[SocketAddr]) {
        let by_key: Vec<(SocketAddr, SocketAddr)> = (0..self.running.len())
            .map(|place| (self.config(place).listen_peers, peers[place]))
            .collect();
        for place in 0..self.running.len() {
            let mut config = self.config(place);
            config.listen = http[place];
            config.listen_peers = peers[place];
            for peer in &mut config.peers {
                let moved = by_key.iter().find(|(before, _)| *before == peer.address);
                peer.address = moved.unwrap().1;
            }
            std::fs::write(self.config_file(place), toml::to_string(&config).unwrap()).unwrap();
            let inside = ["ip", "netns", "exec", &namespaces[place]];
            self.prefix[place] = inside.map(str::to_owned).to_vec();
            self.addresses[place] = http[place];
        }
    }

    /// Has a node run by another program from its next start on: one that is a node and nothing
    /// else, or `tally`.
    pub fn run_by(&mut self, place: usize, program: PathBuf) {
        self.programs[place] = program;
    }

    /// Starts a node.
    pub fn start(&mut self, place: usize) {
        let log = self.folder.join(format!("node-{place}.log"));
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let mut words = self.prefix[place].clone();
        let program = &self.programs[place];
        words.push(program.to_str().unwrap().to_owned());
        if program == Path::new(env!("CARGO_BIN_EXE_tally")) {
            words.push("node".to_owned());
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("--config").arg(self.config_file(place));
        if self.ahead.0 > 0 {
            // What measures durations is left alone.
            command.env("LD_PRELOAD", FAKED_CLOCK).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            command.env("FAKETIME", format!("+{}", self.ahead.0 / 1000));
        }
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.running[place] = Some(child);
    }

    /// Starts all that do not run, and waits until each is ready.
    pub async fn start_all(&mut self) {
        for place in 0..self.running.len() {
            if self.running[place].is_none() {
                self.start(place);
            }
        }
        for place in 0..self.running.len() {
            self.until_ready(place).await;
        }
    }

    /// Waits until a node says that it is ready.
    pub async fn until_ready(&self, place: usize) {
        let url = format!("http://{}", self.addresses[place]);
        let client = Client::new(&url).unwrap().with_attempts(1);
        let end = Instant::now() + PATIENCE;
        while client.get_bytes("/readyz", "text/plain").await.is_err() {
            assert!(Instant::now() < end, "node-{place} is not ready: {}", self.log(place));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All that a node wrote into its log.
    pub fn whole_log(&self, place: usize) -> String {
        let log = self.folder.join(format!("node-{place}.log"));
        std::fs::read_to_string(log).unwrap_or_default()
    }

    /// The end of what a node wrote into its log.
    pub fn log(&self, place: usize) -> String {
        let text = self.whole_log(place);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Sends a signal to a node.
    pub fn signal(&self, place: usize, signal: Signal) {
        let child = self.running[place].as_ref().unwrap();
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    }

    /// Ends a node at once, without a warning.
    pub fn kill(&mut self, place: usize) {
        let mut child = self.running[place].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Whether a node still runs; once it has ended it may be started again.
    pub fn has_not_ended(&mut self, place: usize) -> bool {
        let Some(child) = self.running[place].as_mut() else { return false };
        let Some(status) = child.try_wait().unwrap() else { return true };
        assert!(!status.success(), "node-{place} ended as if it had been asked to");
        self.running[place] = None;
        false
    }

    /// What speaks to a node, and not for long.
    pub fn client(&self, place: usize) -> NodeClient {
        let url = format!("http://{}", self.addresses[place]);
        NodeClient::new(&[url]).unwrap().with_deadline(PATIENCE_FOR_ANSWERS)
    }
}

impl Drop for Validators {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
