//! What bytes alone decide about transactions, owners, locks and genesis files.

use tallystick_crypto::PublicKey;
use tallystick_kernel::{AccountId, Amount, Codec, DurationMs, Reason, ReserveId};
use tallystick_proofs::action::{Action, Lock};
use tallystick_proofs::genesis::{Genesis, Governance, ValidatorSet};
use tallystick_proofs::owners::Owners;

use crate::samples::{actions, amount, body, eur, genesis, key, line, lock, owners};

#[test]
fn the_samples_are_right() {
    for action in actions() {
        assert_eq!(body(action.clone()).check(), Ok(()), "{}", action.name());
    }
    assert_eq!(Genesis::read(&genesis(4).to_bytes()), Ok(genesis(4)));
}

#[test]
fn lists_must_not_be_empty_and_amounts_not_zero() {
    let remit =
        |lines, reserves, reopen| Action::Remit { currency: eur(), lines, reserves, reopen };
    let one = || vec![ReserveId([1; 32])];
    let zero = || {
        let mut line = line(None);
        line.amount = Amount::ZERO;
        line
    };
    let most = || {
        let mut line = line(None);
        line.amount = Amount::MAX;
        line
    };
    let open = |amounts| Action::ReserveOpen { currency: eur(), amounts, lock: None, expiry: None };
    let cases = [
        (remit(vec![], vec![], vec![]), Reason::ListEmpty),
        (remit(vec![zero()], vec![], vec![]), Reason::AmountZero),
        (remit(vec![most(), line(None)], vec![], vec![]), Reason::AmountOverflow),
        (remit(vec![line(None)], vec![], vec![]), Reason::ListEmpty),
        (remit(vec![line(None)], [one(), one()].concat(), vec![Amount::ZERO]), Reason::NamedTwice),
        (remit(vec![line(None)], one(), vec![Amount::ZERO]), Reason::AmountZero),
        (remit(vec![line(None)], one(), vec![Amount::MAX, amount(1)]), Reason::AmountOverflow),
        (open(vec![]), Reason::ListEmpty),
        (open(vec![amount(1), Amount::ZERO]), Reason::AmountZero),
        (open(vec![Amount::MAX, Amount::MAX]), Reason::AmountOverflow),
        (Action::ReserveClose { reserves: vec![] }, Reason::ListEmpty),
        (Action::UnlockRequest { reserves: [one(), one()].concat() }, Reason::NamedTwice),
        (Action::Burn { currency: eur(), amount: Amount::ZERO }, Reason::AmountZero),
        (Action::Transfer { currency: eur(), lines: vec![zero()] }, Reason::AmountZero),
    ];
    for (index, (action, reason)) in cases.into_iter().enumerate() {
        assert_eq!(action.check(), Err(reason), "case {index}");
    }
}

#[test]
fn the_body_names_an_account_exactly_when_none_is_opened() {
    let mut opens = body(actions().remove(0));
    opens.account = AccountId([1; 32]);
    assert_eq!(opens.check(), Err(Reason::Malformed));
    let mut burns = body(actions().remove(2));
    burns.account = AccountId::NONE;
    assert_eq!(burns.check(), Err(Reason::Malformed));
}

#[test]
fn terms_of_a_lock_are_bounded() {
    let refused = |lock: Lock, reason| assert_eq!(lock.check(), Err(reason));
    assert_eq!(lock().check(), Ok(()));
    refused(Lock { payment_max: Some(Amount::ZERO), ..lock() }, Reason::LockMalformed);
    refused(Lock { unlock_delay: DurationMs(3_599_999), ..lock() }, Reason::LockMalformed);
    let month = DurationMs::minutes(60 * 24 * 30);
    assert_eq!(Lock { unlock_delay: month, ..lock() }.check(), Ok(()));
    refused(Lock { unlock_delay: DurationMs(month.0 + 1), ..lock() }, Reason::LockMalformed);
    let twice = vec![AccountId([4; 32]); 2];
    refused(Lock { payees: twice, ..lock() }, Reason::LockMalformed);
    let mut neutral = [0; 32];
    neutral[0] = 1;
    refused(Lock { mandate: PublicKey::Ed25519(neutral), ..lock() }, Reason::KeyWeak);
}

