//! What crates may import, which licences are accepted, what is banned, which versions stand twice.
//! The rules are data: `import-table.toml` and `dependency-policy.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use serde::Deserialize;
use spdx::{Expression, LicenseReq};

use crate::gate::Tally;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportTable {
    /// Crates that only some may import: a prefix of names and who may.
    reserved: BTreeMap<String, Vec<String>>,
    /// What each crate of the workspace may import from the workspace.
    crates: BTreeMap<String, Imports>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Imports {
    /// In the crate itself.
    uses: Vec<String>,
    /// In its tests beside that.
    #[serde(default)]
    tests_use: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DependencyPolicy {
    /// Licences that are accepted (SPDX).
    licences: Vec<String>,
    /// Crates that must not be there, and why.
    banned: BTreeMap<String, String>,
    /// Crates of which several major versions are there, and who holds the older ones.
    duplicates: BTreeMap<String, String>,
}

const PREFIX: &str = "tallystick-";
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Checks all of it; each crate and each rule is a check.
pub fn run(root: &Path) -> Tally {
    match checks(root) {
        Ok(checks) => {
            let mut tally = Tally::default();
            for (what, faults) in checks {
                faults.iter().for_each(|fault| println!("{what}: {fault}"));
                tally.add(Tally::one(faults.is_empty()));
            }
            tally
        }
        Err(cause) => {
            println!("policy: {cause}");
            Tally::one(false)
        }
    }
}

type Checks = Vec<(String, Vec<String>)>;

fn checks(root: &Path) -> Result<Checks, String> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec();
    let metadata = metadata.map_err(|error| error.to_string())?;
    let built = built(root)?;
    let table: ImportTable = read(&root.join("import-table.toml"))?;
    let policy: DependencyPolicy = read(&root.join("dependency-policy.toml"))?;
    let members: Vec<&Package> = metadata.workspace_packages();
    let mut checks: Checks = members
        .iter()
        .map(|package| (format!("imports of {}", package.name), imports(package, &table)))
        .collect();
    checks.push(("import-table.toml".to_owned(), unknown_crates(&table, &members)));
    checks.push(("licences".to_owned(), licences(&built, &policy)));
    checks.push(("banned".to_owned(), banned(&built, &policy)));
    checks.push(("duplicates".to_owned(), duplicates(&built, &policy)));
    Ok(checks)
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// What a crate imports and must not.
fn imports(package: &Package, table: &ImportTable) -> Vec<String> {
    let name = package.name.trim_start_matches(PREFIX);
    let Some(allowed) = table.crates.get(name) else {
        return vec!["is not in the table".to_owned()];
    };
    let mut faults = Vec::new();
    for dependency in &package.dependencies {
        let imported = dependency.name.as_str();
        for (prefix, by) in &table.reserved {
            if imported.starts_with(prefix.as_str()) && !by.iter().any(|one| one == name) {
                faults.push(format!("{imported} is for {}", by.join(", ")));
            }
        }
        let Some(imported) = imported.strip_prefix(PREFIX) else { continue };
        let in_tests = dependency.kind == DependencyKind::Development;
        let mut may = allowed.uses.iter().chain(allowed.tests_use.iter().filter(|_| in_tests));
        if !may.any(|one| one == imported) {
            faults.push(format!("imports {imported}"));
        }
    }
    faults
}

fn unknown_crates(table: &ImportTable, members: &[&Package]) -> Vec<String> {
    let known: BTreeSet<&str> =
        members.iter().map(|package| package.name.trim_start_matches(PREFIX)).collect();
    let unknown = table.crates.keys().filter(|name| !known.contains(name.as_str()));
    unknown.map(|name| format!("there is no crate {name}")).collect()
}

/// A crate that is built here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Built {
    name: String,
    version: String,
    licence: String,
}

/// What is built on this system, tests included; what is only locked is none of ours.
fn built(root: &Path) -> Result<BTreeSet<Built>, String> {
    let arguments = ["tree", "--workspace", "--locked", "--prefix", "none", "--format", "{p}|{l}"];
    let edges = ["--edges", "normal,build,dev", "--target", PLATFORM];
    let output = Command::new("cargo").args(arguments).args(edges).current_dir(root).output();
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(read_built).collect())
}

