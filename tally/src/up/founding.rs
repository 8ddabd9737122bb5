//! How a network begins: keys, genesis file and the shape that it keeps when it is resumed.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use tallystick_crypto::key_store::{KeyAlgorithm, KeyPurpose};
use tallystick_crypto::{KeyStore as _, PublicKey, SigningKey};
use tallystick_kernel::limits::{GENESIS_BYTES_MAX, OWNER_KEYS_MAX};
use tallystick_kernel::{Codec as _, CurrencyCode, DurationMs, Reason};
use tallystick_proofs::genesis::{Genesis, GenesisCurrency, Governance, Parameters, ValidatorSet};
use tallystick_proofs::header::RULES_VERSION_MAX;
use tallystick_proofs::owners::Owners;

use super::plan::{self, Role, Shape};
use super::published::NetworkDescription;
use super::{BASE_PORT, MACHINE_KEY_FILE, UpArgs};
use crate::commands::operators;
use crate::data_folder::{DataFolder, create_private, read_bounded, write_atomically};
use crate::failure::Failure;
use crate::http::api_keys::{self, ApiKeyEntry};
use crate::key_file::KeyFile;
use crate::machine_key::MachineKey;
use crate::output::Output;
use crate::roles;
use crate::secret_file::SecretFile;
use crate::source;

/// The genesis file in the network's folder.
pub const GENESIS_FILE: &str = "genesis.tally";
/// What stays the same when the network is resumed.
pub const SHAPE_FILE: &str = "up.toml";
/// The fewest validators that tolerate a fault.
pub const FAULT_TOLERANT: usize = 4;
/// The file with the key that reads the metrics of every role.
pub const MONITOR_KEY_FILE: &str = "monitor.key";
/// The file with the key that sets the level of every role's log.
pub const MAINTENANCE_KEY_FILE: &str = "maintenance.key";
/// The name of a validator's seed among its secrets.
pub const VALIDATOR_SEED: &str = "validator";
/// The name of an account's key in the key store of its issuer or merchant.
pub const ACCOUNT_KEY: &str = "account";
/// The currency of the demonstration.
pub const CURRENCY: &str = "EUR";
/// Its decimals.
pub const EXPONENT: u8 = 2;

/// A network that can be started.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Its genesis.
    pub genesis: Genesis,
    /// Where it listens.
    pub shape: Shape,
    /// Its validators' keys, by index of the node's folder.
    pub validators: Vec<PublicKey>,
    /// All of its roles, in the order in which they are started.
    pub roles: Vec<Role>,
}

/// Founds a network in an empty folder, or reads the one that is there.
pub fn found_or_resume(
    folder: &DataFolder,
    args: &UpArgs,
    output: Output,
) -> Result<Network, Failure> {
    let shape_file = folder.file(SHAPE_FILE);
    // The shape is written last: without it, founding was cut short and begins anew.
    let shape = match shape_file.exists() {
        true => resumed_shape(&shape_file, args)?,
        false => new_shape(args)?,
    };
    shape.check()?;
    // Before anything is founded that could not be started.
    plan::check_addresses(shape.addresses())?;
    if shape.validators < FAULT_TOLERANT {
        let count = shape.validators;
        output.warn(&format!("warning: {count} validators tolerate no fault; 4 tolerate one"));
    }
    let machine_key = MachineKey::read_or_make(&folder.file(MACHINE_KEY_FILE))?;
    let keys = Keys::read_or_make(folder, &machine_key, shape.validators)?;
    let genesis = genesis(folder, &keys)?;
    let mut network = Network {
        id: genesis.network().to_string(),
        genesis,
        shape: shape.clone(),
        validators: keys.validators,
        roles: Vec::new(),
    };
    network.roles = roles_of(folder, &network)?;
    let text = toml::to_string(&shape).map_err(|_| Reason::Internal)?;
    write_atomically(&shape_file, text.as_bytes(), 0o600)?;
    Ok(network)
}

impl Network {
    /// The merchant's account.
    pub fn merchant_account(&self) -> String {
        self.account(MERCHANT)
    }

