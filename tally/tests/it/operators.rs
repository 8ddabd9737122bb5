//! What the operators of a running network decide, from drafting to the final decision.

use crate::network::Network;
use crate::up::{get, text};
use crate::world::{World, refused, tally};

fn shown(arguments: &[&str]) -> serde_json::Value {
    let arguments = [arguments, &["--output", "json"]].concat();
    serde_json::from_str(&tally(&arguments)).unwrap()
}

#[test]
fn a_threshold_of_operators_replaces_a_validator_and_one_less_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::up(folder.path(), &["--validators", "4"]);
    let world = World::of(folder.path());
    let machine_key = world.path("machine.key");
    let keys = |node: &str| {
        let made = shown(&[
            "operators",
            "keys",
            "--data",
            &world.path(node),
            "--machine-key",
            &machine_key,
        ]);
        let key = |of: &str| made[of].as_str().unwrap().to_owned();
        (key("validator"), key("operator"))
    };
    let made = ["node-0", "node-1", "node-2", "newcomer"].map(keys);
    assert_eq!(keys("newcomer"), made[3], "what is there stays");
    let [_, operator, ..] = made.each_ref().map(|(_, operator)| operator.clone());
    let validators = made.map(|(validator, _)| validator);
    let (file, genesis) = (world.path("change.tally"), world.path("genesis.tally"));
    let mut draft = vec!["operators", "validators", "--genesis", &genesis, "--out", &file];
    draft.extend(validators.iter().map(String::as_str));
    let drafted = shown(&draft);
    assert_eq!(drafted["action"], "validators_change");
    assert_eq!(drafted["validators"].as_array().unwrap().len(), 4);
    let described = world.path("network.toml");
    let submit = ["operators", "submit", &file, "--network", &described];
    let key_files = ["--machine-key", &machine_key, "--genesis", &genesis];
    let signing = ["operators", "sign", &file, "--data"];
    let sign = |node: &str| {
        let signed = shown(&[&signing[..], &[&world.path(node)], &key_files].concat());
        signed["signers"].as_array().unwrap().len()
    };
    let cannot_sign = |node: &str, reason: &str| {
        refused(&[&signing[..], &[&world.path(node)], &key_files].concat(), reason)
    };
    assert_eq!((sign("node-0"), sign("node-1"), sign("node-1")), (1, 2, 2));
    assert_eq!(refused(&submit, "signature_missing"), 1);
    // Neither an outsider nor one more than a threshold spoils what the others have signed.
    assert_eq!(cannot_sign("newcomer", "not_owner"), 1);
    assert_eq!((sign("node-3"), sign("node-0")), (3, 3));
    assert_eq!(cannot_sign("node-2", "signature_extra"), 1);
    let submitted = shown(&submit);
    let blocks = get(&network.address("node-2"), "/v1/validators")["epoch_blocks"].clone();
    let from = (&submitted["from_epoch"], submitted["from_height"].as_u64());
    assert_eq!(from, (&2.into(), blocks.as_u64().map(|blocks| 2 * blocks)));
    assert!(submitted["in_force_by_ms"].as_u64() > submitted["valid_until_ms"].as_u64());
    told(&network, &validators[3]);
    tally(&draft);
    assert_eq!((sign("node-0"), sign("node-1"), sign("node-3")), (1, 2, 3));
    assert_eq!(refused(&submit, "change_pending"), 1);
    let rules = ["operators", "rules", "--height", "9", "--genesis", &genesis, "--out", &file];
    assert_eq!(refused(&[&rules[..], &["--rules", "4"]].concat(), "rules_unknown"), 1);
    tally(&[&rules[..], &["--rules", "3"]].concat());
    assert_eq!((sign("node-0"), sign("node-1"), sign("node-2")), (1, 2, 3));
    assert_eq!(refused(&submit, "rules_not_next"), 1);
    let mistaken = [&draft[..], &[&operator]].concat();
    assert_eq!(refused(&mistaken, "field_invalid"), 1);
    let twice = [&draft[..], &[&validators[0]]].concat();
    assert_eq!(refused(&twice, "validators_malformed"), 1);
    drop(network);
}

/// The network tells, in JSON and on its page, who votes now and who will.
fn told(network: &Network, newcomer: &str) {
    let address = network.address("node-2");
    let told = get(&address, "/v1/validators");
    let status = get(&address, "/v1/network");
    assert_eq!((&status["epoch"], &status["rules_version"]), (&told["epoch"], &3.into()));
    assert_eq!(
        told["rules"][0],
        serde_json::json!({
            "version": 3, "from_height": 0, "is_known": true,
        })
    );
    let [now, later] = told["sets"].as_array().unwrap().as_slice() else {
        panic!("not two sets: {told}")
    };
    let has = |set: &serde_json::Value| set["keys"].as_array().unwrap().contains(&newcomer.into());
    assert!(!has(now) && has(later) && later["decided_by"].is_string());
    assert_eq!((&now["from_epoch"], &later["from_epoch"]), (&0.into(), &2.into()));
    let blocks = told["epoch_blocks"].as_u64().unwrap();
    assert_eq!(later["from_height"], 2 * blocks);
    let page = text(&address, "/");
    let (before, coming) = page.split_once("data-part=\"coming\"").unwrap();
    assert!(!before.contains(newcomer) && coming.contains(newcomer));
    assert!(coming.contains(&format!("From height {}", 2 * blocks)));
}
