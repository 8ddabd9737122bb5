//! The closed list of reasons: each is given somewhere, and a test or a vector provokes each.

use std::collections::BTreeSet;

use super::{File, holds_word};

/// Where the list is.
const LIST: &str = "kernel/src/reason.rs";
/// Reasons that no test provokes, and why not.
const UNPROVOKED: [(&str, &str); 4] = [
    ("Internal", "an error of our own: a test that provokes it has found one"),
    ("FeatureOff", "kept for features that can be switched off; there are none yet"),
    ("SettlementFailed", "stands in where a ledger result names no reason of this version"),
    ("AuthorizationExpired", "kept for authorizations that are captured later"),
];
/// Reasons that nothing gives yet.
const UNUSED: [&str; 2] = ["FeatureOff", "AuthorizationExpired"];

/// What is wrong with the list; `provoked` are the codes with which the vectors are refused.
pub(super) fn faults(files: &[File<'_>], provoked: &BTreeSet<String>) -> Vec<String> {
    let list = files.iter().find(|file| file.name == LIST).map_or("", |file| file.text);
    let reasons: Vec<(&str, &str)> = list.lines().filter_map(read).collect();
    if reasons.is_empty() {
        return vec!["holds no reasons".to_owned()];
    }
    let others = || files.iter().filter(|file| file.is_rust() && file.name != LIST);
    let in_code = |name: &str| {
        let named = format!("Reason::{name}");
        others()
            .filter(|file| file.crate_of_source().is_some())
            .any(|file| file.code().any(|line| holds_word(line, &named)))
    };
    let in_tests = |name: &str, code: &str| {
        let (named, quoted) = (format!("Reason::{name}"), format!("\"{code}\""));
        others()
            .any(|file| file.tests().any(|line| holds_word(line, &named) || line.contains(&quoted)))
    };
    let is_excused = |name: &str| UNPROVOKED.iter().any(|(excused, _)| *excused == name);
    let mut faults = Vec::new();
    for (name, code) in reasons {
        if !in_code(name) && !UNUSED.contains(&name) {
            faults.push(format!("nothing gives {name}"));
        }
        if !provoked.contains(code) && !is_excused(name) && !in_tests(name, code) {
            faults.push(format!("no test and no vector provokes {name}"));
        }
    }
    faults
}

/// Reads `Name = 100 "code" "Sentence."`.
fn read(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.trim().split_once(" = ")?;
    let mut parts = rest.split('"');
    let number = parts.next()?.trim();
    let code = parts.next()?;
    number.parse::<u16>().ok()?;
    Some((name, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &str, test: &str, provoked: &[&str]) -> Vec<String> {
        let list = "reasons! {\n    Form {\n        TooLarge = 103 \"too_large\" \"A size.\"\n";
        let files = [
            File { name: LIST, text: list },
            File { name: "api/src/a.rs", text: code },
            File { name: "api/tests/a.rs", text: test },
        ];
        faults(&files, &provoked.iter().map(|code| (*code).to_owned()).collect())
    }

    #[test]
    fn a_reason_is_given_by_code_and_provoked_by_a_test_or_a_vector() {
        let code = "Err(Reason::TooLarge)";
        let test = "assert_eq!(made, Err(Reason::TooLarge));";
        assert_eq!(found(code, test, &[]), Vec::<String>::new());
        assert_eq!(found(code, "refused(\"too_large\")", &[]), Vec::<String>::new());
        assert_eq!(found(code, "", &["too_large"]), Vec::<String>::new());
        assert_eq!(found(code, "", &[]), ["no test and no vector provokes TooLarge"]);
        assert_eq!(found("// Reason::TooLarge", test, &[]), ["nothing gives TooLarge"]);
        assert_eq!(found(code, "Reason::TooLargeByFar", &[]).len(), 1);
        assert_eq!(faults(&[], &BTreeSet::new()), ["holds no reasons"]);
    }
}
