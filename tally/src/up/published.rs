//! What a running network tells others: `network.toml` (public) and `up.json` (processes).

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::children::Running;
use super::founding::Network;
use crate::console::layout::Links;
use crate::data_folder::{DataFolder, write_atomically};
use crate::failure::Failure;
use crate::output::Output;

/// The public description of a network; wallets and tills read it.
pub const NETWORK_FILE: &str = "network.toml";
/// The processes of a running network.
pub const UP_FILE: &str = "up.json";

/// `network.toml`: nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkDescription {
    /// The network's id.
    pub network: String,
    /// The genesis file, from this file's folder.
    pub genesis: String,
    /// The currency of the demonstration.
    pub currency: String,
    /// Its decimals.
    pub exponent: u8,
    /// The addresses of the nodes.
    pub nodes: Vec<String>,
    /// The address of the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The address of the provisioner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioner: Option<String>,
    /// The address of the merchant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
    /// The bank's account: authority over the currency.
    pub bank_account: String,
    /// The merchant's account.
    pub merchant_account: String,
}

#[derive(Debug, Serialize)]
struct Up<'a> {
    network: &'a str,
    pid: u32,
    ready_ms: u64,
    roles: Vec<Process<'a>>,
    pages: Links,
}

#[derive(Debug, Serialize)]
struct Process<'a> {
    role: &'a str,
    pid: Option<u32>,
    address: String,
    data: String,
}

/// Writes both files.
pub fn publish(
    folder: &DataFolder,
    network: &Network,
    children: &[Running],
    ready_after: Duration,
) -> Result<(), Failure> {
    let description =
        toml::to_string(&network.description()).map_err(|_| tallystick_kernel::Reason::Internal)?;
    write_atomically(&folder.file(NETWORK_FILE), description.as_bytes(), 0o644)?;
    let up = up(network, children, ready_after);
    let text = serde_json::to_vec_pretty(&up).map_err(|_| tallystick_kernel::Reason::Internal)?;
    write_atomically(&folder.file(UP_FILE), &text, 0o644)
}

/// Takes back the table of processes.
pub fn withdraw(folder: &DataFolder) {
    // It is not there when the network never became ready.
    let _ = std::fs::remove_file(folder.file(UP_FILE));
}

/// Shows the table and the next command to type.
pub fn show(
    folder: &DataFolder,
    network: &Network,
    children: &[Running],
    ready_after: Duration,
    output: Output,
) {
    output.show(&up(network, children, ready_after), |up| {
        let mut text = format!("{:<13}{:>8}  {:<22}data\n", "role", "pid", "address");
        for process in &up.roles {
            let pid = process.pid.map_or("-".to_owned(), |pid| pid.to_string());
            let row =
                format!("{:<13}{pid:>8}  {:<22}{}\n", process.role, process.address, process.data);
            text.push_str(&row);
        }
        text.push_str(&format!("\nready after {} ms; Ctrl-C stops everything\n", up.ready_ms));
        text.push_str(&format!("the network in a browser: {}\n", up.pages.network));
        text.push_str(&next_command(folder.path()));
        text
    });
}

fn up<'a>(network: &'a Network, children: &'a [Running], ready_after: Duration) -> Up<'a> {
    let process = |child: &'a Running| Process {
        role: &child.role.name,
        pid: child.pid(),
        address: child.role.http.to_string(),
        data: child.role.folder.display().to_string(),
    };
    Up {
        network: &network.id,
        pid: std::process::id(),
        ready_ms: u64::try_from(ready_after.as_millis()).unwrap_or(u64::MAX),
        roles: children.iter().map(process).collect(),
        pages: network.shape.pages(),
    }
}

fn next_command(folder: &Path) -> String {
    let issuer = folder.join("issuer");
    let next = format!("tally issuer fund --data {} --holder demo 100.00", issuer.display());
    format!("next, in another terminal (the README has the whole payment):\n  {next}\n")
}
