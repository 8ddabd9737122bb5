//! Execution of blocks of 1,000 payments, and raw Ed25519 batch verification in the same run.
//!
//! Every payment needs a signature, so the batch is the limit; execution should be a small part of
//! it. Throughput is payments a second on one core, without storage and consensus.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tallystick_crypto::SigningKey;
use tallystick_crypto::batch::{SignedMessage, verify_batch};
use tallystick_kernel::{AccountId, Amount, CurrencyCode, DurationMs, Reason, Salt, TimeMs};
use tallystick_ledger::{
    BlockContext, Found, Pool, PoolLimits, Rules, State, Verdict, build, check, checkpoint,
    entry_of, execute, genesis_header,
};
use tallystick_proofs::action::{Action, Line, Lock};
use tallystick_proofs::genesis::{Genesis, GenesisCurrency, Parameters, ValidatorSet};
use tallystick_proofs::header::{Entry, Header, entries_root};
use tallystick_proofs::owners::Owners;
use tallystick_proofs::transaction::{Body, Transaction, reserve_id};

/// Payments of one block.
const PAYMENTS: u64 = 1_000;
/// Accounts of payers, each of which makes ten payments.
const PAYERS: u8 = 100;
const START: TimeMs = TimeMs(1_000_000_000_000);

/// A chain that only executes.
struct Chain {
    genesis: Genesis,
    state: State,
    parent: Header,
    salt: u64,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::ed25519_from_seed(&[seed; 32])
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
    fn new() -> Chain {
        let validators = (200..204).map(|seed| key(seed).public_key()).collect();
        let account = |seed| Owners::single(key(seed).public_key());
        let genesis = Genesis {
            name: "bench".to_owned(),
            time: START,
            validators: known(ValidatorSet::new(validators)),
            accounts: (0..=PAYERS).map(account).collect(),
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

    fn sign(&mut self, account: AccountId, action: Action, seed: u8) -> Transaction {
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

    /// Money for every payer, and ten reserves of each, locked to key 250.
    fn fund(&mut self) -> Vec<Transaction> {
        let authority = self.account(0);
        let accounts: Vec<AccountId> = self.genesis.accounts().map(|(id, _)| id).collect();
        let (mut mints, mut opens) = (Vec::new(), Vec::new());
        let lock = Lock {
            mandate: key(250).public_key(),
            payment_max: None,
            payees: Vec::new(),
            unlock_delay: DurationMs::minutes(60),
        };
        for (seed, payee) in (1..=PAYERS).zip(&accounts[1..]) {
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
            made.push(self.sign(accounts[1 + payer], action, 1 + payer as u8));
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
                made.push(self.sign(open.body.account, action, 250));
            }
        }
        made
    }
}

fn payments(criterion: &mut Criterion) {
    let mut chain = Chain::new();
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

/// Admission, proposing and judging the same block of remits.
fn judging(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    chain: &Chain,
    remits: &[Transaction],
) {
    let shared: Vec<_> = remits.iter().map(|one| (entry_of(one), Arc::new(one.clone()))).collect();
    let fill = || {
        let mut pool = Pool::new(PoolLimits::default(), Rules::default());
        for (entry, transaction) in &shared {
            known(pool.admit(&chain.state, *entry, Arc::clone(transaction), START));
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
    let (header, entries) = known(build(&chain.state, &pool, &context));
    group.bench_function("judge remits", |bencher| {
        bencher.iter(|| {
            let find = |entry: &Entry| match pool.get(&entry.id) {
                Some((_, transaction)) => Found::Verified(transaction),
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

criterion_group!(benches, payments);
criterion_main!(benches);
