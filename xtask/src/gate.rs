//! The gate: its steps, in order, each with what passed, what failed and how long it took.
//!
//! Invariants: a step in which nothing was tested fails; a component that is missing fails by its
//! name; a step that fails does not keep the later ones from being run, unless they need it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::{policy, readme, repository, setup, tidy, vectors};

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
    /// The README's own commands, typed by a shell.
    Readme,
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
        let mut tally = step.run();
        if tally == Tally::default() {
            println!("{name}: nothing was tested");
            tally.failed = 1;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let Tally { passed, failed } = tally;
        lines.push(format!("{name:<9} {passed:>5} passed {failed:>3} failed {seconds:>7.1} s"));
        println!("{}", lines.last().map_or("", String::as_str));
        all.add(tally);
        if failed > 0 && matches!(step, Step::Setup | Step::Build) {
            println!("the later steps need {name}");
            break;
        }
    }
    println!("== all");
    lines.iter().for_each(|line| println!("{line}"));
    println!("{} passed, {} failed", all.passed, all.failed);
    if all.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
                summary_of_nextest,
            ),
            Step::Doctests => {
                counted(&root, "cargo test --release --workspace --doc", summary_of_doctests)
            }
            Step::Vectors => vectors::check(&root.join("vectors"), &KINDS),
            Step::Readme => readme::run(&root),
        }
    }
}

fn command(root: &Path, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).current_dir(root);
    command
}

fn succeeds(root: &Path, line: &str) -> bool {
    println!("$ {line}");
    match command(root, line).status() {
        Ok(status) => status.success(),
        Err(error) => {
            println!("{line}: {error}");
            false
        }
    }
}

/// Runs a command whose output says how many tests passed and failed, and shows all of it.
fn counted(root: &Path, line: &str, summary: impl Fn(&str) -> Option<Tally>) -> Tally {
    println!("$ {line}");
    let shell = format!("{line} 2>&1");
    let mut command = Command::new("sh");
    command.args(["-c", &shell]).current_dir(root).stdout(Stdio::piped());
    let Ok(mut child) = command.spawn() else { return Tally::one(false) };
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{line}");
            tally.add(summary(&line).unwrap_or_default());
        }
    }
    let succeeded = child.wait().is_ok_and(|status| status.success());
    if !succeeded && tally.failed == 0 {
        tally.failed = 1;
    }
    tally
}

/// Reads `Summary [ 1.2s] 10 tests run: 9 passed (1 slow), 1 failed, 0 skipped`.
fn summary_of_nextest(line: &str) -> Option<Tally> {
    let (_, rest) = line.split_once("Summary [")?;
    let (_, rest) = rest.split_once("run: ")?;
    let number = |word: &str| {
        let (before, _) = rest.split_once(word)?;
        before.rsplit([' ', ',']).find(|part| !part.is_empty())?.parse::<u64>().ok()
    };
    let failed =
        ["failed", "timed out"].iter().filter_map(|word| number(&format!(" {word}"))).sum();
    Some(Tally { passed: number(" passed")?, failed })
}

/// Reads `test result: ok. 3 passed; 0 failed; ...`.
fn summary_of_doctests(line: &str) -> Option<Tally> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| {
        let (before, _) = rest.split_once(word)?;
        before.rsplit([' ', ';', '.']).find(|part| !part.is_empty())?.parse::<u64>().ok()
    };
    Some(Tally { passed: number(" passed")?, failed: number(" failed")? })
}

/// Kinds of vectors that must be there and be decided completely.
const KINDS: [&str; 4] = ["base45", "cose_cwt_codes", "x509_code_chain", "hpke_region_envelope"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_read() {
        let of = |line| summary_of_nextest(line).map(|tally| (tally.passed, tally.failed));
        let all = "     Summary [  12.3s] 20 tests run: 20 passed (2 slow), 0 skipped";
        assert_eq!(of(all), Some((20, 0)));
        let some =
            "     Summary [ 1.0s] 9/10 tests run: 7 passed, 1 failed, 1 timed out, 0 skipped";
        assert_eq!(of(some), Some((7, 2)));
        assert_eq!(of("        PASS [ 0.1s] a::b"), None);
        let doc = "test result: ok. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(summary_of_doctests(doc), Some(Tally { passed: 3, failed: 1 }));
        assert_eq!(summary_of_doctests("running 3 tests"), None);
    }
}
