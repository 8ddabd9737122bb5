//! What a network consists of: one table of roles with address, folder and configuration.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tallystick_kernel::Reason;

use super::founding::node_name;
use crate::console::layout::Links;
use crate::failure::Failure;
use crate::http::server;

/// The most validators that `up` runs: beyond that their ports would meet.
pub const VALIDATORS_MAX: usize = 30;

/// What stays the same when a network is resumed; `up.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// How many validators.
    pub validators: usize,
    /// The address that everything listens on.
    pub host: IpAddr,
    /// The first port.
    pub base_port: u16,
}

/// One role of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Unique in the network, such as `node-0`; also the name of its folder.
    pub name: String,
    /// The command that runs it.
    pub command: &'static str,
    /// Where it serves HTTP.
    pub http: SocketAddr,
    /// Its data folder.
    pub folder: PathBuf,
    /// Its configuration (TOML).
    pub config: String,
}

impl Role {
    /// The file that its configuration is written to.
    pub fn config_file(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    /// The address as clients write it.
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }
}

impl Shape {
    /// The address at an offset from the first port.
    pub fn address(&self, offset: usize) -> SocketAddr {
        // `check` keeps the greatest offset inside the range of ports.
        SocketAddr::new(self.host, self.base_port.saturating_add(offset as u16))
    }

    /// Where the pages of the roles are; those of the network are the first node's.
    pub fn pages(&self) -> Links {
        let at = |address: SocketAddr| format!("http://{address}");
        Links {
            network: at(self.node_http(0)),
            issuer: at(self.issuer()),
            merchant: at(self.merchant()),
        }
    }

    /// Where the issuer serves.
    pub fn issuer(&self) -> SocketAddr {
        self.address(1)
    }

    /// Where the provisioner serves.
    pub fn provisioner(&self) -> SocketAddr {
        self.address(2)
    }

    /// Where the merchant serves.
    pub fn merchant(&self) -> SocketAddr {
        self.address(3)
    }

    /// Where a node serves HTTP.
    pub fn node_http(&self, index: usize) -> SocketAddr {
        self.address(10 + index)
    }

    /// Where a node listens for its peers.
    pub fn node_peers(&self, index: usize) -> SocketAddr {
        self.address(10 + VALIDATORS_MAX + index)
    }

    /// Every address that the network listens on, with the name of the role.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        let mut addresses = vec![
            ("issuer".to_owned(), self.issuer()),
            ("provisioner".to_owned(), self.provisioner()),
            ("merchant".to_owned(), self.merchant()),
        ];
        for index in 0..self.validators {
            let name = node_name(index);
            addresses.push((name.clone(), self.node_http(index)));
            addresses.push((name, self.node_peers(index)));
        }
        addresses
    }

    /// [`Reason::FieldInvalid`] for no or too many validators, or ports past the last one.
    pub fn check(&self) -> Result<(), Failure> {
        let invalid = |cause: String| Err(Failure::new(Reason::FieldInvalid).cause(cause).usage());
        if !(1..=VALIDATORS_MAX).contains(&self.validators) {
            return invalid(format!("--validators is 1 to {VALIDATORS_MAX}"));
        }
        if self.base_port > u16::MAX - PORTS {
            return invalid(format!("the first port is at most {}", u16::MAX - PORTS));
        }
        Ok(())
    }
}

/// Whether every address is free; fails with [`Reason::AddressInUse`], naming who has it.
pub fn check_addresses(addresses: Vec<(String, SocketAddr)>) -> Result<(), Failure> {
    addresses.into_iter().try_for_each(|(role, address)| {
        TcpListener::bind(address)
            .map(drop)
            .map_err(|error| server::explain(address, &error).cause(format!("it is for {role}")))
    })
}

/// A first port from which on all that a network takes are free; [`Reason::AddressInUse`] when
/// none was found.
pub fn find_base_port(host: IpAddr) -> Result<u16, Failure> {
    let free = |port: u16| TcpListener::bind((host, port)).is_ok();
    for _ in 0..ATTEMPTS {
        let [high, low] = crate::source::random::<2>()?;
        let base = FIRST_CHOSEN + u16::from_be_bytes([high, low]) % (LAST_CHOSEN - FIRST_CHOSEN);
        if (0..PORTS).all(|offset| free(base + offset)) {
            return Ok(base);
        }
    }
    Err(Failure::new(Reason::AddressInUse).cause("no range of free ports was found"))
}

/// A path inside the network's folder, as configurations name it: from the role's own folder.
pub fn beside(file: &str) -> PathBuf {
    Path::new("..").join(file)
}

const PORTS: u16 = 10 + 2 * VALIDATORS_MAX as u16;
const ATTEMPTS: usize = 50;
// Below the range from which the system takes ports for outgoing connections.
const FIRST_CHOSEN: u16 = 10_000;
const LAST_CHOSEN: u16 = 32_000;
