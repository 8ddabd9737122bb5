//! Properties: a block executed in lanes, by any number of workers in any order, does bit by bit
//! what it does in block order.

use proptest::prelude::*;
use proptest::test_runner::Config;
use tallystick_kernel::{DurationMs, Reason};
use tallystick_ledger::{Outcome, State, Workers, checkpoint, entry_of, execute, execute_with};
use tallystick_proofs::action::Action;
use tallystick_proofs::header::{Entry, Header};
use tallystick_proofs::transaction::Transaction;

use crate::against_model::{set_up, worlds};
use crate::random::{Cast, Plan, plans};
use crate::world::{ALICE, AUTHORITY, BOB, MANDATE, World, eur, line, remit};

/// So many parts, the last first.
struct Backwards(usize);

impl Workers for Backwards {
    fn parts(&self, _: usize) -> usize {
        self.0
    }

    fn each(&self, parts: usize, part: &(dyn Fn(usize) + Sync)) {
        (0..parts).rev().for_each(part);
    }
}

/// So many parts, each on a thread of its own.
struct AtOnce(usize);

impl Workers for AtOnce {
    fn parts(&self, _: usize) -> usize {
        self.0
    }

    fn each(&self, parts: usize, part: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for number in 0..parts {
                scope.spawn(move || part(number));
            }
        });
    }
}

/// Executes in every way and asserts that nothing differs.
fn in_every_way(world: &mut World, header: &Header, transactions: &[Transaction]) -> Outcome {
    let listed: Vec<(Entry, &Transaction)> =
        transactions.iter().map(|transaction| (entry_of(transaction), transaction)).collect();
    let before = world.state.clone();
    let mut plain = before.clone();
    let expected = execute(&mut plain, header, &listed);
    for parts in 1..=4 {
        let ways: [&dyn Workers; 2] = [&Backwards(parts), &AtOnce(parts)];
        for workers in ways {
            let mut state = before.clone();
            assert_eq!(execute_with(&mut state, header, &listed, workers), expected);
            assert_eq!(state, plain);
            assert_eq!(state.head(), plain.head());
            assert_eq!(checkpoint::root(&state), checkpoint::root(&plain));
        }
    }
    let outcome = world.execute(header, transactions);
    assert_eq!(outcome, expected);
    outcome
}

fn block(world: &mut World, transactions: &[Transaction]) -> Vec<Option<Reason>> {
    world.wait(DurationMs::seconds(1));
    let entries: Vec<Entry> = transactions.iter().map(entry_of).collect();
    let header = world.header(&entries);
    let outcome = in_every_way(world, &header, transactions);
    outcome.results.iter().map(|result| result.failure).collect()
}

fn any_blocks_are_the_same(rounds: &[Vec<Plan>]) -> Result<(), TestCaseError> {
    let (mut world, mut model) = worlds();
    let mut cast = Cast::new(&world);
    set_up(&mut world, &mut model, &mut cast)?;
    for round in rounds {
        let mut transactions = Vec::new();
        for plan in round {
            let made = cast.transaction(&mut world, plan);
            // Later transactions of the same block name what earlier ones make.
            cast.note(&made);
            transactions.push(made);
        }
        if round[0].terms.is_multiple_of(5) {
            transactions.insert(round.len() / 2, transactions[round.len() - 1].clone());
        }
        block(&mut world, &transactions);
    }
    prop_assert_eq!(State::load(&world.genesis, &world.store).unwrap(), Some(world.state));
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: 128, failure_persistence: None, ..Config::default() })]

    #[test]
    fn blocks_of_anything_are_the_same_in_lanes(rounds in proptest::collection::vec(plans(24), 1..5)) {
        any_blocks_are_the_same(&rounds)?;
    }
}

#[test]
fn a_balance_that_does_not_cover_all_is_taken_in_block_order() {
    let mut world = World::new();
    let (alice, bob, shop) = (world.alice(), world.bob(), world.shop());
    let mut pay = |from, to, minor, seeds: &[u8]| {
        let lines = vec![line(to, minor)];
        world.sign(from, Action::Transfer { currency: eur(), lines }, seeds)
    };
    let transactions = [
        pay(alice, shop, 900, &[ALICE]),
        pay(alice, shop, 200, &[ALICE]),
        pay(bob, alice, 150, &BOB[..2]),
        pay(alice, shop, 200, &[ALICE]),
        pay(alice, bob, 51, &[ALICE]),
        pay(alice, bob, 50, &[ALICE]),
    ];
    let short = Some(Reason::InsufficientFunds);
    assert_eq!(block(&mut world, &transactions), [None, short, None, None, short, None]);
}

#[test]
fn one_payer_and_one_hot_merchant_are_the_same_in_lanes() {
    let mut world = World::new();
    let (alice, shop) = (world.alice(), world.shop());
    let reserves = world.open(&[10; 20], Some(crate::world::lock()), None);
    let mut transactions = Vec::new();
    for reserve in &reserves {
        transactions.push(world.sign(alice, remit(shop, 7, &[*reserve], &[2]), &[MANDATE]));
        let lines = vec![line(shop, 3)];
        transactions.push(world.sign(alice, Action::Transfer { currency: eur(), lines }, &[ALICE]));
    }
    // One reserve twice, and one that another transaction of the block opens.
    transactions.push(world.sign(alice, remit(shop, 7, &reserves[..1], &[]), &[MANDATE]));
    let reopened = tallystick_proofs::transaction::reserve_id(&transactions[2].id(), 0);
    transactions.push(world.sign(alice, remit(shop, 2, &[reopened], &[]), &[MANDATE]));
    let failures = block(&mut world, &transactions);
    assert_eq!(failures.iter().flatten().collect::<Vec<_>>(), [&Reason::ReserveUnknown]);
    assert_eq!(world.free(shop), 20 * 7 + 20 * 3 + 2);
}

#[test]
fn supplies_at_their_limit_are_the_same_in_lanes() {
    let mut world = World::new();
    let (authority, shop, most) = (world.authority(), world.shop(), u64::MAX / 2);
    let mut transactions = Vec::new();
    for minor in [most - 2_100, 90, 20, 10] {
        let amount = crate::world::amount(minor);
        let mint = Action::Mint { currency: eur(), payee: shop, amount, reference: None };
        transactions.push(world.sign(authority, mint, &[AUTHORITY]));
    }
    let lines = vec![line(shop, 500)];
    let pay = Action::Transfer { currency: eur(), lines };
    transactions.push(world.sign(world.alice(), pay, &[ALICE]));
    let failures = block(&mut world, &transactions);
    assert_eq!(failures, [None, None, Some(Reason::SupplyExceeded), None, None]);
}
