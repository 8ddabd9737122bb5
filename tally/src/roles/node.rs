//! `tally node`: a validator with its HTTP interface.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tallystick_kernel::Reason;

use crate::config::Config;
use crate::failure::Failure;
use crate::up::MACHINE_KEY_FILE;
use crate::up::founding::{GENESIS_FILE, Network, node_name};
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

/// The node at `index` of a local network.
pub fn plan(folder: &Path, network: &Network, index: usize) -> Result<Role, Failure> {
    let shape = &network.shape;
    let peer = |(index, key): (usize, &tallystick_crypto::PublicKey)| Peer {
        key: key.to_string(),
        address: shape.node_peers(index),
    };
    let config = NodeConfig {
        listen: shape.node_http(index),
        data: PathBuf::from("."),
        genesis: beside(GENESIS_FILE),
        machine_key: beside(MACHINE_KEY_FILE),
        listen_peers: shape.node_peers(index),
        peers: network.validators.iter().enumerate().map(peer).collect(),
    };
    Ok(Role {
        name: node_name(index),
        command: "node",
        http: config.listen,
        others: vec![config.listen_peers],
        folder: folder.join(node_name(index)),
        config: toml::to_string(&config).map_err(|_| Reason::Internal)?,
    })
}
