//! `tally issuer`: the party that knows the holders, certifies their devices, authorises payments
//! and settles them on the ledger.

pub mod audit;
pub mod authorizations;
pub mod browser_key;
pub mod ca;
pub mod config;
pub mod device_code;
pub mod fundings;
pub mod holders;
pub mod operator_pages;
pub mod pages;
pub mod payments;
pub mod refused_charges;
pub mod settlement;

use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::State;
use tallystick_api::NodeClient;
use tallystick_api::issuer::Progress;
use tallystick_api::operations;
use tallystick_crypto::key_store::{KeyAlgorithm, KeyPurpose, StoredSigner};
use tallystick_crypto::{KeyStore as _, PublicKey, SoftwareKeyStore};
use tallystick_kernel::{AccountId, CurrencyCode, Digest, Reason, TimeMs, hex};
use tallystick_proofs::device_code::SharedKeyId;
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::revocation_list::RevocationList;
use tallystick_proofs::x509_certificate::X509Certificate;
use tallystick_proofs::x509_chain::TrustAnchors;
use tallystick_store::{Kind, Record, Store};
use tokio::sync::{Semaphore, watch};

use self::config::{CA_KEY, IssuerConfig, MANDATE_KEY};
use super::RoleArgs;
use super::pages::{Frame, Visits, for_browsers};
use crate::commands::receipt::read_genesis;
use crate::config as configuration;
use crate::console::layout::Place;
use crate::data_folder::DataFolder;
use crate::failure::Failure;
use crate::http::api_keys::ApiKeys;
use crate::http::idempotency::WriteKey;
use crate::http::rate_limit::RateLimit;
use crate::http::{Gate, Refusal, Routes, server};
use crate::key_file::KeyFile;
use crate::machine_key::MachineKey;
use crate::metrics::Metrics;
use crate::metrics::payments::SettlementMetrics;
use crate::source;
use crate::stored::{StoredAnswers, StoredReplays, StoredSessions};
use crate::up::founding::ACCOUNT_KEY;

/// Kinds of records in the issuer's store.
pub mod kinds {
    use tallystick_store::Kind;

    /// Holders by id; indexes `name` and `token`.
    pub const HOLDER: Kind = Kind("holder");
    /// A name that is taken.
    pub const HOLDER_NAME: Kind = Kind("holder_name");
    /// Fundings by id; indexes `holder` and `time`.
    pub const FUNDING: Kind = Kind("funding");
    /// Authorizations by id; indexes `holder` and `key`, each with the time.
    pub const AUTHORIZATION: Kind = Kind("authorization");
    /// Held reserves by id; index `account`.
    pub const HOLD: Kind = Kind("hold");
    /// Reserves that were spent a moment ago, with the time; index `account`. A node that lags still
    /// shows them.
    pub const SPENT: Kind = Kind("spent");
    /// Receipts by transaction.
    pub const RECEIPT: Kind = Kind("receipt");
    /// Certificates of devices by serial number; indexes `key` and `revoked`.
    pub const CERTIFICATE: Kind = Kind("certificate");
    /// The certificate authority's own certificate.
    pub const AUTHORITY: Kind = Kind("authority");
    /// What a holder decided about a device's request.
    pub const DEVICE_DECISION: Kind = Kind("device_decision");
}

/// The outbox of everything that ends on the ledger.
pub const SETTLE: &str = "settle";
/// Passwords that are looked at at once; each takes 19 MiB.
const PASSWORDS_AT_ONCE: usize = 2;
/// Logins that are under way or wait for their turn.
const PASSWORDS_WAITING_MAX: usize = 64;
/// How often a decision is made again when what it rests on has changed meanwhile.
pub const CONFLICTS_MAX: u32 = 16;

