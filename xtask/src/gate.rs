//! The gate: its steps, in order, each with what passed, what failed and how long it took.
//!
//! Invariants: a step in which nothing was tested fails; a component that is missing fails by its
//! name; a step that fails does not keep the later ones from being run, unless they need it.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::commands::{self, counted, succeeds};
use crate::{browser, interface, policy, readme, repository, setup, sim, tidy, vectors};

/// Runs the gate.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Run these steps only.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STEP,...")]
    only: Vec<Step>,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Debian packages, Rust components, cargo-nextest.
    Setup,
    /// The form of the code.
    Fmt,
    /// Lints, none of which may speak.
    Clippy,
    /// The rules of the house.
    Tidy,
    /// What crates may import, licences, bans, duplicates.
    Policy,
    /// Everything compiles.
    Build,
    /// Unit tests and tests of real processes.
    Nextest,
    /// The examples in the documentation.
    Doctests,
    /// The test vectors in `vectors/`.
    Vectors,
    /// The whole network simulated under a fixed set of seeds.
    Sim,
    /// The README's own commands, typed by a shell.
    Readme,
    /// Every role's interface, tried by schemathesis from its OpenAPI document.
    Interface,
    /// The pages, used by a real browser from the funding to the verified receipt.
    Browser,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Checks that passed.
    pub passed: u64,
    /// Checks that failed.
    pub failed: u64,
}

impl Tally {
    /// One check.
    pub fn one(passed: bool) -> Tally {
        Tally { passed: u64::from(passed), failed: u64::from(!passed) }
    }

    /// Adds another.
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// A step in which nothing was tested has failed.
    fn or_fail_if_empty(self, name: &str) -> Tally {
        if self != Tally::default() {
            return self;
        }
        println!("{name}: nothing was tested");
        Tally::one(false)
    }
}

/// Runs the command: exit code 0 when nothing failed.
pub fn run(arguments: &Arguments) -> ExitCode {
    let mut lines = Vec::new();
    let mut all = Tally::default();
    for step in Step::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(step) {
            continue;
        }
        let name = format!("{step:?}").to_lowercase();
        println!("== {name}");
        let begun = Instant::now();
        let tally = step.run().or_fail_if_empty(&name);
        let line = line(&name, tally, begun.elapsed().as_secs_f64());
        println!("{line}");
        lines.push(line);
        all.add(tally);
        if tally.failed > 0 && matches!(step, Step::Setup | Step::Build) {
            println!("the later steps need {name}");
            break;
        }
    }
    println!("== all");
    lines.iter().for_each(|line| println!("{line}"));
    println!("{} passed, {} failed", all.passed, all.failed);
    if all.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn line(name: &str, tally: Tally, seconds: f64) -> String {
    let Tally { passed, failed } = tally;
    format!("{name:<9} {passed:>5} passed {failed:>3} failed {seconds:>7.1} s")
}

impl Step {
    fn run(self) -> Tally {
        let root = repository::root();
        match self {
            Step::Setup => setup::run(),
            Step::Fmt => Tally::one(succeeds(&root, "cargo fmt --all --check")),
            Step::Clippy => Tally::one(succeeds(
                &root,
                "cargo clippy --release --workspace --all-targets -- -D warnings",
            )),
            Step::Tidy => tidy::run(&root),
            Step::Policy => policy::run(&root),
            Step::Build => {
                Tally::one(succeeds(&root, "cargo build --release --workspace --all-targets"))
            }
            Step::Nextest => counted(
                &root,
                "cargo nextest run --release --workspace --no-fail-fast",
                commands::summary_of_nextest,
            ),
            Step::Doctests => counted(
                &root,
                "cargo test --release --workspace --doc",
                commands::summary_of_doctests,
            ),
            Step::Vectors => vectors::check(&root.join("vectors"), &KINDS),
            Step::Sim => sim::gate(&root),
            Step::Readme => readme::run(&root),
            Step::Interface => interface::run(&root),
            Step::Browser => browser::run(&root),
        }
    }
}

/// Kinds of vectors that must be there and be decided completely.
const KINDS: [&str; 4] = ["base45", "cose_cwt_codes", "x509_code_chain", "hpke_region_envelope"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_in_which_nothing_was_tested_fails() {
        let empty = Tally::default().or_fail_if_empty("doctests");
        assert_eq!(empty, Tally { passed: 0, failed: 1 });
        let some = Tally { passed: 3, failed: 0 };
        assert_eq!(some.or_fail_if_empty("doctests"), some);
    }

    #[test]
    fn steps_run_in_their_order_and_the_build_comes_before_what_needs_it() {
        let at = |step| Step::value_variants().iter().position(|one| *one == step);
        assert!(at(Step::Setup) < at(Step::Fmt));
        for later in
            [Step::Nextest, Step::Doctests, Step::Sim, Step::Readme, Step::Interface, Step::Browser]
        {
            assert!(at(Step::Build) < at(later));
        }
        let line = line("nextest", Tally { passed: 12, failed: 1 }, 3.21);
        assert_eq!(line, "nextest      12 passed   1 failed     3.2 s");
    }
}
