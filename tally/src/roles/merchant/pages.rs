//! The pages of a merchant: the login of a till, the till, and what becomes of a charge.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Form, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use maud::Markup;
use serde::{Deserialize, Serialize};
use tallystick_api::issuer::Progress;
use tallystick_api::merchant::{Charge as Shown, ChargeRequest};
use tallystick_api::operation::{Access, Operation};
use tallystick_kernel::{Group, LabelledHash, Reason, TimeMs, hex};
use tallystick_proofs::genesis::GenesisCurrency;
use tallystick_proofs::payment_code::PREFIX;

use super::charges::{self, charge_code, latest_charges};
use super::{App, Merchant};
use crate::console::layout::{Page, Place};
use crate::console::money::Money;
use crate::console::pages::login::{LoginView, login};
use crate::console::pages::till::{self, ChargeEntry, Refused, TillView, Typed};
use crate::http::idempotency::WriteKey;
use crate::http::visitor::VisitorKind;
use crate::http::{Caller, Refusal, Routes};
use crate::roles::pages::{self, KeyForm, form_token};
use crate::{picture, qr};

const TILL: Access = Access::VisitorScope("charges");
const ANY: &[Group] = &[Group::Form, Group::Request, Group::Environment, Group::Limits];
const HOME: Operation =
    Operation::get("tillLogin", "/", Access::Public, "Where a till logs in.").page();
const LOGIN: Operation = Operation::post("tillEnter", "/login", Access::Public, "Logs a till in.")
    .page()
    .guess_limited()
    .refuses(&[Reason::Forbidden], ANY);
const LOGOUT: Operation = Operation::post("tillLeave", "/logout", TILL, "Logs a till out.").page();
const PAGE: Operation = Operation::get("tillPage", "/till", TILL, "The till.").page();
const CHARGE: Operation =
    Operation::post("tillCharge", "/till", TILL, "Charges a code.").page().refuses(&[], ANY);
const PICTURE: Operation =
    Operation::post("tillPicture", "/till/pictures", TILL, "Reads the code in a picture.")
        .page()
        .body_bytes_max(qr::IMAGE_BYTES_MAX)
        .refuses(&[Reason::ImageUnreadable, Reason::CodeNotFound], &[]);
const CHARGE_PAGE: Operation =
    Operation::get("chargePage", "/till/charges/{id}", TILL, "What becomes of a charge.").page();
const RECEIPT: Operation =
    Operation::get("chargeProof", "/till/charges/{id}/receipt", TILL, "A charge's receipt.")
        .page()
        .refuses(&[Reason::NotFound, Reason::HexMalformed], &[]);
const EVENTS: Operation = Operation {
    streams: true,
    ..Operation::get("tillEvents", "/till/events", TILL, "Streams charges to the till.").page()
};

/// Adds the pages to a merchant.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    pages::routes(routes)
        .add(HOME, home)
        .add(LOGIN, enter)
        .add(LOGOUT, leave)
        .add(PAGE, till_page)
        .add(CHARGE, charge)
        .add(PICTURE, picture)
        .add(EVENTS, charges::charge_events)
        .add(CHARGE_PAGE, charge_page)
        .add(RECEIPT, charges::receipt)
}

async fn home(State(app): State<App>) -> Response {
    login_page(&app, None)
}

fn login_page(app: &Merchant, refused: Option<Reason>) -> Response {
    let said = refused.map(|reason| pages::key_refused(reason, TILL));
    let content = login(&LoginView {
        kicker: "Till",
        title: &app.name,
        lead: "Charges are made by tills. A till logs in with its key.",
        action: "/login",
        by_password: false,
        refused: said.as_deref(),
    });
    pages::shown_again(&Page { is_narrow: true, ..framed(app, "Till", None, content) }, refused)
}

async fn enter(State(app): State<App>, headers: HeaderMap, Form(form): Form<KeyForm>) -> Response {
    let entered = pages::enter_with_key(&app.visits, &app.sessions, &headers, &form, TILL, "/till");
    entered.await.unwrap_or_else(|reason| login_page(&app, Some(reason)))
}

async fn leave(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    Ok(pages::leave(&app.visits, VisitorKind::Till, &app.sessions, &headers).await?)
}

#[derive(Deserialize)]
struct TillQuery {
    charges: Option<String>,
}

async fn till_page(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<TillQuery>,
) -> Result<Response, Refusal> {
    let before = query.charges.as_deref();
    shown_till(&app, &caller, before, None, Typed::default()).await
}

