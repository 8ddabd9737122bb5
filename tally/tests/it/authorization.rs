//! Every endpoint and every page of every role, called by everyone who may not.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tallystick_api::Client;
use tallystick_api::issuer::{HolderRequest, IssuerClient, SessionRequest};
use tallystick_api::operation::{Access, Operation};
use tallystick_tally::http::Gate;
use tallystick_tally::roles::{issuer, merchant, node_pages, node_routes, provisioner};
use tallystick_tally::source;

use crate::network::Network;
use crate::world::{World, small};

/// Operations that no attempt here covers; wanted empty.
const UNCOVERED: &str = include_str!("uncovered_operations.txt");

/// All that each role serves, by its own router; what stands in no router is not reached at all.
pub fn served() -> [(&'static str, Vec<Operation>); 4] {
    let gate = Gate::default;
    let node = node_pages::routes(node_routes::routes(gate()));
    let issuer = issuer::pages::routes(issuer::routes(gate()));
    let merchant = merchant::pages::routes(merchant::routes(gate()));
    let provisioner = provisioner::routes(gate());
    [
        ("node", node.operations().to_vec()),
        ("issuer", issuer.operations().to_vec()),
        ("merchant", merchant.operations().to_vec()),
        ("provisioner", provisioner.operations().to_vec()),
    ]
}

/// Who may not call, and how it is refused.
struct Stranger {
    name: &'static str,
    headers: HeaderMap,
    status: StatusCode,
}

fn bearer(token: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}

fn dpop(token: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("DPoP {token}")).unwrap();
    let proof = HeaderValue::from_static("e30.e30.AAAA");
    let mut headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    headers.insert("DPoP", proof);
    headers
}

/// Keys and tokens that exist, each for something else.
struct Keys {
    operator: String,
    till: String,
    session: String,
    /// An operator's session of the pages.
    visit: String,
}

impl Keys {
    async fn of(world: &World, network: &Network) -> Keys {
        let read = |file: &str| std::fs::read_to_string(world.path(file)).unwrap();
        let operator = read("issuer/operator.key").trim().to_owned();
        let url = format!("http://{}", network.address("issuer"));
        let client = Client::new(&url).unwrap();
        let by_operator = IssuerClient(client.clone().with_token(&operator));
        let mallory = HolderRequest { name: "mallory".to_owned(), password: "x".repeat(12) };
        let key = source::idempotency_key().unwrap();
        by_operator.create_holder(&mallory, &key).await.unwrap();
        let login = SessionRequest { name: mallory.name, password: mallory.password };
        let session = IssuerClient(client).login(&login).await.unwrap().token;
        let visit = visit(&format!("{url}/operator/login"), &operator).await;
        Keys { operator, till: read("merchant/till.key").trim().to_owned(), session, visit }
    }

    /// Who may not call an operation of a role.
    fn strangers(&self, role: &str, url: &str, operation: &Operation) -> Vec<Stranger> {
        let access = operation.access;
        let of = |name, headers, status| Stranger { name, headers, status };
        let nobody = || of("nobody", HeaderMap::new(), StatusCode::UNAUTHORIZED);
        let unknown = || of("an unknown key", bearer("tlk_unknown"), StatusCode::UNAUTHORIZED);
        let session = || of("a holder", bearer(&self.session), StatusCode::UNAUTHORIZED);
        match access {
            Access::Public => Vec::new(),
            Access::Scope(scope) => {
                let mut strangers = vec![nobody(), unknown(), session()];
                // The operator's key is known to the issuer, but not for what merchants do.
                if role == "issuer" && scope == "authorizations" {
                    let wrong = bearer(&self.operator);
                    strangers.push(of("the operator", wrong, StatusCode::FORBIDDEN));
                }
                if role == "issuer" && scope != "authorizations" {
                    let till = bearer(&self.till);
                    strangers.push(of("a till", till, StatusCode::UNAUTHORIZED));
                }
                strangers
            }
            Access::Session => vec![
                nobody(),
                of("the operator", bearer(&self.operator), StatusCode::UNAUTHORIZED),
                of("an unknown session", bearer("tls_unknown"), StatusCode::UNAUTHORIZED),
            ],
            Access::Device => {
                vec![nobody(), session(), of("a forged proof", dpop("x"), StatusCode::UNAUTHORIZED)]
            }
            Access::SessionAndDevice => vec![
                nobody(),
                session(),
                of("a forged proof", dpop(&self.session), StatusCode::UNAUTHORIZED),
            ],
            Access::Visitor | Access::VisitorScope(_) => {
                // A script that follows events cannot be led to a login.
                let led = StatusCode::SEE_OTHER;
                let status = if operation.streams { StatusCode::UNAUTHORIZED } else { led };
                // A session of the right kind in a place for the other one.
                let is_holders = access == Access::Visitor;
                let other = if is_holders { &self.visit } else { &self.session };
                vec![
                    of("nobody", HeaderMap::new(), status),
                    of("a key in place of a cookie", bearer(&self.till), status),
                    of("a session in place of a cookie", bearer(&self.session), status),
                    of("a forged cookie", cookies(url, "tls_unknown"), status),
                    of("a session of another kind", cookies(url, other), status),
                ]
            }
        }
    }
}

