//! `tally doctor` beside real folders: whole, broken, running, stopped.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::network::{Network, run, tally};

/// What the doctor says of a folder, with the exit code.
fn examined(folder: &Path) -> (i32, Value) {
    let data = folder.to_str().unwrap();
    let (code, out, _) = run(&["doctor", "--data", data, "--output", "json"]);
    assert_eq!(out.lines().count(), 1, "{out}");
    (code, serde_json::from_str(&out).unwrap())
}

/// The findings of a level; each that is not fine says the way out.
fn of_level(shown: &Value, level: &str) -> Vec<String> {
    let findings = shown["findings"].as_array().unwrap().iter();
    let of_level = findings.filter(|finding| finding["level"] == level);
    of_level
        .map(|finding| {
            let has_way_out = finding["next_step"].as_str().is_some_and(|text| !text.is_empty());
            assert_eq!(has_way_out, level != "ok", "{finding}");
            format!("{}: {}", finding["check"].as_str().unwrap(), finding["says"].as_str().unwrap())
        })
        .collect()
}

/// The one failure that is found.
fn only_failure(folder: &Path, code: i32) -> String {
    let (ended, shown) = examined(folder);
    let failed = of_level(&shown, "failed");
    assert_eq!(
        (ended, failed.len(), &shown["level"]),
        (code, 1, &Value::from("failed")),
        "{shown}"
    );
    failed[0].clone()
}

#[test]
fn a_folder_that_is_not_there_yet_is_no_failure_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none");
    let (_, shown) = examined(&missing);
    let fine = of_level(&shown, "ok");
    assert!(fine.iter().any(|says| says.contains("is no data folder yet")), "{fine:?}");
    assert!(fine.iter().any(|says| says.starts_with("version: tally ")), "{fine:?}");
    assert!(!missing.exists());
}

#[test]
fn a_running_network_is_examined_and_then_what_breaks_while_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    // One that `up` makes itself, with the mode that it should have.
    let folder = &folder.path().join("network");
    let mut network =
        Network::up(folder, &["--listen", "127.0.0.1:0", "--validators", "4", "--no-restart"]);
    let (code, shown) = examined(folder);
    assert_eq!((code, of_level(&shown, "failed")), (0, vec![]), "{shown}");
    let fine = of_level(&shown, "ok");
    let has = |part: &str| assert!(fine.iter().any(|says| says.contains(part)), "{part}: {fine:?}");
    has("ports: 11 from ");
    has("are held by this network");
    has("keys: 6 are there and the genesis names them");
    has("for their owner only");
    has("the last block is of");
    for role in ["node-0", "node-3", "issuer", "provisioner", "merchant"] {
        has(&format!("ready: {role} at 127.0.0.1:"));
    }
    has("height: node-3 is at ");
    has("node-3 hears ");

    // A role that ended: its readiness and its port.
    let merchant = *network.pids().last().unwrap();
    kill(Pid::from_raw(merchant), Signal::SIGKILL).unwrap();
    let address = network.address("merchant");
    crate::network::wait("the merchant is gone", || TcpListener::bind(&address).is_ok());
    let (code, shown) = examined(folder);
    let failed = of_level(&shown, "failed");
    assert_eq!((code, failed.len()), (3, 2), "{failed:?}");
    assert!(failed.iter().any(|says| says.contains("though merchant should listen")), "{failed:?}");
    assert!(failed.iter().any(|says| says.starts_with("ready: merchant")), "{failed:?}");

    network.signal(Signal::SIGTERM);
    assert!(network.ended().success());
    stopped_and_broken(folder, &address);
}

