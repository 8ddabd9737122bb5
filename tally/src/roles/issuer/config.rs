//! The configuration of an issuer, and the issuer of a local network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tallystick_crypto::KeyStore as _;
use tallystick_crypto::key_store::{KeyAlgorithm, KeyPurpose};
use tallystick_kernel::limits::UNLOCK_DELAY_MIN;
use tallystick_kernel::{CurrencyCode, Reason};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::console::layout::Links;
use crate::data_folder::{create_private, write_atomically};
use crate::failure::Failure;
use crate::http::api_keys::{self, ApiKeyEntry};
use crate::key_file::KeyFile;
use crate::machine_key::MachineKey;
use crate::roles::merchant::MERCHANT_NAME;
use crate::secret_file::SecretFile;
use crate::source;
use crate::up::MACHINE_KEY_FILE;
use crate::up::founding::{self, CURRENCY, GENESIS_FILE, Network};
use crate::up::plan::{Role, beside};

/// The issuer's signing key for settlements under a mandate.
pub const MANDATE_KEY: &str = "mandate";
/// The key of its certificate authority.
pub const CA_KEY: &str = "certificate-authority";
/// The key that it shares with the provisioner.
pub const SHARED_KEY: &str = "shared-code";
/// The provisioner's key that signs credentials.
pub const CREDENTIAL_KEY: &str = "credential";
/// The file with the operator's API key.
pub const OPERATOR_KEY_FILE: &str = "operator.key";
/// The secret with which a merchant comes to the issuer.
pub const ISSUER_ACCESS: &str = "issuer-access";
/// The holder of the demonstration and the file with its password.
pub const DEMO_HOLDER: &str = "demo";
/// The file with the password of the demonstration's holder.
pub const DEMO_PASSWORD_FILE: &str = "demo.password";

/// The configuration of an issuer. Paths are taken from the folder of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// The genesis file.
    pub genesis: PathBuf,
    /// The key under which the data folder's key file lies.
    pub machine_key: PathBuf,
    /// `postgres://...`; without it SQLite in the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The addresses of nodes.
    pub nodes: Vec<String>,
    /// The currency that this issuer has authority over.
    pub currency: String,
    /// The most that a code pays which is not bound to an amount, in minor units.
    pub unbound_max: u64,
    /// The delay in locks that wallets are told to use, in milliseconds.
    pub unlock_delay_ms: u64,
    /// The id of the key shared with the provisioner: 16 hexadecimal digits.
    pub shared_key_id: String,
    /// The provisioner's key that signs credentials (`tlyk1...`).
    pub provisioner_key: String,
    /// A file with the password of a holder `demo` that is made at the first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demo_password: Option<PathBuf>,
    /// Who may use the operator's and the merchants' endpoints.
    #[serde(default)]
    pub api_keys: Vec<ApiKeyEntry>,
    /// What merchants are called on the pages, by the names of their keys.
    #[serde(default)]
    pub merchant_names: BTreeMap<String, String>,
    /// Where the pages of the other roles are.
    #[serde(default)]
    pub console: Links,
}

impl Config for IssuerConfig {
    const ENVIRONMENT_KEYS: &'static [&'static str] =
        &["listen", "data", "genesis", "machine_key", "database", "unbound_max", "unlock_delay_ms"];
}

impl IssuerConfig {
    /// The currency's code; [`Reason::CurrencyMalformed`].
    pub fn currency(&self) -> Result<CurrencyCode, Reason> {
        CurrencyCode::new(&self.currency)
    }
}

