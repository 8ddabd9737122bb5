//! The pages of an issuer's operator: login with an API key, holders, fundings, authorizations,
//! devices.

use axum::extract::{Form, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tallystick_api::issuer::FundingRequest;
use tallystick_api::operation::{Access, Operation};
use tallystick_issuer::authorization::{AUTHORIZATION_BYTES_MAX, Authorization};
use tallystick_issuer::certificate_authority::{
    CERTIFICATE_RECORD_BYTES_MAX, DEVICE_LIFE, DeviceCertificate,
};
use tallystick_kernel::{HolderId, Reason, TimeMs, hex};
use tallystick_proofs::x509_certificate::X509Certificate;
use tallystick_store::{Kind, Record};

use super::authorizations::asked_by;
use super::pages::ANY;
use super::{App, Issuer, ca, decode, fundings, holders, kinds};
use crate::console::layout::{Page, Place};
use crate::console::pages::login::{LoginView, login};
use crate::console::pages::operator::{
    self, CertificateEntry, HolderEntry, OperatorView, SettlementEntry,
};
use crate::console::table::Listed;
use crate::http::events::{Follower, LastEventId, begin, stream};
use crate::http::idempotency::WriteKey;
use crate::http::page::page as page_of;
use crate::http::visitor::VisitorKind;
use crate::http::{Caller, CursorQuery, Refusal, Routes};
use crate::roles::pages::{self, KeyForm, ROWS_MAX, form_token, stage};
use crate::source;
use crate::stored::latest;

const OPERATOR: Access = Access::VisitorScope("list");
const FUNDER: Access = Access::VisitorScope("fundings");
const REVOKER: Access = Access::VisitorScope("certificates");
const HOME: Operation =
    Operation::get("operatorLogin", "/operator/login", Access::Public, "Where operators log in.")
        .page();
const LOGIN: Operation =
    Operation::post("operatorEnter", "/operator/login", Access::Public, "Logs an operator in.")
        .page()
        .guess_limited()
        .refuses(&[Reason::Forbidden], ANY);
const LOGOUT: Operation =
    Operation::post("operatorLeave", "/operator/logout", OPERATOR, "Logs an operator out.").page();
const PAGE: Operation =
    Operation::get("operatorPage", "/operator", OPERATOR, "The operator's page.").page();
const FUND: Operation =
    Operation::post("operatorFund", "/operator/fundings", FUNDER, "Gives a holder money.")
        .page()
        .refuses(&[], ANY);
const FUND_AGAIN: Operation =
    Operation::get("operatorFundAgain", "/operator/fundings", OPERATOR, "Leads back to the page.")
        .page();
const REVOKE_AGAIN: Operation = Operation::get(
    "operatorRevokeAgain",
    "/operator/certificates/{serial}/revoke",
    OPERATOR,
    "Leads back to the page.",
)
.page();
const REVOKE: Operation = Operation::post(
    "operatorRevoke",
    "/operator/certificates/{serial}/revoke",
    REVOKER,
    "Revokes the certificate of a device.",
)
.page()
.refuses(&[Reason::NotFound], ANY);

const EVENTS: Operation = Operation {
    streams: true,
    ..Operation::get("operatorEvents", "/operator/events", OPERATOR, "Tells of changes.").page()
};

/// Adds the operator's pages to an issuer.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    routes
        .add(HOME, home)
        .add(LOGIN, enter)
        .add(LOGOUT, leave)
        .add(PAGE, page)
        .add(FUND, fund)
        .add(REVOKE, revoke)
        .add(FUND_AGAIN, again)
        .add(REVOKE_AGAIN, again)
        .add(EVENTS, events)
}

async fn home(State(app): State<App>) -> Response {
    login_page(&app, None)
}

fn login_page(app: &Issuer, refused: Option<Reason>) -> Response {
    let said = refused.map(|reason| pages::key_refused(reason, OPERATOR));
    let content = login(&LoginView {
        kicker: "Issuer",
        title: "Operator",
        lead: "Holders, fundings, authorizations and devices. An operator logs in with an API key.",
        action: "/operator/login",
        by_password: false,
        refused: said.as_deref(),
    });
    let page = Page {
        title: "Operator",
        place: Place::Operator,
        links: &app.visits.links,
        logged_in: None,
        modules: &[],
        live: None,
        is_narrow: true,
        content,
    };
    pages::shown_again(&page, refused)
}

async fn enter(State(app): State<App>, headers: HeaderMap, Form(form): Form<KeyForm>) -> Response {
    let entered =
        pages::enter_with_key(&app.visits, &app.sessions, &headers, &form, OPERATOR, "/operator");
    entered.await.unwrap_or_else(|reason| login_page(&app, Some(reason)))
}

async fn leave(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    Ok(pages::leave(&app.visits, VisitorKind::Operator, &app.sessions, &headers).await?)
}

