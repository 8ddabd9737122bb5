//! Refusals at the edge of the roles: what is not there, what cannot be read.

use tallystick_api::Client;
use tallystick_api::issuer::IssuerClient;
use tallystick_kernel::{DurationMs, Reason};
use tallystick_tally::machine_key::MachineKey;
use tallystick_tally::roles::issuer::config::ISSUER_ACCESS;
use tallystick_tally::secret_file::SecretFile;

use crate::network::Network;
use crate::world::{World, refused};

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let receipt = folder.path().join("receipt.tally");
    let receipt = receipt.to_str().unwrap();
    refused(&["receipt", "verify", receipt, "--genesis", receipt], "file_unreadable");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_says_what_it_does_not_know_and_what_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::up(folder.path(), &["--listen", "127.0.0.1:0", "--validators", "1"]);
    let world = World::of(folder.path());
    let issuer = world.path("issuer");
    let fund = ["issuer", "fund", "--data", &issuer, "--holder", "nobody", "1.00"];
    refused(&fund, "holder_unknown");

    // With the merchant's own key, as the merchant asks.
    let machine_key = MachineKey::read(&folder.path().join("machine.key")).unwrap();
    let secrets = SecretFile::open(&folder.path().join("merchant"), &machine_key).unwrap();
    let key = core::str::from_utf8(secrets.require(ISSUER_ACCESS).unwrap()).unwrap().to_owned();
    let url = format!("http://{}", network.address("issuer"));
    let client = IssuerClient(Client::new(&url).unwrap().with_token(&key));
    let refusal = client.authorization(&"0".repeat(64), DurationMs(0)).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::AuthorizationUnknown);

    let post = reqwest::Client::new().post(format!("{url}/v1/sessions"));
    let sent = post.header("content-type", "application/json").body("{").send().await.unwrap();
    let problem: serde_json::Value = serde_json::from_slice(&sent.bytes().await.unwrap()).unwrap();
    assert_eq!(problem["code"], Reason::BodyMalformed.code(), "{problem}");
}
