//! Where the time until a network is ready goes: by phase, and for each role.

use std::time::{Duration, Instant};

use serde::Serialize;

/// A part of the start, with its own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Phase {
    /// What was done or waited for.
    pub phase: &'static str,
    /// How long.
    pub ms: u64,
}

/// How far a role had come when it was last asked; later steps include earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It does not answer yet.
    #[default]
    Begun,
    /// It answers.
    Serves,
    /// It is connected to all validators; every role but a node is so as soon as it serves.
    Connected,
    /// It has a final block; every role but a node has it as soon as it serves.
    HasBlock,
    /// Its `/readyz` answers 200.
    Ready,
}

/// The clock of a start: phases end one after the other, each where the next begins.
#[derive(Clone, Debug)]
pub struct Startup {
    began: Instant,
    ended: Instant,
    phases: Vec<Phase>,
    ready: Vec<Option<Duration>>,
}

impl Startup {
    /// Begins now.
    pub fn begin() -> Startup {
        let began = Instant::now();
        Startup { began, ended: began, phases: Vec::new(), ready: Vec::new() }
    }

    /// Ends a phase now.
    pub fn end(&mut self, phase: &'static str) {
        let now = Instant::now();
        let ms = millis(now - self.began).saturating_sub(millis(self.ended - self.began));
        self.phases.push(Phase { phase, ms });
        self.ended = now;
    }

    /// Takes note of how far every role has come; ends the phases that all have left behind.
    pub fn observe(&mut self, steps: &[Step]) {
        self.ready.resize(steps.len(), None);
        for (ready, step) in self.ready.iter_mut().zip(steps) {
            if *step == Step::Ready && ready.is_none() {
                *ready = Some(self.began.elapsed());
            }
        }
        let slowest = steps.iter().min().copied().unwrap_or_default();
        for (phase, step) in WAITED_FOR {
            let is_new = self.phases.iter().all(|ended| ended.phase != phase);
            if slowest >= step && is_new {
                self.end(phase);
            }
        }
    }

    /// The phases that have ended, in order.
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// The time from the beginning to the end of the last phase, in milliseconds.
    pub fn ready_ms(&self) -> u64 {
        millis(self.ended - self.began)
    }

    /// The time until the role at `index` was ready, in milliseconds.
    pub fn role_ready_ms(&self, index: usize) -> Option<u64> {
        self.ready.get(index).copied().flatten().map(millis)
    }

    /// The phases in one line, for people.
    pub fn line(&self) -> String {
        let phase = |phase: &Phase| format!("{} {}", phase.phase, phase.ms);
        self.phases.iter().map(phase).collect::<Vec<_>>().join(", ")
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Keys, genesis file and configurations are made or read.
pub const FOUNDING: &str = "founding";
/// The processes are started.
pub const STARTING: &str = "starting";
const WAITED_FOR: [(&str, Step); 4] = [
    ("serving", Step::Serves),
    ("connecting", Step::Connected),
    ("first block", Step::HasBlock),
    ("last role", Step::Ready),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn names(startup: &Startup) -> Vec<&'static str> {
        startup.phases().iter().map(|phase| phase.phase).collect()
    }

    #[test]
    fn a_phase_ends_when_the_slowest_role_has_left_it_and_only_once() {
        let mut startup = Startup::begin();
        startup.end(FOUNDING);
        startup.end(STARTING);
        startup.observe(&[Step::Begun, Step::Ready]);
        assert_eq!(names(&startup), [FOUNDING, STARTING]);
        startup.observe(&[Step::Connected, Step::Ready]);
        startup.observe(&[Step::Connected, Step::Ready]);
        assert_eq!(names(&startup), [FOUNDING, STARTING, "serving", "connecting"]);
        assert!(startup.role_ready_ms(0).is_none() && startup.role_ready_ms(1).is_some());
        startup.observe(&[Step::Ready, Step::Ready]);
        assert_eq!(names(&startup)[4..], ["first block", "last role"]);
    }

    #[test]
    fn the_phases_add_up_to_the_time_until_ready() {
        let mut startup = Startup::begin();
        startup.end(FOUNDING);
        std::thread::sleep(Duration::from_millis(3));
        startup.end(STARTING);
        startup.observe(&[Step::Ready]);
        let sum: u64 = startup.phases().iter().map(|phase| phase.ms).sum();
        assert_eq!(sum, startup.ready_ms());
        assert!(startup.line().starts_with("founding "));
    }
}
