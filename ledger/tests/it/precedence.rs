//! The order of the refusals: each step mends what the step before was refused for, and leaves
//! everything that comes later wrong.

use tallystick_kernel::{AccountId, Amount, CurrencyCode, DurationMs, Reason, ReserveId, TimeMs};
use tallystick_proofs::action::{Action, Line, Lock};
use tallystick_proofs::transaction::Transaction;

use crate::world::{
    ALICE, AUTHORITY, BOB, MANDATE, SHOP, STRANGER, World, amount, eur, key, line, lock, usd,
};

const NOBODY: AccountId = AccountId([9; 32]);
const NOTHING: ReserveId = ReserveId([9; 32]);

fn gold() -> CurrencyCode {
    CurrencyCode::new("GOLD").unwrap()
}

/// A step: the account, the signers, the action, and what must come out.
type Step = (AccountId, Vec<u8>, Action, Option<Reason>);

fn check(world: &mut World, steps: Vec<Step>) {
    for (index, (account, signers, action, expected)) in steps.into_iter().enumerate() {
        let before = world.state.clone();
        let found = world.run(account, action, &signers);
        assert_eq!(found, expected, "step {index}");
        if expected.is_some() {
            for account in [world.authority(), world.alice(), world.bob(), world.shop()] {
                let same = before.balances(&account).eq(world.state.balances(&account));
                assert!(same, "a refusal changes nothing: step {index}");
                assert!(before.reserves_of(&account).eq(world.state.reserves_of(&account)));
            }
            assert!(before.currencies().eq(world.state.currencies()));
        }
    }
}

#[test]
fn a_mint_is_judged_by_account_signers_currency_authority_payee_and_supply() {
    let mut world = World::new();
    let (alice, authority, shop) = (world.alice(), world.authority(), world.shop());
    let mint = |currency, payee, amount| Action::Mint { currency, payee, amount, reference: None };
    let steps = vec![
        (NOBODY, vec![STRANGER], mint(gold(), NOBODY, Amount::MAX), Some(Reason::AccountUnknown)),
        (alice, vec![STRANGER], mint(gold(), NOBODY, Amount::MAX), Some(Reason::NotOwner)),
        (alice, vec![ALICE], mint(gold(), NOBODY, Amount::MAX), Some(Reason::CurrencyUnknown)),
        (alice, vec![ALICE], mint(eur(), NOBODY, Amount::MAX), Some(Reason::NotAuthority)),
        (authority, vec![AUTHORITY], mint(eur(), NOBODY, Amount::MAX), Some(Reason::PayeeUnknown)),
        (authority, vec![AUTHORITY], mint(eur(), shop, Amount::MAX), Some(Reason::SupplyExceeded)),
        (authority, vec![AUTHORITY], mint(eur(), shop, amount(1)), None),
    ];
    check(&mut world, steps);
}

#[test]
fn a_burn_is_judged_by_account_signers_currency_authority_and_funds() {
    let mut world = World::new();
    let (alice, authority) = (world.alice(), world.authority());
    assert_eq!(world.mint(eur(), authority, 5), None);
    let burn = |currency, minor| Action::Burn { currency, amount: amount(minor) };
    let steps = vec![
        (NOBODY, vec![STRANGER], burn(gold(), 6), Some(Reason::AccountUnknown)),
        (alice, vec![STRANGER], burn(gold(), 6), Some(Reason::NotOwner)),
        (alice, vec![ALICE], burn(gold(), 6), Some(Reason::CurrencyUnknown)),
        (alice, vec![ALICE], burn(eur(), 6), Some(Reason::NotAuthority)),
        (authority, vec![AUTHORITY], burn(eur(), 6), Some(Reason::InsufficientFunds)),
        (authority, vec![AUTHORITY], burn(eur(), 5), None),
    ];
    check(&mut world, steps);
}

