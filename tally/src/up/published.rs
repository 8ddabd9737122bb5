//! What a running network tells others: `network.toml` (public) and `up.json` (processes).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tallystick_kernel::Reason;

use super::children::Running;
use super::founding::Network;
use super::startup::{Phase, Startup};
use crate::console::layout::Links;
use crate::data_folder::{DataFolder, read_bounded, write_atomically};
use crate::failure::Failure;
use crate::output::Output;
use crate::roles::issuer::config::{DEMO_HOLDER, DEMO_PASSWORD_FILE, OPERATOR_KEY_FILE};
use crate::roles::merchant::TILL_KEY_FILE;

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
    phases: &'a [Phase],
    roles: Vec<Process<'a>>,
    pages: Links,
}

#[derive(Debug, Serialize)]
struct Process<'a> {
    role: &'a str,
    pid: Option<u32>,
    ready_ms: Option<u64>,
    address: String,
    data: String,
}

/// A running network as its `up.json` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningNetwork {
    /// Its roles, and its parent as `up`.
    pub roles: Vec<RunningRole>,
}

/// A process of a running network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RunningRole {
    /// The name of the role.
    pub role: String,
    /// Its process id, while it runs.
    pub pid: Option<u32>,
    /// Where it serves HTTP, if it does.
    pub address: Option<String>,
    /// Its data folder, if it has one.
    pub data: Option<PathBuf>,
}

impl RunningNetwork {
    /// Reads what runs in a network's folder; [`Reason::NotReady`] when nothing does.
    pub fn read(folder: &Path) -> Result<RunningNetwork, Failure> {
        #[derive(Deserialize)]
        struct UpFile {
            pid: u32,
            roles: Vec<RunningRole>,
        }
        let path = folder.join(UP_FILE);
        if !path.exists() {
            let cause = format!("no network runs in {}", folder.display());
            return Err(Failure::new(Reason::NotReady)
                .cause(cause)
                .next_step("start one with `tally up`"));
        }
        let read = serde_json::from_slice(&read_bounded(&path, UP_BYTES_MAX)?);
        let UpFile { pid, mut roles } = read.map_err(|error| {
            Failure::new(Reason::StorageCorrupt).cause(format!("{}: {error}", path.display()))
        })?;
        let up = RunningRole { role: "up".to_owned(), pid: Some(pid), address: None, data: None };
        roles.push(up);
        Ok(RunningNetwork { roles })
    }
}

/// Writes both files.
pub fn publish(
    folder: &DataFolder,
    network: &Network,
    children: &[Running],
    startup: &Startup,
) -> Result<(), Failure> {
    let description = toml::to_string(&network.description()).map_err(|_| Reason::Internal)?;
    write_atomically(&folder.file(NETWORK_FILE), description.as_bytes(), 0o644)?;
    let up = up(network, children, startup);
    let text = serde_json::to_vec_pretty(&up).map_err(|_| Reason::Internal)?;
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
    startup: &Startup,
    output: Output,
) {
    output.show(&up(network, children, startup), |up| {
        let mut text =
            format!("{:<13}{:>8}{:>9}  {:<22}data\n", "role", "pid", "ready ms", "address");
        for process in &up.roles {
            let pid = process.pid.map_or("-".to_owned(), |pid| pid.to_string());
            let ready = process.ready_ms.map_or("-".to_owned(), |ms| ms.to_string());
            let Process { role, address, data, .. } = process;
            text.push_str(&format!("{role:<13}{pid:>8}{ready:>9}  {address:<22}{data}\n"));
        }
        text.push_str(&format!("\nready after {} ms: {}\n", up.ready_ms, startup.line()));
        text.push_str(&format!("\n{:<34}log in with\n", "page"));
        for login in logins(folder.path(), &up.pages) {
            text.push_str(&format!("{:<34}{}\n", login.page, login.with));
        }
        text.push_str("\nCtrl-C stops everything\n");
        text.push_str(&next_command(folder.path()));
        text
    });
}

fn up<'a>(network: &'a Network, children: &'a [Running], startup: &'a Startup) -> Up<'a> {
    let process = |(index, child): (usize, &'a Running)| Process {
        role: &child.role.name,
        pid: child.pid(),
        ready_ms: startup.role_ready_ms(index),
        address: child.role.http.to_string(),
        data: child.role.folder.display().to_string(),
    };
    Up {
        network: &network.id,
        pid: std::process::id(),
        ready_ms: startup.ready_ms(),
        phases: startup.phases(),
        roles: children.iter().enumerate().map(process).collect(),
        pages: network.shape.pages(),
    }
}

/// A page, and what one logs in with.
struct Login {
    page: String,
    with: String,
}

/// The pages of a network. The files are named and never shown: who may read them may log in.
fn logins(folder: &Path, pages: &Links) -> Vec<Login> {
    let file = |name: &str| folder.join(name).display().to_string();
    let key = |role: &str, name: &str| format!("the key in {}", file(&format!("{role}/{name}")));
    let password = file(DEMO_PASSWORD_FILE);
    let page = |page: String, with: String| Login { page, with };
    vec![
        page(pages.network.clone(), "nothing: the network".to_owned()),
        page(
            format!("{}/holder", pages.issuer),
            format!("the name {DEMO_HOLDER} and the password in {password}"),
        ),
        page(format!("{}/operator", pages.issuer), key("issuer", OPERATOR_KEY_FILE)),
        page(format!("{}/till", pages.merchant), key("merchant", TILL_KEY_FILE)),
    ]
}

fn next_command(folder: &Path) -> String {
    let issuer = folder.join("issuer");
    let next = format!("tally issuer fund --data {} --holder demo 100.00", issuer.display());
    format!("next, in another terminal (the README has the whole payment):\n  {next}\n")
}

const UP_BYTES_MAX: usize = 256 * 1024;
