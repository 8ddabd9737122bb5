//! Server-sent events: live, and gone on with after a break.

use serde_json::Value;
use tallystick_api::Client;
use tallystick_api::issuer::{IssuerClient, SessionRequest};

use crate::world::{World, small};

/// An open stream of events.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(url: &str, token: Option<&str>, last: Option<&str>) -> Events {
        let mut request = reqwest::Client::new().get(url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { response, text: String::new() }
    }

    /// The next event: its id and its data.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
                };
                let found = field("id:").zip(field("data:"));
                let found = found.map(|(id, data)| (id.to_owned(), data.to_owned()));
                self.text = rest.to_owned();
                match found {
                    Some((id, data)) => return (id, serde_json::from_str(&data).unwrap()),
                    // A comment keeps the connection alive.
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.unwrap();
            self.text.push_str(core::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
        }
    }
}

/// Nothing here takes this long but when it is broken.
const PATIENCE: core::time::Duration = core::time::Duration::from_secs(60);

async fn session(world: &World, issuer: &str) -> String {
    let password = std::fs::read_to_string(world.path("demo.password")).unwrap();
    let login = SessionRequest { name: "demo".to_owned(), password: password.trim().to_owned() };
    IssuerClient(Client::new(issuer).unwrap()).login(&login).await.unwrap().token
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_seen_live_by_holder_till_and_node_and_again_after_a_break() {
    let (_folder, network, world) = small(&["5.00", "5.00"]);
    let address = |role: &str| format!("http://{}", network.address(role));
    let token = session(&world, &address("issuer")).await;
    let till = std::fs::read_to_string(world.path("merchant/till.key")).unwrap();
    let holder_url = format!("{}/v1/holders/me/events", address("issuer"));
    let till_url = format!("{}/v1/charges/events", address("merchant"));
    let node_url = format!("{}/v1/events", address("node-0"));
    let mut holder = Events::open(&holder_url, Some(&token), None).await;
    let mut tills = Events::open(&till_url, Some(till.trim()), None).await;
    let mut blocks = Events::open(&node_url, None, None).await;

    let charge = world.charge(&world.code(|_| {}), 300).await;
    let transaction = charge.transaction.unwrap().to_string();
    let (first, paid) = holder.next().await;
    assert_eq!(paid["authorization"]["transaction"], transaction);
    let mut last = paid;
    while last["authorization"]["state"] != "settled" {
        last = holder.next().await.1;
    }
    let mut seen = tills.next().await.1;
    assert_eq!(seen["id"], charge.id);
    while seen["state"] != "settled" {
        seen = tills.next().await.1;
    }
    let (mut height, block) = blocks.next().await;
    let mut block = block;
    while block["transactions"].as_array().unwrap().iter().all(|one| one["id"] != transaction) {
        let (next, later) = blocks.next().await;
        assert_eq!(next.parse::<u64>().unwrap(), height.parse::<u64>().unwrap() + 1);
        (height, block) = (next, later);
    }

    // Whoever comes back with what it saw last is told what it missed, and nothing twice.
    let before: u64 = height.parse::<u64>().unwrap() - 1;
    let mut again = Events::open(&node_url, None, Some(&before.to_string())).await;
    assert_eq!(again.next().await, (height, block));
    let mut again = Events::open(&holder_url, Some(&token), Some(&first)).await;
    let (later, paid) = again.next().await;
    assert!(later.parse::<u64>().unwrap() > first.parse::<u64>().unwrap());
    assert_eq!(paid["authorization"]["state"], "settled");
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_listed_from_the_latest_to_the_first_without_a_gap() {
    let (_folder, network, _world) = small(&["5.00"]);
    let client = Client::new(&format!("http://{}", network.address("node-0"))).unwrap();
    let mut heights: Vec<u64> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page: Value = client.get(&format!("/v1/blocks{cursor}")).await.unwrap();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 32);
        heights.extend(items.iter().map(|block| block["height"].as_u64().unwrap()));
        assert!(page.as_object().unwrap().contains_key("next"));
        match page["next"].as_str() {
            Some(next) => cursor = format!("?cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<u64> = (1..=heights[0]).rev().collect();
    assert_eq!(heights, expected);
    let refused = client.get::<Value>("/v1/blocks?cursor=!").await.unwrap_err();
    assert_eq!(refused.problem.unwrap().field.as_deref(), Some("cursor"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_session_that_opened_it() {
    let world = crate::pages::World::new();
    let key = format!("key={}", world.file("merchant/till.key"));
    let (cookie, token) = world.log_in("merchant", "/login", key).await;
    let mut stream = world.get("merchant", "/till/events", &cookie).await;
    assert_eq!(stream.status(), 200);
    let left = world.post("merchant", "/logout", &cookie, format!("form_token={token}")).await;
    assert_eq!(left.status(), 303);
    let end = async { while stream.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(PATIENCE, end).await.expect("the stream has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_its_share_of_streams_and_the_node_goes_on_answering() {
    let (_folder, network, _world) = small(&["5.00"]);
    let address = format!("http://{}", network.address("node-0"));
    let http = reqwest::Client::new();
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        let request = http.get(format!("{address}/v1/events")).header("Last-Event-ID", "0");
        let answer = request.send().await.unwrap();
        match answer.status().as_u16() {
            200 => open.push(answer),
            429 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((open.len(), refused), (32, 8));
    let alive = http.get(format!("{address}/livez")).send().await.unwrap();
    assert_eq!(alive.status(), 200);
}
