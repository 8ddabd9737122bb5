//! Execution of blocks of 1,000 payments, and raw Ed25519 batch verification in the same run.
//!
//! Every payment needs a signature, so the batch is the limit; execution should be a small part of
//! it. Throughput is payments a second on one core, without storage and consensus.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tallystick_crypto::SigningKey;
use tallystick_crypto::batch::{SignedMessage, verify_batch};
use tallystick_kernel::{
    AccountId, Amount, Codec as _, CurrencyCode, DurationMs, Reason, Salt, TimeMs,
};
use tallystick_ledger::{
    BlockContext, Found, Pool, PoolLimits, Rules, State, Verdict, Workers, build, check,
    checkpoint, entry_of, execute, execute_with, genesis_header,
};
use tallystick_proofs::action::{Action, Line, Lock};
use tallystick_proofs::genesis::{Genesis, GenesisCurrency, Parameters, ValidatorSet};
use tallystick_proofs::header::{Entry, Header, entries_root};
use tallystick_proofs::owners::Owners;
use tallystick_proofs::transaction::{Body, Transaction, reserve_id};

/// Payments of one block.
const PAYMENTS: u64 = 1_000;
/// Accounts of payers, each of which makes ten payments.
const PAYERS: u16 = 100;
/// Accounts of payers where each makes one payment.
const MANY: u16 = 1_000;
const START: TimeMs = TimeMs(1_000_000_000_000);

/// A chain that only executes.
struct Chain {
    genesis: Genesis,
    state: State,
    parent: Header,
    salt: u64,
}

fn key(seed: u16) -> SigningKey {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&seed.to_be_bytes());
    SigningKey::ed25519_from_seed(&bytes)
}

fn known<T>(result: Result<T, Reason>) -> T {
    match result {
        Ok(value) => value,
        Err(reason) => unreachable!("the bench's own values are right: {reason}"),
    }
}

fn eur() -> CurrencyCode {
    known(CurrencyCode::new("EUR"))
}

fn minor(amount: u64) -> Amount {
    known(Amount::new(amount))
}

impl Chain {
    fn new(payers: u16) -> Chain {
        let validators = (2_000..2_004).map(|seed| key(seed).public_key()).collect();
        let account = |seed| Owners::single(key(seed).public_key());
        let genesis = Genesis {
            name: "bench".to_owned(),
            time: START,
            validators: known(ValidatorSet::new(validators)),
            accounts: (0..=payers).map(account).collect(),
            currencies: vec![GenesisCurrency { code: eur(), exponent: 2, authority: 0 }],
            parameters: Parameters {
                block_entries_max: PAYMENTS,
                idle_interval: DurationMs::seconds(5),
                checkpoint_interval: 1_000,
                governance: None,
            },
        };
        let state = State::genesis(&genesis);
        let parent = genesis_header(&genesis);
        Chain { genesis, state, parent, salt: 0 }
    }

    fn account(&self, index: usize) -> AccountId {
        self.genesis.accounts().nth(index).map_or(AccountId::NONE, |(id, _)| id)
    }

