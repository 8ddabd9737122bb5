//! The operator's page: holders, fundings, authorizations and certificates of an issuer.

use maud::{Markup, html};
use tallystick_kernel::{AccountId, Reason, TimeMs, TransactionId};

use super::holder::{Stage, act, stage};
use super::missing::sentence;
use crate::console::badge::{Tone, badge};
use crate::console::form::{self, Field, field};
use crate::console::identifier::{identifier, linked};
use crate::console::layout;
use crate::console::moment::moment;
use crate::console::money::{Money, money};
use crate::console::notice::{empty, notice};
use crate::console::table::{Cell, Row, table};

/// What the issuer shows an operator.
#[derive(Clone, Debug)]
pub struct OperatorView {
    /// Holders.
    pub holders: Vec<HolderEntry>,
    /// Fundings, the newest first.
    pub fundings: Vec<SettlementEntry>,
    /// Authorizations, the newest first.
    pub authorizations: Vec<SettlementEntry>,
    /// Certificates of devices.
    pub certificates: Vec<CertificateEntry>,
    /// The form token.
    pub form_token: String,
    /// Random; makes the form that gives money serve once.
    pub once: String,
    /// The network's pages.
    pub network: String,
    /// The currency's code.
    pub currency: String,
    /// What the last write came to: a refusal, or nothing to say.
    pub outcome: Option<Result<String, Reason>>,
}

/// A holder in a list.
#[derive(Clone, Debug)]
pub struct HolderEntry {
    /// The id at the issuer.
    pub id: String,
    /// The login name.
    pub name: String,
    /// The linked account.
    pub account: Option<AccountId>,
}

/// Something that ends on the ledger.
#[derive(Clone, Debug)]
pub struct SettlementEntry {
    /// Its id at the issuer.
    pub id: String,
    /// When it was asked for.
    pub time: Option<TimeMs>,
    /// How much.
    pub amount: Money,
    /// How far it is.
    pub state: Stage,
    /// The transaction.
    pub transaction: Option<TransactionId>,
    /// Why it failed.
    pub failure: Option<Reason>,
}

/// A certificate of a device.
#[derive(Clone, Debug)]
pub struct CertificateEntry {
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Whose device it is.
    pub holder: String,
    /// When it was revoked.
    pub revoked: Option<TimeMs>,
}

/// The page.
pub fn operator(view: &OperatorView) -> Markup {
    html! {
        (layout::head("Issuer", "Operator", None))
        @match &view.outcome {
            Some(Ok(text)) => (notice(Tone::Good, text)),
            Some(Err(reason)) => (notice(Tone::Bad, &sentence(*reason))),
            None => {}
        }
        div.columns.columns-aside {
            section.section aria-labelledby="holders" {
                h2 #holders { "Holders" }
                (holders(view))
            }
            (fund(view))
        }
        section.section data-part="authorizations" aria-labelledby="authorizations" {
            h2 #authorizations { "Authorizations" }
            (settlements(view, &view.authorizations, "Authorizations", "No merchant has asked for a payment yet."))
        }
        section.section data-part="fundings" aria-labelledby="fundings" {
            h2 #fundings { "Fundings" }
            (settlements(view, &view.fundings, "Fundings", "Nothing was issued yet. The form above gives money to a holder."))
        }
        section.section aria-labelledby="certificates" {
            h2 #certificates { "Devices" }
            (certificates(view))
        }
    }
}

fn fund(view: &OperatorView) -> Markup {
    html! {
        form.sheet.form method="post" action="/operator/fundings" aria-labelledby="fund" {
            h2 #fund { "Give money" }
            (form::token(&view.form_token))
            input type="hidden" name="once" value=(view.once);
            (field(&Field::text("holder", "Name of the holder")))
            (field(&Field { hint: Some("in major units, such as 12.30"), ..Field::text("amount", &format!("Amount in {}", view.currency)) }))
            button type="submit" { "Issue" }
        }
    }
}

fn holders(view: &OperatorView) -> Markup {
    if view.holders.is_empty() {
        return empty("No holders yet.");
    }
    let row = |entry: &HolderEntry| Row {
        key: entry.id.clone(),
        cells: vec![
            Cell::new(html! { (entry.name) }),
            Cell::new(match entry.account.map(|id| id.to_string()) {
                Some(id) => linked(&id, "account", &format!("{}/accounts/{id}", view.network)),
                None => html! { span.quiet { "none linked" } },
            }),
        ],
    };
    let rows: Vec<Row> = view.holders.iter().map(row).collect();
    table("Holders", &["Name", "Account"], &rows)
}

fn settlements(
    view: &OperatorView,
    entries: &[SettlementEntry],
    caption: &str,
    none: &str,
) -> Markup {
    if entries.is_empty() {
        return empty(none);
    }
    let row = |entry: &SettlementEntry| Row {
        key: entry.id.clone(),
        cells: vec![
            Cell::new(identifier(&entry.id, "id")),
            Cell::new(match entry.time {
                Some(time) => moment(time),
                None => html! { span.quiet { "–" } },
            }),
            Cell::new(match entry.transaction.map(|id| id.to_string()) {
                Some(id) => linked(&id, "transaction", &format!("{}/payments/{id}", view.network)),
                None => html! { span.quiet { "not yet" } },
            }),
            Cell::new(html! {
                (stage(entry.state))
                @if let Some(reason) = entry.failure { " " code { (reason.code()) } }
            }),
            Cell::number(money(&entry.amount)),
        ],
    };
    let rows: Vec<Row> = entries.iter().map(row).collect();
    table(caption, &["Id", "Time", "Transaction", "State", "Amount"], &rows)
}

fn certificates(view: &OperatorView) -> Markup {
    if view.certificates.is_empty() {
        return empty("No device was certified yet.");
    }
    let row = |entry: &CertificateEntry| Row {
        key: entry.serial.clone(),
        cells: vec![
            Cell::new(identifier(&entry.serial, "serial number")),
            Cell::new(html! { (entry.holder) }),
            Cell::new(match entry.revoked {
                Some(time) => html! { (badge(Tone::Bad, "revoked")) " " (moment(time)) },
                None => act(
                    &format!("/operator/certificates/{}/revoke", entry.serial),
                    &view.form_token,
                    "Revoke",
                ),
            }),
        ],
    };
    let rows: Vec<Row> = view.certificates.iter().map(row).collect();
    table("Devices", &["Serial number", "Holder", "State"], &rows)
}
