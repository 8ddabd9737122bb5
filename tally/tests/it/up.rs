//! `tally up`: ready, resumed, refused, stopped.

use std::net::TcpListener;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::network::{Network, is_running, run, wait};

const FREE_PORTS: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// What a role answers.
pub fn get(address: &str, path: &str) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = tallystick_api::Client::new(&format!("http://{address}")).unwrap();
    runtime.block_on(client.get(path)).unwrap()
}

/// A page of a role.
pub fn text(address: &str, path: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("http://{address}{path}");
    let page = async { reqwest::get(url).await.unwrap().text().await.unwrap() };
    runtime.block_on(page)
}

#[test]
fn a_network_becomes_ready_stops_on_ctrl_c_without_a_trace_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::up(folder.path(), &FREE_PORTS);
    let first = get(&network.address("node-0"), "/v1/network");
    assert!(first["height"].as_u64().unwrap() > 0);
    assert_eq!(first["validators"], 4);
    let pids = network.pids();
    assert!(pids.len() >= 4 && pids.iter().all(|pid| is_running(*pid)));
    network.signal(Signal::SIGINT);
    assert!(network.ended().success());
    assert!(!pids.iter().any(|pid| is_running(*pid)), "a role outlived the network");
    assert!(!folder.path().join("up.json").exists());
    // What an operator sets in a node's configuration outlives the next start.
    let config = folder.path().join("node-0/config.toml");
    let set = format!("retention_days = 90\n{}", std::fs::read_to_string(&config).unwrap());
    std::fs::write(&config, &set).unwrap();

    let network = Network::up(folder.path(), &[]);
    let second = get(&network.address("node-0"), "/v1/network");
    assert_eq!(second["network"], first["network"]);
    assert!(std::fs::read_to_string(&config).unwrap().contains("retention_days = 90\n"));
    assert!(second["height"].as_u64() >= first["height"].as_u64());
    let (code, _, said) = run(&["up", "--data", folder.path().to_str().unwrap()]);
    assert_eq!(code, 4);
    assert!(said.contains("folder_in_use"), "{said}");
}

#[test]
fn the_start_is_told_by_phase_and_an_idle_network_is_measured_by_role() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let idle = ["bench", "idle", "--data", data, "--seconds", "1", "--output", "json"];
    let (code, _, said) = run(&idle);
    assert_eq!(code, 3);
    assert!(said.contains("not_ready") && said.contains("tally up"), "{said}");

    let network = Network::up(folder.path(), &["--listen", "127.0.0.1:0", "--validators", "1"]);
    let table = network.table();
    let phases = table["phases"].as_array().unwrap();
    let names: Vec<&str> = phases.iter().filter_map(|phase| phase["phase"].as_str()).collect();
    let expected = ["founding", "starting", "serving", "connecting", "first block", "last role"];
    assert_eq!(names, expected);
    let sum: u64 = phases.iter().filter_map(|phase| phase["ms"].as_u64()).sum();
    assert_eq!(sum, table["ready_ms"]);
    let mut roles = table["roles"].as_array().unwrap().iter();
    assert!(roles.all(|role| role["ready_ms"].as_u64() <= Some(sum)));

    let (code, out, said) = run(&idle);
    assert_eq!(code, 0, "{said}");
    let shown: Value = serde_json::from_str(&out).unwrap();
    let roles = shown["roles"].as_array().unwrap();
    let names: Vec<&str> = roles.iter().filter_map(|role| role["role"].as_str()).collect();
    assert_eq!(names, ["node-0", "issuer", "provisioner", "merchant", "up"]);
    assert!(roles.iter().all(|role| role["resident_bytes"].as_u64() > Some(0)));
    assert!(roles[0]["disk_bytes"].as_u64() > Some(0));
    assert_eq!(shown["sum"]["role"], "in all");
}

#[test]
fn roles_go_with_a_parent_that_is_killed_and_a_killed_role_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--listen", "127.0.0.1:0", "--validators", "1"];
    let mut network = Network::up(folder.path(), &more);
    let before = network.pids();
    kill(Pid::from_raw(before[0]), Signal::SIGKILL).unwrap();
    wait("the node is started again", || {
        network.pids().first().is_some_and(|pid| *pid != before[0] && is_running(*pid))
    });
    let pids = network.pids();
    network.signal(Signal::SIGKILL);
    network.ended();
    wait("the roles are gone", || !pids.iter().any(|pid| is_running(*pid)));
    let (code, _, said) =
        run(&["up", "--data", folder.path().to_str().unwrap(), "--validators", "4"]);
    assert_eq!(code, 2);
    assert!(said.contains("has 1 validators") && said.contains("already_other"), "{said}");
}