    fn sign(&mut self, account: AccountId, action: Action, seed: u16) -> Transaction {
        self.salt += 1;
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.salt.to_be_bytes());
        let body = Body {
            network: self.genesis.network(),
            account,
            salt: Salt(salt),
            valid_until: START.after(DurationMs::minutes(5)),
            action,
        };
        body.sign(&[&key(seed)])
    }

    fn header(&self, entries: &[Entry]) -> Header {
        Header {
            height: self.parent.height + 1,
            previous: self.parent.id(),
            transactions_root: entries_root(entries),
            count: entries.len() as u64,
            executed_height: self.state.height(),
            ..self.parent.clone()
        }
    }

    fn run(&mut self, transactions: &[Transaction]) {
        let listed: Vec<_> = transactions.iter().map(|one| (entry_of(one), one)).collect();
        let entries: Vec<Entry> = listed.iter().map(|(entry, _)| *entry).collect();
        let header = self.header(&entries);
        let outcome = execute(&mut self.state, &header, &listed);
        assert!(outcome.results.iter().all(|result| result.is_success()), "the set-up succeeds");
        self.parent = header;
    }

    /// Money for every payer, and ten reserves of each, locked to key 3000.
    fn fund(&mut self) -> Vec<Transaction> {
        let authority = self.account(0);
        let accounts: Vec<AccountId> = self.genesis.accounts().map(|(id, _)| id).collect();
        let (mut mints, mut opens) = (Vec::new(), Vec::new());
        let lock = Lock {
            mandate: key(3_000).public_key(),
            payment_max: None,
            payees: Vec::new(),
            unlock_delay: DurationMs::minutes(60),
        };
        for (seed, payee) in (1..).zip(&accounts[1..]) {
            let amount = minor(1_000_000);
            let mint = Action::Mint { currency: eur(), payee: *payee, amount, reference: None };
            mints.push(self.sign(authority, mint, 0));
            let open = Action::ReserveOpen {
                currency: eur(),
                amounts: vec![minor(100); 10],
                lock: Some(lock.clone()),
                expiry: None,
            };
            opens.push(self.sign(*payee, open, seed));
        }
        self.run(&mints);
        self.run(&opens);
        opens
    }

    /// One block of transfers, ten by each payer, to the next payer.
    fn transfers(&mut self) -> Vec<Transaction> {
        let accounts: Vec<AccountId> = self.genesis.accounts().map(|(id, _)| id).collect();
        let mut made = Vec::new();
        for number in 0..PAYMENTS {
            let payer = (number % u64::from(PAYERS)) as usize;
            let payee = accounts[1 + (payer + 1) % usize::from(PAYERS)];
            let lines = vec![Line { payee, amount: minor(7), reference: None }];
            let action = Action::Transfer { currency: eur(), lines };
            made.push(self.sign(accounts[1 + payer], action, 1 + payer as u16));
        }
        made
    }

    /// One block of transfers of `minor`, the payer and the payee of each by its number.
    fn pays(&mut self, minor_units: u64, pair: impl Fn(u64) -> (u64, u64)) -> Vec<Transaction> {
        let accounts: Vec<AccountId> = self.genesis.accounts().map(|(id, _)| id).collect();
        let mut made = Vec::new();
        for number in 0..PAYMENTS {
            let (payer, payee) = pair(number);
            let payee = accounts[payee as usize];
            let lines = vec![Line { payee, amount: minor(minor_units), reference: None }];
            let action = Action::Transfer { currency: eur(), lines };
            made.push(self.sign(accounts[payer as usize], action, payer as u16));
        }
        made
    }

    /// One block of remits, each from a reserve of its own.
    fn remits(&mut self, opens: &[Transaction]) -> Vec<Transaction> {
        let payee = self.account(0);
        let mut made = Vec::new();
        for open in opens {
            for index in 0..10 {
                let action = Action::Remit {
                    currency: eur(),
                    lines: vec![Line { payee, amount: minor(30), reference: None }],
                    reserves: vec![reserve_id(&open.id(), index)],
                    reopen: vec![minor(70)],
                };
                made.push(self.sign(open.body.account, action, 3_000));
            }
        }
        made
    }
}

fn payments(criterion: &mut Criterion) {
    let mut chain = Chain::new(PAYERS);
    let opens = chain.fund();
    let transfers = chain.transfers();
    let remits = chain.remits(&opens);
    let mut group = criterion.benchmark_group("block of 1000");
    group.throughput(Throughput::Elements(PAYMENTS));
    group.sample_size(20);
    for (name, transactions) in [("execute transfers", &transfers), ("execute remits", &remits)] {
        let listed: Vec<_> = transactions.iter().map(|one| (entry_of(one), one)).collect();
        let entries: Vec<Entry> = listed.iter().map(|(entry, _)| *entry).collect();
        let header = chain.header(&entries);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || chain.state.clone(),
                |mut state| {
                    let outcome = execute(&mut state, &header, &listed);
                    assert!(outcome.results.iter().all(|result| result.is_success()));
                    (state, outcome)
                },
                BatchSize::LargeInput,
            );
        });
    }
    judging(&mut group, &chain, &remits);
    group.bench_function("checkpoint of 1202 entries", |bencher| {
        bencher.iter(|| checkpoint::root(black_box(&chain.state)));
    });
    signatures(&mut group, &transfers);
    group.finish();
}

