//! The README's payment, typed by a shell from its fenced block, beside a network of its own.
//!
//! The block is run as it stands. Only the two commands that must work offline are moved into a
//! network namespace with no link at all; that nothing can be reached from there is a check too.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::gate::Tally;
use crate::network::{TALLY, beside_a_network};
use crate::repository;

/// The two commands that are all the set-up.
const SET_UP: [&str; 2] = ["cargo run --release -- up", "cargo xtask test"];
/// The info string of the block.
const BLOCK: &str = "```sh payment";
/// The whole block takes no longer than this but when it is broken, in the words of `timeout`.
const BLOCK_PATIENCE: [&str; 2] = ["--kill-after=10", "300"];
/// A command of the block that cannot work without a link.
const ONLINE: &str = "tally wallet balance ";
/// Two ways into a network namespace with no link: root's, which is there in a changed root too, and
/// everyone's, which needs no privilege of the machine.
const NAMESPACES: [&[&str]; 2] =
    [&["unshare", "--net", "--"], &["unshare", "--map-root-user", "--net", "--"]];
/// Wraps the block's own `tally`, which it keeps as `tally_anywhere`, and notes what succeeded.
const WRAPPER: &str = r#"
tally_defined=$(declare -f tally)
eval "${tally_defined/tally ()/tally_anywhere ()}"
tally() {
  case "${1-} ${2-}" in
    "merchant verify" | "receipt verify")
      $NAMESPACE target/release/tally "$@" ;;
    *) tally_anywhere "$@" ;;
  esac
  echo "$*" >> succeeded
}
set -x
"#;

/// Runs the block: each of its commands is a check, and so are the commands of the set-up, a clean
/// end of the network, and that the offline commands had no link.
pub fn run(root: &Path) -> Tally {
    let mut tally = Tally::default();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap_or_default();
    for command in SET_UP {
        let named = readme.contains(command);
        if !named {
            println!("README.md does not name `{command}`");
        }
        tally.add(Tally::one(named));
    }
    let paid = payment(root, &readme).unwrap_or_else(|cause| {
        println!("readme: {cause}");
        Tally::one(false)
    });
    tally.add(paid);
    tally
}

fn payment(root: &Path, readme: &str) -> Result<Tally, String> {
    let block = block(readme).ok_or(format!("README.md has no block that opens with {BLOCK}"))?;
    let script = script(&block)?;
    let namespace = namespace().ok_or_else(|| {
        format!("missing: network namespaces; none of {NAMESPACES:?} is allowed to this user here")
    })?;
    beside_a_network(&repository::target(root)?, &[], |folder| {
        let mut tally = typed(folder, &script, namespace, commands(&block));
        tally.add(no_link(folder, &block, namespace));
        tally
    })
}

/// The lines of the payment's block.
fn block(readme: &str) -> Option<String> {
    let (_, rest) = readme.split_once(&format!("{BLOCK}\n"))?;
    let (block, _) = rest.split_once("\n```")?;
    Some(block.to_owned())
}

fn commands(block: &str) -> u64 {
    block.lines().filter(|line| line.starts_with("tally ")).count() as u64
}

/// The script: the block with the offline commands moved, after its own definition of `tally`.
fn script(block: &str) -> Result<String, String> {
    let (definition, rest) = block.split_once('\n').ok_or("the payment is empty")?;
    if !definition.starts_with("tally() {") {
        return Err("the payment does not begin with its definition of tally".to_owned());
    }
    Ok(format!("{definition}\n{WRAPPER}\n{rest}\n"))
}

/// Types the script in `folder`, whose block has so many commands.
fn typed(folder: &Path, script: &str, namespace: Namespace, commands: u64) -> Tally {
    let status = Command::new("timeout")
        .args(BLOCK_PATIENCE)
        .args(["bash", "-euo", "pipefail", "-c", script])
        .env("NAMESPACE", namespace.join(" "))
        .current_dir(folder)
        .stdin(Stdio::null())
        .status();
    let done = std::fs::read_to_string(folder.join("succeeded")).unwrap_or_default();
    let passed = (done.lines().count() as u64).min(commands);
    let mut failed = commands - passed;
    match status {
        Ok(status) if status.success() && failed == 0 => {}
        Ok(status) => {
            println!("the payment ended with {status} after {passed} of {commands} commands");
            failed = failed.max(1);
        }
        Err(error) => {
            println!("timeout: {error}");
            failed = failed.max(1);
        }
    }
    Tally { passed, failed }
}

