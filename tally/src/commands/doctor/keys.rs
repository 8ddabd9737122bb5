//! The keys of a network: present, readable, and those that the genesis names.

use std::path::Path;

use tallystick_crypto::{KeyStore as _, PublicKey, SigningKey};
use tallystick_kernel::Reason;
use tallystick_kernel::limits::GENESIS_BYTES_MAX;
use tallystick_proofs::genesis::Genesis;

use super::Subject;
use super::finding::Finding;
use crate::data_folder::read_bounded;
use crate::failure::Failure;
use crate::key_file::KeyFile;
use crate::machine_key::MachineKey;
use crate::secret_file::SecretFile;
use crate::up::MACHINE_KEY_FILE;
use crate::up::founding::{ACCOUNT_KEY, GENESIS_FILE, VALIDATOR_SEED, node_name};

const CHECK: &str = "keys";

/// Looks at the keys; a folder without a network has none that could be compared.
pub fn look(subject: &Subject) -> Vec<Finding> {
    let Some(shape) = &subject.shape else { return Vec::new() };
    let folder = &subject.folder;
    let opened = genesis(folder).and_then(|genesis| {
        let machine_key = MachineKey::read(&folder.join(MACHINE_KEY_FILE))?;
        Ok((genesis, machine_key))
    });
    let (genesis, machine_key) = match opened {
        Ok(opened) => opened,
        Err(failure) => return vec![Finding::failure(CHECK, &lost(failure))],
    };
    let mut found = Vec::new();
    for index in 0..shape.validators {
        let name = node_name(index);
        found.push(validator(&folder.join(&name), &machine_key).and_then(|key| {
            require(genesis.validators.keys().contains(&key), &name, "a validator")
        }));
    }
    for (account, role) in ["issuer", "merchant"].into_iter().enumerate() {
        found.push(account_key(&folder.join(role), &machine_key).and_then(|key| {
            let owners = genesis.accounts.get(account);
            require(owners.is_some_and(|owners| owners.keys.contains(&key)), role, "an account")
        }));
    }
    let count = found.len();
    let mut findings: Vec<Finding> = found
        .into_iter()
        .filter_map(Result::err)
        .map(|failure| Finding::failure(CHECK, &lost(failure)))
        .collect();
    if findings.is_empty() {
        let says = format!(
            "{count} are there and the genesis names them; under {MACHINE_KEY_FILE}, which is for \
             development only"
        );
        findings.push(Finding::ok(CHECK, says));
    }
    findings
}

fn genesis(folder: &Path) -> Result<Genesis, Failure> {
    let file = folder.join(GENESIS_FILE);
    let genesis = Genesis::read(&read_bounded(&file, GENESIS_BYTES_MAX)?);
    genesis.map_err(|reason| Failure::new(reason).cause(file.display().to_string()))
}

fn validator(folder: &Path, machine_key: &MachineKey) -> Result<PublicKey, Failure> {
    let secrets = SecretFile::open(folder, machine_key)?;
    let seed = secrets.require(VALIDATOR_SEED).map_err(|failure| missing(folder, failure))?;
    let seed = seed.try_into().map_err(|_| Reason::StorageCorrupt)?;
    Ok(SigningKey::ed25519_from_seed(&seed).public_key())
}

fn account_key(folder: &Path, machine_key: &MachineKey) -> Result<PublicKey, Failure> {
    let keys = KeyFile::open(folder, machine_key)?;
    let key = keys.store().public_key(ACCOUNT_KEY);
    key.map_err(|reason| missing(folder, Failure::new(reason)))
}

fn missing(folder: &Path, failure: Failure) -> Failure {
    failure.cause(format!("the key of {} is missing", folder.display()))
}

fn require(matches: bool, role: &str, part: &str) -> Result<(), Failure> {
    match matches {
        true => Ok(()),
        false => Err(Failure::new(Reason::StorageCorrupt)
            .cause(format!("the key of {role} is not the one of {part} in {GENESIS_FILE}"))),
    }
}

/// A key cannot be made again: the genesis names the one that is lost.
fn lost(failure: Failure) -> Failure {
    failure.next_step("restore the file from a copy, or found another network with --data DIR")
}
