//! Writes that are sent again: at once, by many, and within one bulk write.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tallystick_api::Client;
use tallystick_api::batch::{BatchAnswer, BatchItem, BatchRequest};
use tallystick_api::client::Repeat;
use tallystick_api::issuer::{Funding, FundingRequest};
use tallystick_kernel::{Amount, CurrencyCode};

use crate::network::Network;
use crate::world::World;

const REQUESTS: usize = 1000;
const KEYS: usize = 50;
/// Connections at once.
const AT_ONCE: usize = 100;

fn funding(minor: u64) -> FundingRequest {
    FundingRequest {
        holder: Some("demo".to_owned()),
        account: None,
        currency: CurrencyCode::new("EUR").unwrap(),
        amount: Amount::new(minor).unwrap(),
    }
}

/// A network of one with the key of its operator; rates do not end a storm early.
fn begin(folder: &std::path::Path) -> (Network, String, String) {
    let network = Network::up(folder, &["--listen", "127.0.0.1:0", "--validators", "1"]);
    let world = World::of(folder);
    let key = std::fs::read_to_string(world.path("issuer/operator.key")).unwrap();
    let url = format!("http://{}", network.address("issuer"));
    (network, url, key.trim().to_owned())
}

/// Sends one request until it is not turned away for its rate: status, whether it was a hit, body.
async fn post(http: &reqwest::Client, url: &str, key: &str, body: &Value) -> (u16, bool, String) {
    loop {
        let request =
            http.post(format!("{url}/v1/fundings")).bearer_auth(key.split('|').next().unwrap());
        let request = request.header("Idempotency-Key", key.split('|').nth(1).unwrap());
        let answer = request.body(body.to_string()).send().await.unwrap();
        if answer.status() == 429 {
            assert!(answer.headers().contains_key("retry-after"));
            assert_eq!(answer.headers()["ratelimit-remaining"], "0");
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            continue;
        }
        let hit = answer.headers().get("Idempotency-Hit").is_some();
        return (answer.status().as_u16(), hit, answer.text().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_with_fifty_keys_are_fifty_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (_network, url, operator) = begin(folder.path());
    let (http, semaphore) =
        (reqwest::Client::new(), std::sync::Arc::new(tokio::sync::Semaphore::new(AT_ONCE)));
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..REQUESTS {
        let (http, url, semaphore) = (http.clone(), url.clone(), semaphore.clone());
        let key = format!("{operator}|storm-{}", index % KEYS);
        // One request in twenty comes with another body under a key that is in use.
        let other = index % 20 == 19 && index >= KEYS;
        let minor = if other { 7_000 } else { 100 + (index % KEYS) as u64 };
        let body = json!({ "holder": "demo", "currency": "EUR", "amount": minor.to_string() });
        calls.spawn(async move {
            let _permit = semaphore.acquire_owned().await.unwrap();
            (index % KEYS, other, post(&http, &url, &key, &body).await)
        });
    }
    let mut first: BTreeMap<usize, String> = BTreeMap::new();
    let mut not_hits: BTreeMap<usize, u32> = BTreeMap::new();
    while let Some(call) = calls.join_next().await {
        let (key, other, (status, hit, text)) = call.unwrap();
        if other {
            // Whoever of the two bodies came first has the key.
            assert!(status == 422 || status == 200, "{status} {text}");
            if status == 422 {
                assert!(text.contains("idempotency_key_reused"), "{text}");
                continue;
            }
        }
        if status == 422 {
            continue;
        }
        assert_eq!(status, 200, "{text}");
        *not_hits.entry(key).or_default() += u32::from(!hit);
        let known = first.entry(key).or_insert_with(|| text.clone());
        assert_eq!(*known, text, "two answers to one key");
    }
    assert_eq!(first.len(), KEYS);
    assert!(not_hits.values().all(|count| *count == 1), "{not_hits:?}");

    // What the issuer holds is what it answered: page by page, each of them once.
    let client = Client::new(&url).unwrap().with_token(&operator);
    let mut listed = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page: Value = client.get(&format!("/v1/fundings{cursor}")).await.unwrap();
        for item in page["items"].as_array().unwrap() {
            assert!(listed.insert(item["id"].as_str().unwrap().to_owned()), "listed twice");
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("?cursor={next}"),
            None => break,
        }
    }
    assert_eq!(listed.len(), KEYS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_write_answers_each_item_and_does_the_same_item_once() {
    let folder = tempfile::tempdir().unwrap();
    let (_network, url, operator) = begin(folder.path());
    let client = Client::new(&url).unwrap().with_token(&operator);
    let item = |key: &str, minor| BatchItem { key: key.to_owned(), body: funding(minor) };
    let unknown = FundingRequest { holder: Some("nobody".to_owned()), ..funding(5) };
    let batch = BatchRequest {
        items: vec![
            item("one", 100),
            item("two", 200),
            item("one", 100),
            item("two", 999),
            BatchItem { key: "three".to_owned(), body: unknown },
            item("", 100),
        ],
    };
    let send = async |batch: &BatchRequest<FundingRequest>| -> BatchAnswer<Funding> {
        client.post("/v1/fundings/batch", batch, Repeat::Never).await.unwrap()
    };
    let answer = send(&batch).await;
    let statuses: Vec<u16> = answer.items.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [200, 200, 200, 422, 404, 400]);
    let id = |index: usize| answer.items[index].body.as_ref().unwrap().id.clone();
    assert_eq!(id(0), id(2));
    assert!(id(0) != id(1));
    let hits: Vec<bool> = answer.items.iter().map(|one| one.idempotency_hit).collect();
    // Of the two that are the same one was done and the other one is its answer again.
    assert_eq!(hits.iter().filter(|hit| **hit).count(), 1);
    assert!(hits[0] != hits[2]);
    let code = |index: usize| answer.items[index].problem.as_ref().unwrap().code.clone();
    assert_eq!(code(3), "idempotency_key_reused");
    assert_eq!(code(4), "holder_unknown");
    assert_eq!(code(5), "idempotency_key_missing");

    let again = send(&batch).await;
    assert!(again.items[0].idempotency_hit && again.items[1].idempotency_hit);
    assert_eq!(again.items[0].body.as_ref().unwrap().id, id(0));
    // The same key with the single write is the same write.
    let single: Funding =
        client.post("/v1/fundings", &funding(100), Repeat::Key("one")).await.unwrap();
    assert_eq!(single.id, id(0));
    let other = client.post::<_, Value>("/v1/fundings", &funding(7), Repeat::Key("two")).await;
    assert_eq!(other.unwrap_err().reason.code(), "idempotency_key_reused");
    let empty = BatchRequest::<FundingRequest> { items: Vec::new() };
    let refused = client.post::<_, Value>("/v1/fundings/batch", &empty, Repeat::Never).await;
    assert_eq!(refused.unwrap_err().reason.code(), "list_empty");
}

#[tokio::test]
async fn a_body_that_could_not_be_read_does_not_bind_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let (_network, url, operator) = begin(folder.path());
    let http = reqwest::Client::new();
    let key = format!("{operator}|corrected");
    let good = json!({ "holder": "demo", "currency": "EUR", "amount": "100" });
    let mut bad = good.clone();
    bad["amout"] = json!("100");
    for body in [&json!("not an object"), &bad] {
        let (status, hit, text) = post(&http, &url, &key, body).await;
        assert_eq!((status, hit), (400, false), "{text}");
        assert!(!text.contains("at line"), "{text}");
    }
    let (status, hit, text) = post(&http, &url, &key, &good).await;
    assert_eq!((status, hit), (200, false), "{text}");
    // What was read and refused stays bound.
    let key = format!("{operator}|refused");
    let unknown = json!({ "holder": "nobody", "currency": "EUR", "amount": "100" });
    assert_eq!(post(&http, &url, &key, &unknown).await.0, 404);
    let (status, _, text) = post(&http, &url, &key, &good).await;
    assert!(status == 422 && text.contains("idempotency_key_reused"), "{status} {text}");
}

#[tokio::test]
async fn money_that_there_could_never_be_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (_network, url, operator) = begin(folder.path());
    let http = reqwest::Client::new();
    let (half, key) = ("4611686018427387904", |name: &str| format!("{operator}|{name}"));
    let account = World::of(folder.path()).network().description.merchant_account;
    let body = json!({ "account": account, "currency": "EUR", "amount": half });
    let (status, _, text) = post(&http, &url, &key("first"), &body).await;
    assert_eq!(status, 200, "{text}");
    let made: Value = serde_json::from_str(&text).unwrap();
    let at = format!("{url}/v1/fundings/{}?wait=final", made["id"].as_str().unwrap());
    let ended = http.get(at).bearer_auth(&operator).send().await.unwrap().text().await.unwrap();
    assert!(ended.contains("settled"), "{ended}");
    let (status, _, text) = post(&http, &url, &key("second"), &body).await;
    assert!(status >= 400 && text.contains("supply_exceeded"), "{status} {text}");
    assert!(text.contains("in circulation"), "{text}");
}

#[tokio::test]
async fn cursors_and_parameters_that_were_never_given_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (network, url, operator) = begin(folder.path());
    let till = std::fs::read_to_string(folder.path().join("merchant/till.key")).unwrap();
    let merchant = format!("http://{}", network.address("merchant"));
    let http = reqwest::Client::new();
    for (address, key) in [
        (format!("{merchant}/v1/charges"), till.trim()),
        (format!("{url}/v1/fundings"), operator.as_str()),
        (format!("{url}/v1/holders"), operator.as_str()),
        (format!("{url}/v1/audit"), operator.as_str()),
    ] {
        for query in ["cursor=foo", "cursor=", "cursor=AAAA", "curser=x", "limit=3"] {
            let request = http.get(format!("{address}?{query}")).bearer_auth(key);
            let answer = request.send().await.unwrap();
            let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            assert!(status == 400 && text.contains("field_invalid"), "{address} {query}: {text}");
        }
        let answer = http.get(&address).bearer_auth(key).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{address}");
    }
}
