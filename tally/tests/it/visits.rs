//! Visits of the pages: what is done only with the form's token, and only by keys that may.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, COOKIE};
use reqwest::{Response, StatusCode};
use tallystick_api::operation::{Access, Method, Operation};
use tallystick_tally::http::api_keys;

use crate::authorization::served;
use crate::network::wait;
use crate::pages::World;

/// Nothing here takes this long but when it is broken.
const PATIENCE: Duration = Duration::from_secs(60);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);
const FORM: &str = "application/x-www-form-urlencoded";

/// Every page of every role that writes, with the role.
fn writes() -> Vec<(&'static str, Operation)> {
    let all = served().into_iter().flat_map(|(role, operations)| {
        operations.into_iter().map(move |operation| (role, operation))
    });
    all.filter(|(_, one)| one.is_page && one.method == Method::Post).collect()
}

fn path(operation: &Operation) -> String {
    operation.path.replace("{serial}", "00")
}

/// A visit: its cookie and the token of its forms.
struct Visit {
    cookie: String,
    token: String,
}

impl Visit {
    async fn begin(world: &World, role: &str, path: &str, form: String) -> Visit {
        let (cookie, token) = world.log_in(role, path, form).await;
        Visit { cookie, token }
    }
}

/// One visit of each kind.
struct Visits {
    holder: Visit,
    operator: Visit,
    till: Visit,
}

impl Visits {
    async fn of(world: &World) -> Visits {
        let password = format!("name=demo&password={}", world.file("demo.password"));
        let operator = format!("key={}", world.file("issuer/operator.key"));
        let till = format!("key={}", world.file("merchant/till.key"));
        Visits {
            holder: Visit::begin(world, "issuer", "/login", password).await,
            operator: Visit::begin(world, "issuer", "/operator/login", operator).await,
            till: Visit::begin(world, "merchant", "/login", till).await,
        }
    }

    /// Whose page it is.
    fn owner(&self, role: &str, operation: &Operation) -> &Visit {
        match (role, operation.access) {
            ("merchant", _) => &self.till,
            (_, Access::Visitor) => &self.holder,
            _ => &self.operator,
        }
    }
}

async fn send(
    world: &World,
    role: &str,
    path: &str,
    cookie: &str,
    headers: &[(&str, &str)],
) -> Response {
    let request = world.client.post(world.at(role, path)).header(COOKIE, cookie);
    let request = request.header(CONTENT_TYPE, FORM);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body("amount=1.00&holder=demo&name=x&password=x&key=x").send().await.unwrap()
}

#[tokio::test]
async fn no_page_writes_without_the_token_of_its_own_form_or_for_another_site() {
    let world = World::new();
    let visits = Visits::of(&world).await;
    let foreign = Visits::of(&world).await;
    for (role, operation) in writes() {
        let (path, owner) = (path(&operation), visits.owner(role, &operation));
        let other = foreign.owner(role, &operation);
        let is_login = operation.access == Access::Public;
        let cookie = if is_login { "" } else { &owner.cookie };
        let mut attempts =
            vec![vec![("X-Form-Token", owner.token.as_str()), ("Sec-Fetch-Site", "cross-site")]];
        // Who is not logged in yet has no token, so only the site can be told.
        if !is_login {
            attempts.push(Vec::new());
            attempts.push(vec![("X-Form-Token", "")]);
            attempts.push(vec![("X-Form-Token", other.token.as_str())]);
        }
        for headers in attempts {
            let answer = send(&world, role, &path, cookie, &headers).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{role} {path} with {headers:?}");
        }
    }
    // None of it ended a visit.
    for (role, path, visit) in [
        ("issuer", "/holder", &visits.holder),
        ("issuer", "/operator", &visits.operator),
        ("merchant", "/till", &visits.till),
    ] {
        let page = world.get(role, path, &visit.cookie).await;
        assert_eq!(page.status(), StatusCode::OK, "{role} {path}");
    }
}

/// Gives the issuer one more key with one scope, and lets it begin anew.
fn add_key(world: &World, key: &str) {
    let config = world.folder.path().join("issuer/config.toml");
    let mut text = std::fs::read_to_string(&config).unwrap();
    let digest = api_keys::digest(key);
    text.push_str(&format!(
        "\n[[api_keys]]\nname = \"reader\"\nscopes = [\"list\"]\ndigest = \"{digest}\"\n"
    ));
    std::fs::write(&config, text).unwrap();
    let before = pid(world);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(before), nix::sys::signal::SIGKILL).unwrap();
    wait("another issuer runs", || pid(world) != before);
}

fn pid(world: &World) -> i32 {
    let table = world.network.table();
    let mut roles = table["roles"].as_array().unwrap().iter();
    let role = roles.find(|entry| entry["role"] == "issuer").unwrap();
    i32::try_from(role["pid"].as_i64().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_may_do_no_more_than_its_key() {
    let world = World::new();
    let key = api_keys::generate().unwrap();
    add_key(&world, &key);
    // The new issuer is there once it answers.
    let ready = world.at("issuer", "/readyz");
    let end = Instant::now() + PATIENCE;
    while !world.client.get(&ready).send().await.is_ok_and(|it| it.status() == StatusCode::OK) {
        assert!(Instant::now() < end, "the issuer is not ready again");
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
    }
    let login = format!("key={}", key.as_str());
    let reader = Visit::begin(&world, "issuer", "/operator/login", login).await;
    let mut refused = 0;
    for (role, operation) in writes() {
        let Access::VisitorScope(scope) = operation.access else { continue };
        if role != "issuer" || scope == "list" {
            continue;
        }
        let headers = [("X-Form-Token", reader.token.as_str())];
        let answer = send(&world, role, &path(&operation), &reader.cookie, &headers).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{}", operation.row());
        refused += 1;
    }
    assert_eq!(refused, 2);
    let page = world.get("issuer", "/operator", &reader.cookie).await;
    assert_eq!(page.status(), StatusCode::OK);
}
