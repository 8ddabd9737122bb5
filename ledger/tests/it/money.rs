//! What actions do to money: mint, burn, transfer, reserves and remittances.

use tallystick_kernel::limits::SUPPLY_MAX;
use tallystick_kernel::{AccountId, Reason, Reference, TransactionId};
use tallystick_ledger::receipts::by_reference;
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::transaction::{account_id, reserve_id};

use crate::world::{ALICE, AUTHORITY, BOB, SHOP, World, amount, eur, line, owners, remit, usd};

#[test]
fn an_account_is_opened_by_its_own_keys_and_then_paid() {
    let mut world = World::new();
    let action = Action::AccountOpen { owners: owners(&[50, 51], 2) };
    let half = world.sign(AccountId::NONE, action.clone(), &[50]);
    assert_eq!(world.block(&[half]).results[0].failure, Some(Reason::SignatureMissing));
    assert_eq!(world.run(AccountId::NONE, action.clone(), &[50, 9]), Some(Reason::NotOwner));
    let whole = world.sign(AccountId::NONE, action, &[50, 51]);
    let opened = account_id(&whole.id());
    assert_eq!(world.block(&[whole]).results[0].failure, None);
    let pay = Action::Transfer { currency: eur(), lines: vec![line(opened, 10)] };
    assert_eq!(world.run(world.alice(), pay, &[ALICE]), None);
    let back = Action::Transfer { currency: eur(), lines: vec![line(world.alice(), 4)] };
    assert_eq!(world.run(opened, back, &[51, 50]), None);
    assert_eq!((world.free(opened), world.free(world.alice())), (6, 994));
}

#[test]
fn an_account_can_be_paid_in_the_block_that_opens_it() {
    let mut world = World::new();
    let open = world.sign(AccountId::NONE, Action::AccountOpen { owners: owners(&[50], 1) }, &[50]);
    let opened = account_id(&open.id());
    let pay = Action::Transfer { currency: eur(), lines: vec![line(opened, 10)] };
    let pay = world.sign(world.alice(), pay, &[ALICE]);
    let outcome = world.block(&[open, pay]);
    assert!(outcome.results.iter().all(|result| result.is_success()));
    assert_eq!(world.free(opened), 10);
}

#[test]
fn only_the_authority_makes_and_unmakes_money() {
    let mut world = World::new();
    assert_eq!(world.state.currency(&eur()).unwrap().supply, amount(2000));
    let burn = |minor| Action::Burn { currency: eur(), amount: amount(minor) };
    assert_eq!(world.run(world.alice(), burn(1), &[ALICE]), Some(Reason::NotAuthority));
    assert_eq!(
        world.run(world.authority(), burn(1), &[AUTHORITY]),
        Some(Reason::InsufficientFunds)
    );
    assert_eq!(world.mint(eur(), world.authority(), 7), None);
    assert_eq!(world.run(world.authority(), burn(7), &[AUTHORITY]), None);
    assert_eq!(world.state.currency(&eur()).unwrap().supply, amount(2000));
}

#[test]
fn a_supply_never_exceeds_its_maximum() {
    let mut world = World::new();
    let room = SUPPLY_MAX - 2000;
    assert_eq!(world.mint(eur(), world.shop(), room + 1), Some(Reason::SupplyExceeded));
    assert_eq!(world.mint(eur(), world.shop(), SUPPLY_MAX), Some(Reason::SupplyExceeded));
    assert_eq!(world.mint(eur(), world.shop(), room), None);
    assert_eq!(world.mint(eur(), world.shop(), 1), Some(Reason::SupplyExceeded));
}

#[test]
fn a_transfer_is_all_or_nothing() {
    let mut world = World::new();
    let nobody = AccountId([9; 32]);
    let (bob, shop, alice) = (world.bob(), world.shop(), world.alice());
    let pay = |lines| Action::Transfer { currency: eur(), lines };
    let wrong = pay(vec![line(shop, 1), line(nobody, 1)]);
    assert_eq!(world.run(alice, wrong, &[ALICE]), Some(Reason::PayeeUnknown));
    let short = pay(vec![line(shop, 600), line(bob, 401)]);
    assert_eq!(world.run(alice, short, &[ALICE]), Some(Reason::InsufficientFunds));
    assert_eq!((world.free(alice), world.free(shop)), (1000, 0));
    let whole = pay(vec![line(shop, 600), line(bob, 300), line(shop, 100)]);
    assert_eq!(world.run(alice, whole, &[ALICE]), None);
    assert_eq!((world.free(alice), world.free(shop), world.free(bob)), (0, 700, 1300));
}

#[test]
fn paying_oneself_needs_the_money_and_changes_nothing() {
    let mut world = World::new();
    let alice = world.alice();
    let pay = |minor| Action::Transfer { currency: eur(), lines: vec![line(alice, minor)] };
    assert_eq!(world.run(alice, pay(1001), &[ALICE]), Some(Reason::InsufficientFunds));
    assert_eq!(world.run(alice, pay(1000), &[ALICE]), None);
    assert_eq!(world.free(alice), 1000);
}

#[test]
fn transfers_of_one_balance_run_in_block_order_and_an_overdraft_is_a_code() {
    let mut world = World::new();
    let (alice, shop) = (world.alice(), world.shop());
    let pay = |minor| Action::Transfer { currency: eur(), lines: vec![line(shop, minor)] };
    let wanted: Vec<_> =
        [700, 400, 300].map(|minor| world.sign(alice, pay(minor), &[ALICE])).into();
    let failures: Vec<_> =
        world.block(&wanted).results.iter().map(|result| result.failure).collect();
    assert_eq!(failures, [None, Some(Reason::InsufficientFunds), None]);
    assert_eq!((world.free(alice), world.free(shop)), (0, 1000));
}

