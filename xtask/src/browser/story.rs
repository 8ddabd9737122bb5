//! The story: an operator, a holder and a till, each with a browser of their own.

use serde_json::{Value, json};

use super::stage::{Stage, resize};
use super::webdriver::Browser;
use super::{camera, proof};

const SUBMIT: &str = "main button[type=submit]";
const SHOW: &str = "[data-code-form] button";
const CHARGE: &str = "[data-till] button[type=submit]";
/// What the holder's page shows, once it is drawn.
const CODE: &str = "document.querySelector('[data-code-picture] img')?.complete \
                    && document.querySelector('[data-code-text]').dataset.copy";
/// The page's clock goes on by so many milliseconds at once.
const LATER: &str = "const now = performance.now.bind(performance);
const by = arguments[0]; performance.now = () => now() + by";

/// Tells it.
pub async fn tell(stage: &Stage<'_>) -> Result<(), String> {
    let visitor = stage.driver.open(&[]).await?;
    strangers(stage, &visitor).await?;
    let operator = operator_gives(stage).await?;
    let holder = holder_enters(stage).await?;
    account_is_opened(stage)?;
    let shown = holder_shows_a_code(stage, &holder).await?;
    let till = till_enters(stage).await?;
    till_reads_and_charges(stage, &till, &shown).await?;
    let id = both_see_the_receipt(stage, &till, &holder).await?;
    ledger_shows_it(stage, &visitor, &id).await?;
    a_code_pays_once(stage, &till, &shown.text).await?;
    a_code_pays_its_amount(stage, &till, &holder).await?;
    camera_pays(stage, &holder, &shown.text).await?;
    operator_revokes(stage, &operator, &holder).await
}

/// What holds for whoever comes along; and what is looked for is found where it is.
async fn strangers(stage: &Stage<'_>, visitor: &Browser<'_>) -> Result<(), String> {
    visitor.go(&stage.page("node-0", "/blocks/1")).await?;
    stage.look(visitor, "block", &[]).await?;
    visitor.go(&stage.page("node-0", "/search?query=nothing")).await?;
    stage.look(visitor, "not-found", &[]).await?;
    stage.quiet(visitor, &["404"]).await?;
    visitor.go(&stage.page("node-0", "/")).await?;
    visitor.until("document.querySelector('[data-live-lamp]').dataset.state === 'on'").await?;
    stage.quiet(visitor, &[]).await?;
    let broken = "document.querySelector('main').insertAdjacentHTML('beforeend',
        '<input><p style=\"color: red\">x</p>')";
    visitor.run(broken, json!([])).await?;
    let barriers = stage.barriers(visitor).await?;
    let is_seen = barriers.iter().any(|barrier| barrier.contains("\"label\""));
    stage.holds("a field without a label is seen", is_seen)?;
    stage.quiet(visitor, &["Content Security Policy"]).await
}

async fn operator_gives<'d>(stage: &Stage<'d>) -> Result<Browser<'d>, String> {
    let operator = stage.driver.open(&[]).await?;
    operator.go(&stage.page("issuer", "/operator/login")).await?;
    stage.look(&operator, "operator-login", &[]).await?;
    let key = stage.file("issuer/operator.key")?;
    stage.by_keyboard(&operator, &[("#key", &key)], SUBMIT).await?;
    operator.until("document.querySelector('#fund') !== null").await?;
    stage.look(&operator, "operator-before", &[]).await?;
    operator.type_into("#holder", "demo").await?;
    operator.type_into("#amount", "100.00").await?;
    operator.click("form[action='/operator/fundings'] button").await?;
    operator.until("document.querySelector('.notice-good') !== null").await?;
    let said = operator.text(".notice").await?;
    stage.holds(&said, said.contains("100.00") && said.contains("wait for demo"))?;
    stage.quiet(&operator, &[]).await?;
    Ok(operator)
}

