//! When a stored transaction ends without having been in a block, and when it does not.

use tallystick_crypto::SigningKey;
use tallystick_kernel::{Amount, DurationMs, ReserveId};
use tallystick_ledger::Admitted;
use tallystick_node::archive;
use tallystick_node::core::Source;
use tallystick_node::keys;
use tallystick_proofs::action::{Action, Line, Lock};
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::{Transaction, reserve_id};

use crate::history::{History, eur, open};

fn key(seed: u8) -> SigningKey {
    SigningKey::ed25519_from_seed(&[seed; 32])
}

fn entry(transaction: &Transaction) -> Entry {
    tallystick_ledger::entry_of(transaction)
}

/// A history in which the bank has money and one reserve that the mandate may spend.
fn with_reserve() -> (History, ReserveId) {
    let mut history = History::new();
    history.block(DurationMs::seconds(1), 1);
    let open = reserve_open(&mut history);
    let reserve = reserve_id(&open.id(), 0);
    assert_eq!(history.offer(Source::Client, &[open]), [Ok(Admitted::New)]);
    history.block(DurationMs::seconds(1), 0);
    (history, reserve)
}

fn reserve_open(history: &mut History) -> Transaction {
    let lock = Lock {
        mandate: key(210).public_key(),
        payment_max: None,
        payees: Vec::new(),
        unlock_delay: DurationMs::minutes(60),
    };
    let amounts = vec![Amount::new(1).unwrap()];
    let action = Action::ReserveOpen { currency: eur(), amounts, lock: Some(lock), expiry: None };
    history.sign(action, &[&key(200)])
}

fn remit(history: &mut History, reserves: Vec<ReserveId>) -> Transaction {
    let amount = Amount::new(reserves.len() as u64).unwrap();
    let lines = vec![Line { payee: history.account(1), amount, reference: None }];
    let action = Action::Remit { currency: eur(), lines, reserves, reopen: Vec::new() };
    history.sign(action, &[&key(210)])
}

#[test]
fn what_waits_for_a_reserve_that_is_still_to_be_opened_outlives_a_block_that_touches_its_other_one()
{
    let (mut history, first) = with_reserve();
    let later = reserve_open(&mut history);
    let second = reserve_id(&later.id(), 0);
    let waits = remit(&mut history, vec![first, second]);
    let peer = Source::Peer(key(3).public_key());
    assert_eq!(history.offer(peer, core::slice::from_ref(&waits)), [Ok(Admitted::New)]);
    let unlock = history.sign(Action::UnlockRequest { reserves: vec![first] }, &[&key(200)]);
    assert_eq!(history.offer(Source::Client, &[unlock]), [Ok(Admitted::New)]);
    history.block(DurationMs::seconds(1), 0);
    assert!(history.core.is_pending(&waits.id()), "it can still be in a block");
    assert_eq!(history.kv.get(&keys::expired(&waits.id())), Ok(None));
    assert_eq!(history.offer(Source::Client, &[later]), [Ok(Admitted::New)]);
    history.block(DurationMs::seconds(1), 0);
    history.block(DurationMs::seconds(1), 0);
    let result = archive::result(history.kv.as_ref(), &waits.id()).unwrap().unwrap();
    assert!(result.is_success());
    history.grow(12);
    assert!(history.kv.get(&keys::body(&entry(&waits))).unwrap().is_some());
    assert!(open(&history.kv, history.now).is_ok());
}

#[test]
fn what_claims_a_reserve_that_a_block_used_up_ends_with_that_block() {
    let (mut history, reserve) = with_reserve();
    let (paid, rival) = (remit(&mut history, vec![reserve]), remit(&mut history, vec![reserve]));
    assert_eq!(history.offer(Source::Client, &[paid]), [Ok(Admitted::New)]);
    let peer = Source::Peer(key(3).public_key());
    assert_eq!(history.offer(peer, core::slice::from_ref(&rival)), [Ok(Admitted::New)]);
    history.block(DurationMs::seconds(1), 0);
    assert!(!history.core.is_pending(&rival.id()));
    assert!(history.kv.get(&keys::expired(&rival.id())).unwrap().is_some());
    assert_eq!(history.kv.get(&keys::body(&entry(&rival))), Ok(None));
}

#[test]
fn other_witnesses_of_an_executed_transaction_leave_no_body_behind() {
    let (mut history, reserve) = with_reserve();
    let paid = remit(&mut history, vec![reserve]);
    let strangers: Vec<Transaction> =
        (0..9).map(|seed| paid.body.clone().sign(&[&key(220 + seed)])).collect();
    assert_eq!(history.offer(Source::Client, core::slice::from_ref(&paid)), [Ok(Admitted::New)]);
    let peer = Source::Peer(key(3).public_key());
    history.offer(peer, &strangers);
    history.block(DurationMs::seconds(1), 0);
    assert!(history.kv.get(&keys::body(&entry(&paid))).unwrap().is_some());
    for stranger in &strangers {
        assert_eq!(history.kv.get(&keys::body(&entry(stranger))), Ok(None));
    }
}

#[test]
fn what_no_block_of_about_now_could_hold_is_not_taken_up_by_a_restart() {
    let mut history = History::new();
    history.block(DurationMs::seconds(1), 1);
    let mut body = remit(&mut history, vec![ReserveId([7; 32])]).body;
    body.valid_until = history.now.after(DurationMs::minutes(100_000));
    let far = body.sign(&[&key(210)]);
    assert_eq!(history.offer(Source::Vote, core::slice::from_ref(&far)), [Ok(Admitted::New)]);
    assert!(history.core.is_pending(&far.id()));
    history.core = open(&history.kv, history.now).unwrap();
    assert!(!history.core.is_pending(&far.id()));
    assert_eq!(history.kv.get(&keys::body(&entry(&far))), Ok(None));
}
