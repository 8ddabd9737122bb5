//! What the operators decide: who votes from which epoch on, and which rules are in force.

use tallystick_kernel::{AccountId, Reason};
use tallystick_ledger::{
    BlockContext, Found, Pool, PoolLimits, Rules, State, Verdict, Waiting, build, check, entry_of,
    genesis_header,
};
use tallystick_proofs::action::Action;
use tallystick_proofs::genesis::{Governance, ValidatorSet};
use tallystick_proofs::header::{Entry, Header};
use tallystick_proofs::transaction::Transaction;

use crate::world::{ALICE, BOB, STRANGER, World, eur, found_here, genesis, key, line};

const EPOCH: u64 = 8;

/// Bob's account, two of three, is the operators'.
fn governed() -> World {
    World::of({
        let mut made = genesis();
        made.parameters.governance =
            Some(Governance { epoch_blocks: EPOCH, operators: 2, rules_version: 1 });
        made
    })
}

fn set(first: u8) -> ValidatorSet {
    ValidatorSet::new((first..first + 4).map(|seed| key(seed).public_key()).collect()).unwrap()
}

fn change(first: u8) -> Action {
    Action::ValidatorsChange { validators: set(first) }
}

fn decide(world: &mut World, action: Action) -> Option<Reason> {
    world.run(world.bob(), action, &BOB[..2])
}

/// Empty blocks up to a height.
fn advance(world: &mut World, height: u64) {
    while world.state.height() < height {
        let header = built(world, &world.state.clone(), Rules::default()).unwrap();
        world.execute(&header, &[]);
    }
}

fn built(world: &World, state: &State, rules: Rules) -> Result<Header, Reason> {
    let context = context(world, rules);
    let pool = Pool::new(PoolLimits::default(), Rules::default());
    build(state, &pool, &context).map(|(header, _)| header)
}

fn context(world: &World, rules: Rules) -> BlockContext<'_> {
    BlockContext { parent: &world.parent, ancestors: &[], now: world.now, proposer: 0, rules }
}

fn verdict(world: &World, state: &State, header: &Header) -> Verdict {
    let context = context(world, Rules::default());
    check(state, &context, header, &[], &|_| Found::Missing)
}

#[test]
fn only_a_threshold_of_the_operators_decides() {
    let mut world = governed();
    let (alice, bob) = (world.alice(), world.bob());
    assert_eq!(world.run(AccountId([9; 32]), change(201), &BOB), Some(Reason::AccountUnknown));
    assert_eq!(world.run(bob, change(201), &[STRANGER]), Some(Reason::NotOwner));
    assert_eq!(world.run(bob, change(201), &BOB[..1]), Some(Reason::SignatureMissing));
    assert_eq!(world.run(bob, change(201), &BOB), Some(Reason::SignatureExtra));
    assert_eq!(world.run(alice, change(201), &[ALICE]), Some(Reason::NotOperators));
    let rules = Action::RulesActivate { version: 2, height: 100 };
    assert_eq!(world.run(alice, rules.clone(), &[ALICE]), Some(Reason::NotOperators));
    assert_eq!(world.state.governance().sets().count(), 1);
    let mut ungoverned = World::new();
    let bob = ungoverned.bob();
    assert_eq!(ungoverned.run(bob, change(201), &BOB[..2]), Some(Reason::NotOperators));
    assert_eq!(ungoverned.run(bob, rules, &BOB[..2]), Some(Reason::NotOperators));
}

#[test]
fn a_set_is_in_force_from_the_second_epoch_on_and_is_the_only_one_decided_in_its_own() {
    let mut world = governed();
    assert_eq!(world.parent.height, 4);
    assert_eq!(decide(&mut world, change(201)), None);
    assert_eq!(decide(&mut world, change(202)), Some(Reason::ChangePending));
    advance(&mut world, EPOCH);
    assert_eq!(decide(&mut world, change(203)), None);
    let governance = world.state.governance();
    for (epoch, first) in [(0, 200), (1, 200), (2, 201), (3, 203), (9, 203)] {
        assert_eq!(*governance.validators(epoch), set(first), "epoch {epoch}");
    }
    advance(&mut world, 2 * EPOCH);
    assert_eq!(world.parent.epoch, 2);
    assert_eq!(world.parent.validator_set_hash, set(201).hash());
    advance(&mut world, 3 * EPOCH);
    assert_eq!(world.parent.validator_set_hash, set(203).hash());
}

