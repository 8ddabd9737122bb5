//! The HTTP server under every role, with handlers of the test's own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use tallystick_api::client::Repeat;
use tallystick_api::dpop::{self, Target};
use tallystick_api::operation::{Access, Operation};
use tallystick_api::{Client, ProofMaker};
use tallystick_kernel::{Digest, HolderId, Reason, TimeMs};
use tallystick_tally::http::api_keys::{self, ApiKeyEntry, ApiKeys};
use tallystick_tally::http::gate::{Later, ReplayWindow, Sessions, Subject};
use tallystick_tally::http::idempotency::{Answers, Begun, StoredAnswer, WriteKey};
use tallystick_tally::http::visitor::Visit;
use tallystick_tally::http::{Caller, Gate, JsonBody, Refusal, Routes, server};
use tallystick_tally::source;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::pages::cookies;

const HOLDER: HolderId = HolderId([9; 32]);

/// The memories of a role, kept only as long as the test.
#[derive(Default)]
struct Memory {
    spent: Mutex<Vec<String>>,
    answers: Mutex<HashMap<String, (Digest, Option<StoredAnswer>)>>,
}

impl Sessions for Memory {
    fn subject<'a>(&'a self, token: &'a str, _now: TimeMs) -> Later<'a, Result<Subject, Reason>> {
        let subject = match token {
            "session" => Ok(Subject::Holder(HOLDER)),
            "till-session" => Ok(Subject::Key("till".to_owned())),
            _ => Err(Reason::Unauthenticated),
        };
        Box::pin(async move { subject })
    }
}

impl ReplayWindow for Memory {
    fn spend<'a>(&'a self, id: &'a str, _until: TimeMs) -> Later<'a, Result<(), Reason>> {
        Box::pin(async move {
            let mut spent = self.spent.lock().unwrap();
            if spent.iter().any(|known| known == id) {
                return Err(Reason::CodeReplayed);
            }
            spent.push(id.to_owned());
            Ok(())
        })
    }
}

impl Answers for Memory {
    fn begin<'a>(
        &'a self,
        key: &'a WriteKey,
        fingerprint: Digest,
        _now: TimeMs,
    ) -> Later<'a, Result<Begun, Reason>> {
        Box::pin(async move {
            let mut answers = self.answers.lock().unwrap();
            match answers.get(&key.0) {
                None => {
                    answers.insert(key.0.clone(), (fingerprint, None));
                    Ok(Begun::First)
                }
                Some((first, _)) if *first != fingerprint => Err(Reason::IdempotencyKeyReused),
                Some((_, None)) => Err(Reason::InProgress),
                Some((_, Some(answer))) => Ok(Begun::Again(answer.clone())),
            }
        })
    }

    fn finish<'a>(
        &'a self,
        key: &'a WriteKey,
        answer: StoredAnswer,
    ) -> Later<'a, Result<(), Reason>> {
        Box::pin(async move {
            if let Some(entry) = self.answers.lock().unwrap().get_mut(&key.0) {
                entry.1 = Some(answer);
            }
            Ok(())
        })
    }

    fn abandon(&self, key: &WriteKey) {
        let mut answers = self.answers.lock().unwrap();
        if answers.get(&key.0).is_some_and(|(_, answer)| answer.is_none()) {
            answers.remove(&key.0);
        }
    }
}

type Counter = Arc<AtomicU64>;

async fn count(
    State(counter): State<Counter>,
    caller: Caller,
    JsonBody(body): JsonBody<Value>,
) -> Result<Json<Value>, Refusal> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    if body["fail"] == true {
        return Err(Reason::StorageFailed.into());
    }
    assert!(body["panic"] != true, "a handler that breaks");
    let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
    Ok(Json(json!({ "number": number, "key": caller.key_name })))
}

async fn whoami(caller: Caller) -> Json<Value> {
    let device = caller.device.map(|proof| tallystick_kernel::hex::encode(&proof.thumbprint));
    Json(json!({ "holder": caller.holder.map(|holder| holder.to_string()), "device": device }))
}

