//! Secrets are planted wherever a request can carry one, and looked for in everything that leaves
//! the system: logs, traces, metrics, addresses, refusals, pages.

use std::net::IpAddr;
use std::path::Path;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use serde_json::Value;
use tallystick_api::Bytes;
use tallystick_api::issuer::{HolderRequest, IssuerClient, SessionRequest};
use tallystick_api::operation::{Access, Body, Operation};
use tallystick_api::operations::ROLES;
use tallystick_kernel::hex;
use tallystick_tally::machine_key::MachineKey;
use tallystick_tally::secret_file::SecretFile;
use tallystick_tally::source;

use crate::collector::Collector;
use crate::network::{Network, run};
use crate::pages::cookies;
use crate::world::World;

const PAN: &str = "4539578763621486";
const PIN: &str = "847139205561";
const PASSWORD: &str = "planted Passw0rd of carol";
const WRONG: &str = "planted wr0ng Passw0rd";

/// A secret in every form in which it could leak.
struct Secret {
    name: String,
    forms: Vec<String>,
}

/// Something that left the system.
struct Seen {
    place: String,
    bytes: Vec<u8>,
}

impl Secret {
    fn text(name: &str, text: &str) -> Secret {
        let mut secret = Secret::bytes(name, text.as_bytes());
        secret.forms.extend([text.to_owned(), text.replace(' ', "+"), text.replace(' ', "%20")]);
        secret
    }

    fn bytes(name: &str, bytes: &[u8]) -> Secret {
        assert!(bytes.len() >= 12, "{name} is so short that chance would find it");
        let hexadecimal = hex::encode(bytes);
        // The end of base64 depends on what follows, so it is left out.
        let whole = bytes.len() / 3 * 3;
        let url = Bytes::encode(&bytes[..whole]);
        let standard = url.replace('-', "+").replace('_', "/");
        let list = format!("{bytes:?}");
        Secret {
            name: name.to_owned(),
            forms: vec![
                hexadecimal.to_uppercase(),
                hexadecimal,
                standard,
                url,
                list.trim_matches(['[', ']']).to_owned(),
            ],
        }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let found = |form: &String| bytes.windows(form.len()).any(|part| part == form.as_bytes());
        self.forms.iter().any(found)
    }
}

struct Search {
    client: Client,
    secrets: Vec<Secret>,
    seen: Vec<Seen>,
}

impl Search {
    fn new() -> Search {
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        let secrets =
            [("a PAN", PAN), ("a PIN", PIN), ("a password", PASSWORD), ("a guess", WRONG)];
        let secrets = secrets.map(|(name, text)| Secret::text(name, text)).into();
        Search { client, secrets, seen: Vec::new() }
    }

    /// What lies in the folder of a network and nobody may be told.
    fn hide_folder(&mut self, folder: &Path) {
        for file in ["machine.key", "monitor.key", "maintenance.key", "demo.password"]
            .into_iter()
            .chain(["issuer/operator.key", "merchant/till.key"])
        {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            self.secrets.push(Secret::text(file, text.trim()));
        }
        for (role, name) in [
            ("node-0", "validator"),
            ("merchant", "issuer-access"),
            ("provisioner", "shared-code"),
            ("alice", "session"),
        ] {
            let machine_key = machine_key(folder, role);
            let secrets = SecretFile::open(&folder.join(role), &machine_key).unwrap();
            let secret = secrets.require(name).unwrap().to_vec();
            self.secrets.push(match core::str::from_utf8(&secret) {
                Ok(text) => Secret::text(name, text),
                Err(_) => Secret::bytes(name, &secret),
            });
        }
    }

    /// Sends a request and keeps what comes back.
    async fn send(&mut self, place: &str, request: RequestBuilder) -> (StatusCode, String) {
        self.keep(place, request.send().await.unwrap()).await
    }

