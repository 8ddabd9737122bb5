//! The pages of an issuer's operator: login with an API key, holders, fundings, authorizations,
//! devices.

use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use tallystick_api::issuer::{Funding, FundingRequest};
use tallystick_api::operation::{Access, Operation};
use tallystick_issuer::authorization::{AUTHORIZATION_BYTES_MAX, Authorization};
use tallystick_issuer::certificate_authority::{CERTIFICATE_RECORD_BYTES_MAX, DeviceCertificate};
use tallystick_kernel::{Amount, Reason, TimeMs, hex};

use super::authorizations::asked_by;
use super::pages::ANY;
use super::{App, Issuer, authorizations, ca, decode, fundings, holders, kinds};
use crate::console::layout::{Page, Place};
use crate::console::pages::login::{LoginView, login};
use crate::console::pages::operator::{
    self, CertificateEntry, HolderEntry, OperatorView, SettlementEntry,
};
use crate::http::idempotency::WriteKey;
use crate::http::visitor::VisitorKind;
use crate::http::{Caller, Refusal, Routes};
use crate::roles::pages::{self, KeyForm, form_token, stage};
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
const REVOKE: Operation = Operation::post(
    "operatorRevoke",
    "/operator/certificates/{serial}/revoke",
    REVOKER,
    "Revokes the certificate of a device.",
)
.page()
.refuses(&[Reason::NotFound], ANY);

/// Entries of one list on the page.
const ENTRIES_MAX: usize = 50;

/// Adds the operator's pages to an issuer.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    routes
        .add(HOME, home)
        .add(LOGIN, enter)
        .add(LOGOUT, leave)
        .add(PAGE, page)
        .add(FUND, fund)
        .add(REVOKE, revoke)
}

async fn home(State(app): State<App>) -> Response {
    login_page(&app, None)
}

fn login_page(app: &Issuer, refused: Option<Reason>) -> Response {
    let content = login(&LoginView {
        kicker: "Issuer",
        title: "Operator",
        lead: "Holders, fundings, authorizations and devices. An operator logs in with an API key.",
        action: "/operator/login",
        by_password: false,
        refused,
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

async fn page(State(app): State<App>, caller: Caller) -> Result<Response, Refusal> {
    shown(&app, &caller, None).await
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
    let outcome = give(&app, &form).await;
    shown(&app, &caller, Some(outcome)).await
}

async fn give(app: &App, form: &FundForm) -> Result<String, Reason> {
    let currency = app.currency;
    let amount = Amount::parse(form.amount.trim(), app.exponent(&currency))?;
    let holder = Some(form.holder.trim().to_owned());
    let request = FundingRequest { holder, account: None, currency, amount };
    if hex::decode(&form.once)?.len() != 32 {
        return Err(Reason::FieldInvalid);
    }
    let key = WriteKey(form.once.clone());
    fundings::fund(app.clone(), key, request).await.map_err(|refusal| refusal.reason())?;
    let shown = app.money(currency, amount).text();
    Ok(format!("{shown} are on their way to {}.", form.holder.trim()))
}

async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(serial): Path<String>,
) -> Result<Response, Refusal> {
    let revoked = match hex::decode(&serial) {
        Ok(bytes) => ca::revoke_serial(&app, &bytes).await,
        Err(reason) => Err(reason),
    };
    shown(&app, &caller, Some(revoked.map(|()| "The device's certificate is revoked.".to_owned())))
        .await
}

async fn shown(
    app: &App,
    caller: &Caller,
    outcome: Option<Result<String, Reason>>,
) -> Result<Response, Refusal> {
    let token = form_token(caller)?;
    let given = fundings::latest_fundings(app, None).await?;
    let view = OperatorView {
        holders: holder_entries(app).await?,
        fundings: given.items.iter().take(ENTRIES_MAX).map(|one| funding(app, one)).collect(),
        authorizations: authorization_entries(app).await?,
        certificates: certificate_entries(app).await?,
        form_token: token.to_owned(),
        once: hex::encode(&source::random::<32>()?),
        network: app.visits.links.network.clone(),
        currency: app.currency.to_string(),
        outcome,
    };
    Ok(pages::shown(&Page {
        title: "Operator",
        place: Place::Operator,
        links: &app.visits.links,
        logged_in: Some(token),
        modules: &[],
        live: None,
        is_narrow: false,
        content: operator::operator(&view),
    }))
}

async fn holder_entries(app: &Issuer) -> Result<Vec<HolderEntry>, Reason> {
    let found = app.store.list(kinds::HOLDER, None, ENTRIES_MAX as u32).await?;
    let entry = |(_, holder): (u64, tallystick_issuer::holder::Holder)| HolderEntry {
        id: holder.id.to_string(),
        account: holder.link.as_ref().map(|link| link.account),
        name: holder.name,
    };
    found.iter().map(|record| holders::read(record).map(entry)).collect()
}

fn funding(app: &Issuer, one: &Funding) -> SettlementEntry {
    SettlementEntry {
        id: one.id.clone(),
        time: Some(TimeMs(one.created_ms)),
        amount: app.money(one.currency, one.amount),
        state: stage(one.state),
        transaction: one.transaction,
        failure: one.code.as_deref().and_then(Reason::from_code),
    }
}

/// The latest authorizations, by the keys of those who may ask for them.
async fn authorization_entries(app: &Issuer) -> Result<Vec<SettlementEntry>, Reason> {
    let mut made: Vec<Authorization> = Vec::new();
    for key in &app.config.api_keys {
        let prefix = asked_by(&key.name);
        let found = latest::read(&app.store, kinds::AUTHORIZATION, "key", &prefix, None).await?;
        for (_, record) in found {
            made.push(decode(&record, AUTHORIZATION_BYTES_MAX)?);
        }
    }
    made.sort_by_key(|one| core::cmp::Reverse(one.created));
    let entry = |one: &Authorization| {
        let shown = authorizations::shown(one);
        SettlementEntry {
            amount: app.money(shown.currency, shown.amount),
            state: stage(shown.state),
            time: Some(one.created),
            transaction: shown.transaction,
            failure: shown.code.as_deref().and_then(Reason::from_code),
            id: shown.id,
        }
    };
    Ok(made.iter().take(ENTRIES_MAX).map(entry).collect())
}

async fn certificate_entries(app: &Issuer) -> Result<Vec<CertificateEntry>, Reason> {
    let found = app.store.list(kinds::CERTIFICATE, None, ENTRIES_MAX as u32).await?;
    let mut entries = Vec::with_capacity(found.len());
    for record in &found {
        let made: DeviceCertificate = decode(record, CERTIFICATE_RECORD_BYTES_MAX)?;
        let (_, holder) = app.holder(&made.holder).await?;
        entries.push(CertificateEntry {
            serial: hex::encode(&made.serial),
            holder: holder.name,
            revoked: made.revoked,
        });
    }
    Ok(entries)
}
