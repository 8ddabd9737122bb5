//! What people see on the pages when something is wrong, long, or about to be undone for good.

use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Response, StatusCode};
use tallystick_api::Client;
use tallystick_api::issuer::{FundingRequest, IssuerClient};
use tallystick_api::merchant::ChargeRequest;
use tallystick_kernel::{Amount, CurrencyCode, DurationMs};
use tallystick_tally::source;

use crate::pages::World;
use crate::world;

/// Asks as a browser does, by the bar where addresses are typed.
async fn browse(world: &World, role: &str, path: &str) -> Response {
    let request = world.client.get(world.at(role, path));
    request.header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8").send().await.unwrap()
}

async fn operator(world: &World) -> (String, String) {
    let key = format!("key={}", world.file("issuer/operator.key"));
    world.log_in("issuer", "/operator/login", key).await
}

async fn holder(world: &World) -> (String, String) {
    let form = format!("name=demo&password={}", world.file("demo.password"));
    world.log_in("issuer", "/login", form).await
}

async fn text(world: &World, role: &str, path: &str, cookie: &str) -> String {
    let answer = world.get(role, path, cookie).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.text().await.unwrap()
}

#[tokio::test]
async fn a_browser_is_refused_with_a_page_and_a_program_with_a_problem_document() {
    let world = World::new();
    for (role, path, status) in [
        ("node-0", "/nonsense", StatusCode::NOT_FOUND),
        ("issuer", "/nonsense", StatusCode::NOT_FOUND),
        ("issuer", "/login", StatusCode::METHOD_NOT_ALLOWED),
        ("merchant", "/v1/charges", StatusCode::UNAUTHORIZED),
        ("provisioner", "/nonsense", StatusCode::NOT_FOUND),
    ] {
        let page = browse(&world, role, path).await;
        assert_eq!(page.status(), status, "{role} {path}");
        assert!(page.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        assert!(page.headers().contains_key("Content-Security-Policy"), "{role} {path}");
        let page = page.text().await.unwrap();
        assert!(page.contains("<a href=\"/\">Back to the beginning</a>"), "{page}");
        let document = world.get(role, path, "").await;
        assert_eq!(document.status(), status, "{role} {path}");
        assert_eq!(document.headers()[CONTENT_TYPE], "application/problem+json");
    }
    let home = browse(&world, "provisioner", "/").await;
    assert_eq!(home.status(), StatusCode::OK);
    assert!(home.text().await.unwrap().contains("tally wallet provision"));
}

#[tokio::test]
async fn who_guesses_too_often_is_told_so_on_a_page() {
    let world = World::new();
    let guess = || {
        let request = world.client.post(world.at("merchant", "/login"));
        request
            .header(ACCEPT, "text/html")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
    };
    for _ in 0..10 {
        let answer = guess().body("key=tlk_wrong").send().await.unwrap();
        let page = answer.text().await.unwrap();
        assert!(page.contains("This key is not known here."), "{page}");
    }
    let answer = guess().body("key=tlk_wrong").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers().contains_key("Retry-After"));
    assert!(answer.text().await.unwrap().contains("Wait a minute"));
}

#[tokio::test]
async fn a_key_that_is_wrong_or_of_too_little_scope_is_told_apart() {
    let world = World::new();
    let ask = async |role: &str, path: &str, key: Option<String>| {
        let mut request = world.client.get(world.at(role, path));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let problem: serde_json::Value =
            serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
        problem["detail"].as_str().unwrap().to_owned()
    };
    let none = ask("merchant", "/v1/charges", None).await;
    assert_eq!(none, "no API key was sent");
    let wrong = ask("merchant", "/v1/charges", Some("tlk_wrong".to_owned())).await;
    assert_eq!(wrong, "the API key that was sent is not known here");
    let monitor = world.file("monitor.key");
    let other = ask("merchant", "/v1/charges", Some(monitor.clone())).await;
    assert_eq!(other, "the API key lacks the scope charges");
    let login = world.post("issuer", "/operator/login", "", format!("key={monitor}")).await;
    assert_eq!(login.status(), StatusCode::FORBIDDEN);
    assert!(login.text().await.unwrap().contains("it lacks the scope list"));
}

