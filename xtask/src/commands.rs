//! Commands that the gate runs, and what their output says about how many tests passed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::gate::Tally;

/// Runs a command whose exit status is all that counts; its output is shown as it comes.
pub fn succeeds(root: &Path, line: &str) -> bool {
    println!("$ {line}");
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    match command.args(words).current_dir(root).status() {
        Ok(status) => status.success(),
        Err(error) => {
            println!("{line}: {error}");
            false
        }
    }
}

/// Runs a command whose output says how many tests passed and failed, and shows all of it.
///
/// A command that fails counts as a failure even when no line of its output says so.
pub fn counted(root: &Path, line: &str, summary: impl Fn(&str) -> Option<Tally>) -> Tally {
    println!("$ {line}");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{line} 2>&1")]).current_dir(root).stdout(Stdio::piped());
    // Colours would stand between the words of a summary.
    command.env("CARGO_TERM_COLOR", "never");
    let Ok(mut child) = command.spawn() else { return Tally::one(false) };
    let mut tally = Tally::default();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let Ok(line) = line else { continue };
        println!("{line}");
        tally.add(summary(&line).unwrap_or_default());
    }
    let succeeded = child.wait().is_ok_and(|status| status.success());
    if !succeeded && tally.failed == 0 {
        tally.failed = 1;
    }
    tally
}

/// Reads `Summary [ 1.2s] 9/10 tests run: 7 passed (1 slow), 1 failed, 1 timed out, 0 skipped`.
///
/// All that did not pass has failed: what was skipped, and what was not run at all.
pub fn summary_of_nextest(line: &str) -> Option<Tally> {
    let (_, rest) = line.split_once("Summary [")?;
    let (before, rest) = rest.split_once(" run: ")?;
    let (_, counts) = before.split_once(']')?;
    let all = counts.split_whitespace().next()?.rsplit('/').next()?.parse::<u64>().ok()?;
    let passed = number_before(rest, "passed").unwrap_or(0);
    let skipped = number_before(rest, "skipped").unwrap_or(0);
    Some(Tally { passed, failed: all.saturating_sub(passed) + skipped })
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; ...`; what is ignored has failed.
pub fn summary_of_doctests(line: &str) -> Option<Tally> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word| number_before(rest, word);
    Some(Tally { passed: number("passed")?, failed: number("failed")? + number("ignored")? })
}

/// The number that stands before a word.
pub fn number_before(text: &str, word: &str) -> Option<u64> {
    let words: Vec<&str> = text.split([' ', ',', ';']).filter(|part| !part.is_empty()).collect();
    let at = words.iter().position(|one| *one == word)?;
    words.get(at.checked_sub(1)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64) -> Option<Tally> {
        Some(Tally { passed, failed })
    }

    #[test]
    fn a_summary_of_nextest_is_read() {
        for (line, expected) in [
            ("  Summary [ 12.3s] 20 tests run: 20 passed (2 slow), 0 skipped", tally(20, 0)),
            (
                "  Summary [ 1.0s] 10 tests run: 8 passed, 1 failed, 1 timed out, 0 skipped",
                tally(8, 2),
            ),
            ("  Summary [ 1.0s] 6/10 tests run: 6 passed, 0 skipped", tally(6, 4)),
            ("  Summary [ 1.0s] 1 test run: 0 passed, 1 failed, 0 skipped", tally(0, 1)),
            ("  Summary [ 1.0s] 5 tests run: 5 passed (1 leaky), 2 skipped", tally(5, 2)),
            ("        PASS [ 0.1s] a::b", None),
        ] {
            assert_eq!(summary_of_nextest(line), expected, "{line}");
        }
    }

    #[test]
    fn a_summary_of_doctests_is_read() {
        let line = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(summary_of_doctests(line), tally(3, 1));
        let line = "test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out";
        assert_eq!(summary_of_doctests(line), tally(3, 2));
        assert_eq!(summary_of_doctests("running 3 tests"), None);
    }

    #[test]
    fn a_command_that_fails_in_silence_counts_as_a_failure() {
        let root = crate::repository::root();
        assert_eq!(counted(&root, "false", summary_of_doctests), Tally { passed: 0, failed: 1 });
        let echo = "echo test result: ok. 2 passed\\; 0 failed\\; 0 ignored";
        assert_eq!(counted(&root, echo, summary_of_doctests), Tally { passed: 2, failed: 0 });
        assert_eq!(counted(&root, "true", summary_of_doctests), Tally::default());
        assert!(succeeds(&root, "true") && !succeeds(&root, "false"));
        assert!(!succeeds(&root, "no-such-program-at-all"));
    }
}