#[test]
fn a_set_of_none_of_too_many_or_with_one_twice_is_no_set() {
    let keys = |range: core::ops::Range<u8>| -> Vec<_> {
        range.map(|seed| key(seed).public_key()).collect()
    };
    assert_eq!(ValidatorSet::new(keys(0..0)), Err(Reason::ValidatorsMalformed));
    assert_eq!(ValidatorSet::new(keys(0..65)), Err(Reason::ValidatorsMalformed));
    assert!(ValidatorSet::new(keys(0..64)).is_ok());
    assert_eq!(
        ValidatorSet::new([keys(1..3), keys(1..2)].concat()),
        Err(Reason::ValidatorsMalformed)
    );
}

#[test]
fn what_was_decided_survives_a_restart_and_is_in_the_checkpoint() {
    let mut world = governed();
    let before = tallystick_ledger::checkpoint::root(&world.state);
    assert_eq!(decide(&mut world, change(201)), None);
    let with_set = tallystick_ledger::checkpoint::root(&world.state);
    assert_ne!(before, with_set);
    let rules = Action::RulesActivate { version: 2, height: 16 };
    assert_eq!(decide(&mut world, rules), None);
    assert_ne!(with_set, tallystick_ledger::checkpoint::root(&world.state));
    assert_eq!(State::load(&world.genesis, &world.store), Ok(Some(world.state.clone())));
    let mut anew = tallystick_ledger::MemoryStore::new();
    anew.apply(&world.state.persisted());
    assert_eq!(State::load(&world.genesis, &anew), Ok(Some(world.state)));
}

#[test]
fn a_block_names_the_epoch_of_its_height_the_set_of_its_epoch_and_reports_all_at_its_start() {
    let mut world = governed();
    assert_eq!(decide(&mut world, change(201)), None);
    advance(&mut world, 2 * EPOCH - 1);
    let header = built(&world, &world.state, Rules::default()).unwrap();
    assert_eq!((header.epoch, header.height), (2, 2 * EPOCH));
    let judged = |header: Header| verdict(&world, &world.state, &header);
    assert_eq!(judged(header.clone()), Verdict::Valid);
    let old_epoch = Header { epoch: 1, ..header };
    assert_eq!(judged(old_epoch), Verdict::Invalid(Reason::HeaderMismatch));
    let old_set = Header { validator_set_hash: set(200).hash(), ..header };
    assert_eq!(judged(old_set), Verdict::Invalid(Reason::ValidatorSetMismatch));
    let silent = Header {
        executed_height: world.parent.executed_height,
        results_root: tallystick_ledger::receipts::results_root([]),
        ..header
    };
    assert_eq!(judged(silent), Verdict::Invalid(Reason::HeaderMismatch));
}

#[test]
fn a_node_that_has_not_executed_the_epochs_before_waits_and_does_not_propose() {
    let mut world = governed();
    advance(&mut world, EPOCH - 2);
    let behind = world.state.clone();
    advance(&mut world, EPOCH - 1);
    let header = built(&world, &world.state, Rules::default()).unwrap();
    assert_eq!(built(&world, &behind, Rules::default()), Err(Reason::NotReady));
    let waits = Verdict::Wait(Waiting::Execution(EPOCH - 1));
    assert_eq!(verdict(&world, &behind, &header), waits);
}

#[test]
fn rules_follow_each_other_at_rising_heights_two_epochs_ahead() {
    let mut world = governed();
    let activate = |version, height| Action::RulesActivate { version, height };
    let cases = [
        (activate(1, 100), Some(Reason::RulesNotNext)),
        (activate(3, 100), Some(Reason::RulesNotNext)),
        (activate(2, 0), Some(Reason::RulesNotNext)),
        (activate(2, 2 * EPOCH - 1), Some(Reason::ActivationTooSoon)),
    ];
    for (action, refused) in cases {
        assert_eq!(decide(&mut world, action), refused);
    }
    let from = 3 * EPOCH + 3;
    assert_eq!(decide(&mut world, activate(2, from)), None);
    assert_eq!(decide(&mut world, activate(3, from)), Some(Reason::RulesNotNext));
    assert_eq!(world.state.governance().rules_version(from - 1), 1);
    assert_eq!(world.state.governance().rules_version(from), 2);
}