/// Which parts of the lists are shown, and what was done a moment ago.
#[derive(Default, Deserialize)]
struct OperatorQuery {
    holders: Option<String>,
    authorizations: Option<String>,
    fundings: Option<String>,
    devices: Option<String>,
    /// The id of a funding that was asked for.
    funded: Option<String>,
    /// The serial number of a certificate that was revoked.
    revoked: Option<String>,
}

async fn page(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<OperatorQuery>,
) -> Result<Response, Refusal> {
    let done = match (&query.funded, &query.revoked) {
        (Some(id), _) => funded(&app, id).await,
        (_, Some(serial)) => revoked(&app, serial).await,
        _ => None,
    };
    shown(&app, &caller, &query, done.map(Ok), Default::default()).await
}

/// Tells the operator's page that something changed, and nothing more: it fetches itself again.
async fn events(
    State(app): State<App>,
    follower: Follower,
    last: LastEventId,
) -> Result<impl IntoResponse, Refusal> {
    let (after, changed) = (begin(&app.store, last).await?, app.changed.subscribe());
    stream(follower, after, changed, move |after| {
        let app = app.clone();
        async move {
            let newest = app.store.last_event().await?;
            let is_new = newest > after;
            Ok(is_new.then(|| (newest, "{}".to_owned())).into_iter().collect())
        }
    })
}

/// A form's address that is asked for like a page: after it was sent, somebody asked for it again.
async fn again() -> Redirect {
    Redirect::to("/operator")
}

#[derive(Deserialize)]
struct FundForm {
    holder: String,
    amount: String,
    /// Random, of the page: the same form sent twice gives the money once.
    once: String,
}

async fn fund(
    State(app): State<App>,
    caller: Caller,
    Form(form): Form<FundForm>,
) -> Result<Response, Refusal> {
    match give(&app, &form).await {
        Ok(id) => Ok(Redirect::to(&format!("/operator?funded={id}")).into_response()),
        Err(reason) => {
            // A name that is not known may be anything that was typed by mistake.
            let is_known = app.holder_by_name(form.holder.trim()).await.is_ok();
            let holder = if is_known { form.holder } else { String::new() };
            let typed = (holder, form.amount);
            shown(&app, &caller, &OperatorQuery::default(), Some(Err(reason)), typed).await
        }
    }
}

async fn give(app: &App, form: &FundForm) -> Result<String, Reason> {
    let currency = app.currency;
    let amount = pages::typed_amount(&form.amount, app.exponent(&currency))?;
    let holder = Some(form.holder.trim().to_owned());
    let request = FundingRequest { holder, account: None, currency, amount };
    if hex::decode(&form.once)?.len() != 32 {
        return Err(Reason::FieldInvalid);
    }
    let key = WriteKey(form.once.clone());
    let made = fundings::fund(app.clone(), key, request).await;
    made.map(|made| made.id).map_err(|refusal| refusal.reason())
}

/// What became of a funding that was just asked for.
async fn funded(app: &App, id: &str) -> Option<String> {
    let id = hex::decode(id).ok()?.try_into().ok()?;
    let (_, made) = app.funding(&id).await.ok()?;
    let amount = app.money(made.currency, made.amount).text();
    let name = holder_name(app, made.holder).await?;
    Some(match made.account {
        Some(_) => format!("{amount} are on their way to {name}."),
        None => format!("{amount} wait for {name}, who has no account yet."),
    })
}

async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(serial): Path<String>,
) -> Result<Response, Refusal> {
    let done = match hex::decode(&serial) {
        Ok(bytes) => ca::revoke_serial(&app, &bytes).await.map(|()| hex::encode(&bytes)),
        Err(reason) => Err(reason),
    };
    match done {
        Ok(serial) => Ok(Redirect::to(&format!("/operator?revoked={serial}")).into_response()),
        Err(reason) => {
            let outcome = Some(Err(reason));
            shown(&app, &caller, &OperatorQuery::default(), outcome, Default::default()).await
        }
    }
}

/// Which device was just revoked.
async fn revoked(app: &App, serial: &str) -> Option<String> {
    let record = app.store.read(kinds::CERTIFICATE, &hex::decode(serial).ok()?).await.ok()??;
    let made: DeviceCertificate = decode(&record, CERTIFICATE_RECORD_BYTES_MAX).ok()?;
    made.revoked?;
    let name = holder_name(app, Some(made.holder)).await?;
    let device = if made.device.is_empty() { "device" } else { &made.device };
    Some(format!("The {device} of {name} is revoked: its codes are refused from now on."))
}

async fn shown(
    app: &App,
    caller: &Caller,
    query: &OperatorQuery,
    outcome: Option<Result<String, Reason>>,
    typed: (String, String),
) -> Result<Response, Refusal> {
    let token = form_token(caller)?;
    let view = OperatorView {
        holders: holder_entries(app, query.holders.as_deref()).await?,
        fundings: funding_entries(app, query.fundings.as_deref()).await?,
        authorizations: authorization_entries(app, query.authorizations.as_deref()).await?,
        certificates: certificate_entries(app, query.devices.as_deref()).await?,
        form_token: token.to_owned(),
        once: hex::encode(&source::random::<32>()?),
        network: app.visits.links.network.clone(),
        currency: app.currency.to_string(),
        outcome,
        typed,
    };
    Ok(pages::shown(&Page {
        title: "Operator",
        place: Place::Operator,
        links: &app.visits.links,
        logged_in: Some(token),
        modules: &[],
        live: Some("/operator/events"),
        is_narrow: false,
        content: operator::operator(&view),
    }))
}

