//! A small network without consensus: a genesis file, keys, and blocks executed one after another.

use std::sync::Arc;

use tallystick_crypto::SigningKey;
use tallystick_kernel::{
    AccountId, Amount, Codec as _, CurrencyCode, DurationMs, Reason, ReserveId, Salt, TimeMs,
    TransactionId,
};
use tallystick_ledger::{
    Admitted, Found, MemoryStore, Outcome, Pool, State, entry_of, execute, genesis_header,
};
use tallystick_proofs::action::{Action, Line, Lock};
use tallystick_proofs::genesis::{Genesis, GenesisCurrency, Parameters, ValidatorSet};
use tallystick_proofs::header::{Entry, Header, entries_root};
use tallystick_proofs::owners::Owners;
use tallystick_proofs::transaction::{Body, Transaction, reserve_id};

/// When every world begins.
pub const START: TimeMs = TimeMs(1_000_000_000_000);
/// Seeds of the keys of the genesis accounts; Bob's account is two of three.
pub const AUTHORITY: u8 = 1;
pub const ALICE: u8 = 2;
pub const BOB: [u8; 3] = [3, 4, 5];
pub const SHOP: u8 = 6;
/// The issuer's mandate key; it owns no account.
pub const MANDATE: u8 = 7;
/// A key that nobody knows.
pub const STRANGER: u8 = 99;

pub struct World {
    pub genesis: Genesis,
    pub state: State,
    pub store: MemoryStore,
    pub parent: Header,
    pub now: TimeMs,
    salts: u64,
}

pub fn key(seed: u8) -> SigningKey {
    SigningKey::ed25519_from_seed(&[seed; 32])
}

pub fn owners(seeds: &[u8], threshold: u16) -> Owners {
    let mut keys: Vec<_> = seeds.iter().map(|seed| key(*seed).public_key()).collect();
    keys.sort_unstable();
    Owners { threshold, keys }
}

pub fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

pub fn eur() -> CurrencyCode {
    CurrencyCode::new("EUR").unwrap()
}

pub fn usd() -> CurrencyCode {
    CurrencyCode::new("USD").unwrap()
}

pub fn line(payee: AccountId, minor: u64) -> Line {
    Line { payee, amount: amount(minor), reference: None }
}

pub fn lock() -> Lock {
    Lock {
        mandate: key(MANDATE).public_key(),
        payment_max: None,
        payees: Vec::new(),
        unlock_delay: DurationMs::minutes(60),
    }
}

pub fn genesis() -> Genesis {
    let validators = (200..204).map(|seed| key(seed).public_key()).collect();
    Genesis {
        name: "test".to_owned(),
        time: START,
        validators: ValidatorSet::new(validators).unwrap(),
        accounts: vec![
            owners(&[AUTHORITY], 1),
            owners(&[ALICE], 1),
            owners(&BOB, 2),
            owners(&[SHOP], 1),
        ],
        currencies: vec![
            GenesisCurrency { code: eur(), exponent: 2, authority: 0 },
            GenesisCurrency { code: usd(), exponent: 2, authority: 0 },
        ],
        parameters: Parameters {
            block_entries_max: 100,
            idle_interval: DurationMs::seconds(5),
            checkpoint_interval: 4,
            governance: None,
        },
    }
}

impl World {
    /// Alice and Bob have 1000 EUR cents and 500 USD cents each.
    pub fn new() -> World {
        World::of(genesis())
    }

    /// The same on another genesis file.
    pub fn of(genesis: Genesis) -> World {
        genesis.check().unwrap();
        let state = State::genesis(&genesis);
        let mut store = MemoryStore::new();
        store.apply(&state.persisted());
        let parent = genesis_header(&genesis);
        let mut world = World { genesis, state, store, parent, now: START, salts: 0 };
        for payee in [world.alice(), world.bob()] {
            for (currency, minor) in [(eur(), 1000), (usd(), 500)] {
                assert_eq!(world.mint(currency, payee, minor), None);
            }
        }
        world
    }

    pub fn account(&self, index: usize) -> AccountId {
        self.genesis.accounts().nth(index).unwrap().0
    }

    pub fn authority(&self) -> AccountId {
        self.account(0)
    }

    pub fn alice(&self) -> AccountId {
        self.account(1)
    }

    pub fn bob(&self) -> AccountId {
        self.account(2)
    }

    pub fn shop(&self) -> AccountId {
        self.account(3)
    }

