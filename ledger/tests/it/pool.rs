//! Admission: what the pool takes, refuses, hands out and drops.

use std::sync::Arc;

use tallystick_kernel::{AccountId, DurationMs, Reason, TimeMs};
use tallystick_ledger::{Admitted, Ancestor, Pool, PoolLimits, Rules, entry_of};
use tallystick_proofs::action::Action;
use tallystick_proofs::transaction::{Body, Transaction, account_id, reserve_id};

use crate::world::{
    ALICE, BOB, MANDATE, STRANGER, World, amount, eur, key, line, lock, owners, remit,
};

fn pool() -> Pool {
    Pool::new(PoolLimits::default(), Rules::default())
}

fn admit(pool: &mut Pool, world: &World, transaction: &Transaction) -> Result<Admitted, Reason> {
    crate::world::admit(pool, &world.state, transaction, world.now)
}

fn transfer(world: &mut World, minor: u64) -> Transaction {
    let lines = vec![line(world.shop(), minor)];
    world.sign(world.alice(), Action::Transfer { currency: eur(), lines }, &[ALICE])
}

#[test]
fn a_transaction_waits_once_and_is_refused_after_it_was_executed() {
    let mut world = World::new();
    let mut pool = pool();
    let pay = transfer(&mut world, 10);
    assert_eq!(admit(&mut pool, &world, &pay), Ok(Admitted::New));
    assert_eq!(admit(&mut pool, &world, &pay), Ok(Admitted::AlreadyHere));
    assert_eq!(pool.len(), 1);
    world.block(core::slice::from_ref(&pay));
    assert_eq!(pool.executed(&world.state, &[(entry_of(&pay), &pay)]), vec![]);
    assert!(pool.is_empty());
    assert_eq!(admit(&mut pool, &world, &pay), Err(Reason::AlreadyExecuted));
    assert!(world.state.result(&pay.id()).unwrap().result.is_success());
}

#[test]
fn a_refusal_is_not_remembered_so_a_bad_witness_poisons_no_id() {
    let mut world = World::new();
    let mut pool = pool();
    let pay = transfer(&mut world, 10);
    let foreign = pay.body.clone().sign(&[&key(STRANGER)]);
    assert_eq!(foreign.id(), pay.id());
    assert_eq!(admit(&mut pool, &world, &foreign), Err(Reason::NotOwner));
    assert_eq!(admit(&mut pool, &world, &pay), Ok(Admitted::New));
}

#[test]
fn too_late_and_too_early_are_refused() {
    let mut world = World::new();
    let mut pool = pool();
    let mut until = |valid_until: TimeMs| {
        let body = Body { valid_until, ..transfer(&mut world, 1).body };
        let signed = body.sign(&[&key(ALICE)]);
        admit(&mut pool, &world, &signed)
    };
    let now = until(TimeMs(0)).err().map(|_| World::new().now).unwrap();
    assert_eq!(until(now), Err(Reason::Expired));
    assert_eq!(until(now.after(DurationMs(1))), Ok(Admitted::New));
    assert_eq!(until(now.after(DurationMs::minutes(10))), Ok(Admitted::New));
    assert_eq!(until(now.after(DurationMs(600_001))), Err(Reason::ValidityTooLong));
}

#[test]
fn a_reserve_is_claimed_by_one_waiting_transaction_until_that_ends() {
    let mut world = World::new();
    let mut pool = pool();
    let reserves = world.open(&[100, 100], None, None);
    let (alice, shop) = (world.alice(), world.shop());
    let first = world.sign(alice, remit(shop, 10, &reserves, &[]), &[ALICE]);
    let second = world.sign(alice, remit(shop, 20, &reserves[1..], &[]), &[ALICE]);
    assert_eq!(admit(&mut pool, &world, &first), Ok(Admitted::New));
    assert_eq!(admit(&mut pool, &world, &second), Err(Reason::ClaimTaken));
    assert_eq!(pool.expire(first.body.valid_until), vec![first.id()]);
    assert_eq!(admit(&mut pool, &world, &second), Ok(Admitted::New));
}

