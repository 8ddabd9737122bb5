//! Properties: the ledger agrees with the independent model, on results, money and validity.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tallystick_kernel::{DurationMs, Reason};
use tallystick_ledger::{MemoryStore, Rules, State, entry_of, genesis_header};
use tallystick_model::Model;
use tallystick_proofs::header::Header;
use tallystick_proofs::transaction::Transaction;

use crate::chain::{Chain, listed};
use crate::random::{Cast, Plan, plans};
use crate::world::World;

/// A world and its model, after the same blocks.
pub fn worlds() -> (World, Model) {
    let mut world = World::new();
    // The model has not seen what the world did while it was set up, so both begin anew and get the
    // same blocks from here on.
    world.state = State::genesis(&world.genesis);
    world.parent = genesis_header(&world.genesis);
    world.store = MemoryStore::new();
    world.store.apply(&world.state.persisted());
    let model = Model::new(&world.genesis);
    (world, model)
}

/// Executes on both sides and compares everything.
pub fn execute_on_both(
    world: &mut World,
    model: &mut Model,
    cast: &mut Cast,
    header: &Header,
    transactions: &[Transaction],
) -> Result<Vec<Option<Reason>>, TestCaseError> {
    let outcome = world.execute(header, transactions);
    let expected = model.apply_block(header, &listed(transactions));
    prop_assert_eq!(&outcome.results, &expected);
    transactions.iter().for_each(|transaction| cast.note(transaction));
    let balances = model.balances();
    let mut counted = 0;
    for (account, _) in &cast.accounts {
        for (currency, free) in world.state.balances(account) {
            prop_assert_eq!(balances.get(&(*account, currency)), Some(&free.minor()));
            counted += 1;
        }
    }
    prop_assert_eq!(counted, balances.len());
    let reserves = model.reserves();
    let held: usize =
        cast.accounts.iter().map(|(account, _)| world.state.reserves_of(account).count()).sum();
    prop_assert_eq!(held, reserves.len());
    for (id, expected) in reserves {
        let reserve = world.state.reserve(&id).unwrap();
        prop_assert_eq!(reserve.account, expected.account);
        prop_assert_eq!(reserve.currency, expected.code);
        prop_assert_eq!(reserve.amount.minor(), expected.minor);
        prop_assert_eq!(&reserve.lock, &expected.lock);
        prop_assert_eq!(reserve.expiry.map(|time| time.0), expected.expiry_ms);
        prop_assert_eq!(reserve.unlock_at.map(|time| time.0), expected.unlock_at_ms);
    }
    for (code, currency) in world.state.currencies() {
        prop_assert_eq!(currency.supply.minor(), model.supply(code));
    }
    Ok(outcome.results.iter().map(|result| result.failure).collect())
}

/// Money and locked reserves to begin with, so that later plans find something to spend.
pub fn set_up(world: &mut World, model: &mut Model, cast: &mut Cast) -> Result<(), TestCaseError> {
    let open = |account, terms, amounts| Plan {
        kind: 6,
        account,
        signer: 255,
        currency: 255,
        payees: vec![0],
        amounts,
        reserves: vec![0],
        terms,
    };
    let mint = |payee| Plan {
        kind: 1,
        payees: vec![payee],
        amounts: vec![100_000],
        ..open(0, 0, vec![1])
    };
    let rounds = [
        vec![mint(0), mint(1), mint(2)],
        vec![open(0, 26, vec![300, 300, 300]), open(0, 24, vec![300, 300]), open(1, 26, vec![300])],
    ];
    for round in rounds {
        let transactions: Vec<_> = round.iter().map(|plan| cast.transaction(world, plan)).collect();
        world.wait(DurationMs::seconds(1));
        let entries: Vec<_> = transactions.iter().map(entry_of).collect();
        let header = world.header(&entries);
        let failures = execute_on_both(world, model, cast, &header, &transactions)?;
        prop_assert!(failures.iter().all(Option::is_none), "{failures:?}");
    }
    Ok(())
}

/// Blocks of anything, executed without being judged: the rules of execution alone.
fn execution_agrees(rounds: &[Vec<Plan>]) -> Result<(), TestCaseError> {
    let (mut world, mut model) = worlds();
    let mut cast = Cast::new(&world);
    set_up(&mut world, &mut model, &mut cast)?;
    for round in rounds {
        let mut transactions: Vec<_> =
            round.iter().map(|plan| cast.transaction(&mut world, plan)).collect();
        if round[0].terms.is_multiple_of(5) {
            transactions.push(transactions[0].clone());
        }
        // Unlock delays pass in some cases.
        let minutes = if round[0].kind.is_multiple_of(4) { 20 } else { 0 };
        world.wait(DurationMs::minutes(minutes).max(DurationMs::seconds(1)));
        let entries: Vec<_> = transactions.iter().map(entry_of).collect();
        let header = world.header(&entries);
        execute_on_both(&mut world, &mut model, &mut cast, &header, &transactions)?;
    }
    prop_assert_eq!(State::load(&world.genesis, &world.store).unwrap(), Some(world.state));
    Ok(())
}

/// Why a claim was not there for the one who took it.
const CLAIM_FAILURES: [Reason; 12] = [
    Reason::AccountUnknown,
    Reason::NotOwner,
    Reason::SignatureMissing,
    Reason::SignatureExtra,
    Reason::ReserveUnknown,
    Reason::ReserveNotOwned,
    Reason::NotMandate,
    Reason::ReserveExpired,
    Reason::ReserveLocked,
    Reason::ReserveNotLocked,
    Reason::UnlockPending,
    Reason::AlreadyExecuted,
];

/// Two nodes admit, propose and execute; a dishonest one proposes anything beside them. Nothing
/// that was voted for ever fails for its claim.
fn no_double_spend(rules: Rules, rounds: &[Vec<Plan>]) -> Result<(), TestCaseError> {
    let mut chain = Chain::new(rules)?;
    for (index, round) in rounds.iter().enumerate() {
        let mut seen = Vec::new();
        for plan in round {
            let twin = plan.payees[0].is_multiple_of(3);
            seen.push(if twin { chain.submit_twin(plan) } else { chain.submit(plan) });
        }
        chain.wait(DurationMs::seconds(1 + u64::from(round[0].kind)));
        if rules.claims {
            chain.propose_anything(&seen, usize::from(round[0].terms) % 4)?;
            let lag = usize::from(round[0].currency) % 4;
            for one in &seen {
                chain.propose_anything(core::slice::from_ref(one), lag)?;
            }
        }
        chain.propose(index % 2)?;
        while chain.ahead() > usize::from(round[0].signer) % 4 {
            let failures = chain.execute()?;
            let failed = failures.iter().find(|code| CLAIM_FAILURES.contains(code));
            prop_assert!(failed.is_none(), "voted for, but its claim was gone: {failed:?}");
        }
    }
    Ok(())
}

fn rounds() -> impl Strategy<Value = Vec<Vec<Plan>>> {
    proptest::collection::vec(plans(12), 1..10)
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn executing_anything_agrees_with_the_model(rounds in rounds()) {
        execution_agrees(&rounds)?;
    }

    #[test]
    fn what_is_voted_for_never_fails_for_its_claim(rounds in rounds()) {
        no_double_spend(Rules::default(), &rounds)?;
    }
}

#[test]
fn without_the_claim_rule_double_spends_are_voted_for() {
    let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let found = runner.run(&rounds(), |rounds| {
        no_double_spend(Rules { claims: false, ..Rules::default() }, &rounds)
    });
    let said = found.unwrap_err().to_string();
    assert!(said.contains("its claim was gone"), "{said}");
}
