//! The roles: each a process of its own that serves HTTP from a configuration file.

mod block_summaries;
pub mod issuer;
mod looking_back;
pub mod merchant;
pub mod node;
pub mod node_json;
pub mod node_pages;
pub mod node_routes;
pub mod node_snapshots;
pub mod pages;
pub mod provisioner;

use std::path::PathBuf;
use std::sync::Arc;

use axum::handler::Handler;
use axum::http::header::CONTENT_TYPE;
use clap::Args;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::getppid;
use tallystick_api::operations::{ROLES, RoleInterface};
use tallystick_kernel::Reason;
use tokio::runtime::{Builder, Runtime};

use crate::data_folder::DataFolder;
use crate::failure::Failure;
use crate::telemetry;

/// The flags that every role has.
#[derive(Clone, Debug, Args)]
pub struct RoleArgs {
    /// The role's configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Listen for HTTP here instead, such as 127.0.0.1:7410.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// End when the process with this id is no longer the parent.
    #[arg(long, hide = true)]
    pub parent: Option<i32>,
}

impl RoleArgs {
    /// The configuration file; fails where none is named.
    pub fn config_file(&self) -> Result<&PathBuf, Failure> {
        self.config.as_ref().ok_or_else(|| {
            Failure::new(Reason::UsageWrong)
                .cause("this role needs a configuration file")
                .next_step("--config FILE; `tally up` writes one for every role")
        })
    }

    /// What the flags lay over the configuration.
    pub fn flags(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("listen", self.listen.clone())]
    }
}

/// Begins a role's process: binds it to its parent, begins logging, makes a small runtime.
///
/// Must be the first thing that a role does.
pub fn begin(args: &RoleArgs, role: &str) -> Result<Runtime, Failure> {
    if let Some(parent) = args.parent {
        bind_to_parent(parent)?;
    }
    // What a role writes is for its own eyes.
    umask(Mode::from_bits_truncate(0o077));
    telemetry::begin(role);
    runtime()
}

/// The runtime that a role's server has.
pub fn runtime() -> Result<Runtime, Failure> {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(WORKERS).thread_name("tally-http").enable_all().build();
    runtime.map_err(|error| Failure::new(Reason::Internal).cause(error.to_string()))
}

/// The handler that serves a role's interface.
pub fn openapi<S: Clone + Send + Sync + 'static>(
    role: &'static str,
) -> impl Handler<((),), S, Future: Send> {
    let document = ROLES.iter().find(|one| one.name == role).map(RoleInterface::document);
    let document: Arc<str> = document.unwrap_or_default().into();
    async move || {
        let document = Arc::clone(&document);
        ([(CONTENT_TYPE, "application/json")], document.to_string())
    }
}

/// The database of a role: the configured one, or SQLite in the data folder.
pub fn database_url(configured: Option<&str>, folder: &DataFolder) -> String {
    match configured {
        Some(url) => url.to_owned(),
        None => format!("sqlite:{}", folder.file("party.db").display()),
    }
}

/// Asks the kernel to end us with SIGTERM when the parent dies, and looks whether it just did.
fn bind_to_parent(parent: i32) -> Result<(), Failure> {
    set_pdeathsig(Signal::SIGTERM)
        .map_err(|error| Failure::new(Reason::Internal).cause(error.to_string()))?;
    if getppid().as_raw() == parent {
        return Ok(());
    }
    Err(Failure::new(Reason::Unreachable).cause(format!("the parent process {parent} is gone")))
}

/// Two are pleasant on a machine with two cores, with several roles on it.
const WORKERS: usize = 2;