#[test]
fn a_transfer_is_judged_by_account_signers_currency_payees_and_funds() {
    let mut world = World::new();
    let (bob, shop) = (world.bob(), world.shop());
    let pay = |currency, payee, minor| Action::Transfer {
        currency,
        lines: vec![line(shop, 1), line(payee, minor)],
    };
    let steps = vec![
        (NOBODY, vec![STRANGER], pay(gold(), NOBODY, 1000), Some(Reason::AccountUnknown)),
        (bob, vec![STRANGER], pay(gold(), NOBODY, 1000), Some(Reason::NotOwner)),
        (bob, vec![BOB[0], STRANGER], pay(gold(), NOBODY, 1000), Some(Reason::NotOwner)),
        (bob, vec![BOB[0]], pay(gold(), NOBODY, 1000), Some(Reason::SignatureMissing)),
        (bob, BOB.to_vec(), pay(gold(), NOBODY, 1000), Some(Reason::SignatureExtra)),
        (bob, BOB[..2].to_vec(), pay(gold(), NOBODY, 1000), Some(Reason::CurrencyUnknown)),
        (bob, BOB[..2].to_vec(), pay(eur(), NOBODY, 1000), Some(Reason::PayeeUnknown)),
        (bob, BOB[..2].to_vec(), pay(eur(), shop, 1000), Some(Reason::InsufficientFunds)),
        (bob, BOB[1..].to_vec(), pay(eur(), shop, 999), None),
    ];
    check(&mut world, steps);
}

#[test]
fn a_reserve_is_opened_after_account_signers_mandate_expiry_currency_and_funds() {
    let mut world = World::new();
    let alice = world.alice();
    let (past, later) = (Some(TimeMs(1)), Some(world.now.after(DurationMs::minutes(60))));
    let own = || Some(Lock { mandate: key(ALICE).public_key(), ..lock() });
    let open = |currency, minor, lock, expiry| Action::ReserveOpen {
        currency,
        amounts: vec![amount(minor)],
        lock,
        expiry,
    };
    let steps = vec![
        (NOBODY, vec![STRANGER], open(gold(), 1001, own(), past), Some(Reason::AccountUnknown)),
        (alice, vec![STRANGER], open(gold(), 1001, own(), past), Some(Reason::NotOwner)),
        (alice, vec![ALICE], open(gold(), 1001, own(), past), Some(Reason::LockMalformed)),
        (alice, vec![ALICE], open(gold(), 1001, Some(lock()), past), Some(Reason::ReserveExpired)),
        (alice, vec![ALICE], open(gold(), 1001, None, later), Some(Reason::CurrencyUnknown)),
        (alice, vec![ALICE], open(eur(), 1001, None, later), Some(Reason::InsufficientFunds)),
        (alice, vec![ALICE], open(eur(), 1000, Some(lock()), later), None),
    ];
    check(&mut world, steps);
}

#[test]
fn closing_and_unlocking_are_judged_by_account_signers_and_each_reserve() {
    let mut world = World::new();
    let (alice, bob) = (world.alice(), world.bob());
    let open = world.open(&[100], None, None)[0];
    let locked = world.open(&[100], Some(lock()), None)[0];
    let close = |reserves: &[_]| Action::ReserveClose { reserves: reserves.to_vec() };
    let unlock = |reserves: &[_]| Action::UnlockRequest { reserves: reserves.to_vec() };
    let steps = vec![
        (NOBODY, vec![STRANGER], close(&[NOTHING, open]), Some(Reason::AccountUnknown)),
        (alice, vec![STRANGER], close(&[NOTHING, open]), Some(Reason::NotOwner)),
        (alice, vec![ALICE], close(&[NOTHING, locked]), Some(Reason::ReserveUnknown)),
        (alice, vec![ALICE], close(&[locked, NOTHING]), Some(Reason::ReserveLocked)),
        (bob, BOB[..2].to_vec(), close(&[locked, NOTHING]), Some(Reason::ReserveNotOwned)),
        (alice, vec![ALICE], close(&[open]), None),
        (NOBODY, vec![STRANGER], unlock(&[NOTHING]), Some(Reason::AccountUnknown)),
        (alice, vec![MANDATE], unlock(&[NOTHING]), Some(Reason::NotOwner)),
        (bob, BOB[..2].to_vec(), unlock(&[locked, NOTHING]), Some(Reason::ReserveNotOwned)),
        (alice, vec![ALICE], unlock(&[NOTHING, locked]), Some(Reason::ReserveUnknown)),
        (alice, vec![ALICE], unlock(&[locked]), None),
        (alice, vec![ALICE], unlock(&[locked, NOTHING]), Some(Reason::UnlockPending)),
    ];
    check(&mut world, steps);
}

