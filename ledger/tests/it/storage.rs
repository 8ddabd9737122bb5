//! The persisted state: what is written after each block is the state itself.

use tallystick_kernel::limits::REMEMBERED;
use tallystick_kernel::{Codec, DurationMs, Reason};
use tallystick_ledger::receipts::{receipt, result_path, results_at, results_root};
use tallystick_ledger::{MemoryStore, State, StateChange, StateStore, execute, state_key};
use tallystick_proofs::action::Action;
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::header::Header;

use crate::world::{ALICE, MANDATE, World, amount, eur, line, lock, remit};

/// A world in which every kind of entry was written, changed and removed.
fn busy() -> World {
    let mut world = World::new();
    let (alice, shop) = (world.alice(), world.shop());
    let reserves = world.open(&[100, 200, 300], Some(lock()), None);
    let open = world.open(&[50], None, None);
    world.run(alice, remit(shop, 50, &reserves[..1], &[20]), &[MANDATE]);
    world.run(alice, Action::UnlockRequest { reserves: reserves[1..2].to_vec() }, &[ALICE]);
    world.run(alice, Action::ReserveClose { reserves: open }, &[ALICE]);
    let rest = world.free(alice);
    let lines = vec![line(shop, rest)];
    world.run(alice, Action::Transfer { currency: eur(), lines: lines.clone() }, &[ALICE]);
    world.run(alice, Action::Transfer { currency: eur(), lines }, &[ALICE]);
    world
}

#[test]
fn a_loaded_state_equals_the_one_that_wrote() {
    let world = busy();
    assert_eq!(State::load(&world.genesis, &world.store), Ok(Some(world.state.clone())));
    let mut anew = MemoryStore::new();
    anew.apply(&world.state.persisted());
    assert_eq!(State::load(&world.genesis, &anew), Ok(Some(world.state)));
    assert_eq!(State::load(&world.genesis, &MemoryStore::new()), Ok(None));
}

#[test]
fn a_node_that_restarts_goes_on_as_if_it_had_not() {
    let mut world = busy();
    let mut restarted = State::load(&world.genesis, &world.store).unwrap().unwrap();
    for _ in 0..10 {
        let header = world.header(&[]);
        let outcome = world.execute(&header, &[]);
        assert_eq!(execute(&mut restarted, &header, &[]), outcome);
    }
    assert_eq!(restarted, world.state);
}

#[test]
fn a_store_that_lost_or_altered_money_is_not_loaded() {
    let world = busy();
    let load = |change| {
        let mut store = world.store.clone();
        store.apply(&[change]);
        State::load(&world.genesis, &store)
    };
    let key = state_key::balance(&world.shop(), &eur());
    let altered = StateChange { key: key.clone(), value: Some(amount(1).to_bytes()) };
    assert_eq!(load(altered), Err(Reason::NotConserved));
    assert_eq!(load(StateChange { key, value: None }), Err(Reason::NotConserved));
    let (id, _) = world.state.reserves_of(&world.alice()).next().unwrap();
    let lost = StateChange { key: state_key::reserve(&id), value: None };
    assert_eq!(load(lost), Err(Reason::NotConserved));
    let cut = StateChange { key: state_key::reserve(&id), value: Some(vec![0x87]) };
    assert_eq!(load(cut), Err(Reason::StorageCorrupt));
    let missing = StateChange { key: state_key::recent(world.state.height()), value: None };
    assert_eq!(load(missing), Err(Reason::StorageCorrupt));
    let mut other = world.genesis.clone();
    other.name = "other".to_owned();
    assert_eq!(State::load(&other, &world.store), Err(Reason::WrongNetwork));
}

#[test]
fn an_executed_id_is_remembered_until_ten_minutes_past_its_validity() {
    let mut world = World::new();
    let lines = vec![line(world.shop(), 1)];
    let pay = world.sign(world.alice(), Action::Transfer { currency: eur(), lines }, &[ALICE]);
    world.block(core::slice::from_ref(&pay));
    let last = pay.body.valid_until.after(REMEMBERED);
    world.now = last;
    let header = world.header(&[]);
    world.execute(&header, &[]);
    let result = world.state.result(&pay.id()).unwrap().result;
    assert!(world.store.get(&state_key::remembered(result.height)).unwrap().is_some());
    world.now = last.after(DurationMs(1));
    let header = world.header(&[]);
    world.execute(&header, &[]);
    assert!(world.state.result(&pay.id()).is_none());
    assert_eq!(world.store.get(&state_key::remembered(result.height)), Ok(None));
    assert_eq!(State::load(&world.genesis, &world.store), Ok(Some(world.state)));
}

