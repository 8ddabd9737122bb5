//! Validity of blocks: the same verdict on every node, whatever it has executed beyond.

use std::sync::Arc;

use tallystick_kernel::{AccountId, BlockId, DurationMs, Reason, TimeMs};
use tallystick_ledger::{
    Ancestor, BlockContext, Found, Pool, PoolLimits, Rules, State, Verdict, Waiting, build, check,
    entry_of, execute,
};
use tallystick_proofs::action::Action;
use tallystick_proofs::header::{Entry, Header, entries_root};
use tallystick_proofs::transaction::{Body, Transaction};

use crate::world::{
    ALICE, BOB, MANDATE, STRANGER, World, admit, eur, found_here, key, line, lock, remit,
};

/// A header that follows from the world's parent and is right in every part.
fn right(world: &World, transactions: &[Transaction]) -> (Header, Vec<Entry>) {
    let entries: Vec<Entry> = transactions.iter().map(entry_of).collect();
    let state = &world.state;
    let header = Header {
        results_root: state.results_root(world.parent.executed_height, state.height()).unwrap(),
        checkpoint_root: state.head().checkpoint_root,
        ..world.header(&entries)
    };
    (header, entries)
}

struct Judge<'j> {
    parent: &'j Header,
    ancestors: &'j [Arc<Ancestor>],
    now: TimeMs,
    transactions: &'j [Transaction],
}

impl Judge<'_> {
    fn verdict(&self, state: &State, header: &Header, entries: &[Entry]) -> Verdict {
        let context = BlockContext {
            parent: self.parent,
            ancestors: self.ancestors,
            now: self.now,
            proposer: header.proposer,
            rules: Rules::default(),
        };
        check(state, &context, header, entries, &|entry| match self
            .transactions
            .iter()
            .find(|one| entry_of(one) == *entry)
        {
            Some(transaction) => found_here(transaction),
            None => Found::Missing,
        })
    }
}

/// The verdict on a right header with these transactions on the world's parent.
fn judged(world: &World, transactions: &[Transaction]) -> Verdict {
    let (header, entries) = right(world, transactions);
    let judge = Judge { parent: &world.parent, ancestors: &[], now: world.now, transactions };
    judge.verdict(&world.state, &header, &entries)
}

fn transfer(world: &mut World, minor: u64) -> Transaction {
    let lines = vec![line(world.shop(), minor)];
    world.sign(world.alice(), Action::Transfer { currency: eur(), lines }, &[ALICE])
}

#[test]
fn a_header_that_does_not_follow_is_refused() {
    let mut world = World::new();
    let pays = [transfer(&mut world, 1), transfer(&mut world, 2)];
    let (header, entries) = right(&world, &pays);
    let judge =
        Judge { parent: &world.parent, ancestors: &[], now: world.now, transactions: &pays };
    let verdict = |header: Header| judge.verdict(&world.state, &header, &entries);
    assert_eq!(verdict(header.clone()), Verdict::Valid);
    let good = || header.clone();
    let mismatches = [
        Header { height: good().height + 1, ..good() },
        Header { previous: BlockId([1; 32]), ..good() },
        Header { epoch: 1, ..good() },
        Header { proposer: 4, ..good() },
        Header { count: 1, ..good() },
        Header { executed_height: good().height, ..good() },
    ];
    for wrong in mismatches {
        assert_eq!(verdict(wrong), Verdict::Invalid(Reason::HeaderMismatch));
    }
    let before = TimeMs(world.parent.time.0 - 1);
    assert_eq!(verdict(Header { time: before, ..good() }), Verdict::Invalid(Reason::ClockBehind));
    for wrong in [
        Header { transactions_root: [1; 32], ..good() },
        Header { results_root: [1; 32], ..good() },
        Header { checkpoint_root: [1; 32], ..good() },
    ] {
        assert_eq!(verdict(wrong), Verdict::Invalid(Reason::RootMismatch));
    }
    for wrong in [
        Header { validator_set_hash: [1; 32], ..good() },
        Header { parameters_hash: [1; 32], ..good() },
    ] {
        assert_eq!(verdict(wrong), Verdict::Invalid(Reason::ValidatorSetMismatch));
    }
}