#[test]
fn a_role_that_lives_and_does_not_answer_is_reported_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--listen", "127.0.0.1:0", "--validators", "1", "--patience", "2"];
    let mut network = Network::up(folder.path(), &more);
    let stopped = network.pids()[0];
    kill(Pid::from_raw(stopped), Signal::SIGSTOP).unwrap();
    let said = network.warning();
    assert!(said.contains("node-0 has not answered"), "{said}");
    wait("the node is started again", || {
        network.pids().first().is_some_and(|pid| *pid != stopped && is_running(*pid))
    });
    assert!(!is_running(stopped));
    wait("the node answers", || {
        let ready = run(&["doctor", "--data", folder.path().to_str().unwrap()]);
        ready.0 == 0
    });
}

#[test]
fn a_silent_role_is_only_reported_where_none_is_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--listen", "127.0.0.1:0", "--validators", "1", "--patience", "1", "--no-restart"];
    let mut network = Network::up(folder.path(), &more);
    let merchant = network.pids()[3];
    kill(Pid::from_raw(merchant), Signal::SIGSTOP).unwrap();
    let said = network.warning();
    assert!(said.contains("merchant has not answered for 1 s and stays so"), "{said}");
    assert!(is_running(merchant) && network.pids()[3] == merchant);
    kill(Pid::from_raw(merchant), Signal::SIGCONT).unwrap();
}

#[test]
fn a_busy_port_is_explained_with_the_process_that_has_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    // The first node's HTTP port is ten past the first port.
    let listen = format!("127.0.0.1:{}", port - 10);
    let data = folder.path().to_str().unwrap();
    let (code, _, said) = run(&["up", "--data", data, "--listen", &listen, "--output", "json"]);
    assert_eq!(code, 4, "{said}");
    let failure: Value = serde_json::from_str(&said[said.find('{').unwrap()..]).unwrap();
    assert_eq!(failure["code"], "address_in_use");
    let cause = failure["causes"][0].as_str().unwrap();
    assert!(cause.contains(&format!("process {}", std::process::id())), "{cause}");
    assert!(failure["next_step"].as_str().unwrap().contains("--listen"));
    for made in ["genesis.tally", "machine.key", "node-0", "up.toml"] {
        assert!(!folder.path().join(made).exists(), "{made} was made for nothing");
    }
}

#[test]
fn a_folder_of_another_version_is_explained_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("tallystick.toml");
    std::fs::write(&marker, "version = 99\nkind = \"up\"\n").unwrap();
    let (code, _, said) = run(&["up", "--data", folder.path().to_str().unwrap()]);
    assert_eq!(code, 4);
    assert!(said.contains("folder_of_other_version") && said.contains("version 99"), "{said}");
    assert_eq!(std::fs::read_to_string(&marker).unwrap(), "version = 99\nkind = \"up\"\n");
    assert!(!folder.path().join("machine.key").exists());
}

#[test]
fn an_ephemeral_network_leaves_no_folder() {
    use std::io::BufRead as _;
    let mut child = crate::network::tally(&["up", "--ephemeral", "--validators", "1"])
        .args(FREE_PORTS)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let row = lines.map(Result::unwrap).find(|line| line.starts_with("node-0")).unwrap();
    let data = row.split_whitespace().last().unwrap();
    let folder = std::path::Path::new(data).parent().unwrap().to_owned();
    assert!(folder.join("genesis.tally").exists());
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!folder.exists());
}

#[test]
fn secrets_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let _network = Network::up(folder.path(), &["--listen", "127.0.0.1:0", "--validators", "1"]);
    let mode = |name: &str| {
        std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("machine.key"), 0o600);
    assert_eq!(mode("node-0/secrets"), 0o600);
    assert_eq!(mode("issuer/keys"), 0o600);
    assert_eq!(mode("node-0"), 0o700);
}

/// Writes over every file of a folder.
fn damage(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damage(&path);
        } else {
            std::fs::write(&path, b"damaged").unwrap();
        }
    }
}

#[test]
fn one_damaged_validator_of_four_is_named_and_the_others_start_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--listen", "127.0.0.1:0"];
    let mut network = Network::up(folder.path(), &more);
    network.signal(Signal::SIGTERM);
    network.ended();
    damage(&folder.path().join("node-2/state"));
    let mut network = Network::up(folder.path(), &more);
    let said = network.warning();
    assert!(said.contains("node-2") && said.contains("go on without it"), "{said}");
    assert!(said.contains("copy of its folder"), "{said}");
}
