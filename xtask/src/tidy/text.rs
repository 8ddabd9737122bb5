//! Rules about every tracked text file: nothing of one machine, nothing left open.

use super::File;

/// No path of one machine.
pub(super) fn machine_paths(file: &File<'_>) -> Vec<String> {
    let words = [concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let found = words.iter().filter(|word| file.text.contains(**word));
    found.map(|word| format!("holds {word}")).collect()
}

/// Crates come from crates.io, by whatever way the machine has to it: no other registry is locked,
/// and no file of the repository names a mirror.
pub(super) fn registries(file: &File<'_>) -> Vec<String> {
    let is_foreign = |line: &&str| {
        line.starts_with("source = ") && !line.contains("github.com/rust-lang/crates.io-index")
    };
    let is_mirror = |line: &&str| {
        let line = line.trim();
        let keys = ["replace-with", "registry =", "index =", "registry-index"];
        let sections = ["[source", "[registr"];
        sections.iter().chain(&keys).any(|start| line.starts_with(start))
            || line.contains("registry = \"")
    };
    let lines = file.text.lines();
    let found: Vec<&str> = if file.name == "Cargo.lock" {
        lines.filter(is_foreign).collect()
    } else if file.name.ends_with(".toml") {
        lines.filter(is_mirror).collect()
    } else {
        Vec::new()
    };
    found.into_iter().map(|line| format!("another registry: {line}")).collect()
}

/// No merge was left open.
pub(super) fn merge_marks(file: &File<'_>) -> Vec<String> {
    let marks = ["<<<<<<< ", ">>>>>>> ", "||||||| "];
    let is_mark = |line: &str| marks.iter().any(|mark| line.starts_with(mark));
    if file.text.lines().any(is_mark) { vec!["a merge was left open".to_owned()] } else { vec![] }
}

/// A crate is called after its folder, and takes the lints of the workspace.
pub(super) fn manifest(file: &File<'_>) -> Vec<String> {
    let Some(folder) = file.name.strip_suffix("/Cargo.toml") else { return Vec::new() };
    let mut faults = Vec::new();
    if !file.text.contains("[lints]\nworkspace = true\n") {
        faults.push("does not take the lints of the workspace".to_owned());
    }
    if !file.text.contains(&format!("name = \"tallystick-{folder}\"\n")) {
        faults.push(format!("is not called tallystick-{folder}"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::assert_rule;
    use super::*;

    #[test]
    fn every_rule_can_fail_and_pass() {
        assert_rule(machine_paths, "a.md", concat!("see /ho", "me/me"), "see docs/");
        let known = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        assert_rule(registries, "Cargo.lock", "source = \"registry+https://x\"", known);
        assert_rule(registries, "Cargo.lock", "source = \"git+https://x#1\"", "name = \"a\"");
        let config = ".cargo/config.toml";
        assert_rule(registries, config, "replace-with = \"x\"", "[alias]\nx = \"run\"");
        assert_rule(registries, "a/Cargo.toml", "b = { registry = \"x\" }", "b = \"1\"");
        assert_rule(merge_marks, "a.md", "<<<<<<< HEAD\n", "a\n");
        let good = "name = \"tallystick-a\"\n[lints]\nworkspace = true\n";
        assert_rule(manifest, "a/Cargo.toml", "name = \"tallystick-a\"\n", good);
        assert_rule(manifest, "a/Cargo.toml", &good.replace("-a", "-b"), good);
    }
}