#[tokio::test]
async fn a_wrong_amount_keeps_the_code_and_is_told_at_its_field() {
    let world = World::new();
    let key = format!("key={}", world.file("merchant/till.key"));
    let (cookie, token) = world.log_in("merchant", "/login", key).await;
    let charge = async |form: &str| {
        let form = format!("{form}&form_token={token}");
        world.post("merchant", "/till", &cookie, form).await.text().await.unwrap()
    };
    let page = charge("amount=ten&order=tea+%26+cake&code=TLY1%3AABC").await;
    assert!(page.contains(">TLY1:ABC</textarea>"), "{page}");
    assert!(page.contains("value=\"tea &amp; cake\""), "{page}");
    assert!(page.contains("aria-invalid=\"true\" aria-describedby=\"amount-error\""), "{page}");
    assert!(page.contains("id=\"amount-error\" role=\"alert\""), "{page}");
    let page = charge("amount=1,50&order=&code=TLY1%3AABC").await;
    assert!(page.contains("id=\"code-error\" role=\"alert\""), "{page}");
    assert!(page.contains("no whole payment code"), "{page}");
    let order = "x".repeat(640);
    let page = charge(&format!("amount=1.50&order={order}&code=TLY1%3AABC")).await;
    assert!(page.contains("id=\"order-error\" role=\"alert\""), "{page}");
    assert!(page.contains("at most 256 bytes"), "{page}");
}

