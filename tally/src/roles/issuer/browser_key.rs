//! Codes signed by a browser: it holds a P-256 key that cannot be read out, which is certified for
//! the holder who is logged in. The browser signs bytes that it is handed, and nothing is kept here
//! between the two halves: what comes back is checked as if it came from anywhere.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use serde::{Deserialize, Serialize};
use tallystick_api::operation::{Access, Operation};
use tallystick_api::{Bytes, Problem};
use tallystick_crypto::standard_signature::{Curve, StandardKey};
use tallystick_crypto::{PublicKey, Signature};
use tallystick_issuer::holder::Holder;
use tallystick_kernel::limits::PAYMENT_CODE_LIFE_MAX;
use tallystick_kernel::{Amount, Codec as _, Group, Reason, TimeMs, hex};
use tallystick_proofs::certificate_request::{CertificateRequest, UnsignedRequest};
use tallystick_proofs::payment_code::{KeyId, PaymentClaims, UnsignedCode};
use tallystick_proofs::x509_certificate::X509Certificate;
use tallystick_store::Batch;

use super::{App, Issuer, kinds, now};
use crate::http::{Caller, JsonBody, Refusal, Routes};
use crate::roles::pages;
use crate::{qr, source};

const ANY: &[Group] = &[Group::Form, Group::Request, Group::Environment, Group::Limits];
const KEY: Operation = write("browserKey", "/holder/keys", "What a browser signs for its key.");
const KEY_SIGNED: Operation =
    write("browserKeySigned", "/holder/keys/signed", "Certifies a browser's key.");
const CODE: Operation = write("browserCode", "/holder/codes", "What a browser signs for a code.");
const CODE_SIGNED: Operation =
    write("browserCodeSigned", "/holder/codes/signed", "Makes a code of a browser's signature.");

const fn write(id: &'static str, path: &'static str, says: &'static str) -> Operation {
    Operation::post(id, path, Access::Visitor, says).page().refuses(REASONS, ANY)
}

const REASONS: &[Reason] = &[
    Reason::AccountNotLinked,
    Reason::SignatureInvalid,
    Reason::KeyUnknown,
    Reason::KeyMalformed,
    Reason::Expired,
    Reason::NotYetValid,
    Reason::Revoked,
    Reason::RevocationUnknown,
    Reason::AccountMismatch,
];

/// Adds the endpoints that the holder's page calls.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    routes
        .add(KEY, begin_key)
        .add(KEY_SIGNED, end_key)
        .add(CODE, begin_code)
        .add(CODE_SIGNED, end_code)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyAsked {
    /// The uncompressed point.
    point: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySigned {
    point: Bytes,
    signature: Bytes,
}

#[derive(Serialize)]
struct ToBeSigned {
    to_be_signed: Bytes,
}

#[derive(Serialize)]
struct Certified {
    expiry_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeAsked {
    point: Bytes,
    /// In major units; none for any amount.
    amount: Option<String>,
}

#[derive(Serialize)]
struct CodeToBeSigned {
    claims: ShownClaims,
    to_be_signed: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeSigned {
    point: Bytes,
    claims: ShownClaims,
    signature: Bytes,
}

/// The claims of a code but for the token, which is the holder's.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShownClaims {
    code_id: Bytes,
    issued_ms: u64,
    counter: u64,
    /// In minor units.
    amount: Option<String>,
}

#[derive(Serialize)]
struct Code {
    code: String,
    /// SVG.
    picture: String,
    lives_ms: u64,
    amount: Option<String>,
}

async fn begin_key(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<KeyAsked>,
) -> Result<Json<ToBeSigned>, Refusal> {
    let holder = holder_of(&app, &caller).await?;
    let unsigned = UnsignedRequest::new(token(&holder)?, &key_at(&body.point)?)?;
    Ok(Json(ToBeSigned { to_be_signed: Bytes(unsigned.to_be_signed().to_vec()) }))
}

async fn end_key(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    JsonBody(body): JsonBody<KeySigned>,
) -> Result<Json<Certified>, Refusal> {
    let holder = holder_of(&app, &caller).await?;
    let (token, key) = (token(&holder)?, key_at(&body.point)?);
    let signed = UnsignedRequest::new(token, &key)?.assemble(&signature(&body.signature)?)?;
    let key = CertificateRequest::read(&signed)?.key();
    let made = app.certificate(token, &key, holder.id, &browser(&headers))?;
    let index = [("key", KeyId::of(&key)?.0.to_vec())];
    let serial = hex::encode(&made.serial);
    let batch = Batch::new()
        .put(kinds::CERTIFICATE, made.serial.clone(), 0, made.to_bytes(), &index)
        .audit(now(), format!("certified {serial} in a browser of {}", holder.id));
    app.store.write(batch).await?;
    Ok(Json(Certified { expiry_ms: X509Certificate::read(&made.der)?.not_after().0 }))
}

/// What browser it is, told coarsely by names that are known here: what a browser says of itself
/// is not kept.
fn browser(headers: &HeaderMap) -> String {
    let said = headers.get(USER_AGENT).and_then(|said| said.to_str().ok()).unwrap_or_default();
    let of = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| said.contains(mark)).map(|(_, name)| *name)
    };
    let name = of(&BROWSERS).unwrap_or("browser");
    of(&SYSTEMS).map_or_else(|| name.to_owned(), |system| format!("{name} on {system}"))
}

