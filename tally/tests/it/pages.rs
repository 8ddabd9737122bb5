//! The pages of the roles: what goes out with them, who is let in, and a code signed by a browser.

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Response, StatusCode, redirect};
use serde_json::{Value, json};
use tallystick_api::Bytes;
use tallystick_crypto::SigningKey;
use tallystick_crypto::standard_signature::StandardKey;
use tallystick_tally::http::visitor::VisitorKind;

use crate::network::{Network, run};

/// A network and whoever looks at its pages.
pub struct World {
    pub folder: tempfile::TempDir,
    pub network: Network,
    pub client: Client,
}

impl World {
    /// A network with one validator.
    pub fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let network = Network::up(folder.path(), &["--listen", "127.0.0.1:0", "--validators", "1"]);
        World::beside(folder, network)
    }

    /// The pages of a network that runs.
    pub fn beside(folder: tempfile::TempDir, network: Network) -> World {
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        World { folder, network, client }
    }

    /// The address of a page.
    pub fn at(&self, role: &str, path: &str) -> String {
        format!("http://{}{path}", self.network.address(role))
    }

    /// The text of one of the network's files.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap().trim().to_owned()
    }

    /// Cookies of every kind of session at a role, all with this token.
    pub fn cookies(&self, role: &str, token: &str) -> String {
        cookies(&self.at(role, ""), token)
    }

    /// Asks for a page.
    pub async fn get(&self, role: &str, path: &str, cookie: &str) -> Response {
        let request = self.client.get(self.at(role, path)).header(COOKIE, cookie);
        request.send().await.unwrap()
    }

    /// Sends a form.
    pub async fn post(&self, role: &str, path: &str, cookie: &str, form: String) -> Response {
        let request = self.client.post(self.at(role, path)).header(COOKIE, cookie);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body(form).send().await.unwrap()
    }

    /// Logs in; gives the cookie and the form token of the page behind the login.
    pub async fn log_in(&self, role: &str, path: &str, form: String) -> (String, String) {
        let answer = self.post(role, path, "", form).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let behind = answer.headers()[LOCATION].to_str().unwrap().to_owned();
        let page = self.get(role, &behind, &cookie).await;
        assert_eq!(page.status(), StatusCode::OK);
        let page = page.text().await.unwrap();
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap();
        (cookie, rest.split('"').next().unwrap().to_owned())
    }
}

/// Cookies of every kind of session at the role with this address, all with this token.
pub fn cookies(url: &str, token: &str) -> String {
    VisitorKind::ALL.map(|kind| format!("{}={token}", kind.cookie(url))).join("; ")
}

