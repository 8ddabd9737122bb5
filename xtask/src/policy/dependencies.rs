//! Licences, bans and versions that stand twice: `dependency-policy.toml` against what is built.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use spdx::{Expression, LicenseReq};

use super::{Checks, read_line};

/// `dependency-policy.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    /// Licences that are accepted (SPDX).
    licences: Vec<String>,
    /// Crates that must not be there, and why.
    banned: BTreeMap<String, String>,
    /// Crates of which several major versions are there, and who holds the older ones.
    duplicates: BTreeMap<String, String>,
}

/// A crate that is built here.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Built<'a> {
    name: &'a str,
    version: &'a str,
    licence: &'a str,
}

impl Policy {
    /// The checks over a tree whose lines end with licences.
    pub(super) fn checks(&self, tree: &str) -> Checks {
        let read = |line| {
            let (name, version, licence) = read_line(line)?;
            Some(Built { name, version, licence })
        };
        let built: BTreeSet<Built<'_>> = tree.lines().filter_map(read).collect();
        let some = if built.is_empty() { vec!["nothing is built".to_owned()] } else { Vec::new() };
        vec![
            ("what is built".to_owned(), some),
            ("licences".to_owned(), self.licences(&built)),
            ("banned".to_owned(), self.banned(&built)),
            ("duplicates".to_owned(), self.duplicates(&built)),
        ]
    }

    /// Whether a licence is accepted; `/` is what old manifests write for `OR`.
    pub(super) fn accepts(&self, licence: &str) -> bool {
        let is_accepted = |wanted: &LicenseReq| {
            let wanted = wanted.to_string();
            self.licences.contains(&wanted)
        };
        Expression::parse(&licence.replace('/', " OR "))
            .is_ok_and(|expression| expression.evaluate(is_accepted))
    }

    fn licences(&self, built: &BTreeSet<Built<'_>>) -> Vec<String> {
        let faults = built.iter().filter(|package| !self.accepts(package.licence));
        faults.map(|one| format!("{} {}: {:?}", one.name, one.version, one.licence)).collect()
    }

    /// Whether a crate is banned.
    #[cfg(test)]
    pub(super) fn bans(&self, name: &str) -> bool {
        self.banned.contains_key(name)
    }

    fn banned(&self, built: &BTreeSet<Built<'_>>) -> Vec<String> {
        let found = built.iter().filter_map(|package| {
            let why = self.banned.get(package.name)?;
            Some(format!("{} {}: {why}", package.name, package.version))
        });
        found.collect()
    }

    /// Crates of which several versions are there that are not meant to go together.
    fn duplicates(&self, built: &BTreeSet<Built<'_>>) -> Vec<String> {
        let mut lines: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for package in built {
            lines.entry(package.name).or_default().insert(line_of(package.version));
        }
        let several = |name: &str| lines.get(name).is_some_and(|lines| lines.len() > 1);
        let mut faults: Vec<String> = lines
            .iter()
            .filter(|(name, lines)| lines.len() > 1 && !self.duplicates.contains_key(**name))
            .map(|(name, lines)| format!("{name} stands {} times: {lines:?}", lines.len()))
            .collect();
        let gone = self.duplicates.keys().filter(|name| !several(name));
        faults.extend(gone.map(|name| format!("{name} does not stand twice any more")));
        faults
    }
}

/// The versions that cargo takes to be compatible: one major version, or one minor one below 1.
fn line_of(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next()) {
        (Some("0"), Some(minor)) => format!("0.{minor}"),
        (major, _) => major.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        licences = ["MIT"]
        [banned]
        b = "why"
        [duplicates]
    "#;
    const TREE: &str = "a v1.2.3 (proc-macro)|MIT/Apache-2.0 (*)\na v1.9.0|MIT\nb v0.1.0|GPL-2.0\n";

    fn faults(policy: &str, tree: &str, check: &str) -> Vec<String> {
        let policy: Policy = toml::from_str(policy).unwrap();
        let checks = policy.checks(tree);
        checks.into_iter().find(|(name, _)| name == check).unwrap().1
    }

    #[test]
    fn a_licence_that_is_not_in_the_list_is_a_fault() {
        assert_eq!(faults(POLICY, TREE, "licences"), ["b 0.1.0: \"GPL-2.0\""]);
        assert_eq!(faults(POLICY, "a v1.0.0|", "licences"), ["a 1.0.0: \"\""]);
        assert_eq!(faults(POLICY, "a v1.0.0|MIT AND ISC", "licences").len(), 1);
    }

    #[test]
    fn a_banned_crate_is_a_fault_wherever_it_comes_from() {
        assert_eq!(faults(POLICY, TREE, "banned"), ["b 0.1.0: why"]);
    }

    #[test]
    fn two_versions_that_do_not_go_together_need_a_reason_and_a_reason_needs_them() {
        assert_eq!(faults(POLICY, TREE, "duplicates"), Vec::<String>::new());
        let twice = "a v0.1.3|MIT\na v0.2.0|MIT\n";
        assert_eq!(faults(POLICY, twice, "duplicates").len(), 1);
        let excused = POLICY.replace("[duplicates]", "[duplicates]\na = \"why\"");
        assert_eq!(faults(&excused, twice, "duplicates"), Vec::<String>::new());
        assert_eq!(faults(&excused, TREE, "duplicates"), ["a does not stand twice any more"]);
    }

    #[test]
    fn an_empty_tree_is_a_fault() {
        assert_eq!(faults(POLICY, "", "what is built"), ["nothing is built"]);
    }
}
