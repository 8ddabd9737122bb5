//! What the gate needs beside Rust: installed when it runs as root, else named.

use std::path::Path;
use std::process::Command;

use crate::gate::Tally;

/// Debian packages that the build and the tests need.
pub const PACKAGES: [&str; 20] = [
    // A C compiler and headers, for the crates that hold C code.
    "gcc",
    "libc6-dev",
    // The rules of the house look at tracked files.
    "git",
    // Faults are planted by patches.
    "patch",
    // Tests start a network namespace, and a server that refuses to run as root.
    "util-linux",
    "iproute2",
    // Another time of day for real processes.
    "faketime",
    // A second implementation of X.509, a reader and a drawer of QR codes, a database server.
    "openssl",
    "zbar-tools",
    "qrencode",
    "postgresql",
    // Sets the manual pages.
    "groff-base",
    // An examiner of HTTP interfaces is a program in Python.
    "python3",
    "python3-venv",
    // A browser that is driven, and letters for it to draw pages with.
    "chromium",
    "chromium-driver",
    "fonts-dejavu-core",
    "fonts-liberation",
    // A second reader of receipts, the console's own, and how an examiner of pages comes.
    "nodejs",
    NPM,
];
/// Comes within `nodejs` where that is not Debian's own, and then cannot be installed beside it.
const NPM: &str = "npm";
/// The version of cargo-nextest that runs the tests.
const NEXTEST: &str = "0.9.143";
/// Its features are to update itself, which brings a TLS library, and probes for tracing.
const INSTALL_NEXTEST: [&str; 6] =
    ["install", "cargo-nextest", "--locked", "--no-default-features", "--version", NEXTEST];

/// Looks for everything, installs what is missing where that is possible.
pub fn run() -> Tally {
    let mut tally = packages();
    for component in ["rustfmt", "clippy"] {
        tally.add(Tally::one(has_component(component)));
    }
    tally.add(Tally::one(has_nextest()));
    tally
}

fn packages() -> Tally {
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|name| !is_there(name)).collect();
    let there = Tally { passed: (PACKAGES.len() - missing.len()) as u64, failed: 0 };
    if missing.is_empty() {
        return there;
    }
    let install = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if !is_root() {
        println!("missing: {}; type: sudo {install}", missing.join(", "));
        return Tally { failed: missing.len() as u64, ..there };
    }
    println!("$ apt-get update && {install}");
    let shell = format!("apt-get update -q && DEBIAN_FRONTEND=noninteractive {install}");
    let installed = runs("sh", &["-c", &shell]);
    if !installed {
        println!("could not be installed: {}", missing.join(", "));
    }
    let now: u64 = missing.iter().map(|name| u64::from(is_there(name))).sum();
    Tally { passed: there.passed + now, failed: missing.len() as u64 - now }
}

fn is_there(package: &str) -> bool {
    is_installed(package) || package == NPM && quietly(NPM, &["--version"])
}

fn is_installed(package: &str) -> bool {
    let arguments = ["-W", "-f", "${db:Status-Status}", package];
    let output = Command::new("dpkg-query").args(arguments).output();
    output.is_ok_and(|output| output.stdout == b"installed")
}

/// Whether whoever runs this is root.
pub fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn has_component(component: &str) -> bool {
    let subcommand = if component == "rustfmt" { "fmt" } else { component };
    if quietly("cargo", &[subcommand, "--version"]) {
        return true;
    }
    println!("$ rustup component add {component}");
    let added = runs("rustup", &["component", "add", component]);
    if !added {
        println!("missing: {component}; type: rustup component add {component}");
    }
    added
}

fn has_nextest() -> bool {
    let output = Command::new("cargo").args(["nextest", "--version"]).output();
    if output.is_ok_and(|output| is_nextest(&String::from_utf8_lossy(&output.stdout))) {
        return true;
    }
    println!("$ cargo {}   (takes some minutes)", INSTALL_NEXTEST.join(" "));
    // A target folder of the project's would be filled with the tool's own crates.
    let folder = std::env::temp_dir().join("tallystick-nextest-build");
    let status = Command::new("cargo")
        .args(INSTALL_NEXTEST)
        .env("CARGO_TARGET_DIR", &folder)
        // Most of its time passes in waiting for tests.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .status();
    remove(&folder);
    let installed = status.is_ok_and(|status| status.success());
    if !installed {
        println!("missing: cargo-nextest {NEXTEST}; it is installed by the line above");
    }
    installed
}

/// Whether `cargo nextest --version` names the version that is wanted.
fn is_nextest(version: &str) -> bool {
    version.split_whitespace().nth(1) == Some(NEXTEST)
}

fn remove(folder: &Path) {
    if folder.exists()
        && let Err(error) = std::fs::remove_dir_all(folder)
    {
        println!("{}: {error}", folder.display());
    }
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

fn quietly(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_is_not_there_is_not_taken_to_be_installed() {
        assert!(is_installed("dpkg"));
        assert!(!is_installed("no-such-package-at-all"));
        assert!(!quietly("no-such-program-at-all", &[]));
    }

    #[test]
    fn no_package_is_listed_twice() {
        let mut names = PACKAGES.to_vec();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn another_version_of_nextest_is_not_taken_for_ours() {
        assert!(is_nextest("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 0.9.143"));
        assert!(!is_nextest("cargo-nextest 0.9.14"));
        assert!(!is_nextest(""));
    }
}
