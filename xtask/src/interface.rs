//! The interfaces of all roles, tried by schemathesis: no answer is an error of the server's, and
//! none is of a status, a type or a form that the OpenAPI document does not name. Nor does a role
//! refuse for a reason that its operation does not name.
//!
//! Streams of events go on for ever, so they are left to tests of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::gate::Tally;
use crate::network::beside_a_network;
use crate::repository;

/// The version of schemathesis, as `pip` reads it.
const REQUIREMENTS: &str = "xtask/schemathesis.txt";
/// What is examined of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";
/// What a role writes into its log when it refuses for a reason that is not documented.
const UNDOCUMENTED: &str = "an undocumented refusal";
/// Logs a holder in: address, name, file with the password; prints the token.
const LOG_IN: &str = "import json, sys, urllib.request as r
body = json.dumps({'name': sys.argv[2], 'password': open(sys.argv[3]).read().strip()}).encode()
answer = r.urlopen(r.Request(f'http://{sys.argv[1]}/v1/sessions', body))
print(json.load(answer)['token'])";

/// Each role with the way to a key for it: one check for each run, and one for each log.
pub fn run(root: &Path) -> Tally {
    let examined = install(root).and_then(|python| {
        let target = repository::target(root)?;
        beside_a_network(&target, &["--validators", "1"], |folder| examine(&python, folder))
    });
    examined.unwrap_or_else(|cause| {
        println!("interface: {cause}");
        Tally::one(false)
    })
}

/// Puts schemathesis into an environment of its own beside what is built; gives its interpreter.
fn install(root: &Path) -> Result<PathBuf, String> {
    let folder = repository::target(root)?.join("schemathesis");
    let python = folder.join("bin/python");
    let requirements = root.join(REQUIREMENTS);
    let pip = [python.as_os_str(), "-m".as_ref(), "pip".as_ref()];
    if !python.exists() {
        succeeds(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    let install = ["install", "--quiet", "--disable-pip-version-check", "--requirement"];
    succeeds(Command::new(pip[0]).args(&pip[1..]).args(install).arg(requirements))?;
    Ok(python)
}

fn examine(python: &Path, folder: &Path) -> Tally {
    let file = |name: &str| std::fs::read_to_string(folder.join(".tally").join(name));
    let key = |name: &str| file(name).map(|text| text.trim().to_owned()).unwrap_or_default();
    let table = serde_json::from_str(&key("up.json")).unwrap_or_default();
    let session = log_in(python, folder, &address(&table, "issuer"));
    let runs = [
        ("node-0", None),
        ("provisioner", None),
        ("merchant", Some(key("merchant/till.key"))),
        ("issuer", Some(key("issuer/operator.key"))),
        ("issuer", session),
    ];
    let mut tally = Tally::default();
    for (role, token) in runs {
        tally.add(Tally::one(try_out(python, &address(&table, role), role, token.as_deref())));
    }
    for role in ["node-0", "provisioner", "merchant", "issuer"] {
        let log = file(&format!("{role}/log.txt"));
        let silent = log.is_ok_and(|log| {
            let lines: Vec<&str> = log.lines().filter(|line| line.contains(UNDOCUMENTED)).collect();
            lines.iter().take(5).for_each(|line| println!("{role}: {line}"));
            lines.is_empty()
        });
        tally.add(Tally::one(silent));
    }
    tally
}

/// One run over a role's whole interface.
fn try_out(python: &Path, address: &str, role: &str, token: Option<&str>) -> bool {
    println!("$ schemathesis run http://{address}/openapi.json   ({role})");
    let mut command = Command::new(python);
    command
        .args(["-m", "schemathesis.cli", "--no-color", "run"])
        .arg(format!("http://{address}/openapi.json"))
        .args(["--phases", "examples,fuzzing", "--max-examples", "15", "--seed", "1"])
        .args(["--checks", CHECKS, "--rate-limit", "90/s", "--request-timeout", "70"])
        .args(["--workers", "2", "--suppress-health-check", "all", "--warnings", "off"])
        .args(["--exclude-path-regex", "events$"])
        .stdin(Stdio::null());
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    succeeds(&mut command).inspect_err(|cause| println!("{cause}")).is_ok()
}

fn log_in(python: &Path, folder: &Path, address: &str) -> Option<String> {
    let password = folder.join(".tally/demo.password");
    let output = Command::new(python).args(["-c", LOG_IN, address, "demo"]).arg(password).output();
    let token = String::from_utf8(output.ok()?.stdout).ok()?;
    Some(token.trim().to_owned())
}

fn address(table: &serde_json::Value, role: &str) -> String {
    let mut roles = table["roles"].as_array().into_iter().flatten();
    let found = roles.find(|entry| entry["role"] == role);
    found.and_then(|entry| entry["address"].as_str()).unwrap_or_default().to_owned()
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{} ended with {status}", command.get_program().display())),
        Err(error) => Err(format!("missing: {}: {error}", command.get_program().display())),
    }
}
