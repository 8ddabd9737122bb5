//! The rules of the house that a program can see.

use std::path::Path;

use crate::gate::Tally;
use crate::repository;

/// One tracked text file.
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

/// A rule: what is wrong with a file, if anything.
type Rule = fn(&File<'_>) -> Vec<String>;

const RULES: [Rule; 9] =
    [length, opening, leftovers, names, paths, conflicts, pure, plain_domain, links_within];
const LINES_MAX: usize = 500;
/// Crates without clock, randomness, floats and hash-map order.
const PURE: [&str; 8] =
    ["kernel", "crypto", "proofs", "wallet", "issuer", "provisioner", "merchant", "ledger"];

/// Checks every tracked file; each is a check.
pub fn run(root: &Path) -> Tally {
    let mut tally = Tally::default();
    for name in repository::files(root) {
        let Ok(text) = std::fs::read_to_string(root.join(&name)) else { continue };
        let file = File { name: &name, text: &text };
        let mut faults: Vec<String> = RULES.iter().flat_map(|rule| rule(&file)).collect();
        faults.extend(links_to_files(&file, |target| root.join(target).exists()));
        faults.iter().for_each(|fault| println!("{name}: {fault}"));
        tally.add(Tally::one(faults.is_empty()));
    }
    tally
}

fn is_rust(file: &File<'_>) -> bool {
    file.name.ends_with(".rs")
}

fn length(file: &File<'_>) -> Vec<String> {
    let lines = file.text.lines().count();
    if is_rust(file) && lines > LINES_MAX { vec![format!("{lines} lines")] } else { Vec::new() }
}

fn opening(file: &File<'_>) -> Vec<String> {
    if is_rust(file) && !file.text.starts_with("//! ") {
        return vec!["does not open with a sentence about itself".to_owned()];
    }
    Vec::new()
}

/// What must not be left behind. The words are written in two halves, so that this file keeps them.
fn leftovers(file: &File<'_>) -> Vec<String> {
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("#[ign", "ore"),
        concat!("FIX", "ME"),
    ];
    let found = words.iter().filter(|word| is_rust(file) && file.text.contains(**word));
    found.map(|word| format!("holds {word}")).collect()
}

fn names(file: &File<'_>) -> Vec<String> {
    let stem = Path::new(file.name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let vague = ["utils", "util", "common", "misc", "helpers", "helper", "manager", "base"];
    if is_rust(file) && vague.contains(&stem) {
        return vec!["a name that says nothing".to_owned()];
    }
    Vec::new()
}

/// Paths and hosts of one machine.
fn paths(file: &File<'_>) -> Vec<String> {
    let words = [concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    if file.name == "Cargo.lock" {
        let foreign = file.text.lines().filter(|line| line.starts_with("source = "));
        let foreign = foreign.filter(|line| !line.contains("github.com/rust-lang/crates.io-index"));
        return foreign.map(|line| format!("another registry: {line}")).collect();
    }
    let found = words.iter().filter(|word| file.text.contains(**word));
    found.map(|word| format!("holds {word}")).collect()
}

fn conflicts(file: &File<'_>) -> Vec<String> {
    let marks = ["<<<<<<< ", ">>>>>>> "];
    let is_mark = |line: &str| marks.iter().any(|mark| line.starts_with(mark));
    if file.text.lines().any(is_mark) { vec!["a merge was left open".to_owned()] } else { vec![] }
}

/// The crate that a source file belongs to.
fn crate_of<'a>(file: &File<'a>) -> Option<&'a str> {
    let (folder, rest) = file.name.split_once('/')?;
    (rest.starts_with("src/") && is_rust(file)).then_some(folder)
}

/// The code of a file, without comments and without its tests.
fn code<'a>(file: &File<'a>) -> impl Iterator<Item = &'a str> {
    let tests = file.text.find("#[cfg(test)]").unwrap_or(file.text.len());
    file.text[..tests].lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn pure(file: &File<'_>) -> Vec<String> {
    if !crate_of(file).is_some_and(|name| PURE.contains(&name)) {
        return Vec::new();
    }
    let words =
        ["HashMap", "HashSet", "SystemTime", "Instant::", "f32", "f64", "std::fs", "std::net"];
    let has = |word: &&str| code(file).any(|line| contains_word(line, word));
    let found = words.iter().filter(|word| has(word));
    found.map(|word| format!("a pure crate names {word}")).collect()
}

fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let is_part =
            |letter: Option<char>| letter.is_some_and(|l| l.is_alphanumeric() || l == '_');
        !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next())
    })
}

fn plain_domain(file: &File<'_>) -> Vec<String> {
    let domain = crate_of(file).is_some_and(|name| PURE.contains(&name) || name == "node");
    let serde = code(file).any(|line| contains_word(line, "serde"));
    if domain && serde { vec!["a domain type knows JSON".to_owned()] } else { Vec::new() }
}

/// Links of Markdown to headings of the same file.
fn links_within(file: &File<'_>) -> Vec<String> {
    if !file.name.ends_with(".md") {
        return Vec::new();
    }
    let heading = |line: &str| {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        text.replace(' ', "-").replace(|l: char| !l.is_alphanumeric() && l != '-' && l != '_', "")
    };
    let headings: Vec<String> =
        file.text.lines().filter(|line| line.starts_with('#')).map(heading).collect();
    let targets = targets(file.text).into_iter().filter_map(|target| target.strip_prefix('#'));
    let missing = targets.filter(|target| !headings.iter().any(|heading| heading == target));
    missing.map(|target| format!("no heading #{target}")).collect()
}

/// Links of Markdown to files of the repository.
fn links_to_files(file: &File<'_>, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    if !file.name.ends_with(".md") {
        return Vec::new();
    }
    let folder = Path::new(file.name).parent().unwrap_or(Path::new(""));
    let is_file = |target: &&str| !target.starts_with('#') && !target.contains("://");
    let missing = targets(file.text).into_iter().filter(is_file).filter(|target| {
        let path = target.split('#').next().unwrap_or_default();
        !exists(&folder.join(path))
    });
    missing.map(|target| format!("a link to {target}, which is not there")).collect()
}

/// The targets of `[text](target)`.
fn targets(text: &str) -> Vec<&str> {
    let after = text.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')').map(|(target, _)| target)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(rule: Rule, name: &str, text: &str) -> usize {
        rule(&File { name, text }).len()
    }

    #[test]
    fn every_rule_can_fail_and_pass() {
        let long = "//! A.\n".repeat(501);
        for (rule, name, bad, good) in [
            (length as Rule, "a/src/a.rs", long.as_str(), "//! A.\n"),
            (opening, "a/src/a.rs", "use x;\n", "//! A.\n"),
            (leftovers, "a/src/a.rs", concat!("dbg", "!(1)"), "debug(1)"),
            (paths, "a.md", concat!("see /ho", "me/me"), "see docs/"),
            (paths, "Cargo.lock", "source = \"registry+https://x\"", "name = \"a\""),
            (conflicts, "a.md", "<<<<<<< HEAD\n", "a\n"),
            (pure, "kernel/src/a.rs", "use std::collections::HashMap;", "// HashMap"),
            (pure, "ledger/src/a.rs", "let a: f64 = 1;", "let f64_bits = 1;"),
            (plain_domain, "proofs/src/a.rs", "use serde::Serialize;", "let a = 1;"),
            (links_within, "a.md", "# A b\n[x](#a-c)", "# A b\n[x](#a-b)"),
        ] {
            assert_eq!(faults(rule, name, bad), 1, "{name}: {bad}");
            assert_eq!(faults(rule, name, good), 0, "{name}: {good}");
        }
        assert_eq!(faults(names, "a/src/utils.rs", ""), 1);
        assert_eq!(faults(names, "a/src/amount.rs", ""), 0);
        assert_eq!(faults(pure, "tally/src/a.rs", "HashMap"), 0);
    }

    #[test]
    fn links_to_files_are_followed_from_their_own_folder() {
        let file = File { name: "docs/a.md", text: "[b](b.md#x) [c](../c.md) [d](https://d)" };
        let there = |path: &Path| path == Path::new("docs/b.md");
        assert_eq!(links_to_files(&file, there), ["a link to ../c.md, which is not there"]);
    }
}
