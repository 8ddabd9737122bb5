//! How many bytes of transactions a block may hold, by which rules, and what a proposer makes of it.

use std::sync::Arc;

use tallystick_kernel::Reason;
use tallystick_kernel::limits::BLOCK_TRANSACTION_BYTES_MAX;
use tallystick_ledger::{
    BlockContext, Found, Pool, PoolLimits, Rules, Verdict, Waiting, build, check, entry_of,
};
use tallystick_proofs::action::Action;
use tallystick_proofs::genesis::Governance;
use tallystick_proofs::header::{Entry, Header, entries_root};
use tallystick_proofs::transaction::Transaction;

use crate::world::{ALICE, World, eur, genesis, line};

const HALF: usize = BLOCK_TRANSACTION_BYTES_MAX / 2;

fn of_rules(rules_version: u64) -> World {
    World::of({
        let mut made = genesis();
        let governance = Governance { epoch_blocks: 1000, operators: 2, rules_version };
        made.parameters.governance = Some(governance);
        made
    })
}

fn transfers(world: &mut World) -> [Transaction; 3] {
    [1, 2, 3].map(|minor| {
        let lines = vec![line(world.shop(), minor)];
        world.sign(world.alice(), Action::Transfer { currency: eur(), lines }, &[ALICE])
    })
}

fn context(world: &World) -> BlockContext<'_> {
    let (parent, now) = (&world.parent, world.now);
    BlockContext { parent, ancestors: &[], now, proposer: 0, rules: Rules::default() }
}

/// The verdict on a right header over these transactions, of which the judge has those with a length.
fn judged(world: &World, transactions: &[Transaction], lengths: &[Option<usize>]) -> Verdict {
    let entries: Vec<Entry> = transactions.iter().map(entry_of).collect();
    let pool = Pool::new(PoolLimits::default(), Rules::default());
    let (empty, _) = build(&world.state, &pool, &context(world)).unwrap();
    let header =
        Header { transactions_root: entries_root(&entries), count: entries.len() as u64, ..empty };
    let find = |entry: &Entry| {
        let place = entries.iter().position(|one| one == entry).unwrap();
        let transaction = Arc::new(transactions[place].clone());
        lengths[place].map_or(Found::Missing, |bytes| Found::Verified { transaction, bytes })
    };
    check(&world.state, &context(world), &header, &entries, &find)
}

#[test]
fn a_block_over_its_bytes_is_refused_by_the_third_rules_as_soon_as_enough_of_it_is_here() {
    let mut world = of_rules(3);
    let pays = transfers(&mut world);
    let too_large = Verdict::Invalid(Reason::TooLarge);
    assert_eq!(judged(&world, &pays, &[Some(HALF), Some(HALF - 1), Some(1)]), Verdict::Valid);
    assert_eq!(judged(&world, &pays, &[Some(HALF), Some(HALF), Some(1)]), too_large);
    let waits = Verdict::Wait(Waiting::Bodies(vec![entry_of(&pays[1])]));
    assert_eq!(judged(&world, &pays, &[Some(HALF), None, Some(HALF)]), waits);
    assert_eq!(judged(&world, &pays, &[Some(HALF), None, Some(HALF + 1)]), too_large);
}

#[test]
fn a_block_over_its_bytes_that_was_made_under_older_rules_is_still_valid() {
    for version in [1, 2] {
        let mut world = of_rules(version);
        let pays = transfers(&mut world);
        let lengths = [Some(2 * HALF), Some(2 * HALF), Some(2 * HALF)];
        assert_eq!(judged(&world, &pays, &lengths), Verdict::Valid);
    }
}

#[test]
fn a_proposer_leaves_for_the_next_block_what_has_no_room_by_its_bytes() {
    for version in [1, 3] {
        let mut world = of_rules(version);
        let pays = transfers(&mut world);
        let mut pool = Pool::new(PoolLimits::default(), Rules::default());
        for (one, bytes) in pays.iter().zip([HALF, HALF, 1]) {
            let transaction = Arc::new(one.clone());
            pool.admit(&world.state, entry_of(one), transaction, bytes, world.now).unwrap();
        }
        let (header, entries) = build(&world.state, &pool, &context(&world)).unwrap();
        assert_eq!(entries, [&pays[0], &pays[1]].map(entry_of));
        world.execute(&header, &pays[..2]);
        let executed = [0, 1].map(|place| (entries[place], &pays[place]));
        pool.executed(&world.state, &executed);
        let (_, entries) = build(&world.state, &pool, &context(&world)).unwrap();
        assert_eq!(entries, [entry_of(&pays[2])]);
    }
}