/// A picture full of finder patterns, which costs a decoder time with the cube of their number.
fn finders(across: u32) -> Vec<u8> {
    const PITCH: u32 = 11;
    let dark = |x: u32, y: u32| {
        let (x, y) = (x % PITCH, y % PITCH);
        let ring = x < 7 && y < 7 && (x == 0 || x == 6 || y == 0 || y == 6);
        ring || ((2..5).contains(&x) && (2..5).contains(&y))
    };
    let side = across * PITCH;
    let picture = image::GrayImage::from_fn(side, side, |x, y| {
        image::Luma([if dark(x, y) { 0 } else { 255 }])
    });
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_picture_holds_a_merchant_up() {
    let world = World::new();
    let key = format!("key={}", world.file("merchant/till.key"));
    let (cookie, token) = world.log_in("merchant", "/login", key).await;
    let read = async |picture: Vec<u8>| {
        let request = world.client.post(world.at("merchant", "/till/pictures"));
        let request = request.header("Cookie", &cookie).header("X-Form-Token", &token);
        let answer = request.body(picture).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let text = "TLY1:ABC";
    let drawn = tallystick_tally::qr::to_image(text, tallystick_tally::qr::ImageKind::Png).unwrap();
    assert_eq!(read(drawn.clone()).await, (200, "{\"code\":\"TLY1:ABC\"}".to_owned()));
    let (status, said) = read(finders(40)).await;
    assert!(
        said.contains("image_unreadable") || said.contains("code_not_found"),
        "{status} {said}"
    );
    let (status, said) = read(b"no picture".to_vec()).await;
    assert!(status == 400 && said.contains("image_unreadable"), "{status} {said}");
    assert_eq!(read(drawn).await.0, 200);
}

#[tokio::test]
async fn lists_go_on_where_a_page_ends_and_lead_back() {
    let world = World::new();
    let key = world.file("issuer/operator.key");
    let issuer = IssuerClient(Client::new(&world.at("issuer", "")).unwrap().with_token(&key));
    for minor in 1..=25 {
        let request = FundingRequest {
            holder: Some("demo".to_owned()),
            account: None,
            currency: CurrencyCode::new("EUR").unwrap(),
            amount: Amount::new(minor).unwrap(),
        };
        issuer.fund(&request, &source::idempotency_key().unwrap()).await.unwrap();
    }
    let (cookie, _) = operator(&world).await;
    let first = text(&world, "issuer", "/operator", &cookie).await;
    let part = |page: &str| {
        let (_, rest) = page.split_once("data-part=\"fundings\"").unwrap();
        rest.split_once("</section>").unwrap().0.to_owned()
    };
    let fundings = part(&first);
    assert_eq!(fundings.matches("<tr data-key").count(), 20, "{fundings}");
    assert!(fundings.contains(">demo<") && !fundings.contains("Newest"), "{fundings}");
    let (_, older) = fundings.split_once("href=\"/operator?").unwrap();
    let older = older.split_once('#').unwrap().0;
    let second = text(&world, "issuer", &format!("/operator?{older}"), &cookie).await;
    let fundings = part(&second);
    assert_eq!(fundings.matches("<tr data-key").count(), 5, "{fundings}");
    assert!(fundings.contains("Newest") && !fundings.contains("Older"), "{fundings}");
    let wrong = world.get("issuer", "/operator?fundings=AAAA", &cookie).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_named_before_it_is_revoked_and_after() {
    let (folder, network, _world) = world::small(&["5.00"]);
    let world = World::beside(folder, network);
    let (cookie, token) = operator(&world).await;
    let page = text(&world, "issuer", "/operator", &cookie).await;
    let (_, form) = page.split_once("<details class=\"confirm\">").unwrap();
    let (form, _) = form.split_once("</details>").unwrap();
    assert!(form.contains("Revoke the wallet of demo"), "{form}");
    assert!(form.contains("This cannot be undone."), "{form}");
    let (_, address) = form.split_once("action=\"").unwrap();
    let address = address.split_once('"').unwrap().0;
    let done = world.post("issuer", address, &cookie, format!("form_token={token}")).await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER);
    let back = done.headers()[LOCATION].to_str().unwrap().to_owned();
    let page = text(&world, "issuer", &back, &cookie).await;
    assert!(page.contains("The wallet of demo is revoked"), "{page}");
    assert!(!page.contains("<details class=\"confirm\">"), "{page}");
    // The address of the form leads back when it is asked for like a page.
    let again = world.get("issuer", address, &cookie).await;
    assert_eq!(again.headers()[LOCATION], "/operator");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_is_told_that_nothing_is_reserved_and_which_charge_was_refused() {
    let (folder, network, small) = world::small(&["5.00"]);
    let code = small.code(|_| {});
    let dollars = ChargeRequest {
        currency: CurrencyCode::new("USD").unwrap(),
        ..world::charge_request(&code, 100)
    };
    let till = small.till();
    let made = till.charge(&dollars, &source::idempotency_key().unwrap()).await.unwrap();
    let made = till.charge_status(&made.id, DurationMs::seconds(30)).await.unwrap();
    assert_eq!(made.failure.as_deref(), Some("currency_mismatch"));
    let failed = small.charge(&code, 700).await;
    assert_eq!(failed.failure.as_deref(), Some("no_reserve_fits"));
    let world = World::beside(folder, network);
    let (cookie, _) = holder(&world).await;
    let page = text(&world, "issuer", "/holder", &cookie).await;
    let (_, refused) = page.split_once("data-refused").unwrap();
    let refused = refused.split_once("</p>").unwrap().0;
    assert!(refused.contains("Corner shop asked for"), "{refused}");
    assert!(refused.contains("7.00") && refused.contains("tally wallet reserve"), "{refused}");
    assert!(!page.contains("data-unable"), "{page}");
    // A payment that goes through ends it, and says who was paid.
    let paid = small.charge(&code, 500).await;
    assert_eq!(paid.failure, None);
    let page = text(&world, "issuer", "/holder", &cookie).await;
    assert!(!page.contains("data-refused"), "{page}");
    assert!(page.contains("data-unable") && page.contains("cannot pay yet"), "{page}");
    assert!(page.contains(">Corner shop</a>"), "{page}");
    let (cookie, _) = operator(&world).await;
    let page = text(&world, "issuer", "/operator", &cookie).await;
    let (_, made) = page.split_once("data-part=\"authorizations\"").unwrap();
    assert!(made.contains("Corner shop") && made.contains(">demo<"), "{made}");
}
