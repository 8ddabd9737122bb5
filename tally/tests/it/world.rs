//! A network with a certified holder: what tests of payments begin with.

use std::path::{Path, PathBuf};

use tallystick_api::Client;
use tallystick_api::NodeClient;
use tallystick_api::merchant::{Charge, ChargeRequest, MerchantClient};
use tallystick_kernel::{Amount, CurrencyCode, DurationMs};
use tallystick_proofs::payment_code::{self, PaymentClaims};
use tallystick_tally::commands::network_file::NetworkFile;
use tallystick_tally::commands::wallet::folder::Wallet;
use tallystick_tally::source;

use crate::network::{Network, run};

/// Runs the binary and demands success; gives standard output.
pub fn tally(arguments: &[&str]) -> String {
    let (code, out, said) = run(arguments);
    assert_eq!(code, 0, "tally {}: {said}", arguments.join(" "));
    out
}

/// Runs the binary and demands a refusal with this reason code; gives its exit code.
pub fn refused(arguments: &[&str], reason: &str) -> i32 {
    let (code, out, said) = run(arguments);
    assert!(code != 0, "tally {} succeeded: {out}", arguments.join(" "));
    assert!(said.contains(&format!("({reason})")), "not {reason}: {said}");
    code
}

/// The folders of a network and its first wallet.
pub struct World {
    folder: PathBuf,
}

impl World {
    /// Of the network in `folder`.
    pub fn of(folder: &Path) -> World {
        World { folder: folder.to_owned() }
    }

    /// A path in the network's folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// Makes a wallet of the holder `demo`, certified, with these reserves.
    pub fn onboard(&self, reserves: &[&str]) {
        let (issuer, alice) = (self.path("issuer"), self.path("alice"));
        tally(&["issuer", "fund", "--data", &issuer, "--holder", "demo", "100.00"]);
        self.init("alice", "demo", "demo.password");
        let request = self.path("request.txt");
        tally(&["wallet", "provision", "--data", &alice, "--request", &request]);
        let code = self.approve(&request, &[]);
        tally(&["wallet", "provision", "--data", &alice, "--authorization-code", code.trim()]);
        self.reserve(reserves);
    }

    /// Makes a wallet of a holder.
    pub fn init(&self, wallet: &str, holder: &str, password: &str) {
        let (data, network) = (self.path(wallet), self.path("network.toml"));
        let password = self.path(password);
        tally(&[
            "wallet",
            "init",
            "--data",
            &data,
            "--network",
            &network,
            "--holder",
            holder,
            "--password-file",
            &password,
        ]);
    }

    /// Opens more reserves.
    pub fn reserve(&self, reserves: &[&str]) {
        let alice = self.path("alice");
        let mut arguments = vec!["wallet", "reserve", "--data", &alice];
        arguments.extend(reserves);
        tally(&arguments);
    }

    /// Decides a request as `demo`; gives the code.
    pub fn approve(&self, request: &str, more: &[&str]) -> String {
        let (network, password) = (self.path("network.toml"), self.path("demo.password"));
        let mut arguments = vec![
            "issuer",
            "approve",
            "--network",
            &network,
            "--holder",
            "demo",
            "--password-file",
            &password,
            "--request",
            request,
        ];
        arguments.extend(more);
        tally(&arguments)
    }

    /// A code of the wallet, with claims as `change` leaves them.
    pub fn code(&self, change: impl FnOnce(&mut PaymentClaims)) -> String {
        let mut wallet = Wallet::open(&self.folder.join("alice")).unwrap();
        let (id, life) = (source::random().unwrap(), DurationMs::seconds(60));
        let next =
            tallystick_wallet::payment_code::next(&wallet.state, id, None, life, source::now());
        let (state, mut claims) = next.unwrap();
        wallet.state = state;
        wallet.save().unwrap();
        change(&mut claims);
        let chain = wallet.state.chain[..1].to_vec();
        payment_code::make(&claims, &wallet.device_signer().unwrap(), Some(&chain)).unwrap()
    }

    /// The network's description.
    pub fn network(&self) -> NetworkFile {
        NetworkFile::read(&self.folder.join("network.toml")).unwrap()
    }

    /// All nodes, each by itself.
    pub fn each_node(&self) -> Vec<NodeClient> {
        let urls = self.network().description.nodes;
        urls.iter().map(|url| NodeClient::new(&[url]).unwrap()).collect()
    }

    /// The merchant, with the till's key.
    pub fn till(&self) -> MerchantClient {
        let url = self.network().description.merchant.unwrap();
        let key = std::fs::read_to_string(self.folder.join("merchant/till.key")).unwrap();
        MerchantClient(Client::new(&url).unwrap().with_token(key.trim()))
    }

    /// Charges a code and waits for the end.
    pub async fn charge(&self, code: &str, minor: u64) -> Charge {
        let till = self.till();
        let key = source::idempotency_key().unwrap();
        let charge = till.charge(&charge_request(code, minor), &key).await.unwrap();
        till.charge_status(&charge.id, DurationMs::seconds(30)).await.unwrap()
    }

    /// What the holder has, free and reserved, and what the merchant has.
    pub async fn money(&self) -> (u64, u64, u64) {
        let network = self.network();
        let nodes = network.nodes().unwrap();
        let account = Wallet::open(&self.folder.join("alice")).unwrap().state.account.unwrap();
        let holder = nodes.account(&account).await.unwrap().balances;
        let merchant = network.description.merchant_account.parse().unwrap();
        let merchant = nodes.account(&merchant).await.unwrap().balances;
        let free = holder.first().map_or(0, |balance| balance.free.minor());
        let reserved = holder.first().map_or(0, |balance| balance.reserved.minor());
        (free, reserved, merchant.first().map_or(0, |balance| balance.free.minor()))
    }
}

/// What a till sends.
pub fn charge_request(code: &str, minor: u64) -> ChargeRequest {
    ChargeRequest {
        code: code.to_owned(),
        currency: CurrencyCode::new("EUR").unwrap(),
        amount: Amount::new(minor).unwrap(),
        order: "table 4".to_owned(),
    }
}

/// A small network in a temporary folder, with a certified holder.
pub fn small(reserves: &[&str]) -> (tempfile::TempDir, Network, World) {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::up(folder.path(), &["--listen", "127.0.0.1:0", "--validators", "1"]);
    let world = World::of(folder.path());
    world.onboard(reserves);
    (folder, network, world)
}