struct Server {
    url: String,
    address: SocketAddr,
    counter: Counter,
    key: String,
}

async fn server() -> Server {
    let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}");
    let key = api_keys::generate().unwrap().to_string();
    let memory = Arc::new(Memory::default());
    let entry = ApiKeyEntry {
        name: "till".to_owned(),
        scopes: vec!["count".to_owned()],
        digest: api_keys::digest(&key),
    };
    let gate = Gate {
        public_url: url.clone(),
        api_keys: ApiKeys::new(vec![entry]).unwrap(),
        sessions: Some(memory.clone()),
        replays: Some(memory.clone()),
        answers: Some(memory),
        ..Gate::default()
    };
    let counter = Counter::default();
    let get = |path, access| Operation::get("get", path, access, "Reads.");
    let post = |path, access| Operation::post("post", path, access, "Writes.");
    let guess = post("/guess", Access::Public).without_key().guess_limited();
    let short = post("/short", Access::Public).without_key().body_bytes_max(100);
    let form = post("/form", Access::VisitorScope("count")).page();
    let router = Routes::new(gate)
        .add(post("/count", Access::Scope("count")), count)
        .add(get("/other", Access::Scope("other")), whoami)
        .add(get("/session", Access::Session), whoami)
        .add(get("/device", Access::Device), whoami)
        .add(get("/both", Access::SessionAndDevice), whoami)
        .add(get("/page", Access::Visitor).page(), whoami)
        .add(form, whoami)
        .add(get("/panic", Access::Public), panics)
        .add(guess, async || Refusal::from(Reason::LoginWrong))
        .add(short, whoami)
        .into_router(counter.clone());
    tokio::spawn(server::serve(listener, router, core::future::pending()));
    Server { url, address, counter, key }
}

async fn panics() -> &'static str {
    panic!("a bug of ours")
}