    async fn keep(&mut self, place: &str, answer: Response) -> (StatusCode, String) {
        let status = answer.status();
        let mut headers = answer.headers().clone();
        // Where a session begins, this header is what carries it.
        headers.remove(SET_COOKIE);
        let head = format!("{headers:?}");
        self.seen.push(Seen { place: format!("{place}, headers"), bytes: head.into_bytes() });
        let text = answer.text().await.unwrap();
        self.seen.push(Seen { place: place.to_owned(), bytes: text.clone().into_bytes() });
        (status, text)
    }

    fn keep_file(&mut self, path: &Path) {
        let bytes = std::fs::read(path).unwrap();
        self.seen.push(Seen { place: path.display().to_string(), bytes });
    }

    /// Logs in to pages with a form; gives the cookie.
    async fn log_in(&mut self, address: &str, path: &str, form: &str) -> Option<String> {
        let url = format!("http://{address}{path}");
        let request = self.client.post(url).body(form.to_owned());
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = request.send().await.unwrap();
        let cookie = answer.headers().get(SET_COOKIE).map(|value| value.to_str().unwrap());
        let cookie = cookie.map(|text| text.split(';').next().unwrap().to_owned());
        assert!(!format!("{:?}", answer.headers().get(LOCATION)).contains('?'));
        self.keep(&format!("the answer of {path}"), answer).await;
        if let Some((_, token)) = cookie.as_deref().and_then(|text| text.split_once('=')) {
            self.secrets.push(Secret::text("the cookie of a session", token));
        }
        cookie
    }

    fn finish(&self) {
        assert!(self.seen.len() > 200, "only {} things were looked at", self.seen.len());
        let mut found = Vec::new();
        for seen in &self.seen {
            for secret in self.secrets.iter().filter(|secret| secret.is_in(&seen.bytes)) {
                let text = String::from_utf8_lossy(&seen.bytes);
                let line = text.lines().find(|line| secret.is_in(line.as_bytes()));
                found.push(format!("{} in {}: {:?}", secret.name, seen.place, line));
            }
        }
        found.dedup();
        assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
    }
}

/// The key under which a role's secrets lie; a wallet has one of its own.
fn machine_key(folder: &Path, role: &str) -> MachineKey {
    let own = folder.join(role).join("machine.key");
    let file = if own.exists() { own } else { folder.join("machine.key") };
    MachineKey::read(&file).unwrap()
}

/// The bodies of an operation: its example, with something planted in each place in turn.
fn planted_bodies(operation: &Operation) -> Vec<String> {
    let Some(Body::Json(json)) = operation.body else { return vec![PAN.to_owned()] };
    let example = (json.example)();
    let mut bodies = Vec::new();
    for place in places(&example, String::new()) {
        // What an operator calls a holder, and how much one is given, is shown as it is.
        if ["/name", "/amount"].contains(&place.as_str()) {
            continue;
        }
        for planted in [Value::from(PAN), serde_json::from_str(PAN).unwrap()] {
            let mut body = example.clone();
            *body.pointer_mut(&place).unwrap() = planted;
            bodies.push(body.to_string());
        }
    }
    for (name, value) in [("pan", PAN), (PAN, "pan"), ("pin", PIN)] {
        let mut body = example.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.insert(name.to_owned(), value.into());
        }
        bodies.push(body.to_string());
    }
    bodies.push(format!("{{\"pan\": {PAN}"));
    bodies
}

/// Every place in a value, as a JSON pointer (RFC 6901).
fn places(value: &Value, at: String) -> Vec<String> {
    let inner: Vec<String> = match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| places(value, format!("{at}/{name}"))).collect()
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(index, value)| places(value, format!("{at}/{index}")))
            .collect(),
        _ => Vec::new(),
    };
    let own = (!at.is_empty()).then_some(at);
    own.into_iter().chain(inner).collect()
}