/// The same network, stopped: whole, then broken in one way after another.
fn stopped_and_broken(folder: &Path, merchant: &str) {
    let (code, shown) = examined(folder);
    assert_eq!((code, of_level(&shown, "failed")), (0, vec![]), "{shown}");
    let fine = of_level(&shown, "ok");
    assert!(fine.iter().any(|says| says.contains("free for tally up")), "{fine:?}");
    assert!(fine.iter().any(|says| says.starts_with("network: none runs")), "{fine:?}");

    let holder = TcpListener::bind(merchant).unwrap();
    let failure = only_failure(folder, 4);
    assert!(failure.contains(merchant) && failure.contains("it is for merchant"), "{failure}");
    assert!(failure.contains(&format!("process {}", std::process::id())), "{failure}");
    drop(holder);

    let mode = |name: &str, mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.join(name), permissions).unwrap();
    };
    for name in ["machine.key", "issuer/keys", "node-2/secrets", "demo.password"] {
        mode(name, 0o644);
        let failure = only_failure(folder, 4);
        assert!(failure.contains(name) && failure.contains("0644"), "{failure}");
        mode(name, 0o600);
    }
    mode("issuer", 0o755);
    let (code, shown) = examined(folder);
    let warnings = of_level(&shown, "warning");
    assert_eq!(code, 0, "{shown}");
    assert!(warnings.iter().any(|says| says.contains("issuer has mode 0755")), "{warnings:?}");
    mode("issuer", 0o700);

    // A missing, another's and an unreadable key.
    let (keys, aside) = (folder.join("merchant/keys"), folder.join("aside"));
    std::fs::rename(&keys, &aside).unwrap();
    assert!(only_failure(folder, 4).contains("merchant is missing"));
    std::fs::copy(folder.join("issuer/keys"), &keys).unwrap();
    assert!(only_failure(folder, 4).contains("key of merchant is not the one"));
    std::fs::rename(&aside, &keys).unwrap();
    let seeds = ["node-0/secrets", "node-1/secrets"].map(|name| folder.join(name));
    std::fs::write(&seeds[0], "overwritten").unwrap();
    let (code, shown) = examined(folder);
    assert_eq!(code, 4);
    assert!(of_level(&shown, "failed")[0].contains("node-0/secrets"), "{shown}");

    std::fs::write(folder.join("issuer/tallystick.toml"), "version = 99\nkind = 'issuer'\n")
        .unwrap();
    let (_, shown) = examined(folder);
    let failed = of_level(&shown, "failed");
    assert!(failed.iter().any(|says| says.contains("version 99")), "{failed:?}");
}

#[test]
fn the_folder_is_the_flag_s_then_the_variable_s_then_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let says = |flag: Option<&str>, variable: Option<&str>| {
        let mut command = tally(&["doctor"]);
        command.args(flag.iter().flat_map(|data| ["--data", data]));
        command.envs(variable.map(|data| ("TALLY_DATA", data))).current_dir(folder.path());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(says(Some("flag"), Some("variable")).contains(" flag is no data folder yet"));
    assert!(says(None, Some("variable")).contains(" variable is no data folder yet"));
    assert!(says(None, None).contains(" .tally is no data folder yet"));
}

#[test]
fn colour_is_shown_at_a_terminal_only_and_not_where_it_is_not_wanted() {
    // script(1) of bsdutils gives the command a terminal of its own.
    let at_a_terminal = |more: &str, variables: &[(&str, &str)]| {
        let data = tempfile::tempdir().unwrap();
        let typed = format!(
            "{} doctor --data {}/none{more}",
            env!("CARGO_BIN_EXE_tally"),
            data.path().display()
        );
        let mut command = std::process::Command::new("script");
        command.args(["--quiet", "--command", &typed, "/dev/null"]);
        command.env_remove("NO_COLOR").env("TERM", "xterm").envs(variables.iter().copied());
        String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
    };
    let escape = '\u{1b}';
    assert!(at_a_terminal("", &[]).contains(escape));
    assert!(!at_a_terminal("", &[("NO_COLOR", "1")]).contains(escape));
    assert!(!at_a_terminal("", &[("TERM", "dumb")]).contains(escape));
    assert!(!at_a_terminal(" --output json", &[]).contains(escape));
    assert!(!run(&["doctor", "--data", "none"]).1.contains(escape));
}