/// Marks of browsers with their names; those that claim to be others as well go first.
const BROWSERS: [(&str, &str); 5] = [
    ("Firefox/", "Firefox"),
    ("Edg/", "Edge"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];
const SYSTEMS: [(&str, &str); 6] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

async fn begin_code(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<CodeAsked>,
) -> Result<Json<CodeToBeSigned>, Refusal> {
    let holder = holder_of(&app, &caller).await?;
    let exponent = app.exponent(&app.currency);
    let read = |text: String| pages::typed_amount(&text, exponent);
    let amount = body.amount.map(read).transpose();
    let amount = amount.map_err(|reason| Problem::new(reason).field("amount"))?;
    let at = now();
    let claims = ShownClaims {
        code_id: Bytes(source::random::<16>()?.to_vec()),
        issued_ms: at.0 - at.0 % 1000,
        counter: at.0,
        amount: amount.map(|amount| amount.minor().to_string()),
    };
    let unsigned = unsigned(&app, &holder, &body.point, &claims).await?;
    let to_be_signed = Bytes(unsigned.to_be_signed().to_vec());
    Ok(Json(CodeToBeSigned { claims, to_be_signed }))
}

async fn end_code(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<CodeSigned>,
) -> Result<Json<Code>, Refusal> {
    let holder = holder_of(&app, &caller).await?;
    let unsigned = unsigned(&app, &holder, &body.point, &body.claims).await?;
    let code = unsigned.assemble(&signature(&body.signature)?)?;
    let verified = app.verified(&code, now()).await?;
    let amount = verified.claims.amount;
    let shown = amount.map(|(code, amount)| app.money(code, amount).text());
    Ok(Json(Code {
        picture: qr::to_svg(&code)?,
        code,
        lives_ms: verified.claims.expires.0.saturating_sub(now().0),
        amount: shown,
    }))
}

async fn holder_of(app: &Issuer, caller: &Caller) -> Result<Holder, Reason> {
    app.holder(&caller.require_holder()?).await.map(|(_, holder)| holder)
}

fn token(holder: &Holder) -> Result<&str, Reason> {
    holder.require_link().map(|link| link.token.as_str())
}

fn key_at(point: &Bytes) -> Result<PublicKey, Reason> {
    let key = StandardKey::new(Curve::P256, &point.0)?.to_public_key()?;
    key.check()?;
    Ok(key)
}

fn signature(bytes: &Bytes) -> Result<Signature, Reason> {
    bytes.0.as_slice().try_into().map(Signature).map_err(|_| Reason::SignatureInvalid)
}

async fn unsigned(
    app: &Issuer,
    holder: &Holder,
    point: &Bytes,
    shown: &ShownClaims,
) -> Result<UnsignedCode, Reason> {
    let key = key_at(point)?;
    let chain = app.chain_of(&KeyId::of(&key)?).await?.ok_or(Reason::KeyUnknown)?;
    let amount = match &shown.amount {
        Some(minor) => {
            let minor = minor.parse().map_err(|_| Reason::AmountMalformed)?;
            Some((app.currency, Amount::new(minor)?))
        }
        None => None,
    };
    let issued = TimeMs(shown.issued_ms);
    let code_id = shown.code_id.0.as_slice().try_into().map_err(|_| Reason::ClaimMalformed)?;
    let claims = PaymentClaims {
        account_token: token(holder)?.to_owned(),
        issued,
        expires: issued.after(PAYMENT_CODE_LIFE_MAX),
        code_id,
        counter: shown.counter,
        amount,
    };
    UnsignedCode::new(&claims, &key, Some(&chain))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_browser_is_told_by_its_name_and_system_and_by_nothing_that_it_made_up() {
        let of = |said: &'static str| {
            browser(&HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(said))]))
        };
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(of(firefox), "Firefox on Linux");
        let edge = "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0";
        assert_eq!(of(edge), "Edge on Windows");
        assert_eq!(of("4111111111111111"), "browser");
        assert_eq!(browser(&HeaderMap::new()), "browser");
    }
}