/// What the offline commands were kept from: the balance, which the block could ask for, cannot be
/// asked for from a namespace such as theirs.
fn no_link(folder: &Path, block: &str, namespace: Namespace) -> Tally {
    let online = block.lines().find_map(|line| line.strip_prefix(ONLINE));
    let Some(arguments) = online else {
        println!("the payment does not hold `{ONLINE}`");
        return Tally::one(false);
    };
    println!("$ {} {ONLINE}{arguments}   (which must fail)", namespace.join(" "));
    let mut command = in_namespace(namespace, &[TALLY, "wallet", "balance"]);
    let ended = command.args(arguments.split_whitespace()).current_dir(folder).status();
    let kept_from = ended.is_ok_and(|status| !status.success());
    if !kept_from {
        println!("the namespace that should have no link reaches a node");
    }
    Tally::one(kept_from)
}

/// The words before a command that bring it into a namespace.
type Namespace = &'static [&'static str];

/// The way into a namespace that is open here.
fn namespace() -> Option<Namespace> {
    NAMESPACES.into_iter().find(|way| {
        let output = in_namespace(way, &["true"]).output();
        output.is_ok_and(|output| output.status.success())
    })
}

fn in_namespace(namespace: Namespace, command: &[&str]) -> Command {
    let mut made = Command::new(namespace[0]);
    made.args(&namespace[1..]).args(command);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str =
        "# T\n```sh\ncargo\n```\n```sh payment\ntally() { x; }\n\n# a\ntally a\ntally b > c\n```\n";

    #[test]
    fn the_block_is_taken_as_it_stands() {
        let block = block(README).unwrap();
        assert_eq!(block, "tally() { x; }\n\n# a\ntally a\ntally b > c");
        assert_eq!(commands(&block), 2);
        let script = script(&block).unwrap();
        assert!(script.starts_with("tally() { x; }\n") && script.ends_with("tally b > c\n"));
        assert!(super::script("echo\ntally a").is_err());
        assert_eq!(super::block("no block"), None);
    }

    /// Types a block in a folder of its own.
    fn type_block(name: &str, block: &str) -> Tally {
        let name = format!("tallystick-typed-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let tally = typed(&folder, &script(block).unwrap(), namespace().unwrap(), commands(block));
        std::fs::remove_dir_all(&folder).unwrap();
        tally
    }

    #[test]
    fn every_command_of_a_block_is_counted() {
        let block = "tally() { test \"$1\" != no; }\ntally a b > out\ntest ! -s out\ntally c d";
        assert_eq!(type_block("all", block), Tally { passed: 2, failed: 0 });
        let block = "tally() { test \"$1\" != no; }\ntally a b\ntally no\ntally c d";
        assert_eq!(type_block("some", block), Tally { passed: 1, failed: 2 });
        let block = "tally() { true; }\ntally a b\nfalse";
        assert_eq!(type_block("other", block), Tally { passed: 1, failed: 1 });
    }

    #[test]
    fn an_offline_command_does_not_run_as_the_block_defines_it() {
        // There is no target/release/tally in the folder, so what runs elsewhere fails.
        let block = "tally() { true; }\ntally merchant charge\ntally merchant verify";
        assert_eq!(type_block("offline", block), Tally { passed: 1, failed: 1 });
    }

    #[test]
    fn a_namespace_has_no_link_but_a_loopback_that_is_down() {
        let mut links = in_namespace(namespace().unwrap(), &["ip", "-brief", "link"]);
        let output = links.output().unwrap();
        let links = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(links.lines().count(), 1, "{links}");
        assert!(links.starts_with("lo") && links.contains("DOWN"), "{links}");
    }
}
