//! Rules about the form of Rust files.

use std::path::Path;

use super::{File, holds_word};

const LINES_MAX: usize = 500;
/// Names of files, folders and modules that say nothing about what is in them.
const VAGUE: [&str; 8] =
    ["utils", "util", "common", "misc", "helpers", "helper", "manager", "base"];

/// A file has at most 500 lines.
pub(super) fn length(file: &File<'_>) -> Vec<String> {
    let lines = file.text.lines().count();
    if file.is_rust() && lines > LINES_MAX { vec![format!("{lines} lines")] } else { Vec::new() }
}

/// A file opens with a sentence about itself.
pub(super) fn opening(file: &File<'_>) -> Vec<String> {
    if file.is_rust() && !file.text.starts_with("//! ") {
        return vec!["does not open with a sentence about itself".to_owned()];
    }
    Vec::new()
}

/// Nothing unfinished is left behind, no test is left out, and a lint is silenced only with a
/// reason. The words are written in two halves, so that this file keeps its own rule.
pub(super) fn leftovers(file: &File<'_>) -> Vec<String> {
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("#[ign", "ore"),
        concat!("FIX", "ME"),
        concat!("[al", "low("),
    ];
    let found = words.iter().filter(|word| file.is_rust() && file.text.contains(**word));
    found.map(|word| format!("holds {word}")).collect()
}

/// No file, folder or module has a name that says nothing.
pub(super) fn names(file: &File<'_>) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let path = Path::new(file.name).with_extension("");
    let in_path = path.iter().filter_map(|part| part.to_str());
    let modules = file.code().filter_map(|line| {
        let name = line.trim().trim_start_matches("pub ").strip_prefix("mod ")?;
        name.split([' ', ';', '{']).next()
    });
    let vague = in_path.chain(modules).filter(|name| VAGUE.iter().any(|one| holds_word(name, one)));
    vague.map(|name| format!("{name} is a name that says nothing")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::assert_rule;
    use super::*;

    #[test]
    fn every_rule_can_fail_and_pass() {
        let file = "a/src/a.rs";
        let (long, full) = ("//! A.\n".repeat(501), "//! A.\n".repeat(500));
        assert_rule(length, file, &long, &full);
        assert_rule(opening, file, "use x;\n//! A.\n", "//! A.\n");
        assert_rule(leftovers, file, concat!("dbg", "!(1)"), "debug(1)");
        assert_rule(leftovers, file, concat!("todo", "!()"), "todo");
        assert_rule(leftovers, file, concat!("#[ign", "ore]"), "ignored");
        assert_rule(leftovers, file, concat!("#![al", "low(dead_code)]"), "owners.allow(one)");
        assert_rule(names, file, "pub mod misc;", "mod amount;");
        assert_rule(names, file, "mod helpers {", "fn base(x: u8) {}");
    }

    #[test]
    fn a_vague_name_is_found_in_every_part_of_a_path() {
        let faults = |name| names(&File { name, text: "//! A.\n" }).len();
        assert_eq!(faults("a/src/utils.rs"), 1);
        assert_eq!(faults("a/src/common/b.rs"), 1);
        assert_eq!(faults("a/src/base45.rs"), 0);
    }
}
