//! The pages of an issuer for holders: login, and the holder's own page.

use axum::extract::{Form, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use tallystick_api::ApiError;
use tallystick_api::node::{Balance, PAGE_MAX, Reserve};
use tallystick_api::operation::{Access, Operation};
use tallystick_issuer::authorization::Authorization;
use tallystick_kernel::{AccountId, Amount, CurrencyCode, Group, Reason};

use super::refused_charges::{self, RefusedCharge};
use super::{App, Issuer, browser_key, holders, operator_pages, payments};
use crate::console::layout::{Page, Place};
use crate::console::money::Money;
use crate::console::pages::account::Holding;
use crate::console::pages::holder::{self, HolderView, PaymentEntry};
use crate::console::pages::login::{LoginView, login};
use crate::console::pages::missing::sentence;
use crate::http::visitor::{self, VisitorKind};
use crate::http::{Caller, Refusal, Routes};
use crate::roles::pages::{self, form_token};

/// What a login may end with.
pub const ANY: &[Group] = &[Group::Form, Group::Request, Group::Environment, Group::Limits];
const HOME: Operation =
    Operation::get("holderLogin", "/", Access::Public, "Where a holder logs in.").page();
const LOGIN: Operation =
    Operation::post("holderEnter", "/login", Access::Public, "Logs a holder in.")
        .page()
        .guess_limited()
        .refuses(&[Reason::LoginWrong], ANY);
const LOGOUT: Operation =
    Operation::post("holderLeave", "/logout", Access::Visitor, "Logs a holder out.").page();
const PAGE: Operation =
    Operation::get("holderPage", "/holder", Access::Visitor, "The holder's page.").page();
const EVENTS: Operation = Operation {
    streams: true,
    ..Operation::get("holderEvents", "/holder/events", Access::Visitor, "Streams payments.").page()
};

/// Adds the pages to an issuer.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    let routes = pages::routes(routes)
        .add(HOME, home)
        .add(LOGIN, enter)
        .add(LOGOUT, leave)
        .add(PAGE, holder_page)
        .add(EVENTS, payments::page_events);
    operator_pages::routes(browser_key::routes(routes))
}

impl Issuer {
    /// How many decimals a currency has.
    pub fn exponent(&self, code: &CurrencyCode) -> u8 {
        let found = self.genesis.currencies.iter().find(|known| known.code == *code);
        found.map_or(0, |known| known.exponent)
    }

    /// What a merchant is called, by the name of its key.
    pub fn merchant_name(&self, key: &str) -> String {
        self.config.merchant_names.get(key).map_or(key, String::as_str).to_owned()
    }

    /// An amount as pages show it.
    pub fn money(&self, currency: CurrencyCode, amount: Amount) -> Money {
        Money { amount, currency, exponent: self.exponent(&currency) }
    }
}

async fn home(State(app): State<App>) -> Response {
    login_page(&app, None)
}

fn login_page(app: &Issuer, refused: Option<Reason>) -> Response {
    let said = refused.map(sentence);
    let content = login(&LoginView {
        kicker: "Holder",
        title: "Log in",
        lead: "What you hold, a code to pay with, and what you paid.",
        action: "/login",
        by_password: true,
        refused: said.as_deref(),
    });
    let content = html! {
        (content)
        p.small { a href="/operator/login" { "Log in as an operator" } }
    };
    pages::shown_again(&Page { is_narrow: true, ..framed(app, "Log in", None, content) }, refused)
}

#[derive(Deserialize)]
struct LoginForm {
    name: String,
    password: String,
}

async fn enter(
    State(app): State<App>,
    headers: HeaderMap,
    Form(form): Form<LoginForm>,
) -> Result<Response, Refusal> {
    visitor::check_site(&headers)?;
    match holders::log_in(&app, form.name.clone(), form.password).await {
        Ok((_, token, _)) => {
            Ok(pages::enter(&app.visits, VisitorKind::Holder, Some(&token), "/holder")?)
        }
        Err(refusal) => Ok(login_page(&app, Some(refusal.reason()))),
    }
}

async fn leave(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    Ok(pages::leave(&app.visits, VisitorKind::Holder, &app.sessions, &headers).await?)
}

#[derive(Deserialize)]
struct HolderQuery {
    payments: Option<String>,
}

async fn holder_page(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<HolderQuery>,
) -> Result<Response, Refusal> {
    let id = caller.require_holder()?;
    let (_, holder) = app.holder(&id).await?;
    let account = holder.link.as_ref().map(|link| link.account);
    let held = match account {
        Some(account) => holdings(&app, &account).await.ok(),
        None => Some(Vec::new()),
    };
    let before = query.payments.as_deref();
    let found = payments::of_holder(&app, &id, &pages::slice(before)?).await?;
    let refused = refused_charges::latest(&app, &id).await?;
    let paid_since = |refused: &RefusedCharge| {
        before.is_none() && found.items.first().is_some_and(|paid| paid.created > refused.time)
    };
    let refused = refused.filter(|refused| !paid_since(refused));
    let token = form_token(&caller)?;
    let view = HolderView {
        id: id.to_string(),
        name: holder.name,
        account,
        holdings: held,
        payments: pages::listed(found, before, ("/holder", "payments"), |one| entry(&app, &one)),
        refused: refused.map(|one| holder::RefusedCharge {
            time: one.time,
            merchant: app.merchant_name(&one.asked_by),
            amount: app.money(one.currency, one.amount),
            reason: one.reason,
        }),
        form_token: token.to_owned(),
        network: app.visits.links.network.clone(),
    };
    let page = framed(&app, "Holder", Some(token), holder::holder(&view));
    Ok(pages::shown(&Page { live: Some("/holder/events"), modules: &["code.js"], ..page }))
}

fn framed<'a>(
    app: &'a Issuer,
    title: &'a str,
    logged_in: Option<&'a str>,
    content: Markup,
) -> Page<'a> {
    Page {
        title,
        place: Place::Holder,
        links: &app.visits.links,
        logged_in,
        modules: &[],
        live: None,
        is_narrow: false,
        content,
    }
}

fn entry(app: &Issuer, made: &Authorization) -> PaymentEntry {
    PaymentEntry {
        time: made.created,
        merchant: app.merchant_name(&made.asked_by),
        payee: made.payee,
        amount: app.money(made.currency, made.amount),
        state: pages::stage(super::shown(&made.progress)),
        transaction: made.progress.transaction(),
    }
}

/// What an account holds, as a node says.
async fn holdings(app: &Issuer, id: &AccountId) -> Result<Vec<Holding>, ApiError> {
    let account = app.nodes.account(id).await?;
    let mut reserves = app.nodes.reserves(id, PAGE_MAX).await?;
    reserves.sort_by_key(|reserve| core::cmp::Reverse(reserve.amount));
    let holding = |balance: &Balance| {
        let code = balance.currency;
        let own = reserves.iter().filter(|reserve| reserve.currency == code);
        let shown = |one: &Reserve| (app.money(code, one.amount), one.lock.is_some());
        Holding {
            total: app.money(code, balance.free.plus(balance.reserved).unwrap_or(Amount::MAX)),
            free: app.money(code, balance.free),
            reserves: own.map(shown).collect(),
        }
    };
    Ok(account.balances.iter().map(holding).collect())
}