#[test]
fn reserves_are_opened_and_closed_without_loss() {
    let mut world = World::new();
    let reserves = world.open(&[100, 200, 300], None, None);
    assert_eq!(reserves.len(), 3);
    assert_eq!(world.free(world.alice()), 400);
    assert_eq!(world.state.reserves_of(&world.alice()).count(), 3);
    let close = Action::ReserveClose { reserves };
    assert_eq!(world.run(world.alice(), close.clone(), &[ALICE]), None);
    assert_eq!(world.free(world.alice()), 1000);
    assert_eq!(world.run(world.alice(), close, &[ALICE]), Some(Reason::ReserveUnknown));
    let too_much = Action::ReserveOpen {
        currency: eur(),
        amounts: vec![amount(1001)],
        lock: None,
        expiry: None,
    };
    assert_eq!(world.run(world.alice(), too_much, &[ALICE]), Some(Reason::InsufficientFunds));
}

#[test]
fn a_remit_pays_and_gives_the_change_back() {
    let mut world = World::new();
    let reserves = world.open(&[100, 200], None, None);
    assert_eq!(world.run(world.alice(), remit(world.shop(), 250, &reserves, &[]), &[ALICE]), None);
    assert_eq!((world.free(world.alice()), world.free(world.shop())), (750, 250));
    assert_eq!(world.state.reserves_of(&world.alice()).count(), 0);
}

#[test]
fn change_is_reopened_and_spent_again() {
    let mut world = World::new();
    let reserves = world.open(&[100, 200], None, None);
    let pay = remit(world.shop(), 50, &reserves, &[60, 70]);
    let pay = world.sign(world.alice(), pay, &[ALICE]);
    let id = pay.id();
    assert_eq!(world.block(&[pay]).results[0].failure, None);
    assert_eq!(world.free(world.alice()), 700 + 120);
    let again = remit(world.shop(), 130, &[reserve_id(&id, 0), reserve_id(&id, 1)], &[]);
    assert_eq!(world.run(world.alice(), again, &[ALICE]), None);
    assert_eq!((world.free(world.alice()), world.free(world.shop())), (820, 180));
}

#[test]
fn reserves_that_are_short_foreign_or_of_another_currency_do_not_pay() {
    let mut world = World::new();
    let (alice, bob, shop) = (world.alice(), world.bob(), world.shop());
    let reserves = world.open(&[100, 200], None, None);
    let short = remit(shop, 301, &reserves, &[]);
    assert_eq!(world.run(alice, short, &[ALICE]), Some(Reason::ReservesShort));
    let reopen = remit(shop, 250, &reserves, &[51]);
    assert_eq!(world.run(alice, reopen, &[ALICE]), Some(Reason::ReopenExceedsChange));
    let foreign = remit(shop, 1, &reserves, &[]);
    assert_eq!(world.run(bob, foreign, &BOB[..2]), Some(Reason::ReserveNotOwned));
    let dollars =
        Action::Remit { currency: usd(), lines: vec![line(shop, 1)], reserves, reopen: Vec::new() };
    assert_eq!(world.run(alice, dollars, &[ALICE]), Some(Reason::CurrencyMismatch));
    assert_eq!((world.free(alice), world.free(shop)), (700, 0));
}

#[test]
fn a_reserve_is_spent_once_even_within_one_block() {
    let mut world = World::new();
    let reserves = world.open(&[100], None, None);
    let (alice, shop, bob) = (world.alice(), world.shop(), world.bob());
    let first = world.sign(alice, remit(shop, 100, &reserves, &[]), &[ALICE]);
    let second = world.sign(alice, remit(bob, 100, &reserves, &[]), &[ALICE]);
    let results = world.block(&[first, second]).results;
    assert_eq!(results[0].failure, None);
    assert_eq!(results[1].failure, Some(Reason::ReserveUnknown));
    assert_eq!((world.free(shop), world.free(bob)), (100, 1000));
}

#[test]
fn money_finds_its_order_by_payee_and_reference() {
    let mut world = World::new();
    let (alice, shop, bob) = (world.alice(), world.shop(), world.bob());
    let order = Reference([5; 32]);
    let pay = |payee, minor| Action::Transfer {
        currency: eur(),
        lines: vec![Line { payee, amount: amount(minor), reference: Some(order) }],
    };
    let paid: Vec<_> = [(shop, 1), (shop, 2), (bob, 3), (shop, 5000)]
        .map(|(payee, minor)| world.sign(alice, pay(payee, minor), &[ALICE]))
        .into();
    world.block(&paid);
    let mut expected: Vec<TransactionId> = vec![paid[0].id(), paid[1].id()];
    expected.sort_unstable();
    assert_eq!(by_reference(&world.store, &shop, &order, 10), Ok(expected.clone()));
    assert_eq!(by_reference(&world.store, &shop, &order, 1), Ok(expected[..1].to_vec()));
    assert_eq!(by_reference(&world.store, &alice, &order, 10), Ok(vec![]));
}

#[test]
fn a_payee_who_receives_is_never_in_conflict() {
    let mut world = World::new();
    let (alice, bob, shop) = (world.alice(), world.bob(), world.shop());
    let to_shop = Action::Transfer { currency: eur(), lines: vec![line(shop, 1000)] };
    let first = world.sign(alice, to_shop.clone(), &[ALICE]);
    let on = Action::Transfer { currency: eur(), lines: vec![line(bob, 600)] };
    let second = world.sign(shop, on, &[SHOP]);
    let third = world.sign(bob, to_shop, &BOB[1..]);
    assert!(world.block(&[first, second, third]).results.iter().all(|one| one.is_success()));
    assert_eq!((world.free(shop), world.free(bob), world.free(alice)), (1400, 600, 0));
}