/// The login name of a holder, where there is one.
async fn holder_name(app: &Issuer, id: Option<HolderId>) -> Option<String> {
    app.holder(&id?).await.ok().map(|(_, holder)| holder.name)
}

/// A part of a list in the order of its keys.
async fn in_order(app: &Issuer, kind: Kind, before: Option<&str>) -> Result<List, Refusal> {
    let after = CursorQuery::of(before).bytes()?;
    let found = app.store.list(kind, after.as_deref(), ROWS_MAX as u32 + 1).await?;
    Ok(page_of(found, ROWS_MAX, |record| record.key.clone(), Ok)?)
}

type List = tallystick_api::Page<Record>;

async fn holder_entries(
    app: &Issuer,
    before: Option<&str>,
) -> Result<Listed<HolderEntry>, Refusal> {
    let found = in_order(app, kinds::HOLDER, before).await?;
    let read = found.items.iter().map(holders::read).collect::<Result<Vec<_>, Reason>>()?;
    let entry = |(_, holder): (u64, tallystick_issuer::holder::Holder)| HolderEntry {
        id: holder.id.to_string(),
        account: holder.link.as_ref().map(|link| link.account),
        name: holder.name,
    };
    let found = tallystick_api::Page { items: read, next: found.next };
    Ok(pages::listed(found, before, ("/operator", "holders"), entry))
}

async fn funding_entries(
    app: &App,
    before: Option<&str>,
) -> Result<Listed<SettlementEntry>, Refusal> {
    let found = fundings::latest_fundings(app, &pages::slice(before)?).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for one in found.items {
        items.push(SettlementEntry {
            id: hex::encode(&one.id),
            time: one.created,
            holder: holder_name(app, one.holder).await,
            merchant: None,
            amount: app.money(one.currency, one.amount),
            state: stage(super::shown(&one.progress)),
            transaction: one.progress.transaction(),
            failure: one.progress.failure(),
        });
    }
    let found = tallystick_api::Page { items, next: found.next };
    Ok(pages::listed(found, before, ("/operator", "fundings"), |one| one))
}

/// Authorizations, by the keys of those who may ask for them.
async fn authorization_entries(
    app: &Issuer,
    before: Option<&str>,
) -> Result<Listed<SettlementEntry>, Refusal> {
    let slice = pages::slice(before)?;
    let mut found = Vec::new();
    for key in &app.config.api_keys {
        let prefix = asked_by(&key.name);
        found.extend(latest::read(&app.store, kinds::AUTHORIZATION, "key", &prefix, &slice).await?);
    }
    found.sort_by_cached_key(|(place, _)| core::cmp::Reverse(latest::cursor(place)));
    let read = |record: &Record| decode::<Authorization>(record, AUTHORIZATION_BYTES_MAX);
    let found = latest::page(found, &slice, read)?;
    let mut items = Vec::with_capacity(found.items.len());
    for one in found.items {
        items.push(SettlementEntry {
            id: hex::encode(&one.id),
            time: one.created,
            holder: holder_name(app, Some(one.holder)).await,
            merchant: Some(app.merchant_name(&one.asked_by)),
            amount: app.money(one.currency, one.amount),
            state: stage(super::shown(&one.progress)),
            transaction: one.progress.transaction(),
            failure: one.progress.failure(),
        });
    }
    let found = tallystick_api::Page { items, next: found.next };
    Ok(pages::listed(found, before, ("/operator", "authorizations"), |one| one))
}

/// When a device was certified.
fn certified(made: &DeviceCertificate) -> Result<TimeMs, Reason> {
    Ok(X509Certificate::read(&made.der)?.not_after().before(DEVICE_LIFE))
}

async fn certificate_entries(
    app: &Issuer,
    before: Option<&str>,
) -> Result<Listed<CertificateEntry>, Refusal> {
    let found = in_order(app, kinds::CERTIFICATE, before).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for record in &found.items {
        let made: DeviceCertificate = decode(record, CERTIFICATE_RECORD_BYTES_MAX)?;
        items.push(CertificateEntry {
            serial: hex::encode(&made.serial),
            holder: holder_name(app, Some(made.holder)).await.unwrap_or_default(),
            since: certified(&made)?,
            device: made.device,
            revoked: made.revoked,
        });
    }
    items.sort_by_key(|entry| core::cmp::Reverse(entry.since));
    let found = tallystick_api::Page { items, next: found.next };
    Ok(pages::listed(found, before, ("/operator", "devices"), |one| one))
}
