//! The rules of the house that a program can see: syntactic, over every tracked file.

mod links;
mod pure;
mod reasons;
mod source;
mod text;

use std::path::Path;

use crate::gate::Tally;
use crate::{repository, vectors};

/// One tracked text file: its name relative to the root, and its text.
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

/// A rule: what is wrong with a file, if anything.
type Rule = fn(&File<'_>) -> Vec<String>;

const RULES: [Rule; 11] = [
    source::length,
    source::opening,
    source::leftovers,
    source::names,
    pure::words,
    pure::plain_domain,
    text::machine_paths,
    text::registries,
    text::merge_marks,
    text::manifest,
    links::within,
];
/// Files that are bytes and not text; any other one that cannot be read is a fault.
const BINARY: [&str; 3] = ["png", "jpg", "bin"];

/// Checks every tracked file, and the list of reasons against all of them; each is a check.
pub fn run(root: &Path) -> Tally {
    let mut tally = Tally::default();
    let mut show = |name: &str, faults: Vec<String>| {
        faults.iter().for_each(|fault| println!("{name}: {fault}"));
        tally.add(Tally::one(faults.is_empty()));
    };
    let mut read = Vec::new();
    for name in repository::files(root) {
        match std::fs::read_to_string(root.join(&name)) {
            Ok(text) => read.push((name, text)),
            Err(_) if is_binary(&name) => {}
            Err(error) => show(&name, vec![error.to_string()]),
        }
    }
    let files: Vec<File<'_>> = read.iter().map(|(name, text)| File { name, text }).collect();
    files.iter().for_each(|file| show(file.name, faults(file, root)));
    let provoked = vectors::reasons(&root.join("vectors"));
    show("the list of reasons", reasons::faults(&files, &provoked));
    tally
}

fn faults(file: &File<'_>, root: &Path) -> Vec<String> {
    let mut faults: Vec<String> = RULES.iter().flat_map(|rule| rule(file)).collect();
    faults.extend(links::to_files(file, |target| root.join(target).exists()));
    faults
}

fn is_binary(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| BINARY.iter().any(|one| end == *one))
}

impl<'a> File<'a> {
    fn is_rust(&self) -> bool {
        self.name.ends_with(".rs")
    }

    fn is_markdown(&self) -> bool {
        self.name.ends_with(".md")
    }

    /// The crate that a source file, not one of its tests, belongs to.
    fn crate_of_source(&self) -> Option<&'a str> {
        let (folder, rest) = self.name.split_once('/')?;
        (rest.starts_with("src/") && self.is_rust()).then_some(folder)
    }

    /// The code of a source file: without comments, and without the tests at its end.
    fn code(&self) -> impl Iterator<Item = &'a str> {
        self.text[..self.end_of_code()].lines().filter(|line| !is_comment(line))
    }

    /// The tests at the end of a source file, or all of a file of tests, without comments.
    fn tests(&self) -> impl Iterator<Item = &'a str> {
        let begin = if self.crate_of_source().is_some() { self.end_of_code() } else { 0 };
        self.text[begin..].lines().filter(|line| !is_comment(line))
    }

    fn end_of_code(&self) -> usize {
        self.text.find("#[cfg(test)]").unwrap_or(self.text.len())
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Whether a line holds a word that is not part of a longer one.
fn holds_word(line: &str, word: &str) -> bool {
    let is_part = |letter: Option<char>| letter.is_some_and(|l| l.is_alphanumeric() || l == '_');
    line.match_indices(word).any(|(at, _)| {
        let after = line[at + word.len()..].chars().next();
        !is_part(line[..at].chars().next_back()) && !is_part(after)
    })
}

/// For the tests of the rules: each is shown a file that breaks it and one that does not.
#[cfg(test)]
fn assert_rule(rule: Rule, name: &str, bad: &str, good: &str) {
    assert_eq!(rule(&File { name, text: bad }).len(), 1, "{name}: {bad}");
    assert_eq!(rule(&File { name, text: good }), Vec::<String>::new(), "{name}: {good}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_not_found_within_a_longer_one() {
        assert!(holds_word("let a: f64 = x;", "f64"));
        assert!(!holds_word("let as_f64 = f64x;", "f64"));
    }

    #[test]
    fn comments_and_the_tests_at_the_end_are_not_code() {
        let text = "// a\nlet b;\n  /// c\n#[cfg(test)]\nmod tests {}";
        let file = File { name: "kernel/src/a.rs", text };
        assert_eq!(file.code().collect::<Vec<_>>(), ["let b;"]);
        assert_eq!(file.tests().count(), 2);
        assert_eq!(file.crate_of_source(), Some("kernel"));
        assert_eq!(File { name: "kernel/tests/a.rs", text }.crate_of_source(), None);
    }

    #[test]
    fn a_file_that_breaks_several_rules_has_several_faults() {
        let text = concat!("use x;\n", "dbg", "!(1)\n<<<<<<< HEAD\n");
        let file = File { name: "kernel/src/helpers.rs", text };
        assert_eq!(faults(&file, Path::new("/")).len(), 4);
    }

    #[test]
    fn only_files_known_as_bytes_may_be_unreadable_as_text() {
        assert!(is_binary("docs/code.png") && !is_binary("docs/page.md") && !is_binary("LICENSE"));
    }
}
