//! A node's HTTP interface, with real money: minted, paid, proven.

use tallystick_api::NodeClient;
use tallystick_api::node::{Reception, TransactionState};
use tallystick_crypto::SigningKey;
use tallystick_crypto::key_store::{KeyPurpose, StoredSigner};
use tallystick_kernel::limits::GENESIS_BYTES_MAX;
use tallystick_kernel::{
    AccountId, Amount, Codec as _, CurrencyCode, DurationMs, Reason, Reference, Salt, Writer,
};
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::owners::Owners;
use tallystick_proofs::transaction::{Body, Transaction, Witness, account_id};
use tallystick_tally::key_file::KeyFile;
use tallystick_tally::machine_key::MachineKey;
use tallystick_tally::source;

use crate::network::{Network, run};

struct World {
    folder: tempfile::TempDir,
    _network: Network,
    client: NodeClient,
    genesis: Genesis,
    euro: CurrencyCode,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let network = Network::up(folder.path(), &["--listen", "127.0.0.1:0", "--validators", "1"]);
        let client = NodeClient::new(&[format!("http://{}", network.address("node-0"))]).unwrap();
        let bytes = std::fs::read(folder.path().join("genesis.tally")).unwrap();
        assert!(bytes.len() < GENESIS_BYTES_MAX);
        let genesis = Genesis::read(&bytes).unwrap();
        let euro = CurrencyCode::new("EUR").unwrap();
        World { folder, _network: network, client, genesis, euro }
    }

    fn body(&self, account: AccountId, action: Action) -> Body {
        Body {
            network: self.genesis.network(),
            account,
            salt: Salt(source::random().unwrap()),
            valid_until: source::now().after(DurationMs::minutes(2)),
            action,
        }
    }

    fn bank(&self) -> AccountId {
        self.genesis.authority(&self.euro).unwrap()
    }

    /// Signs with the bank's key as it lies in the issuer's key store.
    fn by_bank(&self, action: Action) -> Transaction {
        let machine_key = MachineKey::read(&self.folder.path().join("machine.key")).unwrap();
        let keys = KeyFile::open(&self.folder.path().join("issuer"), &machine_key).unwrap();
        let body = self.body(self.bank(), action);
        let signer = StoredSigner::new(keys.store(), "account", KeyPurpose::Account).unwrap();
        let signed = tallystick_crypto::key_store::Signer::sign(&signer, &body.id().0).unwrap();
        let key = tallystick_crypto::key_store::Signer::public_key(&signer);
        Transaction { body, witness: Witness(vec![(key, signed)]) }
    }

    async fn submit(&self, transaction: &Transaction) -> tallystick_api::node::Submission {
        let answer = self.client.submit(vec![transaction.to_bytes()]).await.unwrap();
        answer.submissions.into_iter().next().unwrap()
    }

    /// Submits and waits for the end; gives whether it succeeded and why not.
    async fn settle(&self, transaction: &Transaction) -> (bool, Option<String>) {
        let received = self.submit(transaction).await;
        assert_eq!(received.outcome, Reception::Acknowledged, "{received:?}");
        let status =
            self.client.wait_final(&transaction.id(), DurationMs::seconds(30)).await.unwrap();
        assert_eq!(status.state, TransactionState::Final, "{status:?}");
        let result = status.result.unwrap();
        (result.success, result.code)
    }
}