/// An operation's path, the planted number standing for each parameter.
fn planted_path(operation: &Operation) -> String {
    let parts =
        operation.path.split('/').map(|part| if part.starts_with('{') { PAN } else { part });
    format!(
        "{}?pan={PAN}&cursor={PAN}&wait={PAN}&timeout_ms={PAN}x",
        parts.collect::<Vec<_>>().join("/")
    )
}

struct Keys {
    operator: String,
    till: String,
    merchant: String,
    monitor: String,
    maintenance: String,
    session: String,
}

impl Keys {
    fn of(folder: &Path, session: String) -> Keys {
        let read = |file| std::fs::read_to_string(folder.join(file)).unwrap().trim().to_owned();
        let machine_key = machine_key(folder, "merchant");
        let secrets = SecretFile::open(&folder.join("merchant"), &machine_key).unwrap();
        let merchant = secrets.require("issuer-access").unwrap().to_vec();
        Keys {
            operator: read("issuer/operator.key"),
            till: read("merchant/till.key"),
            merchant: String::from_utf8(merchant).unwrap(),
            monitor: read("monitor.key"),
            maintenance: read("maintenance.key"),
            session,
        }
    }

    fn fitting(&self, access: Access) -> &str {
        match access {
            Access::Scope("metrics") => &self.monitor,
            Access::Scope("log-level" | "snapshots") => &self.maintenance,
            Access::Scope("charges") => &self.till,
            Access::Scope("authorizations") => &self.merchant,
            Access::Scope(_) => &self.operator,
            _ => &self.session,
        }
    }
}

/// Calls every operation with something planted in path, query, headers and body.
async fn sweep(search: &mut Search, network: &Network, keys: &Keys) {
    for role in ROLES {
        let process = if role.name == "node" { "node-0" } else { role.name };
        let address = network.address(process);
        for operation in role.operations.iter().filter(|one| !one.streams) {
            let url = format!("http://{address}{}", planted_path(operation));
            let method = Method::from_bytes(operation.method.name().as_bytes()).unwrap();
            let bodies = match operation.method.name() {
                "POST" => planted_bodies(operation),
                _ => vec![String::new()],
            };
            for body in bodies {
                let request = search.client.request(method.clone(), &url).body(body);
                let request = request.bearer_auth(keys.fitting(operation.access));
                let request = request.header("Idempotency-Key", source::idempotency_key().unwrap());
                let request = request.header("DPoP", format!("{PAN}.{PAN}.{PAN}"));
                let request = request.header(
                    COOKIE,
                    format!("{}; pan={PAN}", cookies(&format!("http://{address}"), PAN)),
                );
                let request = request.header("traceparent", format!("00-{PAN}{PAN}-{PAN}-01"));
                let request = request.header("User-Agent", PAN).header("Last-Event-ID", PAN);
                let (status, text) = search.send(operation.path, request).await;
                assert!(!status.is_server_error() || status == 503, "{}: {text}", operation.path);
            }
        }
        let request = search.client.get(format!("http://{address}/{PAN}/{PIN}?password={WRONG}"));
        search.send("a path that is not there", request).await;
    }
}