#[test]
fn owners_are_a_threshold_of_distinct_keys_in_order() {
    let refused = |owners: Owners| assert_eq!(owners.check(), Err(Reason::OwnersMalformed));
    assert_eq!(owners().check(), Ok(()));
    refused(Owners { threshold: 0, ..owners() });
    refused(Owners { threshold: 4, ..owners() });
    refused(Owners { threshold: 1, keys: vec![] });
    let mut keys = owners().keys;
    keys.reverse();
    refused(Owners { threshold: 1, keys });
    refused(Owners { threshold: 1, keys: vec![key(1).public_key(); 2] });
}

#[test]
fn a_genesis_file_is_refused_for_each_unusable_part() {
    let refused = |change: &dyn Fn(&mut Genesis)| {
        let mut genesis = genesis(4);
        change(&mut genesis);
        assert_eq!(genesis.check(), Err(Reason::GenesisMalformed));
    };
    refused(&|it| it.currencies[0].exponent = 9);
    refused(&|it| it.currencies[0].authority = 2);
    refused(&|it| it.currencies.push(it.currencies[0].clone()));
    refused(&|it| it.parameters.block_entries_max = 0);
    refused(&|it| it.parameters.block_entries_max = 4097);
    refused(&|it| it.parameters.checkpoint_interval = 0);
    refused(&|it| it.parameters.idle_interval = DurationMs(99));
    let governed = |change: &dyn Fn(&mut Governance)| {
        let mut governance = Governance { epoch_blocks: 8, operators: 1, rules_version: 1 };
        change(&mut governance);
        let mut genesis = genesis(4);
        genesis.parameters.governance = Some(governance);
        let read = Genesis::from_bytes(&genesis.to_bytes(), 1 << 16);
        assert_eq!(read.as_ref(), Ok(&genesis));
        genesis.check()
    };
    assert_eq!(governed(&|_| ()), Ok(()));
    assert_eq!(governed(&|it| it.epoch_blocks = 7), Err(Reason::GenesisMalformed));
    assert_eq!(governed(&|it| it.epoch_blocks = (1 << 40) + 1), Err(Reason::GenesisMalformed));
    assert_eq!(governed(&|it| it.operators = 2), Err(Reason::GenesisMalformed));
    assert_eq!(governed(&|it| it.rules_version = 0), Err(Reason::GenesisMalformed));
    let mut weak = genesis(4);
    weak.accounts[0].threshold = 0;
    assert_eq!(weak.check(), Err(Reason::OwnersMalformed));
    assert_eq!(ValidatorSet::new(vec![]), Err(Reason::ValidatorsMalformed));
    assert_eq!(ValidatorSet::new(vec![key(1).public_key(); 2]), Err(Reason::ValidatorsMalformed));
    assert_eq!(ValidatorSet::new(owners().keys), Err(Reason::ValidatorsMalformed));
}

#[test]
fn faults_and_quorum_follow_from_the_number_of_validators() {
    let expected = [(1, 0, 1), (2, 0, 2), (3, 0, 3), (4, 1, 3), (5, 1, 4), (6, 1, 5), (7, 2, 5)];
    for (count, faults, quorum) in expected {
        let validators = genesis(count).validators;
        assert_eq!((validators.faults_max(), validators.quorum()), (faults, quorum));
    }
}

#[test]
fn another_network_or_salt_gives_another_id_and_another_witness_does_not() {
    let one = body(actions().remove(7));
    let mut other = one.clone();
    other.salt.0[15] ^= 1;
    assert_ne!(one.id(), other.id());
    let mut foreign = one.clone();
    foreign.network.0[0] ^= 1;
    assert_ne!(one.id(), foreign.id());
    let (first, second) = (one.clone().sign(&[&key(1)]), one.clone().sign(&[&key(2)]));
    assert_eq!((first.id(), second.id()), (one.id(), one.id()));
    assert_ne!(first.witness.hash(), second.witness.hash());
}
