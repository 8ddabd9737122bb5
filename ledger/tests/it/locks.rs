//! Reserves locked to a mandate: who spends them, within which terms, and how they are unlocked.

use tallystick_kernel::{DurationMs, Reason, ReserveId, TimeMs};
use tallystick_proofs::action::{Action, Lock};
use tallystick_proofs::transaction::reserve_id;

use crate::world::{ALICE, BOB, MANDATE, STRANGER, World, amount, eur, key, lock, remit};

fn unlock(reserves: &[ReserveId]) -> Action {
    Action::UnlockRequest { reserves: reserves.to_vec() }
}

fn close(reserves: &[ReserveId]) -> Action {
    Action::ReserveClose { reserves: reserves.to_vec() }
}

#[test]
fn a_mandate_pays_from_what_is_locked_to_it() {
    let mut world = World::new();
    let reserves = world.open(&[100, 200], Some(lock()), None);
    let pay = remit(world.shop(), 250, &reserves, &[30]);
    let pay = world.sign(world.alice(), pay, &[MANDATE]);
    let id = pay.id();
    assert_eq!(world.block(&[pay]).results[0].failure, None);
    assert_eq!((world.free(world.alice()), world.free(world.shop())), (720, 250));
    let reopened = world.state.reserve(&reserve_id(&id, 0)).unwrap();
    assert_eq!(reopened.lock, Some(lock()));
    let mandate = key(MANDATE).public_key();
    assert_eq!(world.state.reserves_locked_to(&mandate, &world.alice()).count(), 1);
}

#[test]
fn a_mandate_never_touches_what_is_not_locked_to_it() {
    let mut world = World::new();
    let open = world.open(&[100], None, None);
    let other = Lock { mandate: key(STRANGER).public_key(), ..lock() };
    let foreign = world.open(&[100], Some(other), None);
    let own = world.open(&[100], Some(lock()), None);
    let (alice, shop) = (world.alice(), world.shop());
    let run = |world: &mut World, reserves: &[ReserveId]| {
        world.run(alice, remit(shop, 1, reserves, &[]), &[MANDATE])
    };
    assert_eq!(run(&mut world, &open), Some(Reason::NotOwner));
    assert_eq!(run(&mut world, &foreign), Some(Reason::NotMandate));
    assert_eq!(run(&mut world, &[own[0], foreign[0]]), Some(Reason::NotMandate));
    assert_eq!(world.run(alice, close(&own), &[MANDATE]), Some(Reason::NotOwner));
    assert_eq!(world.run(alice, unlock(&own), &[MANDATE]), Some(Reason::NotOwner));
    let wrong_account = remit(shop, 1, &own, &[]);
    assert_eq!(world.run(world.bob(), wrong_account, &[MANDATE]), Some(Reason::ReserveNotOwned));
    let two = remit(shop, 1, &own, &[]);
    assert_eq!(world.run(alice, two, &[MANDATE, STRANGER]), Some(Reason::NotOwner));
    assert_eq!(run(&mut world, &own), None);
}

#[test]
fn the_terms_of_a_lock_bind_the_mandate() {
    let mut world = World::new();
    let (alice, shop, bob) = (world.alice(), world.shop(), world.bob());
    let terms = Lock { payment_max: Some(amount(150)), payees: vec![shop], ..lock() };
    let reserves = world.open(&[100, 100], Some(terms), None);
    let mut run = |payee, minor| world.run(alice, remit(payee, minor, &reserves, &[]), &[MANDATE]);
    assert_eq!(run(bob, 10), Some(Reason::PayeeNotAllowed));
    assert_eq!(run(bob, 151), Some(Reason::PayeeNotAllowed));
    assert_eq!(run(shop, 151), Some(Reason::MandateCapExceeded));
    assert_eq!(run(shop, 150), None);
}

#[test]
fn a_locked_reserve_is_not_spent_by_its_owner_before_the_delay() {
    let mut world = World::new();
    let (alice, bob) = (world.alice(), world.bob());
    let reserves = world.open(&[100, 100], Some(lock()), None);
    let pay = remit(bob, 10, &reserves[..1], &[]);
    assert_eq!(world.run(alice, pay.clone(), &[ALICE]), Some(Reason::ReserveLocked));
    assert_eq!(world.run(alice, close(&reserves), &[ALICE]), Some(Reason::ReserveLocked));
    assert_eq!(world.run(alice, unlock(&reserves), &[ALICE]), None);
    let requested = world.now;
    assert_eq!(world.run(alice, unlock(&reserves), &[ALICE]), Some(Reason::UnlockPending));
    assert_eq!(world.run(alice, pay.clone(), &[ALICE]), Some(Reason::ReserveLocked));
    // The next block's time is one second after `now`.
    world.now = TimeMs(requested.0 + DurationMs::minutes(60).0 - 1001);
    assert_eq!(world.run(alice, pay.clone(), &[ALICE]), Some(Reason::ReserveLocked));
    world.now = TimeMs(requested.0 + DurationMs::minutes(60).0 - 1000);
    assert_eq!(world.run(alice, pay, &[ALICE]), None);
    assert_eq!(world.run(alice, close(&reserves[1..]), &[ALICE]), None);
    assert_eq!(world.free(alice), 990);
}