#[test]
fn blocks_follow_the_rules_of_their_height_and_who_does_not_know_them_stops() {
    let mut world = governed();
    let from = 2 * EPOCH + 3;
    let activate = Action::RulesActivate { version: 2, height: from };
    assert_eq!(decide(&mut world, activate), None);
    let old = Rules { version_max: 1, ..Rules::default() };
    advance(&mut world, from - 2);
    let header = built(&world, &world.state, old).unwrap();
    assert_eq!(header.version, 1);
    let early = Header { version: 2, ..header };
    assert_eq!(verdict(&world, &world.state, &early), Verdict::Invalid(Reason::RulesMismatch));
    advance(&mut world, from - 1);
    assert_eq!(built(&world, &world.state, old), Err(Reason::RulesUnknown));
    let header = built(&world, &world.state, Rules::default()).unwrap();
    assert_eq!(header.version, 2);
    assert_eq!(verdict(&world, &world.state, &header), Verdict::Valid);
    let late = Header { version: 1, ..header };
    assert_eq!(verdict(&world, &world.state, &late), Verdict::Invalid(Reason::RulesMismatch));
}

/// A dishonest proposer lists somebody's transfer with a witness of its own making.
#[test]
fn under_the_second_rules_nobody_uses_up_a_transaction_with_a_foreign_witness() {
    let mut world = governed();
    let judge = |world: &mut World| {
        let lines = vec![line(world.shop(), 1)];
        let action = Action::Transfer { currency: eur(), lines };
        let stolen = world.sign(world.alice(), action.clone(), &[STRANGER]);
        let right = world.sign(world.alice(), action, &[ALICE]);
        let unknown = world.sign(AccountId([9; 32]), stolen.body.action.clone(), &[ALICE]);
        [stolen, right, unknown].map(|one| with_one(world, &one))
    };
    assert_eq!(judge(&mut world), [Verdict::Valid, Verdict::Valid, Verdict::Valid]);
    let activate = Action::RulesActivate { version: 2, height: 2 * EPOCH };
    assert_eq!(decide(&mut world, activate), None);
    advance(&mut world, 2 * EPOCH);
    let refused = [
        Verdict::Invalid(Reason::NotOwner),
        Verdict::Valid,
        Verdict::Invalid(Reason::AccountUnknown),
    ];
    assert_eq!(judge(&mut world), refused);
}

/// The verdict on a right header with this transaction.
fn with_one(world: &World, transaction: &Transaction) -> Verdict {
    let entries: Vec<Entry> = vec![entry_of(transaction)];
    let header = Header {
        transactions_root: tallystick_proofs::header::entries_root(&entries),
        count: 1,
        ..built(world, &world.state, Rules::default()).unwrap()
    };
    let context = context(world, Rules::default());
    let found = |_: &Entry| found_here(transaction);
    check(&world.state, &context, &header, &entries, &found)
}

#[test]
fn a_chain_with_a_change_of_rules_is_judged_again_block_by_block_by_the_rules_of_each_height() {
    let mut world = governed();
    let activate = Action::RulesActivate { version: 2, height: 2 * EPOCH };
    assert_eq!(decide(&mut world, activate), None);
    let mut again = World::of(world.genesis.clone());
    // The worlds are the same up to here but for the salts, which count alike.
    let activate = Action::RulesActivate { version: 2, height: 2 * EPOCH };
    assert_eq!(decide(&mut again, activate), None);
    assert_eq!(again.state, world.state);
    let first = genesis_header(&world.genesis);
    assert_eq!(first.version, 1);
    while world.state.height() < 3 * EPOCH {
        let header = built(&world, &world.state, Rules::default()).unwrap();
        assert_eq!(verdict(&again, &again.state, &header), Verdict::Valid);
        assert_eq!(header.version, if header.height < 2 * EPOCH { 1 } else { 2 });
        world.execute(&header, &[]);
        again.execute(&header, &[]);
    }
    assert_eq!(again.state, world.state);
}
