//! The manners of the command line: forms of output, exit codes, precedence, what is said to people.

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::network::{Network, run, tally};

/// The one line of JSON that a failed command says, with its exit code.
fn failed(arguments: &[&str]) -> (i32, Value) {
    let (code, out, said) = run(arguments);
    assert_ne!(code, 0, "{arguments:?}: {out}");
    assert_eq!(out, "", "{arguments:?}");
    assert_eq!(said.lines().count(), 1, "{said}");
    (code, serde_json::from_str(&said).unwrap())
}

#[test]
fn wrong_usage_is_told_in_json_like_every_failure_and_ends_with_two() {
    for arguments in [
        ["--output", "json"].as_slice(),
        &["--output", "json", "nonsense"],
        &["wallet", "balance", "--output=json"],
        &["up", "--data", "x", "--validators", "many", "--output", "json"],
        &["merchant", "verify", "--image", "a", "--code", "b", "--output", "json"],
        &["node", "--output", "json"],
    ] {
        let (code, failure) = failed(arguments);
        assert_eq!((code, &failure["code"]), (2, &Value::from("usage_wrong")), "{arguments:?}");
        assert!(!failure["causes"].as_array().unwrap().is_empty(), "{failure}");
        assert!(!failure["next_step"].as_str().unwrap().is_empty(), "{failure}");
    }
    let (_, failure) = failed(&["up", "--validatos", "4", "--output", "json"]);
    let causes = failure["causes"].to_string();
    assert!(causes.contains("--validatos") && causes.contains("--validators"), "{causes}");
}

#[test]
fn a_number_of_validators_that_cannot_be_is_wrong_usage_and_makes_no_network() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new");
    let up = ["up", "--data", data.to_str().unwrap(), "--validators", "0", "--output", "json"];
    let (code, failure) = failed(&up);
    assert_eq!((code, &failure["code"]), (2, &Value::from("field_invalid")), "{failure}");
    assert!(!data.join("genesis.tally").exists());
}