/// What the handlers and the worker share.
pub struct Issuer {
    /// The configuration.
    pub config: IssuerConfig,
    /// The state.
    pub store: Store,
    /// The keys.
    pub keys: SoftwareKeyStore,
    /// The network.
    pub genesis: Genesis,
    /// The currency that is issued.
    pub currency: CurrencyCode,
    /// The account that has authority over it.
    pub authority: AccountId,
    /// The key that reserves are locked to.
    pub mandate: PublicKey,
    /// Who signs credentials.
    pub provisioner: PublicKey,
    /// The id of the key shared with the provisioner.
    pub shared_key_id: SharedKeyId,
    /// Any node.
    pub nodes: NodeClient,
    /// Each node by itself, where one answer must be of the same node as another.
    pub each_node: Vec<NodeClient>,
    /// The root certificate.
    pub root: X509Certificate,
    /// The same, to verify codes.
    pub anchors: TrustAnchors,
    /// The current revocation list, encoded and read.
    pub revocation: RwLock<(Vec<u8>, RevocationList)>,
    /// Sessions of holders, and of operators at the pages.
    pub sessions: StoredSessions,
    /// Answers to keyed writes.
    pub answers: StoredAnswers,
    /// Wrong passwords by the digest of the name.
    pub logins: RateLimit<Digest>,
    /// Turns of looking at a password.
    pub passwords: Arc<Semaphore>,
    /// Places to wait for a turn.
    pub passwords_waiting: Semaphore,
    /// Wakes the worker and everyone who waits for an end.
    pub changed: watch::Sender<u64>,
    /// What the pages need.
    pub visits: Visits,
    /// How fundings and authorizations ended.
    pub counted: SettlementMetrics,
}

/// The state of handlers.
pub type App = Arc<Issuer>;

impl Issuer {
    async fn open(
        config: IssuerConfig,
        folder: &DataFolder,
        machine_key: &MachineKey,
        genesis: Genesis,
        metrics: &Metrics,
    ) -> Result<Issuer, Failure> {
        let url = super::database_url(config.database.as_deref(), folder);
        let store = Store::open(&url, "issuer").await?;
        let mut file = KeyFile::open(folder.path(), machine_key)?;
        file.ensure(MANDATE_KEY, KeyPurpose::Mandate, KeyAlgorithm::Ed25519)?;
        file.ensure(CA_KEY, KeyPurpose::CertificateAuthority, KeyAlgorithm::P256)?;
        let keys = file.into_store();
        let root = ca::root(&store, &keys, source::now()).await?;
        let revocation = ca::revocation_list(&store, &keys, &root, source::now()).await?;
        let currency = config.currency()?;
        let shared = hex::decode(&config.shared_key_id)?;
        let shared = shared.try_into().map_err(|_| Reason::HexMalformed)?;
        let each_node = config.nodes.iter().map(|url| NodeClient::new(&[url]));
        Ok(Issuer {
            authority: genesis.authority(&currency).ok_or(Reason::CurrencyUnknown)?,
            mandate: keys.public_key(MANDATE_KEY)?,
            provisioner: config.provisioner_key.parse()?,
            shared_key_id: SharedKeyId(shared),
            nodes: NodeClient::new(&config.nodes)?,
            each_node: each_node.collect::<Result<_, Reason>>()?,
            anchors: TrustAnchors::read(&[root.der()])?,
            revocation: RwLock::new(revocation),
            sessions: StoredSessions::new(store.clone()),
            answers: StoredAnswers::new(store.clone()),
            logins: RateLimit::new(
                tallystick_kernel::DurationMs::minutes(1),
                tallystick_kernel::limits::LOGINS_PER_MINUTE_MAX,
            ),
            passwords: Arc::new(Semaphore::new(PASSWORDS_AT_ONCE)),
            passwords_waiting: Semaphore::new(PASSWORDS_WAITING_MAX),
            changed: watch::Sender::new(0),
            counted: SettlementMetrics::new(metrics),
            visits: Visits {
                links: config.console.clone(),
                public_url: format!("http://{}", config.listen),
                api_keys: ApiKeys::new(config.api_keys.clone())?,
            },
            config,
            store,
            keys,
            genesis,
            currency,
            root,
        })
    }

    /// Tells the worker and everyone who waits that something has changed.
    pub fn change(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The revocation list as it is now.
    pub fn revocation(&self) -> (Vec<u8>, RevocationList) {
        self.revocation.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A signer by the key of the certificate authority.
    pub fn ca_signer(&self) -> Result<StoredSigner<'_>, Reason> {
        StoredSigner::new(&self.keys, CA_KEY, KeyPurpose::CertificateAuthority)
    }

    /// A signer by the key of the currency's authority.
    pub fn authority_signer(&self) -> Result<StoredSigner<'_>, Reason> {
        StoredSigner::new(&self.keys, ACCOUNT_KEY, KeyPurpose::Account)
    }