async fn shown_till(
    app: &App,
    caller: &Caller,
    before: Option<&str>,
    refused: Option<Refused>,
    typed: Typed,
) -> Result<Response, Refusal> {
    let found = latest_charges(app, &pages::slice(before)?).await?;
    let token = form_token(caller)?;
    let view = TillView {
        name: app.name.clone(),
        currency: currency(app)?.code.to_string(),
        charges: pages::listed(found, before, ("/till", "charges"), |one| entry(app, &one)),
        form_token: token.to_owned(),
        network: app.visits.links.network.clone(),
        refused,
        typed,
    };
    let page = framed(app, "Till", Some(token), till::till(&view));
    Ok(pages::shown(&Page { live: Some("/till/events"), modules: &["till.js"], ..page }))
}

#[derive(Deserialize)]
struct ChargeForm {
    amount: String,
    #[serde(default)]
    order: String,
    code: String,
}

async fn charge(
    State(app): State<App>,
    caller: Caller,
    Form(form): Form<ChargeForm>,
) -> Result<Response, Refusal> {
    let priced = currency(&app)?;
    let code = form.code.trim().to_owned();
    // What is no code may be anything that was pasted by mistake, and is not shown again.
    let kept = if code.starts_with(PREFIX) { code.clone() } else { String::new() };
    let typed = Typed { amount: form.amount.clone(), order: form.order.clone(), code: kept };
    let amount = match pages::typed_amount(&form.amount, priced.exponent) {
        Ok(amount) => amount,
        Err(reason) => {
            let refused = Refused { reason, field: Some("amount") };
            return shown_till(&app, &caller, None, Some(refused), typed).await;
        }
    };
    // The same form sent twice is the same charge.
    let key = LabelledHash::new("tallystick/till-charge/1").part(code.as_bytes());
    let key = key.number(amount.minor()).part(form.order.as_bytes()).finish();
    let body = ChargeRequest { code, currency: priced.code, amount, order: form.order };
    match charge_code(app.clone(), WriteKey(hex::encode(&key)), body).await {
        Ok(made) => Ok(Redirect::to(&format!("/till/charges/{}", made.id)).into_response()),
        Err(refusal) => {
            let refused = fault(&refusal);
            // A code that can never pay is not kept: the next one takes its place.
            let is_over = matches!(refused.reason, Reason::CodeReplayed | Reason::Expired);
            let code = if is_over { String::new() } else { typed.code };
            shown_till(&app, &caller, None, Some(refused), Typed { code, ..typed }).await
        }
    }
}

/// The field of the till at which a refusal is shown.
fn fault(refusal: &Refusal) -> Refused {
    let reason = refusal.reason();
    let is_amounts = matches!(
        reason,
        Reason::AmountMalformed
            | Reason::AmountZero
            | Reason::AmountOverflow
            | Reason::AmountDiffers
            | Reason::CodeLimitExceeded
    );
    let field = match refusal.field() {
        _ if is_amounts => Some("amount"),
        Some("order") => Some("order"),
        Some("code") => Some("code"),
        _ => None,
    };
    Refused { reason, field }
}

#[derive(Serialize)]
struct ReadCode {
    code: String,
}

/// A picture comes from whoever has a till's session or stands before its camera.
async fn picture(body: Bytes) -> Result<Json<ReadCode>, Refusal> {
    Ok(Json(ReadCode { code: picture::read(&body).await? }))
}

async fn charge_page(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let found = charges::charge_of(&app, &id).await;
    let one = match found {
        Ok(one) => one,
        Err(reason) => {
            let links = &app.visits.links;
            return Ok(pages::refused(reason, "See the till's list.", Place::Till, links));
        }
    };
    let content = till::charge(&entry(&app, &one), &app.visits.links.network);
    let ended = matches!(one.state, Progress::Settled | Progress::Failed);
    let page = framed(&app, "Charge", Some(form_token(&caller)?), content);
    Ok(pages::shown(&Page { live: (!ended).then_some("/till/events"), ..page }))
}

fn framed<'a>(
    app: &'a Merchant,
    title: &'a str,
    logged_in: Option<&'a str>,
    content: Markup,
) -> Page<'a> {
    Page {
        title,
        place: Place::Till,
        links: &app.visits.links,
        logged_in,
        modules: &[],
        live: None,
        is_narrow: false,
        content,
    }
}

/// The currency that the till takes: the network's first.
fn currency(app: &Merchant) -> Result<&GenesisCurrency, Reason> {
    app.genesis.currencies.first().ok_or(Reason::CurrencyUnknown)
}

fn entry(app: &Merchant, charge: &Shown) -> ChargeEntry {
    let known = app.genesis.currencies.iter().find(|known| known.code == charge.currency);
    let exponent = known.map_or(0, |known| known.exponent);
    ChargeEntry {
        id: charge.id.clone(),
        order: charge.order.clone(),
        time: TimeMs(charge.created_ms),
        amount: Money { amount: charge.amount, currency: charge.currency, exponent },
        state: pages::stage(charge.state),
        transaction: charge.transaction,
        failure: charge.failure.as_deref().and_then(Reason::from_code),
    }
}
