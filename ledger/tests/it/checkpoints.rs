//! Checkpoints: the root follows from the entries alone, and proofs lead to it.

use tallystick_kernel::{AccountId, Amount, Codec, Reason, ReserveId};
use tallystick_ledger::{Place, Reserve, State, StateChange, checkpoint, execute, state_key};
use tallystick_proofs::action::Action;
use tallystick_proofs::state_proof::{Found, StateProof};

use crate::world::{ALICE, World, amount, eur, line};

/// A world whose last block was a checkpoint (every four heights), with a reserve open and one
/// that is used up.
fn at_checkpoint() -> (World, ReserveId, ReserveId) {
    let mut world = World::new();
    let kept = world.open(&[100], None, None)[0];
    let closed = world.open(&[50], None, None)[0];
    world.run(world.alice(), Action::ReserveClose { reserves: vec![closed] }, &[ALICE]);
    to_checkpoint(&mut world);
    (world, kept, closed)
}

fn to_checkpoint(world: &mut World) {
    while world.state.head().checkpoint_height != world.state.height() {
        let header = world.header(&[]);
        world.execute(&header, &[]);
    }
}

fn pay(world: &mut World, minor: u64) {
    let lines = vec![line(world.shop(), minor)];
    let action = Action::Transfer { currency: eur(), lines };
    assert_eq!(world.run(world.alice(), action, &[ALICE]), None);
}

#[test]
fn every_checkpoint_is_the_root_over_all_entries_as_they_stand() {
    let mut world = World::new();
    for round in 0..6 {
        world.open(&[1, 2, 3], None, None);
        pay(&mut world, 5 + round);
        to_checkpoint(&mut world);
        assert_eq!(world.state.head().checkpoint_root, checkpoint::root(&world.state));
        pay(&mut world, 1);
        assert_ne!(world.state.head().checkpoint_root, checkpoint::root(&world.state));
    }
}

#[test]
fn a_loaded_state_takes_the_same_checkpoints_as_the_one_that_wrote() {
    let (mut world, _, _) = at_checkpoint();
    pay(&mut world, 3);
    let mut loaded = State::load(&world.genesis, &world.store).unwrap().unwrap();
    pay_both(&mut world, &mut loaded, 9);
    for _ in 0..8 {
        let header = world.header(&[]);
        world.execute(&header, &[]);
        execute(&mut loaded, &header, &[]);
        assert_eq!(loaded.head(), world.state.head());
    }
}

fn pay_both(world: &mut World, other: &mut State, minor: u64) {
    let lines = vec![line(world.shop(), minor)];
    let action = Action::Transfer { currency: eur(), lines };
    let pay = world.sign(world.alice(), action, &[ALICE]);
    let entries = [tallystick_ledger::entry_of(&pay)];
    let header = world.header(&entries);
    world.execute(&header, core::slice::from_ref(&pay));
    execute(other, &header, &[(entries[0], &pay)]);
}

#[test]
fn a_state_loaded_at_a_checkpoint_must_have_its_root() {
    let (world, kept, _) = at_checkpoint();
    let mut store = world.store.clone();
    let reserve = world.state.reserve(&kept).unwrap();
    // The same money, so that no recount would find it.
    let altered = Reserve { account: world.bob(), ..reserve.clone() };
    store.apply(&[StateChange { key: state_key::reserve(&kept), value: Some(altered.to_bytes()) }]);
    assert_eq!(State::load(&world.genesis, &store), Err(Reason::StorageCorrupt));
}

#[test]
fn a_proof_says_what_stood_at_the_last_checkpoint_whatever_happened_since() {
    let (mut world, kept, closed) = at_checkpoint();
    let (root, alice) = (world.state.head().checkpoint_root, world.alice());
    let then = world.state.clone();
    let places = [
        Place::Account(alice),
        Place::Balance(alice, eur()),
        Place::Balance(world.shop(), eur()),
        Place::Currency(eur()),
        Place::Reserve(kept),
        Place::Reserve(closed),
        Place::Account(AccountId([9; 32])),
    ];
    pay(&mut world, 7);
    world.run(alice, Action::ReserveClose { reserves: vec![kept] }, &[ALICE]);
    for place in places {
        let proof = world.state.proof(&place).unwrap();
        assert_eq!(proof, then.proof(&place).unwrap());
        assert_eq!(proof.verify(&root), Ok(()));
        assert_eq!(proof.value(), place.value(&then).as_deref());
        assert_eq!(StateProof::read(&proof.to_bytes()), Ok(proof));
    }
    let balance = world.state.proof(&places[1]).unwrap();
    assert_eq!(balance.value(), Some(&then.free(&alice, &eur()).to_bytes()[..]));
    assert_eq!(world.state.proof(&Place::Reserve(closed)).unwrap().value(), None);
}

#[test]
fn a_proof_of_something_else_leads_elsewhere() {
    let (world, kept, closed) = at_checkpoint();
    let root = world.state.head().checkpoint_root;
    let balance = world.state.proof(&Place::Balance(world.alice(), eur())).unwrap();
    let more = Found::Value(amount(1_000_000).to_bytes());
    let forged = [
        StateProof { found: more, ..balance.clone() },
        StateProof { found: Found::Nothing, ..balance.clone() },
        StateProof { count: balance.count + 1, ..balance.clone() },
        StateProof { key: Place::Balance(world.bob(), eur()).key(), ..balance.clone() },
        StateProof { siblings: balance.siblings[1..].to_vec(), ..balance.clone() },
    ];
    for forged in forged {
        assert_eq!(forged.verify(&root), Err(Reason::RootMismatch));
    }
    // The absence of an entry that is there, told by naming another.
    let here = world.state.proof(&Place::Reserve(kept)).unwrap();
    let Found::Value(value) = &here.found else { unreachable!("the reserve is there") };
    let value = tallystick_proofs::state_proof::value_digest(value);
    let path = tallystick_proofs::state_proof::path_of(&here.key);
    let itself = StateProof { found: Found::Other { path, value }, ..here.clone() };
    assert_eq!(itself.verify(&root), Err(Reason::PathInvalid));
    let elsewhere = path.map(|byte| !byte);
    let stray = StateProof { found: Found::Other { path: elsewhere, value }, ..here.clone() };
    assert_eq!(stray.verify(&root), Err(Reason::PathInvalid));
    let long = StateProof { siblings: vec![[0; 32]; 257], ..here };
    assert_eq!(long.verify(&root), Err(Reason::PathInvalid));
    // The presence of an entry that is gone.
    let gone = world.state.proof(&Place::Reserve(closed)).unwrap();
    let back = StateProof { found: Found::Value(Amount::ZERO.to_bytes()), ..gone };
    assert_eq!(back.verify(&root), Err(Reason::RootMismatch));
}

#[test]
fn after_a_start_proofs_wait_for_the_next_checkpoint() {
    let (mut world, kept, _) = at_checkpoint();
    let loaded = State::load(&world.genesis, &world.store).unwrap().unwrap();
    assert_eq!(loaded.proof(&Place::Reserve(kept)), world.state.proof(&Place::Reserve(kept)));
    pay(&mut world, 7);
    let mut loaded = State::load(&world.genesis, &world.store).unwrap().unwrap();
    assert_eq!(loaded.proof(&Place::Reserve(kept)), Err(Reason::NotReady));
    while world.state.head().checkpoint_height != world.state.height() {
        let header = world.header(&[]);
        world.execute(&header, &[]);
        execute(&mut loaded, &header, &[]);
    }
    assert_eq!(loaded.proof(&Place::Reserve(kept)), world.state.proof(&Place::Reserve(kept)));
}