async fn holder_enters<'d>(stage: &Stage<'d>) -> Result<Browser<'d>, String> {
    let holder = stage.driver.open(&[]).await?;
    holder.go(&stage.page("issuer", "/holder")).await?;
    let is_led = holder.until("location.pathname === '/'").await? == true;
    stage.holds("whoever is not logged in is led to the login", is_led)?;
    stage.look(&holder, "holder-login", &[]).await?;
    stage.by_keyboard(&holder, &[("#name", "demo"), ("#password", "wrong")], SUBMIT).await?;
    holder.until("document.querySelector('[role=alert]') !== null").await?;
    stage.look(&holder, "holder-login-refused", &[]).await?;
    stage.quiet(&holder, &["/login - Failed to load resource"]).await?;
    holder.go(&stage.page("issuer", "/")).await?;
    let password = stage.file("demo.password")?;
    stage.by_keyboard(&holder, &[("#name", "demo"), ("#password", &password)], SUBMIT).await?;
    holder.until("location.pathname === '/holder'").await?;
    stage.look(&holder, "holder-without-account", &[]).await?;
    Ok(holder)
}

/// The wallet opens the account and its reserves, as in the README.
fn account_is_opened(stage: &Stage<'_>) -> Result<(), String> {
    let network =
        "--network .tally/network.toml --holder demo --password-file .tally/demo.password";
    stage.command(&format!("wallet init --data alice {network}"))?;
    stage.command("wallet provision --data alice --request request.txt")?;
    let code = stage.command(&format!("issuer approve {network} --request request.txt"))?;
    stage.command(&format!("wallet provision --data alice --authorization-code {code}"))?;
    stage.command("wallet reserve --data alice 20.00 10.00 5.00").map(|_| ())
}

/// A code as it was shown.
struct Shown {
    /// Its text.
    text: String,
    /// The path of a picture of the whole page.
    page: String,
}

async fn holder_shows_a_code(stage: &Stage<'_>, holder: &Browser<'_>) -> Result<Shown, String> {
    holder.go(&stage.page("issuer", "/holder")).await?;
    let held = holder.text("[data-part=holdings]").await?;
    stage.holds(&held, held.contains("100.00") && held.contains("65.00"))?;
    holder.click(SHOW).await?;
    let first = text(holder.until(CODE).await?);
    stage.holds("the code is a payment code", first.starts_with("TLY1:"))?;
    stage.look(holder, "holder", &["phone-light", "phone-dark", "desk-dark"]).await?;
    // Before a code ends, the page makes the next one by itself.
    holder.run(LATER, json!([50_000])).await?;
    let next = format!("({CODE}) !== {} && ({CODE})", Value::from(first));
    let next = text(holder.until(&next).await?);
    stage.holds("the code rotates", next.starts_with("TLY1:"))?;
    resize(holder, 390, 844, 2).await?;
    holder.run("document.querySelector('[data-code]').scrollIntoView()", json!([])).await?;
    let page = stage.keep("page.png", &holder.screenshot(None).await?)?;
    stage.quiet(holder, &[]).await?;
    Ok(Shown { text: next, page })
}

async fn till_enters<'d>(stage: &Stage<'d>) -> Result<Browser<'d>, String> {
    let till = stage.driver.open(&[]).await?;
    till.go(&stage.page("merchant", "/")).await?;
    stage.look(&till, "till-login", &[]).await?;
    let key = stage.file("merchant/till.key")?;
    stage.by_keyboard(&till, &[("#key", &key)], SUBMIT).await?;
    till.until("location.pathname === '/till'").await?;
    stage.quiet(&till, &[]).await?;
    Ok(till)
}

