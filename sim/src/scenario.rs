//! What one seed means: how many nodes, how bad the network is, and what goes wrong when.

use std::collections::BTreeSet;

use tallystick_node::Retention;

use crate::byzantine::Vice;
use crate::disk::DiskFault;
use crate::draw::Draw;

/// Until when faults happen, in milliseconds after the beginning.
pub const CHAOS_MS: u64 = 12_000;
/// From this seed on the operators replace a validator and activate new rules.
pub const GOVERNED_FROM: u64 = 10_000;
/// How far an honest clock may be wrong.
const SKEW_MS_MAX: u64 = 900;

/// Something that goes wrong, or right again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// These validators and the others no longer reach each other.
    Cut(BTreeSet<usize>),
    /// The one's messages no longer reach the other; the other way they do.
    Deafen(usize, usize),
    /// Everyone reaches everyone again.
    Join,
    /// A node's process is killed, and started again so many milliseconds later.
    Crash(usize, u64),
    /// A node is asked to stop, and started again so many milliseconds later.
    Shutdown(usize, u64),
    /// A node's disk fails from now on.
    Disk(usize, DiskFault),
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Travel {
    /// Mean time on the way, in milliseconds.
    pub latency_ms: u64,
    /// Its standard deviation.
    pub jitter_ms: u64,
    /// Of a thousand messages so many are lost.
    pub lost: u64,
}

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// Validators.
    pub nodes: usize,
    /// The idle interval of the network's parameters.
    pub idle_ms: u64,
    /// Entries of a block at most.
    pub entries_max: u64,
    /// How far ahead each validator's clock is.
    pub skews_ms: Vec<i64>,
    /// How messages travel until all is healed.
    pub travel: Travel,
    /// Of a thousand messages so many come late, and so many twice.
    pub disorder: (u64, u64),
    /// The validator that lies, and how.
    pub vices: BTreeSet<Vice>,
    /// Who lies, when someone does.
    pub liar: usize,
    /// What happens when, in order.
    pub events: Vec<(u64, Event)>,
    /// Accounts that pay each other.
    pub holders: usize,
    /// The pause between two payments of a holder is below this, in milliseconds.
    pub pause_ms_max: u64,
    /// What the nodes keep of old blocks.
    pub retention: Retention,
    /// What the operators do, where there are some.
    pub governed: Option<Governed>,
}

/// A network whose operators replace a validator and decide new rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Governed {
    /// Heights of an epoch.
    pub epoch_blocks: u64,
    /// The version of the rules that the network begins with; the next one comes into force.
    pub rules_version: u64,
    /// The validator that is replaced by the one that only follows before.
    pub replaced: usize,
    /// A node that does not know the new rules when they come.
    pub outdated: usize,
}

impl Governed {
    /// From numbers of its own, so that all else is as it is without.
    fn draw(seed: u64, nodes: usize) -> Option<Governed> {
        let mut draw = Draw::new(seed, 5);
        (seed >= GOVERNED_FROM).then(|| Governed {
            epoch_blocks: draw.between(8, 14),
            rules_version: 1 + seed % 2,
            replaced: draw.place(nodes),
            outdated: draw.place(nodes),
        })
    }
}

impl Scenario {
    /// How many validators there are and will be.
    pub fn seats(&self) -> usize {
        self.nodes + usize::from(self.governed.is_some())
    }

    /// The scenario of a seed.
    pub fn draw(seed: u64) -> Scenario {
        let mut draw = Draw::new(seed, 0);
        let nodes = if draw.percent(12) { 7 } else { 4 };
        let is_bad = draw.percent(60);
        let travel = Travel {
            latency_ms: draw.between(2, 40),
            jitter_ms: draw.between(0, 15),
            lost: if is_bad { draw.below(60) } else { 0 },
        };
        let disorder = if is_bad { (draw.below(80), draw.below(40)) } else { (0, 0) };
        let skews_ms = (0..nodes).map(|_| skew(&mut draw)).collect();
        let liar = draw.place(nodes);
        let vices = if draw.percent(50) { Vice::draw(&mut draw) } else { BTreeSet::new() };
        let mut scenario = Scenario {
            seed,
            nodes,
            idle_ms: draw.between(4, 12) * 100,
            entries_max: if draw.percent(20) { 4 } else { 200 },
            skews_ms,
            travel,
            disorder,
            vices,
            liar,
            events: Vec::new(),
            holders: 4,
            pause_ms_max: draw.between(200, 900),
            retention: Retention::Everything,
            governed: Governed::draw(seed, nodes),
        };
        scenario.events = scenario.draw_events(&mut draw);
        scenario
    }

    /// The place of the validator that lives in a seat beyond the first of each.
    pub fn twin_of(&self, _seat: usize) -> usize {
        self.liar
    }

