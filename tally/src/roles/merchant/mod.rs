//! `tally merchant`: takes codes from tills, has them authorised at the issuer, and keeps the
//! receipts that it has verified.

pub mod charges;
pub mod pages;
pub mod trust;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tallystick_api::Client;
use tallystick_api::issuer::IssuerClient;
use tallystick_api::merchant::Merchant as Shown;
use tallystick_api::operations::{self, merchant as endpoints};
use tallystick_kernel::{AccountId, Reason};
use tallystick_merchant::payment_code::TillTrust;
use tallystick_proofs::genesis::Genesis;
use tallystick_store::{Kind, Store};
use tokio::sync::watch;

use super::RoleArgs;
use super::issuer::config::ISSUER_ACCESS;
use super::pages::{Frame, Visits, for_browsers};
use crate::commands::receipt::read_genesis;
use crate::config::{self, Config};
use crate::console::layout::{Links, Place};
use crate::data_folder::DataFolder;
use crate::failure::Failure;
use crate::http::api_keys::{ApiKeyEntry, ApiKeys};
use crate::http::{Gate, Refusal, Routes, server};
use crate::machine_key::MachineKey;
use crate::metrics::Metrics;
use crate::metrics::payments::ChargeMetrics;
use crate::secret_file::SecretFile;
use crate::stored::sweeping::SWEEP_PERIOD;
use crate::stored::{StoredAnswers, StoredSessions};
use crate::up::MACHINE_KEY_FILE;
use crate::up::founding::{self, GENESIS_FILE, Network};
use crate::up::plan::{Role, beside};

/// The file with the till's API key.
pub const TILL_KEY_FILE: &str = "till.key";

/// What the merchant of a local network is called.
pub const MERCHANT_NAME: &str = "Corner shop";

/// The configuration of a merchant. Paths are taken from the folder of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantConfig {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// The genesis file.
    pub genesis: PathBuf,
    /// The key under which the data folder's secrets lie.
    pub machine_key: PathBuf,
    /// `postgres://...`; without it SQLite in the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The name on the till's display.
    pub name: String,
    /// The account that is paid (`tlya1...`).
    pub account: String,
    /// The address of the issuer.
    pub issuer: String,
    /// Who may use the tills' endpoints.
    #[serde(default)]
    pub api_keys: Vec<ApiKeyEntry>,
    /// Where the pages of the other roles are.
    #[serde(default)]
    pub console: Links,
}

impl Config for MerchantConfig {
    const ENVIRONMENT_KEYS: &'static [&'static str] =
        &["listen", "data", "genesis", "machine_key", "database", "name", "account", "issuer"];
}

/// What the handlers and the worker share.
pub struct Merchant {
    /// The name on the till's display.
    pub name: String,
    /// The account that is paid.
    pub account: AccountId,
    /// The network.
    pub genesis: Genesis,
    /// The state.
    pub store: Store,
    /// Sessions at the pages.
    pub sessions: StoredSessions,
    /// Answers to keyed writes.
    pub answers: StoredAnswers,
    /// The issuer, with our key there.
    pub issuer: IssuerClient,
    /// The data folder, for what tills read from it.
    pub folder: PathBuf,
    /// What codes are verified with; none before the issuer was first reached.
    pub trust: RwLock<Option<TillTrust>>,
    /// Wakes the worker and everyone who waits for an end.
    pub changed: watch::Sender<u64>,
    /// What the pages need.
    pub visits: Visits,
    /// How charges ended.
    pub counted: ChargeMetrics,
}

/// The state of handlers.
pub type App = Arc<Merchant>;