/// The issuer of a local network, with the id of the key that it shares with the provisioner. Keys
/// that others must know are made here, before any role runs.
pub fn plan(folder: &Path, network: &Network) -> Result<(Role, String), Failure> {
    let machine_key = MachineKey::read(&folder.join(MACHINE_KEY_FILE))?;
    let own = folder.join("issuer");
    create_private(&own)?;
    let shared_key_id = share_code_key(folder, &machine_key)?;
    let provisioner_key = {
        let mut keys = KeyFile::open(&folder.join("provisioner"), &machine_key)?;
        keys.ensure(CREDENTIAL_KEY, KeyPurpose::Internal, KeyAlgorithm::Ed25519)?;
        keys.store().public_key(CREDENTIAL_KEY)?.to_string()
    };
    let operator = founding::api_key(
        &own.join(OPERATOR_KEY_FILE),
        "operator",
        &["holders", "fundings", "certificates", "list"],
    )?;
    let merchant = merchant_access(folder, &machine_key)?;
    let demo_password = folder.join(DEMO_PASSWORD_FILE);
    if !demo_password.exists() {
        let text =
            Zeroizing::new(source::random::<12>()?.map(|byte| format!("{byte:02x}")).concat());
        write_atomically(&demo_password, text.as_bytes(), 0o600)?;
    }
    let config = IssuerConfig {
        listen: network.shape.issuer(),
        data: PathBuf::from("."),
        genesis: beside(GENESIS_FILE),
        machine_key: beside(MACHINE_KEY_FILE),
        database: None,
        nodes: (0..network.shape.validators)
            .map(|index| format!("http://{}", network.shape.node_http(index)))
            .collect(),
        currency: CURRENCY.to_owned(),
        unbound_max: UNBOUND_MAX,
        unlock_delay_ms: UNLOCK_DELAY_MIN.0,
        shared_key_id: shared_key_id.clone(),
        provisioner_key,
        demo_password: Some(beside(DEMO_PASSWORD_FILE)),
        api_keys: [vec![operator, merchant], founding::maintenance_keys(folder)?].concat(),
        merchant_names: BTreeMap::from([(MERCHANT_KEY.to_owned(), MERCHANT_NAME.to_owned())]),
        console: network.shape.pages(),
    };
    let role = Role {
        name: "issuer".to_owned(),
        command: "issuer",
        http: config.listen,
        folder: own,
        config: toml::to_string(&config).map_err(|_| Reason::Internal)?,
    };
    Ok((role, shared_key_id))
}

/// Puts one secret into the key stores of both; gives its id.
fn share_code_key(folder: &Path, machine_key: &MachineKey) -> Result<String, Failure> {
    let provisioner = folder.join("provisioner");
    create_private(&provisioner)?;
    let mut secrets = SecretFile::open(&provisioner, machine_key)?;
    let secret = secrets.require_or_make(SHARED_KEY)?;
    for role in ["issuer", "provisioner"] {
        let mut keys = KeyFile::open(&folder.join(role), machine_key)?;
        let (purpose, algorithm) = (KeyPurpose::SharedCode, KeyAlgorithm::HmacSha256);
        keys.ensure_shared(SHARED_KEY, purpose, algorithm, &secret)?;
    }
    let digest = tallystick_kernel::LabelledHash::new("tallystick/shared-key-id/1");
    let digest = digest.part(secret.as_slice()).finish();
    Ok(tallystick_kernel::hex::encode(&digest[..8]))
}

/// The merchant's key at the issuer: the plain text lies with the merchant, the digest here.
fn merchant_access(folder: &Path, machine_key: &MachineKey) -> Result<ApiKeyEntry, Failure> {
    let merchant = folder.join("merchant");
    create_private(&merchant)?;
    let mut secrets = SecretFile::open(&merchant, machine_key)?;
    if secrets.get(ISSUER_ACCESS).is_none() {
        secrets.put(ISSUER_ACCESS, api_keys::generate()?.as_bytes())?;
    }
    let text = core::str::from_utf8(secrets.require(ISSUER_ACCESS)?)
        .map_err(|_| Reason::StorageCorrupt)?;
    Ok(ApiKeyEntry {
        name: MERCHANT_KEY.to_owned(),
        scopes: vec!["authorizations".to_owned()],
        digest: api_keys::digest(text),
    })
}

/// The name of the merchant's key at the issuer.
const MERCHANT_KEY: &str = "merchant";
const UNBOUND_MAX: u64 = 5000;