    /// One line for the log.
    pub fn describe(&self) -> String {
        let liar = if self.vices.is_empty() {
            "nobody lies".to_owned()
        } else {
            format!("n{} lies: {:?}", self.liar, self.vices)
        };
        format!(
            "seed {}: {} nodes, idle {} ms, {:?}, disorder {:?}, clocks {:?}, {liar}, {:?}",
            self.seed,
            self.nodes,
            self.idle_ms,
            self.travel,
            self.disorder,
            self.skews_ms,
            self.governed
        )
    }

    /// Whether a validator keeps to the rules.
    pub fn is_honest(&self, place: usize) -> bool {
        self.vices.is_empty() || place != self.liar
    }

    fn draw_events(&self, draw: &mut Draw) -> Vec<(u64, Event)> {
        let mut events = Vec::new();
        let storm = if draw.percent(15) { 3 } else { 1 };
        if self.vices.contains(&Vice::Amnesia) {
            let times = (0..2).map(|_| draw.between(500, CHAOS_MS)).collect::<Vec<_>>();
            events.extend(times.into_iter().map(|at| (at, Event::Crash(self.liar, 100))));
        }
        for _ in 0..draw.below(4) * storm {
            let at = draw.between(500, CHAOS_MS - 500);
            let down = draw.between(60, 4000);
            let place = draw.place(self.nodes);
            let event = if draw.percent(80) {
                Event::Crash(place, down)
            } else {
                Event::Shutdown(place, down)
            };
            events.push((at, event));
        }
        if draw.percent(20) {
            // All at once, as when the power goes.
            let at = draw.between(1000, CHAOS_MS - 500);
            (0..self.nodes).for_each(|place| {
                events.push((at, Event::Crash(place, draw.between(60, 2000))));
            });
        }
        for _ in 0..draw.below(3) * storm {
            let at = draw.between(200, CHAOS_MS - 200);
            let faults =
                [DiskFault::Full, DiskFault::Torn, DiskFault::Untold, DiskFault::Unreadable];
            if let Some(fault) = draw.one_of(&faults) {
                events.push((at, Event::Disk(draw.place(self.nodes), *fault)));
            }
        }
        for _ in 0..draw.below(3) {
            let at = draw.between(300, CHAOS_MS - 300);
            let until = (at + draw.between(200, 5000)).min(CHAOS_MS - 1);
            let event = if draw.percent(70) {
                let count = draw.between(1, self.nodes as u64 / 2);
                Event::Cut((0..count).map(|_| draw.place(self.nodes)).collect())
            } else {
                let one = draw.place(self.nodes);
                Event::Deafen(one, (one + 1 + draw.place(self.nodes - 1)) % self.nodes)
            };
            events.push((at, event));
            events.push((until, Event::Join));
        }
        events.sort_by_key(|(at, _)| *at);
        events
    }
}

fn skew(draw: &mut Draw) -> i64 {
    if draw.percent(50) {
        return 0;
    }
    let by = i64::try_from(draw.between(0, SKEW_MS_MAX)).unwrap_or_default();
    if draw.percent(50) { by } else { -by }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_one_scenario_and_many_seeds_mean_every_kind_of_fault() {
        let events = |seed| Scenario::draw(seed).events;
        assert_eq!(events(3), events(3));
        let all: Vec<Scenario> = (0..300).map(Scenario::draw).collect();
        assert!(all.iter().any(|scenario| scenario.nodes == 7));
        assert!(all.iter().any(|scenario| scenario.travel.lost > 0));
        assert!(all.iter().any(|scenario| scenario.vices.is_empty()));
        assert!(all.iter().all(|scenario| scenario.governed.is_none()));
        let governed = Scenario::draw(GOVERNED_FROM);
        assert!(governed.governed.is_some() && governed.seats() == governed.nodes + 1);
        let seen: Vec<&Event> =
            all.iter().flat_map(|one| &one.events).map(|(_, event)| event).collect();
        assert!(seen.iter().any(|event| matches!(event, Event::Cut(_))));
        assert!(seen.iter().any(|event| matches!(event, Event::Deafen(..))));
        assert!(seen.iter().any(|event| matches!(event, Event::Crash(..))));
        assert!(seen.iter().any(|event| matches!(event, Event::Shutdown(..))));
        for fault in [DiskFault::Full, DiskFault::Torn, DiskFault::Untold, DiskFault::Unreadable] {
            assert!(
                seen.iter().any(|event| matches!(event, Event::Disk(_, found) if *found == fault))
            );
        }
        for vice in Vice::ALL {
            assert!(all.iter().any(|scenario| scenario.vices.contains(&vice)), "{vice:?}");
        }
        let ordered = |scenario: &Scenario| scenario.events.is_sorted_by_key(|(at, _)| *at);
        assert!(all.iter().all(ordered));
        assert!(seen.len() > 100);
    }
}