#[test]
fn reported_execution_never_falls_and_lags_only_under_empty_blocks() {
    let mut world = World::new();
    let pay = [transfer(&mut world, 1)];
    let reported = world.parent.executed_height;
    let (header, entries) = right(&world, &pay);
    let judge = Judge { parent: &world.parent, ancestors: &[], now: world.now, transactions: &pay };
    let falls = Header { executed_height: reported - 1, ..header };
    assert_eq!(
        judge.verdict(&world.state, &falls, &entries),
        Verdict::Invalid(Reason::HeaderMismatch)
    );
    for _ in 0..8 {
        let header = Header { executed_height: world.parent.executed_height, ..world.header(&[]) };
        world.execute(&header, &[]);
    }
    let lagging = |entries: &[Entry], executed_height: u64| {
        let state = &world.state;
        let parent = world.parent.executed_height;
        Header {
            executed_height,
            results_root: state.results_root(parent, executed_height).unwrap(),
            checkpoint_root: state.recent(executed_height).unwrap().checkpoint_root,
            ..world.header(entries)
        }
    };
    let judge = Judge { parent: &world.parent, ancestors: &[], now: world.now, transactions: &pay };
    let height = world.parent.height + 1;
    let verdict = |entries: &[Entry], executed| {
        judge.verdict(&world.state, &lagging(entries, executed), entries)
    };
    assert_eq!(verdict(&entries, height - 9), Verdict::Invalid(Reason::EntryNotAllowed));
    assert_eq!(verdict(&[], height - 9), Verdict::Valid);
    assert_eq!(verdict(&entries, height - 8), Verdict::Valid);
}

#[test]
fn a_voter_waits_for_bodies_execution_ancestors_and_time() {
    let mut world = World::new();
    let behind = world.state.clone();
    let parent_before = world.parent.clone();
    world.block(&[]);
    let pay = [transfer(&mut world, 1)];
    let (header, entries) = right(&world, &pay);
    let judge =
        |transactions, now| Judge { parent: &world.parent, ancestors: &[], now, transactions };
    assert_eq!(
        judge(&[], world.now).verdict(&world.state, &header, &entries),
        Verdict::Wait(Waiting::Bodies(entries.clone()))
    );
    assert_eq!(
        judge(&pay, world.now).verdict(&behind, &header, &entries),
        Verdict::Wait(Waiting::Execution(header.executed_height))
    );
    let early = TimeMs(world.now.0 - 2001);
    assert_eq!(
        judge(&pay, early).verdict(&world.state, &header, &entries),
        Verdict::Wait(Waiting::Time(DurationMs(1)))
    );
    let close = TimeMs(world.now.0 - 2000);
    assert_eq!(judge(&pay, close).verdict(&world.state, &header, &entries), Verdict::Valid);
    // The same block, were it to report less, needs its parent's content from the context.
    let reported = behind.results_root(parent_before.executed_height, behind.height()).unwrap();
    let parent = Header { executed_height: parent_before.executed_height, ..world.parent.clone() };
    let less = Header {
        executed_height: behind.height(),
        previous: parent.id(),
        results_root: reported,
        checkpoint_root: behind.head().checkpoint_root,
        ..header
    };
    let judge =
        |ancestors| Judge { parent: &parent, ancestors, now: world.now, transactions: &pay };
    assert_eq!(
        judge(&[]).verdict(&behind, &less, &entries),
        Verdict::Wait(Waiting::Ancestor(behind.height() + 1))
    );
    let ancestor = [Arc::new(Ancestor::new(behind.height() + 1, []))];
    assert_eq!(judge(&ancestor).verdict(&behind, &less, &entries), Verdict::Valid);
}

#[test]
fn entries_are_judged_by_bytes_time_replay_and_claims() {
    let mut world = World::new();
    let (alice, bob, shop) = (world.alice(), world.bob(), world.shop());
    let reserves = world.open(&[100, 100], Some(lock()), None);
    let done = transfer(&mut world, 1);
    world.block(core::slice::from_ref(&done));
    let refused = |world: &World, transactions: &[Transaction], reason| {
        assert_eq!(judged(world, transactions), Verdict::Invalid(reason));
    };
    let until = |world: &mut World, valid_until| {
        Body { valid_until, ..transfer(world, 1).body }.sign(&[&key(ALICE)])
    };
    let now = world.now;
    let late = until(&mut world, now);
    refused(&world, &[late], Reason::Expired);
    let far = until(&mut world, now.after(DurationMs(600_001)));
    refused(&world, &[far], Reason::ValidityTooLong);
    let edge = until(&mut world, now.after(DurationMs::minutes(10)));
    assert_eq!(judged(&world, &[edge]), Verdict::Valid);
    refused(&world, &[done], Reason::AlreadyExecuted);
    let one = transfer(&mut world, 1);
    refused(&world, &[one.clone(), one], Reason::NamedTwice);
    let pay = |world: &mut World, account, reserves: &[_], signers: &[u8]| {
        world.sign(account, remit(shop, 1, reserves, &[]), signers)
    };
    let first = pay(&mut world, alice, &reserves, &[MANDATE]);
    let second = pay(&mut world, alice, &reserves[1..], &[MANDATE]);
    refused(&world, &[first.clone(), second], Reason::ClaimTaken);
    for (account, signers, reason) in [
        (alice, &[ALICE][..], Reason::ReserveLocked),
        (alice, &[STRANGER], Reason::NotMandate),
        (alice, &[STRANGER, ALICE], Reason::NotOwner),
        (bob, &BOB[..2], Reason::ReserveNotOwned),
        (AccountId([9; 32]), &[MANDATE], Reason::AccountUnknown),
    ] {
        let foreign = pay(&mut world, account, &reserves, signers);
        refused(&world, &[foreign], reason);
    }
    assert_eq!(judged(&world, core::slice::from_ref(&first)), Verdict::Valid);
    world.block(&[first]);
    let third = pay(&mut world, alice, &reserves, &[MANDATE]);
    refused(&world, &[third], Reason::ReserveUnknown);
}

