//! Which crate may import which: `import-table.toml` against what cargo knows.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Package};
use serde::Deserialize;

use super::Checks;

/// `import-table.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// Crates that only some may import: the beginning of a name, and who may.
    reserved: BTreeMap<String, Vec<String>>,
    /// What each crate of the workspace may import.
    crates: BTreeMap<String, Imports>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Imports {
    /// From the workspace, in the crate itself.
    uses: Vec<String>,
    /// From the workspace, in its tests beside that.
    #[serde(default)]
    tests_use: Vec<String>,
    /// From outside, in the crate itself: these and no others. Every crate without I/O has such a
    /// list; the others may import what is not reserved or banned.
    outside: Option<Vec<String>>,
}

/// One dependency, as a manifest names it.
struct Import<'a> {
    name: &'a str,
    in_tests: bool,
}

const PREFIX: &str = "tallystick-";

impl Table {
    /// A check for each crate, and one for the table itself.
    pub(super) fn checks(&self, members: &[&Package]) -> Checks {
        let mut checks: Checks = Vec::new();
        let mut known = BTreeSet::new();
        for package in members {
            let name = package.name.trim_start_matches(PREFIX);
            known.insert(name);
            let imports: Vec<Import<'_>> = package
                .dependencies
                .iter()
                .map(|dependency| Import {
                    name: &dependency.name,
                    in_tests: dependency.kind == DependencyKind::Development,
                })
                .collect();
            checks.push((format!("imports of {name}"), self.faults(name, &imports)));
        }
        let unknown = self.crates.keys().filter(|name| !known.contains(name.as_str()));
        let unknown = unknown.map(|name| format!("there is no crate {name}")).collect();
        checks.push(("import-table.toml".to_owned(), unknown));
        checks
    }

    /// What a crate imports and must not.
    fn faults(&self, name: &str, imports: &[Import<'_>]) -> Vec<String> {
        let Some(allowed) = self.crates.get(name) else {
            return vec!["is not in the table".to_owned()];
        };
        let holds = |list: &[String], wanted: &str| list.iter().any(|one| one == wanted);
        let mut faults = Vec::new();
        for Import { name: imported, in_tests } in imports {
            let reserved = self.reserved.iter().find(|(start, _)| imported.starts_with(*start));
            if let Some((_, by)) = reserved
                && !holds(by, name)
            {
                faults.push(format!("{imported} is for {}", by.join(", ")));
            } else if let Some(ours) = imported.strip_prefix(PREFIX) {
                let may =
                    holds(&allowed.uses, ours) || (*in_tests && holds(&allowed.tests_use, ours));
                if !may {
                    faults.push(format!("imports {ours}"));
                }
            } else if let Some(outside) = &allowed.outside
                && !in_tests
                && !holds(outside, imported)
            {
                faults.push(format!("imports {imported}, which is not in its list"));
            }
        }
        faults
    }

    /// Whether the table rules nothing.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.crates.is_empty() || self.reserved.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"
        [reserved]
        "engine-" = ["node"]
        [crates]
        kernel = { uses = [], outside = ["sha2"] }
        ledger = { uses = ["kernel"], tests_use = ["model"], outside = [] }
        node = { uses = ["kernel", "ledger"] }
    "#;

    fn faults(name: &str, imported: &str, in_tests: bool) -> usize {
        let table: Table = toml::from_str(TABLE).unwrap();
        table.faults(name, &[Import { name: imported, in_tests }]).len()
    }

    #[test]
    fn a_crate_imports_what_the_table_says_and_nothing_else() {
        assert_eq!(faults("ledger", "tallystick-kernel", false), 0);
        assert_eq!(faults("kernel", "tallystick-ledger", false), 1);
        assert_eq!(faults("kernel", "tallystick-ledger", true), 1);
        assert_eq!(faults("ledger", "tallystick-model", true), 0);
        assert_eq!(faults("ledger", "tallystick-model", false), 1);
        assert_eq!(faults("stranger", "tallystick-kernel", false), 1);
    }

    #[test]
    fn a_pure_crate_imports_from_outside_only_what_its_list_names() {
        assert_eq!(faults("kernel", "sha2", false), 0);
        assert_eq!(faults("kernel", "tokio", false), 1);
        assert_eq!(faults("kernel", "proptest", true), 0);
        assert_eq!(faults("node", "tokio", false), 0);
    }

    #[test]
    fn a_reserved_crate_is_for_those_that_are_named() {
        assert_eq!(faults("node", "engine-runtime", false), 0);
        assert_eq!(faults("ledger", "engine-runtime", true), 1);
    }

    #[test]
    fn a_crate_of_the_table_that_is_not_there_is_a_fault() {
        let table: Table = toml::from_str(TABLE).unwrap();
        let checks = table.checks(&[]);
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].1.len(), 3);
    }
}