/// Logs in right and wrong, by interface and by page, and looks at every page behind it.
async fn visit(search: &mut Search, network: &Network, keys: &Keys) {
    // From another address: this one's guesses are used up.
    let client = Client::builder().redirect(redirect::Policy::none());
    search.client = client.local_address(IpAddr::from([127, 0, 0, 2])).build().unwrap();
    let (issuer, merchant) = (network.address("issuer"), network.address("merchant"));
    let form = |text: &str| text.replace(' ', "+");
    let wrong = [
        (&issuer, "/login", format!("name=carol&password={}", form(WRONG))),
        (&issuer, "/login", format!("name={}&password={PIN}", form(WRONG))),
        (&issuer, "/operator/login", format!("key={PAN}")),
        (&merchant, "/login", format!("key={PAN}&pan={PAN}")),
    ];
    for (address, path, form) in wrong {
        assert_eq!(search.log_in(address, path, &form).await, None, "{path}");
    }
    let right = [
        (&issuer, "/login", format!("name=carol&password={}", form(PASSWORD)), vec!["/holder"]),
        (&issuer, "/operator/login", format!("key={}", keys.operator), vec!["/operator"]),
        (&merchant, "/login", format!("key={}", keys.till), vec!["/till"]),
    ];
    for (address, path, form, pages) in right {
        let cookie = search.log_in(address, path, &form).await.unwrap();
        for page in pages {
            let request = search.client.get(format!("http://{address}{page}"));
            let (status, text) = search.send(page, request.header(COOKIE, &cookie)).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            let (_, token) = text.split_once("name=\"form_token\" value=\"").unwrap();
            let token = token.split('"').next().unwrap();
            let body = format!("form_token={token}&amount=1.00&order=x&code={PAN}&holder={PAN}");
            let request = search.client.post(format!("http://{address}{page}")).body(body);
            let request = request.header("Content-Type", "application/x-www-form-urlencoded");
            search.send(page, request.header(COOKIE, &cookie)).await;
        }
    }
    let node = network.address("node-0");
    for page in ["/", "/blocks/1", &format!("/search?query={PAN}")] {
        let request = search.client.get(format!("http://{node}{page}"));
        search.send(page, request).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_leaves_the_system_holds_a_secret() {
    let mut search = Search::new();
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let environment =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), ("TALLY_LOG", "trace")];
    let arguments = ["--listen", "127.0.0.1:0", "--validators", "1"];
    let network = Network::up_with(folder.path(), &arguments, &environment);
    let world = World::of(folder.path());
    world.onboard(&["5.00", "5.00"]);

    let issuer = tallystick_api::Client::new(&format!("http://{}", network.address("issuer")));
    let issuer = issuer.unwrap();
    let operator = std::fs::read_to_string(world.path("issuer/operator.key")).unwrap();
    let by_operator = IssuerClient(issuer.clone().with_token(operator.trim()));
    let carol = HolderRequest { name: "carol".to_owned(), password: PASSWORD.to_owned() };
    let key = source::idempotency_key().unwrap();
    by_operator.create_holder(&carol, &key).await.unwrap();
    let login =
        |password: &str| SessionRequest { name: "carol".to_owned(), password: password.to_owned() };
    let session = IssuerClient(issuer.clone()).login(&login(PASSWORD)).await.unwrap().token;
    let refused = IssuerClient(issuer).login(&login(WRONG)).await.err().unwrap();
    search
        .seen
        .push(Seen { place: "a refused login".into(), bytes: format!("{refused:?}").into() });
    search.secrets.push(Secret::text("a session", &session));

    let code = world.code(|_| {});
    world.charge(&code, 300).await;
    search.secrets.push(Secret::text("a payment code", &code));
    let (status, out, said) =
        run(&["merchant", "charge", "--data", &world.path("merchant"), "1.00", "--code", &code]);
    assert_ne!(status, 0);
    search.seen.push(Seen { place: "a refused charge".into(), bytes: [out, said].concat().into() });

    search.hide_folder(folder.path());
    let keys = Keys::of(folder.path(), session);
    sweep(&mut search, &network, &keys).await;
    visit(&mut search, &network, &keys).await;
    for role in ["node-0", "issuer", "provisioner", "merchant"] {
        let url = format!("http://{}/metrics", network.address(role));
        let request = search.client.get(url).bearer_auth(&keys.monitor);
        search.send("/metrics", request).await;
    }
    // What waits is written and sent at the end.
    drop(network);
    for role in ["node-0", "issuer", "provisioner", "merchant"] {
        search.keep_file(&folder.path().join(role).join("log.txt"));
    }
    let traces = collector.bytes();
    assert!(traces.len() > 10_000, "{} bytes of traces", traces.len());
    search.seen.push(Seen { place: "traces".to_owned(), bytes: traces });
    search.finish();
}