    /// A signer by the mandate key.
    pub fn mandate_signer(&self) -> Result<StoredSigner<'_>, Reason> {
        StoredSigner::new(&self.keys, MANDATE_KEY, KeyPurpose::Mandate)
    }

    async fn ready(&self) -> Result<(), Reason> {
        self.store.read(Kind("none"), b"none").await?;
        self.nodes.network().await.map_err(|_| Reason::NotReady)?;
        Ok(())
    }
}

/// Reads a stored record with its version.
pub fn decode<T: tallystick_kernel::Codec>(record: &Record, bytes_max: usize) -> Result<T, Reason> {
    T::from_bytes(&record.bytes, bytes_max).map_err(|_| Reason::StorageCorrupt)
}

/// The id of what a keyed write makes: the same when the write is made again.
pub fn id_of(key: &WriteKey) -> Result<Digest, Reason> {
    hex::decode(&key.0)?.try_into().map_err(|_| Reason::Internal)
}

/// How far something is, for clients.
pub fn shown(progress: &tallystick_issuer::settlement::Progress) -> Progress {
    use tallystick_issuer::settlement::Progress as Inner;
    match progress {
        Inner::Accepted => Progress::Accepted,
        Inner::Submitted(_) => Progress::Submitted,
        Inner::Settled(_) => Progress::Settled,
        Inner::Failed(..) => Progress::Failed,
    }
}

/// Every endpoint of an issuer.
pub fn routes(gate: Gate) -> Routes<App> {
    let routes = Routes::new(gate)
        .add(operations::READYZ, ready)
        .add(operations::OPENAPI, super::openapi("issuer"));
    let routes = holders::routes(routes);
    let routes = payments::routes(routes);
    let routes = fundings::routes(routes);
    let routes = device_code::routes(routes);
    let routes = ca::routes(routes);
    let routes = authorizations::routes(routes);
    audit::routes(routes)
}

async fn ready(State(app): State<App>) -> Result<&'static str, Refusal> {
    app.ready().await?;
    Ok("ready\n")
}

/// Runs an issuer until it is told to stop.
pub fn run(args: &RoleArgs) -> Result<(), Failure> {
    let runtime = super::begin(args, "issuer")?;
    let file = args.config_file()?;
    let config: IssuerConfig = configuration::load(file, &args.flags())?;
    let at = |path: &std::path::Path| configuration::relative_to(file, path);
    let folder = DataFolder::open(&at(&config.data), "issuer")?;
    let machine_key = MachineKey::read(&at(&config.machine_key))?;
    let genesis = read_genesis(&at(&config.genesis))?;
    let demo_password = config.demo_password.as_deref().map(at);
    let listen = config.listen;
    runtime.block_on(async {
        let listener = server::bind(listen).await?;
        let metrics = Metrics::default();
        let opened = Issuer::open(config, &folder, &machine_key, genesis, &metrics);
        let app = Arc::new(opened.await?);
        if let Some(path) = demo_password {
            holders::ensure_demo(&app, &path).await?;
        }
        let gate = Gate {
            public_url: app.visits.public_url.clone(),
            api_keys: app.visits.api_keys.clone(),
            sessions: Some(Arc::new(app.sessions.clone())),
            replays: Some(Arc::new(StoredReplays::new(app.store.clone()))),
            answers: Some(Arc::new(app.answers.clone())),
            metrics,
            ..Gate::default()
        };
        let router = pages::routes(routes(gate)).into_router(Arc::clone(&app));
        let frame = Frame { place: Place::Holder, links: app.visits.links.clone() };
        let router = for_browsers(router, frame);
        let worker = tokio::spawn(settlement::work(Arc::clone(&app)));
        let upkeep = tokio::spawn(ca::keep_current(Arc::clone(&app)));
        tracing::info!(%listen, "issuer serves");
        server::serve(listener, router, server::stop_signal()).await;
        // What is cut off here is taken up from the outbox at the next start.
        worker.abort();
        upkeep.abort();
        tracing::info!("issuer stopped");
        Ok(())
    })
}

/// Now, for handlers.
pub fn now() -> TimeMs {
    source::now()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tallystick_api::operations::issuer as endpoints;

    use super::*;

    #[test]
    fn an_issuer_serves_every_endpoint_of_its_interface() {
        let routes = routes(Gate::default());
        let served: BTreeSet<&str> = routes.operations().iter().map(|one| one.id).collect();
        let described: BTreeSet<&str> = endpoints::ALL.iter().map(|one| one.id).collect();
        assert_eq!(served, described);
    }
}