#[tokio::test]
async fn a_holder_an_operator_and_a_till_are_logged_in_side_by_side_in_one_browser() {
    let world = World::new();
    let password = format!("name=demo&password={}", world.file("demo.password"));
    let (holder, form) = world.log_in("issuer", "/login", password).await;
    let operator = format!("key={}", world.file("issuer/operator.key"));
    let (operator, _) = world.log_in("issuer", "/operator/login", operator).await;
    let till = format!("key={}", world.file("merchant/till.key"));
    let (till, _) = world.log_in("merchant", "/login", till).await;
    // A browser keeps one value for each name, whatever the port.
    let names: std::collections::BTreeSet<&str> =
        [&holder, &operator, &till].iter().filter_map(|it| it.split('=').next()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let all = [holder, operator, till].join("; ");
    let pages = [("issuer", "/holder"), ("issuer", "/operator"), ("merchant", "/till")];
    for (role, path) in pages {
        assert_eq!(world.get(role, path, &all).await.status(), StatusCode::OK, "{path}");
    }
    // Who leaves ends one of them.
    world.post("issuer", "/logout", &all, format!("form_token={form}")).await;
    let after = [StatusCode::SEE_OTHER, StatusCode::OK, StatusCode::OK];
    for ((role, path), status) in pages.into_iter().zip(after) {
        assert_eq!(world.get(role, path, &all).await.status(), status, "{path}");
    }
}

#[tokio::test]
async fn pages_go_out_with_a_policy_that_forbids_what_they_do_not_hold() {
    let world = World::new();
    for (role, path) in [
        ("node-0", "/"),
        ("node-0", "/blocks/1"),
        ("issuer", "/"),
        ("issuer", "/operator/login"),
        ("merchant", "/"),
    ] {
        let answer = world.get(role, path, "").await;
        assert_eq!(answer.status(), StatusCode::OK, "{role} {path}");
        let policy = answer.headers()["Content-Security-Policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let page = answer.text().await.unwrap();
        assert!(!page.contains(" style=") && !page.contains("<style"), "{role} {path}");
        let (_, style) = page.split_once("rel=\"stylesheet\" href=\"").unwrap();
        let style = world.get(role, style.split('"').next().unwrap(), "").await;
        assert!(style.headers()["Cache-Control"].to_str().unwrap().contains("immutable"));
    }
    let unknown = world.get("node-0", "/accounts/<script>", "").await;
    assert!(unknown.status().is_client_error());
    assert!(!unknown.text().await.unwrap().contains("<script>"));
    let found = world.get("node-0", "/search?query=1", "").await;
    assert_eq!(found.headers()[LOCATION], "/blocks/1");
}

#[tokio::test]
async fn whoever_is_not_logged_in_is_led_to_the_login() {
    let world = World::new();
    for (role, path, login) in [
        ("issuer", "/holder", "/"),
        ("issuer", "/operator", "/operator/login"),
        ("merchant", "/till", "/"),
    ] {
        for cookie in [String::new(), world.cookies(role, "tls_x")] {
            let answer = world.get(role, path, &cookie).await;
            assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{role} {path}");
            assert_eq!(answer.headers()[LOCATION], login);
        }
    }
    let wrong = world.post("merchant", "/login", "", "key=tlk_wrong".to_owned()).await;
    assert_eq!(wrong.headers().get(SET_COOKIE), None);
    assert!(wrong.text().await.unwrap().contains("role=\"alert\""));
}

#[tokio::test]
async fn the_eleventh_wrong_login_at_the_pages_is_refused() {
    let world = World::new();
    for (role, forms) in [
        ("merchant", &[("/login", "key=tlk_wrong")][..]),
        ("issuer", &[("/operator/login", "key=tlk_wrong"), ("/login", "name=demo&password=wrong")]),
    ] {
        // The guesses of an address are counted together, whatever it guesses at.
        for (path, form) in forms.iter().cycle().take(10) {
            let answer = world.post(role, path, "", (*form).to_owned()).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{role} {path}");
            assert!(answer.text().await.unwrap().contains("role=\"alert\""));
        }
        let answer = world.post(role, forms[0].0, "", forms[0].1.to_owned()).await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "{role}");
    }
}

#[tokio::test]
async fn a_till_charges_only_with_the_token_of_its_form_and_not_after_it_has_left() {
    let world = World::new();
    let key = format!("key={}", world.file("merchant/till.key"));
    let (cookie, token) = world.log_in("merchant", "/login", key).await;
    let form = "amount=1.00&order=tea&code=TLY1%3AX".to_owned();
    let answer = world.post("merchant", "/till", &cookie, form.clone()).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let with_token = format!("{form}&form_token={token}");
    let answer = world.post("merchant", "/till", &cookie, with_token.clone()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.unwrap().contains("role=\"alert\""));
    let left = world.post("merchant", "/logout", &cookie, format!("form_token={token}")).await;
    assert!(left.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    let answer = world.post("merchant", "/till", &cookie, with_token).await;
    assert_eq!(answer.headers()[LOCATION], "/");
}

/// What the holder's page does, with a key that is here.
struct Browser<'w> {
    world: &'w World,
    cookie: String,
    token: String,
    key: SigningKey,
}

impl Browser<'_> {
    fn point(&self) -> String {
        let point = StandardKey::from(&self.key.public_key()).to_uncompressed().unwrap();
        Bytes::encode(&point)
    }

    async fn ask(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.world.client.post(self.world.at("issuer", path));
        let request = request.header(COOKIE, &self.cookie).header("X-Form-Token", &self.token);
        let request = request.header("Content-Type", "application/json").body(body.to_string());
        let answer = request.send().await.unwrap();
        (answer.status(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    fn sign(&self, asked: &Value) -> String {
        let Bytes(message) = Bytes::decode(asked["to_be_signed"].as_str().unwrap()).unwrap();
        Bytes::encode(&self.key.sign(&message).0)
    }

    /// Asks for a code and signs it.
    async fn code(&self) -> (StatusCode, Value) {
        let wanted = json!({ "point": self.point(), "amount": "2.50" });
        let (status, asked) = self.ask("/holder/codes", wanted).await;
        if status != StatusCode::OK {
            return (status, asked);
        }
        let signature = self.sign(&asked);
        let claims = &asked["claims"];
        let signed = json!({ "point": self.point(), "claims": claims, "signature": signature });
        self.ask("/holder/codes/signed", signed).await
    }
}

#[tokio::test]
async fn a_key_in_a_browser_is_certified_once_its_owner_has_proven_it_and_signs_codes() {
    let world = World::new();
    let path = |name: &str| world.folder.path().join(name).to_str().unwrap().to_owned();
    let (wallet, network) = (path("wallet"), path("network.toml"));
    let password = path("demo.password");
    let (code, _, said) = run(&[
        "wallet",
        "init",
        "--data",
        &wallet,
        "--network",
        &network,
        "--holder",
        "demo",
        "--password-file",
        &password,
    ]);
    assert_eq!(code, 0, "{said}");
    let form = format!("name=demo&password={}", world.file("demo.password"));
    let (cookie, token) = world.log_in("issuer", "/login", form).await;
    let key = SigningKey::p256_from_scalar(&[7; 32]).unwrap();
    let browser = Browser { world: &world, cookie, token, key };

    let (status, said) = browser.code().await;
    assert_eq!((status, &said["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("key_unknown")));
    let (_, asked) = browser.ask("/holder/keys", json!({ "point": browser.point() })).await;
    let foreign = json!({ "point": browser.point(), "signature": Bytes::encode(&[1; 64]) });
    let (_, refused) = browser.ask("/holder/keys/signed", foreign).await;
    assert_eq!(refused["code"], "signature_invalid");
    let signed = json!({ "point": browser.point(), "signature": browser.sign(&asked) });
    let (status, _) = browser.ask("/holder/keys/signed", signed).await;
    assert_eq!(status, StatusCode::OK);

    let (status, made) = browser.code().await;
    assert_eq!(status, StatusCode::OK, "{made}");
    assert_eq!(made["amount"], "2.50 EUR");
    assert!(made["code"].as_str().unwrap().starts_with("TLY1:"));
    assert!(made["picture"].as_str().unwrap().starts_with("<svg"));
}
