//! A source of transactions that all succeed.

use std::path::Path;

use tallystick_crypto::key_store::{KeyPurpose, StoredSigner};
use tallystick_kernel::{AccountId, Amount, DurationMs, Salt};
use tallystick_proofs::action::Action;
use tallystick_proofs::transaction::{Body, Transaction};
use tallystick_tally::commands::network_file::NetworkFile;
use tallystick_tally::key_file::KeyFile;
use tallystick_tally::machine_key::MachineKey;
use tallystick_tally::source;

/// Mints one minor unit to the bank itself; each is a transaction of its own.
pub struct Bank {
    network: NetworkFile,
    keys: KeyFile,
    ahead: DurationMs,
}

impl Bank {
    /// With the issuer's keys, from a network's folder.
    pub fn open(folder: &Path) -> Bank {
        let machine_key = MachineKey::read(&folder.join("machine.key")).unwrap();
        Bank {
            network: NetworkFile::read(&folder.join("network.toml")).unwrap(),
            keys: KeyFile::open(&folder.join("issuer"), &machine_key).unwrap(),
            ahead: DurationMs(0),
        }
    }

    /// The same with a clock that is ahead.
    pub fn ahead(self, by: DurationMs) -> Bank {
        Bank { ahead: by, ..self }
    }

    /// The account that has the money.
    pub fn account(&self) -> AccountId {
        self.network.genesis.authority(&self.network.currency).unwrap()
    }

    /// A transaction that succeeds, other than all before.
    pub fn transaction(&self) -> Transaction {
        let (genesis, currency) = (&self.network.genesis, self.network.currency);
        let account = genesis.authority(&currency).unwrap();
        let amount = Amount::new(1).unwrap();
        let body = Body {
            network: genesis.network(),
            account,
            salt: Salt(source::random().unwrap()),
            valid_until: source::now().after(self.ahead).after(DurationMs::minutes(5)),
            action: Action::Mint { currency, payee: account, amount, reference: None },
        };
        let signer = StoredSigner::new(self.keys.store(), "account", KeyPurpose::Account).unwrap();
        body.sign_by(&[&signer]).unwrap()
    }
}