async fn till_reads_and_charges(
    stage: &Stage<'_>,
    till: &Browser<'_>,
    shown: &Shown,
) -> Result<(), String> {
    till.type_into("#amount", "12.30").await?;
    till.type_into("#order", "tea for two").await?;
    let blank = stage.keep("blank.png", &till.screenshot(Some("header.bar")).await?)?;
    till.type_into("#picture", &blank).await?;
    till.until("document.querySelector('[data-till-status]').innerText.includes('no QR code')")
        .await?;
    stage.quiet(till, &["/till/pictures - Failed to load resource"]).await?;
    till.type_into("#picture", &shown.page).await?;
    let read = text(till.until("document.querySelector('#code').value").await?);
    stage.holds("the till reads the code that was shown", read == shown.text)?;
    stage.look(till, "till", &["phone-light", "desk-light"]).await?;
    till.click(CHARGE).await?;
    till.until("document.querySelector('[data-part=charge] .badge-good') !== null").await?;
    stage.look(till, "charge", &["phone-dark", "desk-light"]).await?;
    stage.quiet(till, &[]).await
}

/// From either page one comes to the same transaction, whose receipt verifies; gives its id.
async fn both_see_the_receipt(
    stage: &Stage<'_>,
    till: &Browser<'_>,
    holder: &Browser<'_>,
) -> Result<String, String> {
    let downloaded = "const link = document.querySelector('a[href$=\"/receipt\"]');
        return fetch(link.href).then((answer) => answer.ok)";
    let is_there = till.run(downloaded, json!([])).await? == true;
    stage.holds("the till can download the receipt", is_there)?;
    till.click("[data-part=charge] a.button-plain").await?;
    proof::verifies(stage, till, "12.30 EUR").await?;
    stage.look(till, "payment", &["phone-dark", "desk-light"]).await?;
    proof::forgeries(stage, till).await?;
    stage.quiet(till, &[]).await?;
    holder.until("document.querySelector('[data-part=payments] .badge-good') !== null").await?;
    let said = holder.text("[data-code-status]").await?;
    stage.holds("a used code is not shown any longer", said.starts_with("The code was used."))?;
    stage.look(holder, "holder-paid", &["desk-light"]).await?;
    stage.quiet(holder, &[]).await?;
    holder.click("[data-part=payments] a[href*='/payments/']").await?;
    proof::verifies(stage, holder, "12.30 EUR").await?;
    stage.quiet(holder, &[]).await?;
    let id = "document.querySelector('[data-transaction]').dataset.transaction";
    let (of_till, of_holder) = (text(till.until(id).await?), text(holder.until(id).await?));
    stage.holds("both are led to one transaction", of_till == of_holder)?;
    Ok(of_till)
}

async fn ledger_shows_it(stage: &Stage<'_>, visitor: &Browser<'_>, id: &str) -> Result<(), String> {
    visitor.go(&stage.page("node-0", "/")).await?;
    visitor
        .until(&format!("document.querySelector('tr[data-key=\"{id}\"] .badge-good') !== null"))
        .await?;
    let shown = ["phone-light", "desk-light", "desk-dark"];
    stage.look(visitor, "network", &shown).await?;
    visitor.type_into("#query", id).await?;
    visitor.click("form[role=search] button").await?;
    visitor.until(&format!("location.pathname === '/payments/{id}'")).await?;
    visitor.click(".terms [data-copy]").await?;
    visitor.until("document.querySelector('[data-copied]') !== null").await?;
    visitor.click(".terms a[href*='/accounts/']").await?;
    visitor.until("document.querySelector('.stick') !== null").await?;
    stage.look(visitor, "account", &["phone-dark", "desk-light"]).await?;
    stage.quiet(visitor, &[]).await
}

/// The text of the code that paid is refused when it is charged again, for another order.
async fn a_code_pays_once(stage: &Stage<'_>, till: &Browser<'_>, used: &str) -> Result<(), String> {
    till.go(&stage.page("merchant", "/till")).await?;
    till.type_into("#amount", "1.00").await?;
    till.type_into("#order", "again").await?;
    till.type_into("#code", used).await?;
    till.click(CHARGE).await?;
    till.until("document.querySelector('[role=alert]') !== null").await?;
    let said = till.text("[role=alert]").await?;
    stage.holds(&format!("a used code is refused: {said}"), said.contains("used before"))?;
    stage.look(till, "till-refused", &[]).await?;
    stage.quiet(till, &[]).await
}