/// A remit whose parts are mended one after another.
fn pay(currency: CurrencyCode, payee: AccountId, minor: u64, reserves: &[ReserveId]) -> Action {
    let reopen = vec![amount(500)];
    Action::Remit { currency, lines: vec![line(payee, minor)], reserves: reserves.to_vec(), reopen }
}

#[test]
fn an_owners_remit_is_judged_in_the_documented_order() {
    let mut world = World::new();
    let (alice, bob, shop) = (world.alice(), world.bob(), world.shop());
    let soon = Some(world.now.after(DurationMs::seconds(5)));
    let expired = world.open(&[10], Some(lock()), soon)[0];
    let locked = world.open(&[20], Some(lock()), None)[0];
    let open = world.open(&[30], None, None)[0];
    let other_terms = world.open(&[40], None, Some(world.now.after(DurationMs::minutes(600))))[0];
    world.wait(DurationMs::seconds(5));
    let (alices, bobs) = (vec![ALICE], BOB[..2].to_vec());
    let reopen = |minor, reopened| Action::Remit {
        currency: eur(),
        lines: vec![line(shop, minor)],
        reserves: vec![open, other_terms],
        reopen: vec![amount(reopened)],
    };
    let all = [NOTHING, expired];
    let steps = vec![
        (NOBODY, bobs.clone(), pay(gold(), NOBODY, 900, &all), Some(Reason::AccountUnknown)),
        (alice, bobs.clone(), pay(gold(), NOBODY, 900, &all), Some(Reason::NotOwner)),
        (alice, alices.clone(), pay(gold(), NOBODY, 900, &all), Some(Reason::CurrencyUnknown)),
        (alice, alices.clone(), pay(usd(), NOBODY, 900, &all), Some(Reason::PayeeUnknown)),
        (alice, alices.clone(), pay(usd(), shop, 900, &all), Some(Reason::ReserveUnknown)),
        (bob, bobs, pay(usd(), shop, 900, &[expired, NOTHING]), Some(Reason::ReserveNotOwned)),
        (alice, alices.clone(), pay(usd(), shop, 900, &[expired]), Some(Reason::ReserveExpired)),
        (alice, alices.clone(), pay(usd(), shop, 900, &[locked]), Some(Reason::ReserveLocked)),
        (alice, alices.clone(), pay(usd(), shop, 900, &[open]), Some(Reason::CurrencyMismatch)),
        (alice, alices.clone(), pay(eur(), shop, 900, &[open]), Some(Reason::ReservesShort)),
        (alice, alices.clone(), reopen(60, 11), Some(Reason::ReopenExceedsChange)),
        (alice, alices.clone(), reopen(60, 10), Some(Reason::TermsDiffer)),
        (alice, alices, pay(eur(), shop, 30, &[open, locked]), Some(Reason::ReserveLocked)),
    ];
    check(&mut world, steps);
}