#[test]
fn nobody_blocks_a_reserve_that_he_could_not_use() {
    let mut world = World::new();
    let mut pool = pool();
    let reserves = world.open(&[100], Some(lock()), None);
    let (alice, bob, shop) = (world.alice(), world.bob(), world.shop());
    let pay = |world: &mut World, account, signers: &[u8]| {
        world.sign(account, remit(shop, 10, &reserves, &[]), signers)
    };
    let attempts = [
        (pay(&mut world, bob, &BOB[..2]), Reason::ReserveNotOwned),
        (pay(&mut world, alice, &[STRANGER]), Reason::NotMandate),
        (pay(&mut world, alice, &[ALICE]), Reason::ReserveLocked),
        (pay(&mut world, bob, &[MANDATE]), Reason::ReserveNotOwned),
    ];
    for (attempt, reason) in &attempts {
        assert_eq!(admit(&mut pool, &world, attempt), Err(*reason));
    }
    let right = pay(&mut world, alice, &[MANDATE]);
    assert_eq!(admit(&mut pool, &world, &right), Ok(Admitted::New));
}

#[test]
fn what_is_made_by_a_waiting_transaction_is_in_flight() {
    let mut world = World::new();
    let mut pool = pool();
    let (alice, shop) = (world.alice(), world.shop());
    let amounts = vec![amount(50)];
    let open = Action::ReserveOpen { currency: eur(), amounts, lock: None, expiry: None };
    let open = world.sign(alice, open, &[ALICE]);
    let made = reserve_id(&open.id(), 0);
    let spend = world.sign(alice, remit(shop, 10, &[made], &[]), &[ALICE]);
    assert_eq!(admit(&mut pool, &world, &spend), Err(Reason::ReserveUnknown));
    assert_eq!(admit(&mut pool, &world, &open), Ok(Admitted::New));
    assert_eq!(admit(&mut pool, &world, &spend), Err(Reason::OutputInFlight));
    let account = Action::AccountOpen { owners: owners(&[60], 1) };
    let account = world.sign(AccountId::NONE, account, &[60]);
    assert_eq!(admit(&mut pool, &world, &account), Ok(Admitted::New));
    let lines = vec![line(account_id(&account.id()), 1)];
    let pay = world.sign(alice, Action::Transfer { currency: eur(), lines }, &[ALICE]);
    assert_eq!(admit(&mut pool, &world, &pay), Err(Reason::OutputInFlight));
    world.block(core::slice::from_ref(&open));
    pool.executed(&world.state, &[(entry_of(&open), &open)]);
    assert_eq!(admit(&mut pool, &world, &spend), Ok(Admitted::New));
}

#[test]
fn a_conflicting_transaction_that_was_executed_ends_the_one_that_waits() {
    let mut world = World::new();
    let mut pool = pool();
    let reserves = world.open(&[100, 100], None, None);
    let (alice, shop) = (world.alice(), world.shop());
    let mine = world.sign(alice, remit(shop, 10, &reserves, &[]), &[ALICE]);
    let other = world.sign(alice, remit(shop, 20, &reserves[1..], &[]), &[ALICE]);
    assert_eq!(admit(&mut pool, &world, &mine), Ok(Admitted::New));
    world.block(core::slice::from_ref(&other));
    let dropped = pool.executed(&world.state, &[(entry_of(&other), &other)]);
    assert_eq!(dropped, vec![(mine.id(), Reason::ReserveUnknown)]);
    assert!(pool.is_empty());
}

#[test]
fn a_conflicting_transaction_that_failed_leaves_the_waiting_one_in_place() {
    let mut world = World::new();
    let mut pool = pool();
    let reserves = world.open(&[100], None, None);
    let (alice, shop) = (world.alice(), world.shop());
    let mine = world.sign(alice, remit(shop, 10, &reserves, &[]), &[ALICE]);
    let short = world.sign(alice, remit(shop, 101, &reserves, &[]), &[ALICE]);
    assert_eq!(admit(&mut pool, &world, &mine), Ok(Admitted::New));
    world.block(core::slice::from_ref(&short));
    assert_eq!(pool.executed(&world.state, &[(entry_of(&short), &short)]), vec![]);
    assert_eq!(pool.select(&world.state, &[], world.now, 9), vec![entry_of(&mine)]);
}