#[test]
fn a_mandate_goes_on_spending_while_an_unlock_runs_and_cannot_end_it() {
    let mut world = World::new();
    let (alice, shop) = (world.alice(), world.shop());
    let reserves = world.open(&[100, 100], Some(lock()), None);
    assert_eq!(world.run(alice, unlock(&reserves[..1]), &[ALICE]), None);
    let unlock_at = world.state.reserve(&reserves[0]).unwrap().unlock_at;
    assert!(unlock_at.is_some());
    let pay = world.sign(alice, remit(shop, 1, &reserves, &[100, 99]), &[MANDATE]);
    let id = pay.id();
    assert_eq!(world.block(&[pay]).results[0].failure, None);
    for index in 0..2 {
        assert_eq!(world.state.reserve(&reserve_id(&id, index)).unwrap().unlock_at, unlock_at);
    }
    world.wait(DurationMs::minutes(61));
    let late = remit(shop, 1, &[reserve_id(&id, 0)], &[]);
    assert_eq!(world.run(alice, late, &[MANDATE]), None);
    assert_eq!(world.run(alice, close(&[reserve_id(&id, 1)]), &[ALICE]), None);
}

#[test]
fn reopened_change_waits_for_the_latest_of_several_unlocks() {
    let mut world = World::new();
    let (alice, shop) = (world.alice(), world.shop());
    let reserves = world.open(&[100, 100], Some(lock()), None);
    for reserve in &reserves {
        world.wait(DurationMs::minutes(5));
        assert_eq!(world.run(alice, unlock(core::slice::from_ref(reserve)), &[ALICE]), None);
    }
    let latest = world.state.reserve(&reserves[1]).unwrap().unlock_at;
    assert!(latest > world.state.reserve(&reserves[0]).unwrap().unlock_at);
    let pay = world.sign(alice, remit(shop, 1, &reserves, &[199]), &[MANDATE]);
    let id = pay.id();
    assert_eq!(world.block(&[pay]).results[0].failure, None);
    assert_eq!(world.state.reserve(&reserve_id(&id, 0)).unwrap().unlock_at, latest);
}

#[test]
fn only_a_locked_reserve_is_unlocked() {
    let mut world = World::new();
    let reserves = world.open(&[100], None, None);
    let failure = world.run(world.alice(), unlock(&reserves), &[ALICE]);
    assert_eq!(failure, Some(Reason::ReserveNotLocked));
    let failure = world.run(world.bob(), unlock(&reserves), &BOB[..2]);
    assert_eq!(failure, Some(Reason::ReserveNotOwned));
}

#[test]
fn an_expired_reserve_can_only_be_closed() {
    let mut world = World::new();
    let (alice, shop) = (world.alice(), world.shop());
    let expiry = world.now.after(DurationMs::seconds(10));
    let open = world.open(&[100], None, Some(expiry));
    let locked = world.open(&[100], Some(lock()), Some(expiry));
    // At `expiry` exactly it has expired.
    world.now = TimeMs(expiry.0 - 1001);
    let pay = |reserves: &[ReserveId]| remit(shop, 1, reserves, &[]);
    let just = world.open(&[1], None, Some(TimeMs(expiry.0 + 1)));
    assert_eq!(world.state.reserve(&just[0]).unwrap().amount, amount(1));
    world.now = TimeMs(expiry.0 - 1000);
    assert_eq!(world.run(alice, pay(&open), &[ALICE]), Some(Reason::ReserveExpired));
    assert_eq!(world.run(alice, pay(&locked), &[MANDATE]), Some(Reason::ReserveExpired));
    assert_eq!(world.run(alice, close(&open), &[ALICE]), None);
    assert_eq!(world.run(alice, close(&locked), &[ALICE]), Some(Reason::ReserveLocked));
    assert_eq!(world.run(alice, unlock(&locked), &[ALICE]), None);
    world.wait(DurationMs::minutes(60));
    assert_eq!(world.run(alice, close(&locked), &[ALICE]), None);
    let past = Action::ReserveOpen {
        currency: eur(),
        amounts: vec![amount(1)],
        lock: None,
        expiry: Some(world.now),
    };
    assert_eq!(world.run(alice, past, &[ALICE]), Some(Reason::ReserveExpired));
}

#[test]
fn change_is_reopened_only_under_terms_that_all_reserves_share() {
    let mut world = World::new();
    let (alice, shop) = (world.alice(), world.shop());
    let plain = world.open(&[100], Some(lock()), None);
    let capped = world.open(&[100], Some(Lock { payment_max: Some(amount(500)), ..lock() }), None);
    let both = [plain[0], capped[0]];
    let mixed = remit(shop, 10, &both, &[50]);
    assert_eq!(world.run(alice, mixed, &[MANDATE]), Some(Reason::TermsDiffer));
    assert_eq!(world.run(alice, remit(shop, 10, &both, &[]), &[MANDATE]), None);
    assert_eq!(world.free(alice), 990);
}

#[test]
fn the_owner_cannot_be_the_mandate() {
    let mut world = World::new();
    let own = Lock { mandate: key(ALICE).public_key(), ..lock() };
    let action = Action::ReserveOpen {
        currency: eur(),
        amounts: vec![amount(1)],
        lock: Some(own),
        expiry: None,
    };
    assert_eq!(world.run(world.alice(), action, &[ALICE]), Some(Reason::LockMalformed));
}