/// Reads `name v1.2.3 (proc-macro)|MIT`.
fn read_built(line: &str) -> Option<Built> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split_whitespace();
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let licence = licence.trim_end_matches("(*)").trim();
    Some(Built { name: name.to_owned(), version: version.to_owned(), licence: licence.to_owned() })
}

fn licences(built: &BTreeSet<Built>, policy: &DependencyPolicy) -> Vec<String> {
    let is_accepted = |package: &&Built| {
        Expression::parse(&package.licence.replace('/', " OR ")).is_ok_and(|expression| {
            expression.evaluate(|wanted: &LicenseReq| {
                policy.licences.iter().any(|licence| wanted.to_string() == *licence)
            })
        })
    };
    let faults = built.iter().filter(|package| !is_accepted(package));
    faults.map(|one| format!("{} {}: {:?}", one.name, one.version, one.licence)).collect()
}

fn banned(built: &BTreeSet<Built>, policy: &DependencyPolicy) -> Vec<String> {
    let found = built.iter().filter_map(|package| {
        let why = policy.banned.get(&package.name)?;
        Some(format!("{} {}: {why}", package.name, package.version))
    });
    found.collect()
}

/// Crates of which several versions are there that are not meant to go together.
fn duplicates(built: &BTreeSet<Built>, policy: &DependencyPolicy) -> Vec<String> {
    let mut lines: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in built {
        let mut parts = package.version.split('.');
        let line = match (parts.next(), parts.next()) {
            (Some("0"), Some(minor)) => format!("0.{minor}"),
            (major, _) => major.unwrap_or_default().to_owned(),
        };
        lines.entry(&package.name).or_default().insert(line);
    }
    let several = |name: &str| lines.get(name).is_some_and(|lines| lines.len() > 1);
    let mut faults: Vec<String> = lines
        .iter()
        .filter(|(name, lines)| lines.len() > 1 && !policy.duplicates.contains_key(**name))
        .map(|(name, lines)| format!("{name} stands {} times: {lines:?}", lines.len()))
        .collect();
    let gone = policy.duplicates.keys().filter(|name| !several(name));
    faults.extend(gone.map(|name| format!("{name} does not stand twice any more")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_judged() {
        let lines =
            ["a v1.2.3 (proc-macro)|MIT/Apache-2.0 (*)", "a v2.0.0|MIT", "b v0.1.0|GPL-2.0"];
        let built: BTreeSet<Built> = lines.into_iter().filter_map(read_built).collect();
        assert_eq!(built.len(), 3);
        let mut policy = DependencyPolicy {
            licences: vec!["MIT".to_owned()],
            banned: BTreeMap::from([("b".to_owned(), "why".to_owned())]),
            duplicates: BTreeMap::new(),
        };
        assert_eq!(licences(&built, &policy), ["b 0.1.0: \"GPL-2.0\""]);
        assert_eq!(banned(&built, &policy), ["b 0.1.0: why"]);
        assert_eq!(duplicates(&built, &policy).len(), 1);
        policy.duplicates = ["a", "c"].map(|name| (name.to_owned(), "why".to_owned())).into();
        assert_eq!(duplicates(&built, &policy), ["c does not stand twice any more"]);
    }

    #[test]
    fn the_files_of_rules_can_be_read_and_are_not_empty() {
        let root = crate::repository::root();
        let table: ImportTable = read(&root.join("import-table.toml")).unwrap();
        assert!(table.crates["kernel"].uses.is_empty());
        assert!(!table.crates["wallet"].uses.contains(&"ledger".to_owned()));
        assert_eq!(table.reserved["commonware-"], ["node"]);
        let policy: DependencyPolicy = read(&root.join("dependency-policy.toml")).unwrap();
        assert!(policy.banned.contains_key("openssl-sys"));
        let gpl = Expression::parse("GPL-3.0-only").unwrap();
        let accepts = |wanted: &LicenseReq| policy.licences.contains(&wanted.to_string());
        assert!(!gpl.evaluate(accepts));
        assert!(Expression::parse("MIT OR GPL-3.0-only").unwrap().evaluate(accepts));
    }
}