    pub fn body(&mut self, account: AccountId, action: Action) -> Body {
        self.salts += 1;
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.salts.to_be_bytes());
        Body {
            network: self.genesis.network(),
            account,
            salt: Salt(salt),
            valid_until: self.now.after(DurationMs::minutes(5)),
            action,
        }
    }

    pub fn sign(&mut self, account: AccountId, action: Action, seeds: &[u8]) -> Transaction {
        let keys: Vec<SigningKey> = seeds.iter().map(|seed| key(*seed)).collect();
        let keys: Vec<&SigningKey> = keys.iter().collect();
        let transaction = self.body(account, action).sign(&keys);
        assert_eq!(transaction.verify(&self.genesis.network()), Ok(()), "form is right");
        transaction
    }

    /// A header that follows from the parent and holds these entries.
    pub fn header(&self, entries: &[Entry]) -> Header {
        Header {
            height: self.parent.height + 1,
            previous: self.parent.id(),
            time: self.now,
            transactions_root: entries_root(entries),
            count: entries.len() as u64,
            executed_height: self.state.height(),
            ..self.parent.clone()
        }
    }

    /// Executes a block of these transactions, one second after the last.
    pub fn block(&mut self, transactions: &[Transaction]) -> Outcome {
        self.now = self.now.after(DurationMs::seconds(1));
        let entries: Vec<Entry> = transactions.iter().map(entry_of).collect();
        let header = self.header(&entries);
        self.execute(&header, transactions)
    }

    /// Executes the block and persists what it changed.
    pub fn execute(&mut self, header: &Header, transactions: &[Transaction]) -> Outcome {
        let listed: Vec<(Entry, &Transaction)> =
            transactions.iter().map(|transaction| (entry_of(transaction), transaction)).collect();
        let outcome = execute(&mut self.state, header, &listed);
        self.store.apply(&outcome.changes);
        self.parent = header.clone();
        assert_eq!(self.state.recount(), Ok(()));
        outcome
    }

    /// Executes one transaction in a block of its own and says why it failed.
    pub fn run(&mut self, account: AccountId, action: Action, seeds: &[u8]) -> Option<Reason> {
        let transaction = self.sign(account, action, seeds);
        self.block(&[transaction]).results[0].failure
    }

    pub fn mint(&mut self, currency: CurrencyCode, payee: AccountId, minor: u64) -> Option<Reason> {
        let action = Action::Mint { currency, payee, amount: amount(minor), reference: None };
        self.run(self.authority(), action, &[AUTHORITY])
    }

    /// Opens reserves of Alice's and gives their ids.
    pub fn open(
        &mut self,
        amounts: &[u64],
        lock: Option<Lock>,
        expiry: Option<TimeMs>,
    ) -> Vec<ReserveId> {
        let amounts = amounts.iter().map(|minor| amount(*minor)).collect();
        let action = Action::ReserveOpen { currency: eur(), amounts, lock, expiry };
        let transaction = self.sign(self.alice(), action, &[ALICE]);
        let outcome = self.block(core::slice::from_ref(&transaction));
        assert_eq!(outcome.results[0].failure, None);
        self.reserves_made(&transaction.id())
    }

    /// The reserves that a transaction made and that are still there.
    pub fn reserves_made(&self, id: &TransactionId) -> Vec<ReserveId> {
        let all = (0..64).map(|index| reserve_id(id, index));
        all.filter(|id| self.state.reserve(id).is_some()).collect()
    }

    /// Waits until the block after next has at least this time.
    pub fn wait(&mut self, duration: DurationMs) {
        self.now = self.now.after(duration);
    }

    pub fn free(&self, account: AccountId) -> u64 {
        self.state.free(&account, &eur()).minor()
    }
}

/// Admits a transaction with the length that it has.
pub fn admit(
    pool: &mut Pool,
    state: &State,
    transaction: &Transaction,
    now: TimeMs,
) -> Result<Admitted, Reason> {
    let (entry, bytes) = (entry_of(transaction), transaction.to_bytes().len());
    pool.admit(state, entry, Arc::new(transaction.clone()), bytes, now)
}

/// What a node that has the transaction finds.
pub fn found_here(transaction: &Transaction) -> Found {
    let bytes = transaction.to_bytes().len();
    Found::Verified { transaction: Arc::new(transaction.clone()), bytes }
}

/// A remit of EUR to one payee.
pub fn remit(payee: AccountId, minor: u64, reserves: &[ReserveId], reopen: &[u64]) -> Action {
    Action::Remit {
        currency: eur(),
        lines: vec![line(payee, minor)],
        reserves: reserves.to_vec(),
        reopen: reopen.iter().map(|minor| amount(*minor)).collect(),
    }
}
