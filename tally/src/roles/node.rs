//! `tally node`: a validator with its HTTP interface.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tallystick_crypto::PublicKey;
use tallystick_kernel::{DurationMs, Reason};
use tallystick_ledger::Rules;
use tallystick_node::{Preset, Retention, Running};
use zeroize::Zeroizing;

use super::node_snapshots::{SNAPSHOT_FILE, Snapshots};
use super::pages::{Frame, for_browsers};
use super::{RoleArgs, node_pages, node_routes};
use crate::commands::receipt::read_genesis;
use crate::config::{self, Config};
use crate::console::layout::{Links, Place};
use crate::data_folder::DataFolder;
use crate::failure::Failure;
use crate::http::api_keys::{ApiKeyEntry, ApiKeys};
use crate::http::{Gate, server};
use crate::machine_key::MachineKey;
use crate::metrics;
use crate::metrics::node::SubmissionMetrics;
use crate::secret_file::SecretFile;
use crate::up::MACHINE_KEY_FILE;
use crate::up::founding::{self, GENESIS_FILE, Network, VALIDATOR_SEED, node_name};
use crate::up::kept;
use crate::up::plan::{Role, beside};

/// The configuration of a node. Paths are taken from the folder of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// The genesis file.
    pub genesis: PathBuf,
    /// The key under which the data folder's key file lies.
    pub machine_key: PathBuf,
    /// Where other validators connect to.
    pub listen_peers: SocketAddr,
    /// The validators of the genesis file, this one among them, and where they listen.
    pub peers: Vec<Peer>,
    /// Who may read the metrics and set the level of the log.
    #[serde(default)]
    pub api_keys: Vec<ApiKeyEntry>,
    /// Where the pages of the other roles are.
    #[serde(default)]
    pub console: Links,
    /// For how many days blocks and transactions are kept; for good when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// The folder, in the data folder where it is not absolute, in which blocks are kept that are given
    /// up, in files that verify; they are lost when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<PathBuf>,
    /// Every how many minutes a snapshot is written into the data folder, as `snapshot.tally`; none
    /// when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_minutes: Option<u32>,
    /// When it makes a block; left out for what suits most networks.
    pub pre_block: Option<PreBlock>,
}

impl NodeConfig {
    fn preset(&self) -> Preset {
        let given = self.pre_block.unwrap_or_default();
        let preset = Preset::default();
        Preset {
            entries: given.entries.map_or(preset.entries, |entries| entries as usize),
            bytes: given.bytes.map_or(preset.bytes, |bytes| bytes as usize),
            interval: given.interval_ms.map_or(preset.interval, |ms| DurationMs(u64::from(ms))),
        }
    }

    fn retention(&self) -> Retention {
        let days = self.retention_days.map(u64::from);
        days.map_or(Retention::Everything, |days| {
            Retention::Time(DurationMs::minutes(days * 24 * 60))
        })
    }
}

/// When a node makes a block: as soon as one of these holds, and the block before it is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreBlock {
    /// So many transactions wait.
    pub entries: Option<u32>,
    /// So many bytes of them wait.
    pub bytes: Option<u32>,
    /// So long after the block before; zero to wait for nothing but that.
    pub interval_ms: Option<u16>,
}

/// Where a validator listens for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its public key (`tlyk1...`).
    pub key: String,
    /// Its address.
    pub address: SocketAddr,
}

impl Config for NodeConfig {
    const ENVIRONMENT_KEYS: &'static [&'static str] =
        &["listen", "data", "genesis", "machine_key", "listen_peers"];
}

/// Runs a node until it is told to stop.
pub fn run(args: &RoleArgs) -> Result<(), Failure> {
    run_knowing(args, Rules::default())
}