#[test]
fn a_mandates_remit_is_judged_in_the_documented_order() {
    let mut world = World::new();
    let (alice, bob, shop) = (world.alice(), world.bob(), world.shop());
    let soon = Some(world.now.after(DurationMs::seconds(5)));
    let other = Lock { mandate: key(SHOP).public_key(), ..lock() };
    let terms = Lock { payment_max: Some(amount(50)), payees: vec![shop], ..lock() };
    let open = world.open(&[10], None, None)[0];
    let foreign = world.open(&[10], Some(other), soon)[0];
    let expired = world.open(&[10], Some(terms.clone()), soon)[0];
    let good = world.open(&[10], Some(terms), None)[0];
    world.wait(DurationMs::seconds(5));
    let mandate = || vec![MANDATE];
    let steps = vec![
        (NOBODY, mandate(), pay(gold(), NOBODY, 60, &[NOTHING]), Some(Reason::AccountUnknown)),
        (alice, mandate(), pay(gold(), NOBODY, 60, &[NOTHING]), Some(Reason::CurrencyUnknown)),
        (alice, mandate(), pay(usd(), NOBODY, 60, &[NOTHING]), Some(Reason::PayeeUnknown)),
        (alice, mandate(), pay(usd(), bob, 60, &[NOTHING, open]), Some(Reason::ReserveUnknown)),
        (bob, mandate(), pay(usd(), bob, 60, &[open]), Some(Reason::ReserveNotOwned)),
        (alice, mandate(), pay(usd(), bob, 60, &[open]), Some(Reason::NotOwner)),
        (alice, mandate(), pay(usd(), bob, 60, &[foreign]), Some(Reason::NotMandate)),
        (alice, mandate(), pay(usd(), bob, 60, &[expired]), Some(Reason::ReserveExpired)),
        (alice, mandate(), pay(usd(), bob, 60, &[good]), Some(Reason::CurrencyMismatch)),
        (alice, mandate(), pay(eur(), bob, 60, &[good]), Some(Reason::PayeeNotAllowed)),
        (alice, mandate(), pay(eur(), shop, 60, &[good]), Some(Reason::MandateCapExceeded)),
        (alice, mandate(), pay(eur(), shop, 11, &[good]), Some(Reason::ReservesShort)),
        (alice, mandate(), pay(eur(), shop, 10, &[good]), Some(Reason::ReopenExceedsChange)),
    ];
    check(&mut world, steps);
}

#[test]
fn the_form_is_judged_before_the_network_and_that_before_the_witness() {
    let mut world = World::new();
    let (alice, shop) = (world.alice(), world.shop());
    let network = world.genesis.network();
    let lines =
        |minor| vec![Line { payee: shop, amount: Amount::new(minor).unwrap(), reference: None }];
    let action = |lines| Action::Transfer { currency: eur(), lines };
    let good = world.sign(alice, action(lines(1)), &[ALICE]);
    let verify = |transaction: &Transaction| transaction.verify(&network);
    let mut wrong = good.clone();
    wrong.body.network.0[0] ^= 1;
    wrong.witness.0.clear();
    wrong.body.action = action(vec![]);
    assert_eq!(verify(&wrong), Err(Reason::ListEmpty));
    wrong.body.action = action(lines(0));
    assert_eq!(verify(&wrong), Err(Reason::AmountZero));
    wrong.body.action = action([lines(Amount::MAX.minor()), lines(1)].concat());
    assert_eq!(verify(&wrong), Err(Reason::AmountOverflow));
    wrong.body.action = action(lines(1));
    assert_eq!(verify(&wrong), Err(Reason::WrongNetwork));
    wrong.body.network = network;
    assert_eq!(verify(&wrong), Err(Reason::SignatureMissing));
    wrong.witness.0 = vec![good.witness.0[0], good.witness.0[0]];
    assert_eq!(verify(&wrong), Err(Reason::WitnessOrder));
    wrong.witness = good.witness;
    assert_eq!(verify(&wrong), Ok(()));
    wrong.witness.0[0].1.0[3] ^= 1;
    assert_eq!(verify(&wrong), Err(Reason::SignatureInvalid));
    let twice = Action::ReserveClose { reserves: vec![NOTHING, NOTHING] };
    let keys = [key(ALICE)];
    let twice = world.body(alice, twice).sign(&[&keys[0]]);
    assert_eq!(verify(&twice), Err(Reason::NamedTwice));
}
