//! What crates may import, which licences are accepted, what is banned, which versions stand twice,
//! and that heavy crates are built once. The rules are data: `import-table.toml` and
//! `dependency-policy.toml`.

mod dependencies;
mod features;
mod imports;

use std::path::Path;
use std::process::Command;

use cargo_metadata::{MetadataCommand, Package};
use serde::Deserialize;

use crate::gate::Tally;

/// The platform whose build is judged; what is only locked for others is none of ours.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// What is judged, and what is wrong with it.
type Checks = Vec<(String, Vec<String>)>;

/// Checks all of it; each crate and each rule is a check.
pub fn run(root: &Path) -> Tally {
    let checks = checks(root).unwrap_or_else(|cause| vec![("policy".to_owned(), vec![cause])]);
    let mut tally = Tally::default();
    for (what, faults) in checks {
        faults.iter().for_each(|fault| println!("{what}: {fault}"));
        tally.add(Tally::one(faults.is_empty()));
    }
    tally
}

fn checks(root: &Path) -> Result<Checks, String> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec();
    let metadata = metadata.map_err(|error| error.to_string())?;
    let table: imports::Table = read(&root.join("import-table.toml"))?;
    let policy: dependencies::Policy = read(&root.join("dependency-policy.toml"))?;
    let members: Vec<&Package> = metadata.workspace_packages();
    let mut checks = table.checks(&members);
    let everything = ["--workspace", "--edges", "normal,build,dev"];
    checks.extend(policy.checks(&tree(root, &everything, "{p}|{l}")?));
    checks.extend(features::checks(|selection| tree(root, selection, "{p}|{f}"))?);
    Ok(checks)
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// What `cargo tree` says of a selection, a line for each crate.
fn tree(root: &Path, selection: &[&str], format: &str) -> Result<String, String> {
    let output = Command::new("cargo")
        .args(["tree", "--locked", "--prefix", "none", "--format", format, "--target", PLATFORM])
        .args(selection)
        .current_dir(root)
        .output();
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads `name v1.2.3 (proc-macro)|REST (*)` into name, version and the rest.
fn read_line(line: &str) -> Option<(&str, &str, &str)> {
    let (package, rest) = line.split_once('|')?;
    let mut words = package.split_whitespace();
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some((name, version, rest.trim_end_matches("(*)").trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_tree_is_read() {
        let line = "a v1.2.3 (proc-macro)|MIT/Apache-2.0 (*)";
        assert_eq!(read_line(line), Some(("a", "1.2.3", "MIT/Apache-2.0")));
        assert_eq!(read_line("b v0.1.0 (/b)|"), Some(("b", "0.1.0", "")));
        assert_eq!(read_line(""), None);
    }

    #[test]
    fn the_rules_of_this_repository_can_be_read_and_are_not_empty() {
        let root = crate::repository::root();
        let table: imports::Table = read(&root.join("import-table.toml")).unwrap();
        assert!(!table.is_empty());
        let policy: dependencies::Policy = read(&root.join("dependency-policy.toml")).unwrap();
        assert!(policy.bans("openssl-sys") && policy.bans("ring"));
        assert!(policy.accepts("MIT OR GPL-3.0-only") && !policy.accepts("GPL-3.0-only"));
        assert!(read::<imports::Table>(&root.join("dependency-policy.toml")).is_err());
    }
}