    fn account(&self, index: usize) -> String {
        let mut accounts = self.genesis.accounts();
        accounts.nth(index).map_or(String::new(), |(id, _)| id.to_string())
    }

    /// The public description.
    pub fn description(&self) -> NetworkDescription {
        let urls = |command: &str| {
            let of_role = self.roles.iter().filter(move |role| role.command == command);
            of_role.map(Role::url).collect::<Vec<_>>()
        };
        NetworkDescription {
            network: self.id.clone(),
            genesis: GENESIS_FILE.to_owned(),
            currency: CURRENCY.to_owned(),
            exponent: EXPONENT,
            nodes: urls("node"),
            issuer: urls("issuer").pop(),
            provisioner: urls("provisioner").pop(),
            merchant: urls("merchant").pop(),
            bank_account: self.account(BANK),
            merchant_account: self.merchant_account(),
        }
    }
}

/// The public halves of the keys that the genesis names.
struct Keys {
    validators: Vec<PublicKey>,
    bank: PublicKey,
    merchant: PublicKey,
    operators: Vec<PublicKey>,
}

impl Keys {
    fn read_or_make(
        folder: &DataFolder,
        machine_key: &MachineKey,
        validators: usize,
    ) -> Result<Keys, Failure> {
        let made = |role: &str| -> Result<std::path::PathBuf, Failure> {
            let role_folder = folder.file(role);
            create_private(&role_folder).map(|()| role_folder)
        };
        let validator = |index: usize| -> Result<PublicKey, Failure> {
            let mut secrets = SecretFile::open(&made(&node_name(index))?, machine_key)?;
            let seed = secrets.require_or_make(VALIDATOR_SEED)?;
            Ok(SigningKey::ed25519_from_seed(&seed).public_key())
        };
        let account = |role: &str| -> Result<PublicKey, Failure> {
            let mut keys = KeyFile::open(&made(role)?, machine_key)?;
            keys.ensure(ACCOUNT_KEY, KeyPurpose::Account, KeyAlgorithm::Ed25519)?;
            Ok(keys.store().public_key(ACCOUNT_KEY)?)
        };
        Ok(Keys {
            validators: (0..validators).map(validator).collect::<Result<_, _>>()?,
            bank: account("issuer")?,
            merchant: account("merchant")?,
            operators: (0..validators.min(OWNER_KEYS_MAX))
                .map(|index| operators::ensure_key(&made(&node_name(index))?, machine_key))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// The name of a node and of its folder.
pub fn node_name(index: usize) -> String {
    format!("node-{index}")
}

/// The table of roles: add a role here, and `up` runs it.
fn roles_of(folder: &DataFolder, network: &Network) -> Result<Vec<Role>, Failure> {
    let mut roles = Vec::new();
    for index in 0..network.shape.validators {
        roles.push(roles::node::plan(folder.path(), network, index)?);
    }
    let (issuer, shared_key_id) = roles::issuer::config::plan(folder.path(), network)?;
    roles.push(issuer);
    roles.push(roles::provisioner::plan(folder.path(), network, &shared_key_id)?);
    roles.push(roles::merchant::plan(folder.path(), network)?);
    Ok(roles)
}

/// An API key for people or for another role: its plain text goes to `file` (mode 0600, made
/// once), its digest to the configuration of the role that accepts it.
pub fn api_key(file: &Path, name: &str, scopes: &[&str]) -> Result<ApiKeyEntry, Failure> {
    if !file.exists() {
        write_atomically(file, api_keys::generate()?.as_bytes(), 0o600)?;
    }
    let text = read_bounded(file, 256)?;
    let text = core::str::from_utf8(&text).map_err(|_| Reason::StorageCorrupt)?;
    Ok(ApiKeyEntry {
        name: name.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        digest: api_keys::digest(text.trim()),
    })
}

/// The keys that every role accepts: one reads metrics, one sets the level of the log and has a node
/// write a snapshot.
pub fn maintenance_keys(folder: &Path) -> Result<Vec<ApiKeyEntry>, Failure> {
    Ok(vec![
        api_key(&folder.join(MONITOR_KEY_FILE), "monitor", &["metrics"])?,
        api_key(&folder.join(MAINTENANCE_KEY_FILE), "maintenance", &["log-level", "snapshots"])?,
    ])
}

/// Reads the shape of a network that was founded; [`Reason::StorageCorrupt`] when it cannot be.
pub fn read_shape(file: &Path) -> Result<Shape, Failure> {
    let text = read_bounded(file, 4096)?;
    let text = core::str::from_utf8(&text).map_err(|_| Reason::StorageCorrupt)?;
    toml::from_str(text).map_err(|error| {
        Failure::new(Reason::StorageCorrupt).cause(format!("{}: {error}", file.display()))
    })
}

fn resumed_shape(file: &Path, args: &UpArgs) -> Result<Shape, Failure> {
    let mut shape = read_shape(file)?;
    if let Some(validators) = args.validators.filter(|count| *count != shape.validators) {
        let there = shape.validators;
        return Err(Failure::new(Reason::AlreadyOther)
            .cause(format!(
                "the network in this folder has {there} validators, not {validators}, and their \
                 number is fixed when a network begins"
            ))
            .next_step("leave --validators out, or found another network with --data DIR"));
    }
    if let Some(listen) = args.listen {
        (shape.host, shape.base_port) = (listen.ip(), chosen_port(listen.ip(), listen.port())?);
    }
    Ok(shape)
}

fn new_shape(args: &UpArgs) -> Result<Shape, Failure> {
    let host = args.listen.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |listen| listen.ip());
    let port = args.listen.map_or(BASE_PORT, |listen| listen.port());
    let validators = args.validators.unwrap_or(FAULT_TOLERANT);
    Ok(Shape { validators, host, base_port: chosen_port(host, port)? })
}

fn chosen_port(host: IpAddr, port: u16) -> Result<u16, Failure> {
    if port == 0 { plan::find_base_port(host) } else { Ok(port) }
}

fn genesis(folder: &DataFolder, keys: &Keys) -> Result<Genesis, Failure> {
    let file = folder.file(GENESIS_FILE);
    let set = ValidatorSet::new(keys.validators.clone())?;
    if file.exists() {
        let genesis = Genesis::read(&read_bounded(&file, GENESIS_BYTES_MAX)?)?;
        if genesis.validators != set {
            return Err(Failure::new(Reason::StorageCorrupt)
                .cause(format!("{} names other validators than the keys", file.display())));
        }
        return Ok(genesis);
    }
    let genesis = Genesis {
        // Two networks on one machine are told apart by their names.
        name: format!("local-{}", tallystick_kernel::hex::encode(&source::random::<2>()?)),
        // As if the network had been idle for a while: the first block is made as soon as the
        // nodes have found each other, and not an idle interval later.
        time: source::now().before(IDLE_INTERVAL),
        validators: set,
        accounts: vec![
            Owners::single(keys.bank),
            Owners::single(keys.merchant),
            operators(&keys.operators),
        ],
        currencies: vec![GenesisCurrency {
            code: CurrencyCode::new(CURRENCY)?,
            exponent: EXPONENT,
            authority: BANK as u64,
        }],
        parameters: Parameters {
            block_entries_max: 1024,
            idle_interval: IDLE_INTERVAL,
            checkpoint_interval: 64,
            governance: Some(Governance {
                epoch_blocks: EPOCH_BLOCKS,
                operators: OPERATORS as u64,
                rules_version: RULES_VERSION_MAX,
            }),
        },
    };
    genesis.check()?;
    write_atomically(&file, &genesis.to_bytes(), 0o644)?;
    Ok(genesis)
}

/// As many of the nodes' operators as validators must agree.
fn operators(keys: &[PublicKey]) -> Owners {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    let faults = keys.len().saturating_sub(1) / 3;
    Owners { threshold: u16::try_from(keys.len() - faults).unwrap_or(u16::MAX), keys }
}

/// More than two hours of an idle network.
const EPOCH_BLOCKS: u64 = 4096;
const IDLE_INTERVAL: DurationMs = DurationMs::seconds(2);
// Places in the genesis file's list of accounts.
const BANK: usize = 0;
const MERCHANT: usize = 1;
const OPERATORS: usize = 2;
