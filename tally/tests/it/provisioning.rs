//! Provisioning by device code and authorization code: every refusal, by the real roles.

use crate::network::{Network, run};
use crate::world::{World, refused, small, tally};

fn network() -> (tempfile::TempDir, Network, World) {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::up(folder.path(), &["--listen", "127.0.0.1:0", "--validators", "1"]);
    let world = World::of(folder.path());
    world.init("alice", "demo", "demo.password");
    (folder, network, world)
}

fn ask(world: &World, wallet: &str) -> String {
    let request = world.path(&format!("{wallet}.request"));
    tally(&["wallet", "provision", "--data", &world.path(wallet), "--request", &request]);
    request
}

fn hand_in(world: &World, wallet: &str, code: &str) -> (i32, String, String) {
    let data = world.path(wallet);
    run(&["wallet", "provision", "--data", &data, "--authorization-code", code.trim()])
}

#[test]
fn a_denied_request_stays_denied_at_both() {
    let (_folder, _network, world) = network();
    let request = ask(&world, "alice");
    let approved = world.approve(&request, &[]);
    let denied = world.approve(&request, &["--deny"]);
    assert_ne!(approved, denied);
    assert!(hand_in(&world, "alice", &denied).2.contains("(authorization_denied)"));
    assert!(hand_in(&world, "alice", &approved).2.contains("(authorization_denied)"));
    let (network, password) = (world.path("network.toml"), world.path("demo.password"));
    refused(
        &[
            "issuer",
            "approve",
            "--network",
            &network,
            "--holder",
            "demo",
            "--password-file",
            &password,
            "--request",
            &request,
        ],
        "authorization_denied",
    );
}

#[test]
fn a_code_serves_its_own_request_once_and_five_wrong_ones_close_it() {
    let (_folder, _network, world) = network();
    let first = world.approve(&ask(&world, "alice"), &[]);
    // A new request of the same device and account: the earlier code is for another nonce.
    let second = ask(&world, "alice");
    let mut altered = first.trim().to_owned();
    let last = if altered.ends_with('B') { "C" } else { "B" };
    altered.replace_range(altered.len() - 1.., last);
    assert!(hand_in(&world, "alice", &altered).2.contains("(authorization_code_malformed)"));
    for _ in 0..5 {
        let said = hand_in(&world, "alice", &first).2;
        assert!(said.contains("(authorization_code_wrong)"), "{said}");
    }
    let right = world.approve(&second, &[]);
    assert!(hand_in(&world, "alice", &right).2.contains("(guess_limit)"));
    let third = world.approve(&ask(&world, "alice"), &[]);
    let (code, _, said) = hand_in(&world, "alice", &third);
    assert_eq!(code, 0, "{said}");
    // It is used, and the wallet has forgotten it.
    assert!(hand_in(&world, "alice", &third).2.contains("(device_code_unknown)"));
}

#[test]
fn another_holder_can_neither_approve_nor_log_in_with_a_wrong_password() {
    let (_folder, _network, world) = small(&["5.00"]);
    std::fs::write(world.path("eve.password"), "correct horse battery").unwrap();
    let (issuer, password) = (world.path("issuer"), world.path("eve.password"));
    tally(&[
        "issuer",
        "account",
        "--data",
        &issuer,
        "--holder",
        "eve",
        "--password-file",
        &password,
    ]);
    refused(
        &["issuer", "account", "--data", &issuer, "--holder", "eve", "--password-file", &password],
        "holder_exists",
    );
    world.init("eve", "eve", "eve.password");
    let request = ask(&world, "alice");
    let network = world.path("network.toml");
    let approve = |holder: &str, password: &str| {
        run(&[
            "issuer",
            "approve",
            "--network",
            &network,
            "--holder",
            holder,
            "--password-file",
            password,
            "--request",
            &request,
        ])
    };
    assert!(approve("eve", &password).2.contains("(account_mismatch)"));
    assert!(approve("demo", &password).2.contains("(login_wrong)"));
    assert!(approve("nobody", &password).2.contains("(login_wrong)"));
}

#[test]
fn a_party_that_is_away_is_told_apart_from_one_that_refuses() {
    let (_folder, network, world) = network();
    drop(network);
    let data = world.path("alice");
    let exit = refused(&["wallet", "balance", "--data", &data], "unreachable");
    assert_eq!(exit, 3);
    let request = world.path("request.txt");
    let arguments = ["wallet", "provision", "--data", &data, "--request", &request];
    assert_eq!(refused(&arguments, "unreachable"), 3);
}