/// Runs the parts on threads.
struct Threads(usize);

impl Workers for Threads {
    fn parts(&self, _: usize) -> usize {
        self.0
    }

    fn each(&self, parts: usize, part: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for number in 1..parts {
                scope.spawn(move || part(number));
            }
            part(0);
        });
    }
}

/// The same blocks one transaction after another, as one lane, and in lanes on two threads.
fn lanes(criterion: &mut Criterion) {
    let mut chain = Chain::new(MANY);
    chain.fund();
    let many = u64::from(MANY);
    let spread = |number: u64| 1 + number * 7_919 % many;
    let loads = [
        ("uniform", chain.pays(7, |number| (spread(number), spread(number + 500)))),
        ("hot merchant", chain.pays(7, |number| (spread(number), 0))),
        ("one payer", chain.pays(7, |number| (1, spread(number)))),
        ("one payer short", chain.pays(2_000, |number| (1, spread(number)))),
    ];
    let mut group = criterion.benchmark_group("lanes");
    group.throughput(Throughput::Elements(PAYMENTS));
    group.sample_size(20);
    for (load, transactions) in &loads {
        let listed: Vec<_> = transactions.iter().map(|one| (entry_of(one), one)).collect();
        let entries: Vec<Entry> = listed.iter().map(|(entry, _)| *entry).collect();
        let header = chain.header(&entries);
        for (way, parts) in [("in order", 0), ("one lane", 1), ("two threads", 2)] {
            group.bench_function(BenchmarkId::new(way, load), |bencher| {
                let run = |mut state: State| {
                    let outcome = match parts {
                        0 => execute(&mut state, &header, &listed),
                        _ => execute_with(&mut state, &header, &listed, &Threads(parts)),
                    };
                    (state, outcome)
                };
                bencher.iter_batched(|| chain.state.clone(), run, BatchSize::LargeInput);
            });
        }
    }
    group.finish();
}

/// Admission, proposing and judging the same block of remits.
fn judging(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    chain: &Chain,
    remits: &[Transaction],
) {
    let sized = |one: &Transaction| (entry_of(one), Arc::new(one.clone()), one.to_bytes().len());
    let shared: Vec<_> = remits.iter().map(sized).collect();
    let fill = || {
        let mut pool = Pool::new(PoolLimits::default(), Rules::default());
        for (entry, transaction, bytes) in &shared {
            known(pool.admit(&chain.state, *entry, Arc::clone(transaction), *bytes, START));
        }
        pool
    };
    group.bench_function("admit remits", |bencher| bencher.iter(fill));
    let context = BlockContext {
        parent: &chain.parent,
        ancestors: &[],
        now: START,
        proposer: 0,
        rules: Rules::default(),
    };
    let pool = fill();
    // All are of one length.
    let remit_bytes = shared.first().map_or(0, |(.., bytes)| *bytes);
    let (header, entries) = known(build(&chain.state, &pool, &context));
    group.bench_function("judge remits", |bencher| {
        bencher.iter(|| {
            let find = |entry: &Entry| match pool.get(&entry.id) {
                Some((_, transaction)) => {
                    let bytes = remit_bytes;
                    Found::Verified { transaction, bytes }
                }
                None => Found::Missing,
            };
            let verdict = check(&chain.state, &context, &header, &entries, &find);
            assert_eq!(verdict, Verdict::Valid);
        });
    });
}

/// The limit: the same payments' signatures, verified in batches of 64 and of 256.
fn signatures(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    transactions: &[Transaction],
) {
    let ids: Vec<_> = transactions.iter().map(Transaction::id).collect();
    let items: Vec<SignedMessage<'_>> = transactions
        .iter()
        .zip(&ids)
        .flat_map(|(one, id)| one.witness.0.iter().map(|(key, made)| (*key, &id.0[..], *made)))
        .collect();
    assert_eq!(items.len() as u64, PAYMENTS);
    for size in [64, 256] {
        group.bench_function(format!("verify ed25519 in batches of {size}"), |bencher| {
            bencher.iter(|| {
                for chunk in items.chunks(size) {
                    assert_eq!(verify_batch(black_box(chunk)), Ok(()));
                }
            });
        });
    }
}

criterion_group!(benches, payments, lanes);
criterion_main!(benches);