fn line(payee: AccountId, minor: u64, reference: Option<Reference>) -> Line {
    Line { payee, amount: Amount::new(minor).unwrap(), reference }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_minted_paid_found_by_its_reference_and_proven_offline() {
    let world = World::new();
    let alice = SigningKey::ed25519_from_seed(&[5; 32]);
    let opening = Action::AccountOpen { owners: Owners::single(alice.public_key()) };
    let opening = world.body(AccountId::NONE, opening).sign(&[&alice]);
    assert_eq!(world.settle(&opening).await, (true, None));
    let account = account_id(&opening.id());
    let currency = world.euro;
    let amount = Amount::new(10_000).unwrap();
    let mint = Action::Mint { currency, payee: account, amount, reference: None };
    assert_eq!(world.settle(&world.by_bank(mint)).await, (true, None));

    let reference = Reference([7; 32]);
    let lines = vec![line(world.bank(), 1230, Some(reference))];
    let payment = world.body(account, Action::Transfer { currency, lines }).sign(&[&alice]);
    assert_eq!(world.settle(&payment).await, (true, None));
    let shown = world.client.account(&account).await.unwrap();
    assert_eq!(shown.balances[0].free, Amount::new(8770).unwrap());
    assert_eq!(world.client.currency(&currency).await.unwrap().supply, amount);
    let found = world.client.by_reference(&world.bank(), &reference).await.unwrap();
    assert_eq!(found.transactions, [payment.id()]);
    let again = world.submit(&payment).await;
    assert_eq!(again.outcome, Reception::FirstAnswer);
    assert!(again.status.unwrap().result.unwrap().success);

    let receipt = world.folder.path().join("receipt.tally");
    let bytes = world.client.receipt(&payment.id()).await.unwrap();
    std::fs::write(&receipt, &bytes).unwrap();
    let genesis = world.folder.path().join("genesis.tally");
    let verify = |file: &std::path::Path| {
        let (file, genesis) = (file.to_str().unwrap(), genesis.to_str().unwrap());
        run(&["receipt", "verify", file, "--genesis", genesis, "--output", "json"])
    };
    let (code, shown, _) = verify(&receipt);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, &shown["paid"]), (0, &serde_json::Value::Bool(true)));
    assert_eq!(shown["id"], payment.id().to_string());
    assert_eq!(shown["lines"][0]["shown"], "12.30 EUR");
    assert_eq!(shown["lines"][0]["reference"], reference.to_string());
    let mut altered = bytes;
    let place = altered.len() / 2;
    altered[place] ^= 1;
    std::fs::write(&receipt, altered).unwrap();
    assert_eq!(verify(&receipt).0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_fails_has_a_receipt_that_is_no_payment() {
    let world = World::new();
    let lines = vec![line(world.bank(), 1, None)];
    let currency = world.euro;
    let transfer = world.by_bank(Action::Transfer { currency, lines });
    let received = world.submit(&transfer).await;
    // Refused at the door, or ordered and then failed: never paid.
    if received.outcome == Reception::Refused {
        assert_eq!(received.problem.unwrap().reason(), Reason::InsufficientFunds);
        return;
    }
    let id = transfer.id();
    world.client.wait_final(&id, DurationMs::seconds(30)).await.unwrap();
    let receipt = world.folder.path().join("receipt.tally");
    std::fs::write(&receipt, world.client.receipt(&id).await.unwrap()).unwrap();
    let genesis = world.folder.path().join("genesis.tally");
    let (code, _, said) = run(&[
        "receipt",
        "verify",
        receipt.to_str().unwrap(),
        "--genesis",
        genesis.to_str().unwrap(),
    ]);
    assert_eq!(code, 1);
    assert!(said.contains("not_paid"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_readable_is_refused_with_its_reason() {
    let world = World::new();
    let stranger = AccountId([1; 32]);
    let account = world.client.account(&stranger).await.unwrap_err();
    assert_eq!(account.reason, Reason::AccountUnknown);
    let block = world.client.block(1 << 40).await.unwrap_err();
    assert_eq!(block.reason, Reason::NotFound);
    let lines = vec![line(world.bank(), 1, None)];
    let transfer = world.by_bank(Action::Transfer { currency: world.euro, lines });
    let unknown = world.client.transaction(&transfer.id()).await.unwrap();
    assert_eq!(unknown.state, TransactionState::Unknown);
    assert_eq!(world.client.receipt(&transfer.id()).await.unwrap_err().reason, Reason::NotFound);

    let mut unsigned = transfer.clone();
    unsigned.witness = Witness(Vec::new());
    let mut foreign = transfer;
    foreign.body.network.0[0] ^= 1;
    let wanted = [(unsigned, Reason::SignatureMissing), (foreign, Reason::WrongNetwork)];
    for (transaction, reason) in wanted {
        let received = world.submit(&transaction).await;
        assert_eq!(received.outcome, Reception::Refused);
        assert_eq!(received.problem.unwrap().reason(), reason);
    }
    let none = world.client.submit(Vec::new()).await.unwrap_err();
    assert_eq!(none.reason, Reason::ListEmpty);
    let garbage = world.client.submit(vec![vec![1, 2, 3]]).await.unwrap();
    assert_eq!(garbage.submissions[0].outcome, Reception::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_may_be_cbor_and_must_be_whole() {
    let world = World::new();
    let lines = vec![line(world.bank(), 1, None)];
    let transfer = world.by_bank(Action::Transfer { currency: world.euro, lines }).to_bytes();
    let mut out = Writer::new();
    out.array(2).bytes(&transfer).bytes(&[0xff]);
    let mut batch = out.finish();
    let url = format!("http://{}/v1/transactions", world._network.address("node-0"));
    let post = async |body: Vec<u8>| -> serde_json::Value {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let request = client.post(&url).header("Content-Type", "application/cbor").body(body);
        serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap()
    };
    let answer = post(batch.clone()).await;
    let submissions = answer["submissions"].as_array().unwrap();
    assert_eq!(submissions.len(), 2);
    assert_eq!(submissions[1]["outcome"], "refused");
    batch.push(0);
    assert_eq!(post(batch).await["code"], "trailing_bytes");
}