/// Begins an operator's visit; gives the session of its cookie.
async fn visit(address: &str, key: &str) -> String {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let request = http.build().unwrap().post(address).body(format!("key={key}"));
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    let answer = request.send().await.unwrap();
    let cookie = answer.headers()[reqwest::header::SET_COOKIE].to_str().unwrap();
    let (_, rest) = cookie.split_once('=').unwrap();
    rest.split(';').next().unwrap().to_owned()
}

fn cookies(url: &str, token: &str) -> HeaderMap {
    let text = crate::pages::cookies(url, token);
    HeaderMap::from_iter([(reqwest::header::COOKIE, HeaderValue::from_str(&text).unwrap())])
}

/// A path that exists, with an example for each parameter.
fn path(operation: &Operation) -> String {
    let example = |name: &str| {
        let schema = operation.parameters.iter().find(|one| one.name == name);
        let schema = schema.map(|one| serde_json::to_value((one.schema)()).unwrap());
        let text = schema.as_ref().and_then(|schema| schema["examples"][0].as_str());
        text.unwrap_or("1").to_owned()
    };
    let parts = operation.path.split('/').map(|part| {
        match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => example(name),
            None => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_refuses_everyone_who_may_not_call_it() {
    let (_folder, network, world) = small(&["5.00"]);
    let keys = Keys::of(&world, &network).await;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let http = http.build().unwrap();
    let mut uncovered = Vec::new();
    for (role, operations) in served() {
        let address = network.address(if role == "node" { "node-0" } else { role });
        let address = format!("http://{address}");
        for operation in &operations {
            let strangers = keys.strangers(role, &address, operation);
            if strangers.is_empty() && operation.access != Access::Public {
                uncovered.push(format!("{role} {}\n", operation.row()));
            }
            for stranger in strangers {
                let url = format!("{address}{}", path(operation));
                let method = Method::from_bytes(operation.method.name().as_bytes()).unwrap();
                let request = http.request(method, &url).headers(stranger.headers);
                let request = request.header("Idempotency-Key", "sweep").body("{}");
                let answer = request.send().await.unwrap();
                let (status, row) = (answer.status(), operation.row());
                let text = answer.text().await.unwrap();
                // Wrong guesses of this test's own address are counted as well.
                let is_guess = operation.guess_limited && status == StatusCode::TOO_MANY_REQUESTS;
                let name = stranger.name;
                assert!(status == stranger.status || is_guess, "{row} by {name}: {status} {text}");
                if status != StatusCode::SEE_OTHER {
                    let problem: Value = serde_json::from_str(&text).unwrap();
                    assert!(problem["request_id"].is_string(), "{row}: {problem}");
                }
            }
        }
    }
    assert_eq!(uncovered.concat(), UNCOVERED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_one_holder_is_not_shown_to_another() {
    let (_folder, network, world) = small(&["5.00"]);
    let charge = world.charge(&world.code(|_| {}), 300).await;
    let keys = Keys::of(&world, &network).await;
    let issuer = format!("http://{}", network.address("issuer"));
    let others = IssuerClient(Client::new(&issuer).unwrap().with_token(&keys.session));
    assert!(others.payments(None).await.unwrap().items.is_empty());
    assert_eq!(others.me().await.unwrap().account, None);

    let password = std::fs::read_to_string(world.path("demo.password")).unwrap();
    let login = SessionRequest { name: "demo".to_owned(), password: password.trim().to_owned() };
    let session = IssuerClient(Client::new(&issuer).unwrap()).login(&login).await.unwrap();
    let own = IssuerClient(Client::new(&issuer).unwrap().with_token(&session.token));
    let payments = own.payments(None).await.unwrap();
    assert_eq!(payments.items.len(), 1);
    assert_eq!(payments.items[0].authorization.transaction, charge.transaction);
    assert_eq!(payments.next, None);
}