impl Merchant {
    /// Tells the worker and everyone who waits that something has changed.
    pub fn change(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Every endpoint of a merchant.
pub fn routes(gate: Gate) -> Routes<App> {
    let routes = Routes::new(gate)
        .add(operations::READYZ, ready)
        .add(operations::OPENAPI, super::openapi("merchant"))
        .add(endpoints::MERCHANT, merchant);
    charges::routes(routes)
}

async fn ready(State(app): State<App>) -> Result<&'static str, Refusal> {
    app.store.read(Kind("none"), b"none").await?;
    if app.trust().is_none() {
        return Err(Reason::NotReady.into());
    }
    Ok("ready\n")
}

async fn merchant(State(app): State<App>) -> Json<Shown> {
    Json(Shown { name: app.name.clone(), account: app.account })
}

/// Runs a merchant until it is told to stop.
pub fn run(args: &RoleArgs) -> Result<(), Failure> {
    let runtime = super::begin(args, "merchant")?;
    let file = args.config_file()?;
    let config: MerchantConfig = config::load(file, &args.flags())?;
    let at = |path: &Path| config::relative_to(file, path);
    let folder = DataFolder::open(&at(&config.data), "merchant")?;
    let machine_key = MachineKey::read(&at(&config.machine_key))?;
    let secrets = SecretFile::open(folder.path(), &machine_key)?;
    let genesis = read_genesis(&at(&config.genesis))?;
    let access = core::str::from_utf8(secrets.require(ISSUER_ACCESS)?)
        .map_err(|_| Reason::StorageCorrupt)?;
    let issuer = IssuerClient(Client::new(&config.issuer)?.with_token(access));
    let listen = config.listen;
    runtime.block_on(async {
        let listener = server::bind(listen).await?;
        let url = super::database_url(config.database.as_deref(), &folder);
        let store = Store::open(&url, "merchant").await?;
        let visits = Visits {
            links: config.console,
            public_url: format!("http://{listen}"),
            api_keys: ApiKeys::new(config.api_keys)?,
        };
        let metrics = Metrics::default();
        let app = Arc::new(Merchant {
            counted: ChargeMetrics::new(&metrics),
            name: config.name,
            account: config.account.parse()?,
            genesis,
            sessions: StoredSessions::new(store.clone()),
            answers: StoredAnswers::new(store.clone()),
            store,
            issuer,
            folder: folder.path().to_owned(),
            trust: RwLock::new(trust::read(folder.path()).ok()),
            changed: watch::Sender::new(0),
            visits: visits.clone(),
        });
        let gate = Gate {
            public_url: visits.public_url,
            api_keys: visits.api_keys,
            sessions: Some(Arc::new(app.sessions.clone())),
            answers: Some(Arc::new(app.answers.clone())),
            metrics,
            ..Gate::default()
        };
        let router = pages::routes(routes(gate)).into_router(Arc::clone(&app));
        let frame = Frame { place: Place::Till, links: app.visits.links.clone() };
        let router = for_browsers(router, frame);
        let worker = tokio::spawn(charges::work(Arc::clone(&app)));
        let upkeep = tokio::spawn(trust::keep_fresh(Arc::clone(&app)));
        let sweeping = tokio::spawn(sweep_hourly(Arc::clone(&app)));
        tracing::info!(%listen, "merchant serves");
        server::serve(listener, router, server::stop_signal()).await;
        // What is cut off here is taken up from the outbox at the next start.
        worker.abort();
        upkeep.abort();
        sweeping.abort();
        tracing::info!("merchant stopped");
        Ok(())
    })
}

async fn sweep_hourly(app: App) {
    loop {
        let now = crate::source::now();
        for done in [app.store.sweep(now).await.map(|_| ()), app.sessions.sweep(now).await] {
            if let Err(reason) = done {
                tracing::warn!(%reason, "what has expired could not be swept");
            }
        }
        tokio::time::sleep(SWEEP_PERIOD).await;
    }
}

/// The merchant of a local network. Its account and its key at the issuer are there already.
pub fn plan(folder: &Path, network: &Network) -> Result<Role, Failure> {
    let own = folder.join("merchant");
    let till = founding::api_key(&own.join(TILL_KEY_FILE), "till", &["charges"])?;
    let config = MerchantConfig {
        listen: network.shape.merchant(),
        data: PathBuf::from("."),
        genesis: beside(GENESIS_FILE),
        machine_key: beside(MACHINE_KEY_FILE),
        database: None,
        name: MERCHANT_NAME.to_owned(),
        account: network.merchant_account(),
        issuer: format!("http://{}", network.shape.issuer()),
        api_keys: [vec![till], founding::maintenance_keys(folder)?].concat(),
        console: network.shape.pages(),
    };
    Ok(Role {
        name: "merchant".to_owned(),
        command: "merchant",
        http: config.listen,
        folder: own,
        config: toml::to_string(&config).map_err(|_| Reason::Internal)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merchant_serves_every_endpoint_of_its_interface() {
        let served: Vec<&str> = routes(Gate::default()).operations().iter().map(|o| o.id).collect();
        let described: Vec<&str> = endpoints::ALL.iter().map(|o| o.id).collect();
        assert_eq!(served, described);
    }
}