/// A code for one amount is refused for another.
async fn a_code_pays_its_amount(
    stage: &Stage<'_>,
    till: &Browser<'_>,
    holder: &Browser<'_>,
) -> Result<(), String> {
    holder.go(&stage.page("issuer", "/holder")).await?;
    holder.type_into("#code-amount", "5.00").await?;
    holder.click(SHOW).await?;
    let code = text(holder.until(CODE).await?);
    let said = holder.text("[data-code-status]").await?;
    stage.holds(&said, said.contains("5.00 EUR exactly"))?;
    stage.quiet(holder, &[]).await?;
    till.go(&stage.page("merchant", "/till")).await?;
    till.type_into("#amount", "6.00").await?;
    till.type_into("#code", &code).await?;
    till.click(CHARGE).await?;
    till.until("document.querySelector('[role=alert]') !== null").await?;
    let said = till.text("[role=alert]").await?;
    stage.holds(&format!("another amount is refused: {said}"), said.contains("amount"))?;
    stage.quiet(till, &[]).await
}

/// A till with a camera that sees the code which the holder's page shows now.
async fn camera_pays(stage: &Stage<'_>, holder: &Browser<'_>, before: &str) -> Result<(), String> {
    holder.go(&stage.page("issuer", "/holder")).await?;
    resize(holder, 1280, 900, 2).await?;
    holder.click(SHOW).await?;
    let shown = text(holder.until(CODE).await?);
    stage.holds("it is another code", shown != before)?;
    let picture = holder.screenshot(Some("[data-code-picture]")).await?;
    let video = stage.keep("camera.y4m", &camera::video(&picture)?)?;
    let file = format!("--use-file-for-fake-video-capture={video}");
    let camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", &file];
    let till = stage.driver.open(&camera).await?;
    till.go(&stage.page("merchant", "/")).await?;
    till.type_into("#key", &stage.file("merchant/till.key")?).await?;
    till.click(SUBMIT).await?;
    till.until("location.pathname === '/till'").await?;
    till.type_into("#amount", "2.05").await?;
    till.click("[data-till-camera]").await?;
    let read = text(till.until("document.querySelector('#code').value").await?);
    stage.holds("the camera reads the code", read == shown)?;
    till.click(CHARGE).await?;
    till.until("document.querySelector('[data-part=charge] .badge-good') !== null").await?;
    stage.quiet(&till, &[]).await?;
    holder
        .until("document.querySelectorAll('[data-part=payments] .badge-good').length === 2")
        .await?;
    stage.quiet(holder, &[]).await
}

/// The operator sees what was paid and revokes the devices; the browser's key signs nothing more.
async fn operator_revokes(
    stage: &Stage<'_>,
    operator: &Browser<'_>,
    holder: &Browser<'_>,
) -> Result<(), String> {
    operator.go(&stage.page("issuer", "/operator")).await?;
    let paid = "document.querySelectorAll('[data-part=authorizations] .badge-good').length === 2";
    operator.until(paid).await?;
    stage.look(operator, "operator", &["phone-light", "desk-light"]).await?;
    for left in ["1", "0"] {
        // In two steps: what is about to be revoked is told first.
        operator.click(".confirm summary").await?;
        let told = operator.text(".confirm form p").await?;
        stage.holds(&told, told.contains("of demo") && told.contains("cannot be undone"))?;
        stage.look(operator, "operator-revoking", &[]).await?;
        operator.click("form[action$='/revoke'] button").await?;
        operator.until("document.querySelector('.notice-good') !== null").await?;
        let left =
            format!("document.querySelectorAll('form[action$=\"/revoke\"]').length === {left}");
        operator.until(&left).await?;
    }
    stage.quiet(operator, &[]).await?;
    holder.go(&stage.page("issuer", "/holder")).await?;
    holder.click(SHOW).await?;
    holder
        .until("document.querySelector('[data-code-status]').innerText.includes('revoked')")
        .await?;
    stage.quiet(holder, &["/holder/codes/signed - Failed to load resource"]).await?;
    stage.holds("a revoked key signs nothing", true)
}

fn text(value: Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