#[test]
fn who_controls_a_free_balance_is_judged_when_it_is_executed() {
    let mut world = World::new();
    let lines = vec![line(world.shop(), 1)];
    let action = Action::Transfer { currency: eur(), lines };
    let foreign = world.sign(world.alice(), action, &[STRANGER]);
    assert_eq!(judged(&world, core::slice::from_ref(&foreign)), Verdict::Valid);
    assert_eq!(world.block(&[foreign]).results[0].failure, Some(Reason::NotOwner));
}

#[test]
fn invalid_bytes_make_a_block_invalid() {
    let mut world = World::new();
    let pay = [transfer(&mut world, 1)];
    let (header, entries) = right(&world, &pay);
    let context = BlockContext {
        parent: &world.parent,
        ancestors: &[],
        now: world.now,
        proposer: 0,
        rules: Rules::default(),
    };
    let found = |_: &Entry| Found::Invalid(Reason::SignatureInvalid);
    assert_eq!(
        check(&world.state, &context, &header, &entries, &found),
        Verdict::Invalid(Reason::SignatureInvalid)
    );
}

#[test]
fn a_final_block_stays_valid_and_its_rivals_do_not() {
    let mut world = World::new();
    let pay = [transfer(&mut world, 1)];
    let (header, entries) = right(&world, &pay);
    let parent = world.parent.clone();
    world.execute(&header, &pay);
    world.block(&[]);
    let judge = Judge { parent: &parent, ancestors: &[], now: world.now, transactions: &pay };
    assert_eq!(judge.verdict(&world.state, &header, &entries), Verdict::Valid);
    let rival = Header { time: header.time.after(DurationMs(1)), ..header.clone() };
    assert_eq!(
        judge.verdict(&world.state, &rival, &entries),
        Verdict::Invalid(Reason::HeaderMismatch)
    );
    let stale = Judge { parent: &rival, ancestors: &[], now: world.now, transactions: &[] };
    let child = Header {
        height: rival.height + 1,
        previous: rival.id(),
        transactions_root: entries_root(&[]),
        count: 0,
        ..rival.clone()
    };
    assert_eq!(stale.verdict(&world.state, &child, &[]), Verdict::Invalid(Reason::HeaderMismatch));
}

#[test]
fn what_is_built_is_valid_and_runs_without_a_failed_claim() {
    let mut world = World::new();
    let mut pool = Pool::new(PoolLimits::default(), Rules::default());
    let reserves = world.open(&[10, 20, 30, 40], Some(lock()), None);
    let (alice, shop) = (world.alice(), world.shop());
    let mut transactions = vec![transfer(&mut world, 1)];
    for reserve in &reserves {
        let pay = remit(shop, 10, core::slice::from_ref(reserve), &[]);
        transactions.push(world.sign(alice, pay, &[MANDATE]));
    }
    for one in &transactions {
        admit(&mut pool, &world.state, one, world.now).unwrap();
    }
    let context = BlockContext {
        parent: &world.parent,
        ancestors: &[],
        now: world.now,
        proposer: 2,
        rules: Rules::default(),
    };
    let (header, entries) = build(&world.state, &pool, &context).unwrap();
    assert_eq!(entries, transactions.iter().map(entry_of).collect::<Vec<_>>());
    let judge = Judge {
        parent: &world.parent,
        ancestors: &[],
        now: world.now,
        transactions: &transactions,
    };
    assert_eq!(judge.verdict(&world.state, &header, &entries), Verdict::Valid);
    let outcome = world.execute(&header, &transactions);
    assert!(outcome.results.iter().all(|result| result.is_success()));
}

#[test]
fn a_node_behind_its_parent_does_not_propose() {
    let mut world = World::new();
    let behind = world.state.clone();
    world.block(&[]);
    world.block(&[]);
    let pool = Pool::new(PoolLimits::default(), Rules::default());
    let context = BlockContext {
        parent: &world.parent,
        ancestors: &[],
        now: world.now,
        proposer: 0,
        rules: Rules::default(),
    };
    assert_eq!(build(&behind, &pool, &context).unwrap_err(), Reason::NotReady);
    assert!(build(&world.state, &pool, &context).is_ok());
}

#[test]
#[should_panic(expected = "blocks are executed in order")]
fn a_block_is_not_executed_twice() {
    let mut world = World::new();
    let header = world.header(&[]);
    world.execute(&header, &[]);
    execute(&mut world.state, &header, &[]);
}
