//! Whole simulations: that a seed is one story, and that the story is full.

use tallystick_sim::run::run;

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
