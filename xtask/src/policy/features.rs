//! One feature set: what `cargo run --release -- up` has built, the tests need not build again.
//!
//! Cargo unites features over the packages that it is asked to build. So a crate that is asked for
//! with fewer features by the binary alone than by the whole workspace is built twice, and so is
//! all that stands on it.

use std::collections::BTreeSet;

use super::{Checks, read_line};

/// Kinds of edges for one package, and for the tests of the workspace beside them: first what runs
/// on the platform, then build scripts and macros too, which are built with features of their own.
const EDGES: [(&str, &str); 2] =
    [("normal,no-proc-macro", "normal,dev,no-proc-macro"), ("normal,build", "normal,build,dev")];

/// Compares what `tally` alone needs with the whole workspace, and the C code of `xtask` alone;
/// `tree` gives the lines of a selection, each of which ends with features.
pub(super) fn checks(tree: impl Fn(&[&str]) -> Result<String, String>) -> Result<Checks, String> {
    let (mut of_tally, mut of_xtask) = (Vec::new(), Vec::new());
    for (edges, with_tests) in EDGES {
        let everything = tree(&["--workspace", "--edges", with_tests])?;
        let of = |package| tree(&["--package", package, "--edges", edges]);
        of_tally.extend(built_again(&of("tallystick-tally")?, &everything));
        // Its own few crates are quickly built; what holds C code takes a minute.
        let again = built_again(&of("tallystick-xtask")?, &everything);
        of_xtask.extend(again.into_iter().filter(|fault| fault.contains("-sys ")));
    }
    Ok(vec![("features of tally".to_owned(), of_tally), ("C code of xtask".to_owned(), of_xtask)])
}

/// Crates that a selection builds with features with which `everything` does not build them.
fn built_again(selection: &str, everything: &str) -> Vec<String> {
    let known: BTreeSet<_> = everything.lines().filter_map(read_line).collect();
    let built: BTreeSet<_> = selection.lines().filter_map(read_line).collect();
    let again = built.difference(&known);
    again.map(|(name, _, with)| format!("{name} is built again, with features {with:?}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: &str = "a v1.0.0|std\nb v1.0.0|x,y\nc-sys v0.1.0|fast\n";

    #[test]
    fn a_crate_that_is_built_with_other_features_is_a_fault() {
        assert_eq!(built_again("a v1.0.0|std (*)\n", EVERYTHING), Vec::<String>::new());
        let faults = built_again("a v1.0.0|std\nb v1.0.0|x\nb v1.0.0|x (*)\n", EVERYTHING);
        assert_eq!(faults, ["b is built again, with features \"x\""]);
    }

    #[test]
    fn all_of_tally_counts_and_the_c_code_of_xtask() {
        let tree = |selection: &[&str]| {
            let everything = selection[0] == "--workspace";
            Ok(if everything { EVERYTHING } else { "b v1.0.0|x\nc-sys v0.1.0|\n" }.to_owned())
        };
        let checks = checks(tree).unwrap();
        assert_eq!(checks.iter().map(|(_, faults)| faults.len()).collect::<Vec<_>>(), [4, 2]);
        assert!(super::checks(|_| Err("no cargo".to_owned())).is_err());
    }
}