/// The same for a program that knows these rules.
pub fn run_knowing(args: &RoleArgs, rules: Rules) -> Result<(), Failure> {
    let runtime = super::begin(args, "node")?;
    let file = args.config_file()?;
    let config: NodeConfig = config::load(file, &args.flags())?;
    let folder = DataFolder::open(&config::relative_to(file, &config.data), "node")?;
    let machine_key = MachineKey::read(&config::relative_to(file, &config.machine_key))?;
    let secrets = SecretFile::open(folder.path(), &machine_key)?;
    let genesis = read_genesis(&config::relative_to(file, &config.genesis))?;
    let name = genesis.name.clone();
    let listener = runtime.block_on(server::bind(config.listen))?;
    let running = start(&config, &folder, &secrets, genesis, rules)?;
    let handle = running.handle.clone();
    let snapshots = Snapshots::new(handle.clone(), folder.file(SNAPSHOT_FILE));
    if let Some(minutes) = config.snapshot_minutes {
        let snapshots = snapshots.clone();
        let pause = Duration::from_secs(u64::from(minutes.max(1)) * 60);
        let write = move || snapshots.repeat(pause);
        std::thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(write)
            .map_err(|_| Reason::Internal)?;
    }
    let public_url = format!("http://{}", config.listen);
    let gate =
        Gate { public_url, api_keys: ApiKeys::new(config.api_keys.clone())?, ..Gate::default() };
    metrics::node::register(&gate.metrics, &handle);
    let submitted = SubmissionMetrics::new(&gate.metrics);
    let links = config.console.clone();
    let app = node_routes::App::new(handle.clone(), name, links, submitted, snapshots);
    let router = node_pages::routes(node_routes::routes(gate)).into_router(app);
    let frame = Frame { place: Place::Network, links: config.console.clone() };
    let router = for_browsers(router, frame);
    tracing::info!(listen = %config.listen, peers = %config.listen_peers, "node serves");
    runtime.block_on(async {
        let engine = tokio::task::spawn_blocking(move || running.join());
        let (engine_ended, ended) = tokio::sync::oneshot::channel();
        let watched = tokio::spawn(async move {
            let joined = engine.await.unwrap_or(Err(Reason::Internal));
            let _ = engine_ended.send(());
            joined
        });
        let stop = async {
            tokio::select! {
                () = server::stop_signal() => {}
                _ = ended => tracing::error!("the engine ended by itself"),
            }
        };
        server::serve(listener, router, stop).await;
        handle.shutdown();
        let joined = watched.await.unwrap_or(Err(Reason::Internal));
        tracing::info!("node stopped");
        joined.map_err(Failure::from)
    })
}

fn start(
    config: &NodeConfig,
    folder: &DataFolder,
    secrets: &SecretFile,
    genesis: tallystick_proofs::genesis::Genesis,
    rules: Rules,
) -> Result<Running, Failure> {
    let seed = secrets.require(VALIDATOR_SEED)?.try_into().map_err(|_| Reason::StorageCorrupt)?;
    let peer = |peer: &Peer| Ok((peer.key.parse::<PublicKey>()?, peer.address));
    let peers = config.peers.iter().map(peer).collect::<Result<_, Reason>>();
    let started = tallystick_node::run(tallystick_node::NodeConfig {
        genesis: Arc::new(genesis),
        seed: Zeroizing::new(seed),
        folder: folder.file("state"),
        listen: config.listen_peers,
        peers: peers.map_err(|reason| Failure::new(reason).cause("the key of a peer"))?,
        worker_threads: WORKER_THREADS,
        rules,
        retention: config.retention(),
        preset: config.preset(),
        archive: config.archive.as_ref().map(|archive| folder.path().join(archive)),
    });
    started.map_err(|reason| {
        Failure::new(reason).cause(format!("starting the engine on {}", config.listen_peers))
    })
}

/// The node at `index` of a local network.
pub fn plan(folder: &Path, network: &Network, index: usize) -> Result<Role, Failure> {
    let shape = &network.shape;
    let peer = |(index, key): (usize, &PublicKey)| Peer {
        key: key.to_string(),
        address: shape.node_peers(index),
    };
    let mut config = NodeConfig {
        listen: shape.node_http(index),
        data: PathBuf::from("."),
        genesis: beside(GENESIS_FILE),
        machine_key: beside(MACHINE_KEY_FILE),
        listen_peers: shape.node_peers(index),
        peers: network.validators.iter().enumerate().map(peer).collect(),
        api_keys: founding::maintenance_keys(folder)?,
        console: shape.pages(),
        retention_days: None,
        archive: None,
        snapshot_minutes: None,
        pre_block: None,
    };
    let mut role = Role {
        name: node_name(index),
        command: "node",
        http: config.listen,
        folder: folder.join(node_name(index)),
        config: String::new(),
    };
    kept::keep(&role.config_file(), &mut config)?;
    role.config = toml::to_string(&config).map_err(|_| Reason::Internal)?;
    Ok(role)
}

const WORKER_THREADS: usize = 2;
