//! Whole simulations: that a seed is one story, and that the story is full.

use tallystick_node::Retention;
use tallystick_sim::catch_up::{Plan, Way, catch_up};
use tallystick_sim::run::run;

/// Three nodes go on for 45 minutes and pay every minute; what is remembered reaches back 20.
const LONG: Plan = Plan {
    blocks: 540,
    idle_ms: 5000,
    per_payment: 12,
    pace_ms: 0,
    retention: Retention::Everything,
    is_wiped: false,
    is_without_ledger: false,
};

#[test]
fn a_node_that_is_hundreds_of_blocks_behind_or_was_wiped_rejoins_by_blocks_with_equal_roots() {
    for is_wiped in [false, true] {
        let report = catch_up(Plan { is_wiped, ..LONG }).unwrap();
        assert!(report.behind >= 500 && report.payments >= 40, "{report:?}");
        assert!(matches!(report.way, Way::Blocks(count) if count > 500), "{report:?}");
        assert!(report.compared.checkpoint.height > 540, "{report:?}");
    }
}

#[test]
fn a_node_that_lost_its_ledger_and_kept_its_votes_rejoins_by_blocks() {
    let report = catch_up(Plan { blocks: 60, is_without_ledger: true, ..LONG }).unwrap();
    assert!(report.behind >= 60 && matches!(report.way, Way::Blocks(_)), "{report:?}");
}

#[test]
fn where_the_others_have_given_blocks_up_a_node_rejoins_by_a_snapshot_alone_with_equal_roots() {
    for is_wiped in [false, true] {
        // The engine gives its blocks up 1024 at a time.
        let plan = Plan { blocks: 1320, is_wiped, retention: Retention::Blocks(1), ..LONG };
        let report = catch_up(plan).unwrap();
        assert!(report.behind >= 1300 && matches!(report.way, Way::Snapshot(_)), "{report:?}");
        assert!(report.compared.state.height > 1320, "{report:?}");
    }
}

#[test]
fn a_run_that_should_be_by_a_snapshot_and_is_too_short_for_one_fails_and_says_so() {
    let plan = Plan { blocks: 60, retention: Retention::Blocks(1), ..LONG };
    let failed = catch_up(plan).unwrap_err();
    assert!(failed.contains("still has block"), "{failed}");
}

#[test]
fn the_same_seed_gives_the_same_event_log_twice() {
    for seed in [3, 5] {
        let (first, second) = (run(seed), run(seed));
        assert_eq!(first.faults, [] as [String; 0]);
        for (one, other) in first.log.iter().zip(&second.log) {
            assert_eq!(one, other, "seed {seed}");
        }
        assert_eq!(first.log.len(), second.log.len());
    }
    assert_ne!(run(3).log, run(4).log);
}

#[test]
fn no_view_is_lost_at_the_start_of_an_epoch_to_a_first_vote_that_comes_last() {
    // Two voters took the second leader of an epoch for absent, which had spoken all the time.
    for seed in [10_011, 10_029] {
        assert_eq!(run(seed).faults, [] as [String; 0], "seed {seed}");
    }
}

#[test]
fn in_a_simulation_payments_are_acknowledged_final_and_some_lose_to_their_rivals() {
    let outcomes: Vec<_> = (20..24).map(run).collect();
    for outcome in &outcomes {
        assert_eq!(outcome.faults, [] as [String; 0]);
        assert!(outcome.height > 10 && outcome.transactions > 20 && outcome.acknowledged > 20);
    }
    let said = |what: &str| {
        outcomes.iter().flat_map(|outcome| &outcome.log).any(|line| line.contains(what))
    };
    assert!(said("is killed") && said("claim_taken") && said("sweeps") && said("all is healed"));
}