async fn get(client: &Client, path: &str) -> Result<Value, Reason> {
    client.get(path).await.map_err(Reason::from)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_needs_a_key_that_has_it() {
    let server = server().await;
    let client = Client::new(&server.url).unwrap();
    assert_eq!(get(&client, "/other").await, Err(Reason::Unauthenticated));
    let wrong = client.clone().with_token("tlk_wrong");
    assert_eq!(get(&wrong, "/other").await, Err(Reason::Unauthenticated));
    let till = client.with_token(&server.key);
    assert_eq!(get(&till, "/other").await, Err(Reason::Forbidden));
    assert_eq!(get(&till, "/nowhere").await, Err(Reason::NotFound));
    assert_eq!(get(&till, "/count").await, Err(Reason::MethodNotAllowed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_needs_its_token() {
    let server = server().await;
    let client = Client::new(&server.url).unwrap();
    assert_eq!(get(&client, "/session").await, Err(Reason::Unauthenticated));
    let holder = get(&client.clone().with_token("session"), "/session").await.unwrap();
    assert_eq!(holder["holder"], HOLDER.to_string());
    assert_eq!(
        get(&client.with_token(&server.key), "/session").await,
        Err(Reason::Unauthenticated)
    );
}

struct Device {
    pair: EcdsaKeyPair,
    /// Keeps the first proof and sends it again.
    repeats: bool,
    made: Mutex<Option<String>>,
}

impl Device {
    fn new(repeats: bool) -> Arc<Device> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Arc::new(Device { pair, repeats, made: Mutex::default() })
    }
}

impl ProofMaker for Device {
    fn proof(&self, method: &str, url: &str, access_token: Option<&str>) -> Result<String, Reason> {
        let mut made = self.made.lock().unwrap();
        if let Some(proof) = made.as_ref().filter(|_| self.repeats) {
            return Ok(proof.clone());
        }
        let point = self.pair.public_key().as_ref().try_into().unwrap();
        let target = Target { method, url, access_token };
        let jti = source::idempotency_key()?;
        let proof = dpop::make(&point, target, &jti, source::now(), |input| {
            let signature = self.pair.sign(&SystemRandom::new(), input).unwrap();
            Ok(signature.as_ref().try_into().unwrap())
        })?;
        *made = Some(proof.clone());
        Ok(proof)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_proves_its_key_anew_for_each_request() {
    let server = server().await;
    let client = Client::new(&server.url).unwrap();
    assert_eq!(get(&client, "/device").await, Err(Reason::ProofOfPossession));
    let honest = client.clone().with_proof_maker(Device::new(false));
    let first = get(&honest, "/device").await.unwrap();
    assert_eq!(get(&honest, "/device").await.unwrap(), first);
    let replaying = client.clone().with_proof_maker(Device::new(true));
    assert!(get(&replaying, "/device").await.is_ok());
    assert_eq!(get(&replaying, "/device").await, Err(Reason::ProofOfPossession));
    assert_eq!(get(&honest, "/both").await, Err(Reason::Unauthenticated));
    let both = honest.with_token("session");
    assert_eq!(get(&both, "/both").await.unwrap()["holder"], HOLDER.to_string());
    // A token without a proof is of no use where a device is asked for.
    assert_eq!(get(&client.with_token("session"), "/both").await, Err(Reason::Unauthenticated));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_sent_again_gets_its_first_answer_again() {
    let server = server().await;
    let client = Client::new(&server.url).unwrap().with_token(&server.key);
    let post = async |body: Value, key: &str| -> Result<Value, Reason> {
        client.post("/count", &body, Repeat::Key(key)).await.map_err(Reason::from)
    };
    let first = post(json!({ "a": 1 }), "one").await.unwrap();
    assert_eq!(first, json!({ "number": 1, "key": "till" }));
    assert_eq!(post(json!({ "a": 1 }), "one").await, Ok(first));
    assert_eq!(post(json!({ "a": 2 }), "one").await, Err(Reason::IdempotencyKeyReused));
    assert_eq!(post(json!({ "a": 1 }), "two").await.unwrap()["number"], 2);
    // A failure of ours is not remembered.
    assert_eq!(post(json!({ "fail": true }), "three").await, Err(Reason::StorageFailed));
    assert_eq!(post(json!({ "a": 3 }), "three").await.unwrap()["number"], 3);
    // Nor does one that broke keep its key.
    for _ in 0..2 {
        assert_eq!(post(json!({ "panic": true }), "four").await, Err(Reason::Internal));
    }
    assert_eq!(post(json!({ "a": 4 }), "four").await.unwrap()["number"], 4);
    let keyless: Result<Value, _> = client.post("/count", &json!({}), Repeat::Never).await;
    assert_eq!(keyless.unwrap_err().reason, Reason::IdempotencyKeyMissing);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_with_one_key_are_done_once() {
    let server = server().await;
    let client = Client::new(&server.url).unwrap().with_token(&server.key);
    let calls = (0..8).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let answer: Result<Value, _> =
                client.post("/count", &json!({}), Repeat::Key("same")).await;
            answer.unwrap()
        })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap()["number"], 1);
    }
    assert_eq!(server.counter.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_client_goes_away_is_carried_through() {
    let server = server().await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = "POST /count HTTP/1.1\r\nHost: x\r\nIdempotency-Key: gone\r\nContent-Length: 2\r\n";
    let request = format!("{head}Authorization: Bearer {}\r\n\r\n{{}}", server.key);
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(stream);
    let client = Client::new(&server.url).unwrap().with_token(&server.key);
    let again: Value = client.post("/count", &json!({}), Repeat::Key("gone")).await.unwrap();
    assert_eq!(again["number"], 1);
    assert_eq!(server.counter.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_eleventh_wrong_guess_of_an_address_is_refused() {
    let server = server().await;
    let client = Client::new(&server.url).unwrap();
    let guess = async || -> Reason {
        let answer: Result<Value, _> = client.post("/guess", &json!({}), Repeat::Never).await;
        answer.unwrap_err().reason
    };
    for _ in 0..10 {
        assert_eq!(guess().await, Reason::LoginWrong);
    }
    assert_eq!(guess().await, Reason::RateLimited);
}

async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_a_long_body_and_a_bad_one_become_problems_with_a_request_id() {
    let server = server().await;
    let head = "HTTP/1.1\r\nHost: x\r\nConnection: close";
    let panicked = raw(server.address, &format!("GET /panic {head}\r\n\r\n")).await;
    assert!(panicked.starts_with("HTTP/1.1 500"), "{panicked}");
    assert!(panicked.contains("application/problem+json"));
    assert!(panicked.contains("\"code\":\"internal\"") && !panicked.contains("a bug of ours"));
    let (_, id) = panicked.split_once("x-request-id: ").unwrap();
    let id = id.split_whitespace().next().unwrap();
    assert!(panicked.contains(&format!("\"request_id\":\"{id}\"")), "{panicked}");

    let long = format!("POST /short {head}\r\nContent-Length: 101\r\n\r\n{}", "x".repeat(101));
    let refused = raw(server.address, &long).await;
    assert!(refused.contains("\"code\":\"too_large\""), "{refused}");
    let key = format!("Authorization: Bearer {}\r\nIdempotency-Key: k", server.key);
    let bad = format!("POST /count {head}\r\n{key}\r\nContent-Length: 1\r\n\r\n{{");
    let refused = raw(server.address, &bad).await;
    assert!(refused.contains("\"code\":\"body_malformed\""), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_comes_with_a_cookie_and_writes_with_the_token_of_the_form() {
    let server = server().await;
    let head = "HTTP/1.1\r\nHost: x\r\nConnection: close";
    let get = async |cookie: &str| {
        raw(server.address, &format!("GET /page {head}\r\nCookie: {cookie}\r\n\r\n")).await
    };
    let of = |token: &str| cookies(&server.url, token);
    let strangers = get(&of("unknown")).await;
    assert!(strangers.starts_with("HTTP/1.1 303") && strangers.contains("location: /\r\n"));
    assert!(get(&of("till-session")).await.starts_with("HTTP/1.1 303"));
    assert!(get(&format!("a=b; {}", of("session"))).await.contains(&HOLDER.to_string()));
    let post = async |cookie: &str, headers: &str, body: &str| {
        let length = body.len();
        let cookie = format!("Cookie: {}", of(cookie));
        let request = format!(
            "POST /form {head}\r\n{cookie}{headers}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        raw(server.address, &request).await
    };
    let form = format!("form_token={}", Visit::of("till-session").form_token());
    let foreign = format!("form_token={}", Visit::of("session").form_token());
    assert!(post("till-session", "", &form).await.starts_with("HTTP/1.1 200"));
    assert!(post("till-session", "", "").await.starts_with("HTTP/1.1 403"));
    assert!(post("till-session", "", &foreign).await.starts_with("HTTP/1.1 403"));
    let other_site = "\r\nSec-Fetch-Site: cross-site";
    assert!(post("till-session", other_site, &form).await.starts_with("HTTP/1.1 403"));
    assert!(post("session", "", &foreign).await.starts_with("HTTP/1.1 303"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_says_where_the_caller_stands_in_its_window() {
    let server = server().await;
    let head = "HTTP/1.1\r\nHost: x\r\nConnection: close";
    let public = raw(server.address, &format!("GET /livez {head}\r\n\r\n")).await;
    for header in ["ratelimit-limit: 2000", "ratelimit-remaining: 1999", "ratelimit-reset: 1"] {
        assert!(public.contains(header), "{public}");
    }
    let mut last = String::new();
    for _ in 0..11 {
        let guess = format!("POST /guess {head}\r\nContent-Length: 0\r\n\r\n");
        last = raw(server.address, &guess).await;
    }
    assert!(last.starts_with("HTTP/1.1 429"), "{last}");
    assert!(last.contains("ratelimit-limit: 10\r\n") && last.contains("ratelimit-remaining: 0"));
    let (_, after) = last.split_once("retry-after: ").unwrap();
    let seconds: u64 = after.split_whitespace().next().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{last}");
}
