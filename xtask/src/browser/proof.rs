//! The receipt in the reader's own browser: it verifies as it is, and not when anything is changed.

use serde_json::json;

use super::stage::Stage;
use super::webdriver::Browser;

const START: &str = "[data-verify-start]";
const VERDICT: &str = "[data-verify-verdict] .notice";
/// Shares of the receipt's length, in hundredths, at which one bit is turned.
const TURNED: [u32; 8] = [0, 13, 27, 41, 55, 69, 83, 99];
/// Turns one bit of every receipt that the page fetches from now on.
const TAMPER: &str = "const share = arguments[0];
window.honest ??= window.fetch;
window.fetch = async (address, more) => {
  const answer = await window.honest(address, more);
  if (share === null || !String(address).endsWith('/receipt')) return answer;
  const bytes = new Uint8Array(await answer.arrayBuffer());
  bytes[Math.floor((bytes.length - 1) * share / 99)] ^= 1;
  return new Response(bytes);
}";

/// Verifies in the page and gives what the page says of it.
pub async fn verdict(browser: &Browser<'_>) -> Result<String, String> {
    browser.click(START).await?;
    browser.until(&format!("document.querySelector('{VERDICT}') !== null")).await?;
    browser.text("[data-verify-verdict]").await
}

/// The receipt of a payment of `amount` verifies, every step of it.
pub async fn verifies(
    stage: &Stage<'_>,
    browser: &Browser<'_>,
    amount: &str,
) -> Result<(), String> {
    browser.until("document.querySelector('[data-verify-start]') !== null").await?;
    let said = verdict(browser).await?;
    stage.holds(&said, said.starts_with(&format!("Verified: paid {amount} to tlya1")))?;
    let count = "return document.querySelectorAll('.step').length";
    let done = "return document.querySelectorAll('.step-done').length";
    let (count, done) = (browser.run(count, json!([])).await?, browser.run(done, json!([])).await?);
    stage.holds("all steps are done", count == done && count == 9)
}

/// Changed receipts, and genesis files of others, are refused.
pub async fn forgeries(stage: &Stage<'_>, browser: &Browser<'_>) -> Result<(), String> {
    for share in TURNED {
        browser.run(TAMPER, json!([share])).await?;
        let said = verdict(browser).await?;
        let is_refused = said.starts_with("Not verified: ");
        stage.holds(&format!("a receipt changed at {share} is refused: {said}"), is_refused)?;
    }
    browser.run(TAMPER, json!([null])).await?;
    let genesis = std::fs::read(stage.folder.join(".tally/genesis.tally"));
    let genesis = genesis.map_err(|error| error.to_string())?;
    let mut foreign = genesis.clone();
    // The name of the network begins after the version and the head of the text.
    foreign[4] ^= 1;
    let foreign = stage.keep("foreign.tally", &foreign)?;
    browser.type_into("[data-verify-genesis]", &foreign).await?;
    let said = verdict(browser).await?;
    stage.holds(&format!("of another network: {said}"), said.contains("of another network"))?;
    let own = stage.keep("own.tally", &genesis)?;
    browser.type_into("[data-verify-genesis]", &own).await?;
    let said = verdict(browser).await?;
    stage.holds("it verifies from the reader's own file", said.starts_with("Verified: paid "))
}
