//! What a network says of itself: metrics, traces, the level of its log.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use reqwest::StatusCode;
use serde_json::json;
use tallystick_tally::metrics::OPENMETRICS;
use tallystick_tally::metrics::described::{ALL, Described, Kind};

use crate::collector::{Collected, Collector};
use crate::network::{Network, wait};
use crate::world::{World, small};

const ROLES: [(&str, &str); 4] = [
    ("node-0", "node"),
    ("issuer", "issuer"),
    ("provisioner", "provisioner"),
    ("merchant", "merchant"),
];

fn key(world: &World, file: &str) -> String {
    std::fs::read_to_string(world.path(file)).unwrap().trim().to_owned()
}

async fn metrics(world: &World, network: &Network, role: &str) -> String {
    let url = format!("http://{}/metrics", network.address(role));
    let request = reqwest::Client::new().get(url).bearer_auth(key(world, "monitor.key"));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], OPENMETRICS);
    answer.text().await.unwrap()
}

/// The value of one line.
fn value(text: &str, line: &str) -> f64 {
    let found = text.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {line} in {text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_shows_exactly_the_metrics_that_are_documented_for_it() {
    let (_folder, network, world) = small(&["5.00"]);
    // What was never counted has no line.
    world.charge(&world.code(|_| {}), 300).await;
    for (process, role) in ROLES {
        let text = metrics(&world, &network, process).await;
        let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let shown: BTreeSet<String> = families.map(str::to_owned).collect();
        let of_role = |one: &&Described| one.roles.is_empty() || one.roles.contains(&role);
        let documented: BTreeSet<String> = ALL
            .iter()
            .filter(of_role)
            .map(|one| format!("{} {}", one.name.trim_end_matches("_total"), kind(one.kind)))
            .collect();
        assert_eq!(shown, documented, "{role}");
        assert!(text.ends_with("# EOF\n"));
        assert!(value(&text, "process_resident_memory_bytes") > 1e6, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_moves_the_counters_of_those_who_take_part() {
    let (_folder, network, world) = small(&["5.00"]);
    let height = "tally_block_height";
    let before = metrics(&world, &network, "node-0").await;
    let charge = world.charge(&world.code(|_| {}), 300).await;
    assert!(charge.transaction.is_some());
    let merchant = metrics(&world, &network, "merchant").await;
    assert_eq!(value(&merchant, "tally_charges_total{outcome=\"settled\"}"), 1.0);
    assert_eq!(value(&merchant, "tally_charge_duration_seconds_count"), 1.0);
    let served = "tally_http_requests_total{operation=\"charge\",status=\"200\"}";
    assert_eq!(value(&merchant, served), 1.0);
    let issuer = metrics(&world, &network, "issuer").await;
    assert_eq!(value(&issuer, "tally_authorizations_total{outcome=\"settled\"}"), 1.0);
    assert_eq!(value(&issuer, "tally_fundings_total{outcome=\"settled\"}"), 1.0);
    let node = metrics(&world, &network, "node-0").await;
    assert!(value(&node, height) > value(&before, height));
    assert_eq!(value(&node, "tally_transactions_submitted_total{outcome=\"taken\"}"), 4.0);
}

/// `TALLYSTICK_WRITE=1 cargo nextest run -p tallystick-tally metrics` writes it.
#[test]
fn the_documentation_of_the_metrics_is_the_list_that_they_are_registered_from() {
    let mut rows = String::new();
    for one in ALL {
        let labels = one.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>();
        let roles = if one.roles.is_empty() { "all".to_owned() } else { one.roles.join(", ") };
        let (name, kind, labels, says) = (one.name, kind(one.kind), labels.join(", "), one.says);
        writeln!(rows, "| `{name}` | {kind} | {labels} | {roles} | {says} |").unwrap();
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let committed = std::fs::read_to_string(&path).unwrap();
    let head = "| --- | --- | --- | --- | --- |\n";
    let (before, after) = committed.split_once(head).unwrap();
    let (_, rest) = after.split_once("\n## ").unwrap();
    let made = format!("{before}{head}{rows}\n## {rest}");
    if std::env::var_os("TALLYSTICK_WRITE").is_some() {
        return std::fs::write(&path, &made).unwrap();
    }
    assert!(committed == made, "docs/metrics.md is stale: TALLYSTICK_WRITE=1");
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_follows_a_payment_from_the_till_to_the_ledger() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ];
    let arguments = ["--listen", "127.0.0.1:0", "--validators", "1"];
    let network = Network::up_with(folder.path(), &arguments, &environment);
    let world = World::of(folder.path());
    world.onboard(&["5.00"]);
    let charge = world.charge(&world.code(|_| {}), 300).await;
    let transaction = charge.transaction.unwrap().to_string();
    let is_final =
        |span: &Collected| span.name == "finality" && span.attribute("transaction") == transaction;
    wait("the trace is collected", || collector.spans().iter().any(is_final));
    drop(network);

    let spans = collector.spans();
    let last = spans.iter().find(|span| is_final(span)).unwrap();
    assert!(last.attribute("height").parse::<u64>().unwrap() > 0);
    let mut path = vec![(last.service.as_str(), last.name.as_str())];
    let mut at = last;
    while let Some(parent) = spans.iter().find(|span| span.id == at.parent) {
        assert_eq!(parent.trace, last.trace);
        path.push((&parent.service, &parent.name));
        at = parent;
    }
    assert_eq!(at.parent, Vec::<u8>::new(), "the path ends at {at:?}");
    path.reverse();
    let expected = [
        ("tallystick-merchant", "charge"),
        ("tallystick-merchant", "charge"),
        ("tallystick-merchant", "POST"),
        ("tallystick-issuer", "authorize"),
        ("tallystick-issuer", "settle"),
        ("tallystick-issuer", "POST"),
        ("tallystick-node", "submit"),
        ("tallystick-node", "finality"),
    ];
    assert_eq!(path, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_of_a_log_is_set_while_the_role_runs() {
    let (_folder, network, world) = small(&["5.00"]);
    for (process, _) in ROLES {
        let address = network.address(process);
        let log = || {
            let text = std::fs::read_to_string(world.path(&format!("{process}/log.txt"))).unwrap();
            text.matches("DEBUG").count()
        };
        let set = async |body: serde_json::Value| {
            let url = format!("http://{address}/v1/log-level");
            let request = reqwest::Client::new().post(url).json(&body);
            request.bearer_auth(key(&world, "maintenance.key")).send().await.unwrap()
        };
        let live = async || reqwest::get(format!("http://{address}/livez")).await.unwrap();
        live().await;
        assert_eq!(log(), 0, "{process}");
        let answer = set(json!({ "level": "debug" })).await;
        let said: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(said, json!({ "level": "debug", "libraries": "warn" }));
        live().await;
        wait("a request is logged", || log() > 0);
        assert_eq!(set(json!({ "level": "info" })).await.status(), StatusCode::OK);
        let before = log();
        live().await;
        assert_eq!(log(), before, "{process}");
        assert_eq!(set(json!({ "level": "loud" })).await.status(), StatusCode::BAD_REQUEST);
    }
}