#[test]
fn a_failed_transaction_is_remembered_with_its_code_and_not_run_again() {
    let mut world = World::new();
    let lines = vec![line(world.shop(), 1001)];
    let pay = world.sign(world.alice(), Action::Transfer { currency: eur(), lines }, &[ALICE]);
    world.block(core::slice::from_ref(&pay));
    assert_eq!(world.mint(eur(), world.alice(), 1000), None);
    let again = world.block(core::slice::from_ref(&pay)).results[0];
    assert_eq!(again.failure, Some(Reason::AlreadyExecuted));
    let first = world.state.result(&pay.id()).unwrap().result;
    assert_eq!(first.failure, Some(Reason::InsufficientFunds));
    assert!(first.height < again.height);
}

#[test]
fn records_of_heights_reach_down_to_what_the_head_reports() {
    let mut world = World::new();
    let reported = world.state.height();
    for _ in 0..100 {
        let header = Header { executed_height: reported, ..world.header(&[]) };
        world.execute(&header, &[]);
    }
    assert!(world.state.recent(reported).is_some());
    assert!(world.state.results_root(reported, world.state.height()).is_some());
    let header = world.header(&[]);
    world.execute(&header, &[]);
    assert!(world.state.recent(reported).is_none());
    assert!(world.state.recent(world.state.height() - 64).is_some());
    assert!(world.state.recent(world.state.height() - 65).is_none());
    assert_eq!(State::load(&world.genesis, &world.store), Ok(Some(world.state)));
}

#[test]
fn checkpoints_are_taken_at_their_interval_and_show_every_change() {
    let mut world = World::new();
    assert_eq!(world.state.head().checkpoint_height, 4);
    let first = world.state.head().checkpoint_root;
    let lines = vec![line(world.shop(), 1)];
    world.run(world.alice(), Action::Transfer { currency: eur(), lines }, &[ALICE]);
    assert_eq!(world.state.head().checkpoint_root, first);
    for _ in 0..3 {
        world.block(&[]);
    }
    let second = *world.state.head();
    assert_eq!(second.checkpoint_height, 8);
    assert_ne!(second.checkpoint_root, first);
    for _ in 0..4 {
        world.block(&[]);
    }
    assert_eq!(world.state.head().checkpoint_height, 12);
    assert_eq!(world.state.head().checkpoint_root, second.checkpoint_root);
}

#[test]
fn a_receipt_leads_from_the_transaction_to_the_header() {
    let mut world = World::new();
    let above = world.state.height();
    let lines = vec![line(world.shop(), 1)];
    let action = Action::Transfer { currency: eur(), lines };
    let pays: Vec<_> =
        (0..5).map(|_| world.sign(world.alice(), action.clone(), &[ALICE])).collect();
    world.block(&pays[..2]);
    world.block(&pays[2..]);
    let root = world.state.results_root(above, world.state.height()).unwrap();
    let header = Header { results_root: root, ..world.header(&[]) };
    let finality = FinalityCertificate {
        epoch: 0,
        view: 1,
        parent_view: 0,
        signers: Vec::new(),
        signatures: Vec::new(),
    };
    for pay in &pays {
        let made =
            receipt(&world.store, pay.clone(), header.clone(), above, vec![], finality.clone())
                .unwrap();
        assert_eq!(made.path.root(&made.result.to_bytes()), Ok(root));
        assert_eq!((made.result.id, made.result.failure), (pay.id(), None));
        // Everything fits but the certificate, which has no signatures.
        assert_eq!(made.verify(&world.genesis).unwrap_err(), Reason::CertificateShort);
    }
    let late = receipt(&world.store, pays[0].clone(), header, above + 1, vec![], finality);
    assert_eq!(late.unwrap_err(), Reason::NotFound);
    let kept = results_at(&world.store, above + 1).unwrap();
    assert_eq!(kept.len(), 2);
    assert_ne!(results_root(&kept), root);
    assert_eq!(result_path(&kept, &pays[4].id()), None);
}