#[test]
fn help_and_version_are_results_also_in_json() {
    for flag in ["--help", "--version"] {
        let (code, out, said) = run(&[flag, "--output", "json"]);
        assert_eq!((code, said.as_str(), out.lines().count()), (0, "", 1), "{flag}");
        let shown: Value = serde_json::from_str(&out).unwrap();
        assert!(shown["text"].as_str().unwrap().contains("tally"), "{shown}");
    }
    let (code, out, _) = run(&["--version"]);
    assert_eq!((code, out.trim()), (0, concat!("tally ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_flag_for_the_form_wins_over_the_variable() {
    let said = |arguments: &[&str], variable: &str| {
        let output = tally(arguments).env("TALLY_OUTPUT", variable).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let missing = ["receipt", "verify", "missing", "--genesis", "missing"];
    assert!(said(&missing, "json").starts_with('{'));
    assert!(said(&[&missing[..], &["--output", "text"]].concat(), "json").starts_with("tally: "));
    assert!(said(&[&missing[..], &["--output", "json"]].concat(), "text").starts_with('{'));
    assert!(said(&["nonsense"], "json").starts_with('{'));
    assert!(said(&["nonsense", "--output", "text"], "json").starts_with("error: "));
}

#[test]
fn a_failure_in_text_says_why_and_what_to_do_without_empty_lines() {
    let (code, _, said) = run(&["receipt", "verify", "missing", "--genesis", "missing"]);
    assert_eq!(code, 4);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].ends_with("(file_unreadable)"), "{said}");
    assert!(lines.last().unwrap().starts_with("  next: "), "{said}");
    assert!(!said.contains("request:") && lines.iter().all(|line| !line.is_empty()), "{said}");
}

/// Runs a role with a flag, a variable and a file that each name a port that is taken, or not; gives
/// the address that it could not have.
fn refused_address(config: &str, flag: Option<&str>, variable: Option<&str>) -> String {
    let mut command = tally(&["merchant", "--config", config, "--output", "json"]);
    command.args(flag.iter().flat_map(|address| ["--listen", address]));
    command.envs(variable.map(|address| ("TALLY_LISTEN", address)));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8(output.stderr).unwrap();
    let failure = said.lines().find(|line| line.contains("address_in_use")).unwrap();
    let failure: Value = serde_json::from_str(failure).unwrap();
    failure["causes"][0].as_str().unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn a_flag_wins_over_the_environment_that_over_the_file_and_amounts_are_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut network = Network::up(folder.path(), &["--listen", "127.0.0.1:0", "--validators", "1"]);
    amounts_and_values_are_told(&path);
    let address = network.address("merchant");
    network.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(network.ended().success());

    let of_file = TcpListener::bind(&address).unwrap();
    let others = ["127.0.0.1:0"; 2].map(|any| TcpListener::bind(any).unwrap());
    let [of_variable, of_flag] = others.each_ref().map(|one| one.local_addr().unwrap().to_string());
    let config = path("merchant/config.toml");
    assert_eq!(refused_address(&config, None, None), address);
    assert_eq!(refused_address(&config, None, Some(&of_variable)), of_variable);
    assert_eq!(refused_address(&config, Some(&of_flag), Some(&of_variable)), of_flag);
    drop(of_file);
}

/// With a network that runs: what is said of values that cannot be used, and how amounts look.
fn amounts_and_values_are_told(path: &impl Fn(&str) -> String) {
    let (issuer, merchant) = (path("issuer"), path("merchant"));
    let json = ["--output", "json"];
    let fund = |amount: &'static str| {
        vec!["issuer", "fund", "--data", &issuer, "--holder", "demo", amount]
    };
    let charge = ["merchant", "charge", "--data", &merchant, "--code", "x", "--amount", "-5"];
    for arguments in [&fund("-5"), &charge.to_vec()] {
        let (code, failure) = failed(&[arguments, json.as_slice()].concat());
        assert_eq!((code, &failure["code"]), (2, &Value::from("amount_malformed")), "{failure}");
        assert!(failure["causes"][0].as_str().unwrap().contains("-5"), "{failure}");
    }
    let (code, out, said) = run(&[&fund("1.50"), json.as_slice()].concat());
    assert_eq!((code, said.as_str(), out.lines().count()), (0, "", 1));
    let shown: Value = serde_json::from_str(&out).unwrap();
    let amount = ["amount", "currency", "shown"].map(|field| shown[field].as_str().unwrap());
    assert_eq!(amount, ["150", "EUR", "1.50 EUR"]);

    std::fs::write(path("short.password"), "short").unwrap();
    let password = path("short.password");
    let account =
        ["issuer", "account", "--data", &issuer, "--holder", "ada", "--password-file", &password];
    let (code, failure) = failed(&[account.as_slice(), &json].concat());
    assert_eq!((code, &failure["code"]), (1, &Value::from("field_invalid")));
    let causes = failure["causes"].to_string();
    assert!(causes.contains("8 to 256 bytes") && causes.contains("field password"), "{causes}");
}

#[test]
fn a_code_is_written_as_what_its_extension_says_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("code.gif");
    let data = folder.path().join("none");
    let code = ["wallet", "code", "--data", data.to_str().unwrap(), "--output", "json"];
    let (code, failure) = failed(&[&code[..], &["--image", image.to_str().unwrap()]].concat());
    assert_eq!((code, &failure["code"]), (2, &Value::from("usage_wrong")));
    assert!(failure["next_step"].as_str().unwrap().contains(".png"), "{failure}");
    assert!(!image.exists() && !data.exists());
}

#[test]
fn what_the_payment_of_the_readme_leaves_behind_is_not_tracked() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let block = readme.split("```sh payment").nth(1).unwrap().split("```").next().unwrap();
    let words: Vec<&str> = block.split_whitespace().collect();
    let flags = ["--request", "--image", "--receipt", ">"];
    let after = |pair: &&[&str]| flags.contains(&pair[0]);
    let mut made: Vec<&str> = words.windows(2).filter(after).map(|pair| pair[1]).collect();
    made.extend(["alice/keys", ".tally/genesis.tally"]);
    assert!(made.len() > 5, "{made:?}");
    for file in made {
        let mut check = Command::new("git");
        check.args(["check-ignore", "--quiet", "--no-index", file]).current_dir(root);
        assert!(check.status().unwrap().success(), "{file} is not ignored");
    }
}