#[test]
fn a_pool_is_bounded_in_all_and_for_each_account() {
    let mut world = World::new();
    let limits = PoolLimits { entries_max: 4, account_entries_max: 2 };
    let mut pool = Pool::new(limits, Rules::default());
    for expected in [Ok(Admitted::New), Ok(Admitted::New), Err(Reason::AccountQuota)] {
        let pay = transfer(&mut world, 1);
        assert_eq!(admit(&mut pool, &world, &pay), expected);
    }
    let lines = vec![line(world.shop(), 1)];
    for expected in [Ok(Admitted::New), Ok(Admitted::New), Err(Reason::PoolFull)] {
        let action = Action::Transfer { currency: eur(), lines: lines.clone() };
        let pay = world.sign(world.bob(), action, &BOB[..2]);
        assert_eq!(admit(&mut pool, &world, &pay), expected);
    }
    let first = pool.select(&world.state, &[], world.now, 1);
    let (_, held) = pool.get(&first[0].id).unwrap();
    pool.executed(&world.state, &[(first[0], &held)]);
    let pay = transfer(&mut world, 1);
    assert_eq!(admit(&mut pool, &world, &pay), Ok(Admitted::New));
}

#[test]
fn selection_goes_by_arrival_and_leaves_out_what_ancestors_hold_or_claim() {
    let mut world = World::new();
    let mut pool = pool();
    let reserves = world.open(&[100, 100], None, None);
    let (alice, shop) = (world.alice(), world.shop());
    let waiting = [
        transfer(&mut world, 1),
        world.sign(alice, remit(shop, 10, &reserves[..1], &[]), &[ALICE]),
        world.sign(alice, remit(shop, 10, &reserves[1..], &[]), &[ALICE]),
        transfer(&mut world, 2),
    ];
    for transaction in &waiting {
        assert_eq!(admit(&mut pool, &world, transaction), Ok(Admitted::New));
    }
    let entries: Vec<_> = waiting.iter().map(entry_of).collect();
    assert_eq!(pool.select(&world.state, &[], world.now, 9), entries);
    assert_eq!(pool.select(&world.state, &[], world.now, 2), entries[..2]);
    let rival = world.sign(alice, remit(shop, 20, &reserves[..1], &[]), &[ALICE]);
    let height = world.state.height() + 1;
    let held = [(&entries[0], &waiting[0]), (&entry_of(&rival), &rival)];
    let ancestor = Arc::new(Ancestor::new(height, held));
    let rest = pool.select(&world.state, core::slice::from_ref(&ancestor), world.now, 9);
    assert_eq!(rest, entries[2..]);
    let late = waiting[0].body.valid_until;
    assert_eq!(pool.select(&world.state, &[], late, 9), vec![]);
}

#[test]
fn without_the_claim_rule_the_pool_hands_out_a_double_spend() {
    let mut world = World::new();
    let mut pool = Pool::new(PoolLimits::default(), Rules { claims: false, ..Rules::default() });
    let reserves = world.open(&[100], None, None);
    let (alice, shop, bob) = (world.alice(), world.shop(), world.bob());
    let spends = [
        world.sign(alice, remit(shop, 100, &reserves, &[]), &[ALICE]),
        world.sign(alice, remit(bob, 100, &reserves, &[]), &[ALICE]),
    ];
    for spend in &spends {
        assert_eq!(admit(&mut pool, &world, spend), Ok(Admitted::New));
    }
    let picked = pool.select(&world.state, &[], world.now, 9);
    assert_eq!(picked, spends.iter().map(entry_of).collect::<Vec<_>>());
    assert_eq!(world.block(&spends).results[1].failure, Some(Reason::ReserveUnknown));
}
