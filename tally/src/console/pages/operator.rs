//! The operator's page: holders, fundings, authorizations and certificates of an issuer.

use maud::{Markup, html};
use tallystick_kernel::{AccountId, Reason, TimeMs, TransactionId};

use super::holder::{Stage, stage};
use super::missing::sentence;
use crate::console::badge::{Tone, badge};
use crate::console::form::{self, Field, field};
use crate::console::identifier::{identifier, linked};
use crate::console::layout;
use crate::console::moment::moment;
use crate::console::money::{Money, money};
use crate::console::notice::{empty, notice};
use crate::console::table::{Cell, Listed, MORE, OLDER, Row, table};

/// What the issuer shows an operator.
#[derive(Clone, Debug)]
pub struct OperatorView {
    /// Holders.
    pub holders: Listed<HolderEntry>,
    /// Fundings, the newest first.
    pub fundings: Listed<SettlementEntry>,
    /// Authorizations, the newest first.
    pub authorizations: Listed<SettlementEntry>,
    /// Certificates of devices.
    pub certificates: Listed<CertificateEntry>,
    /// The form token.
    pub form_token: String,
    /// Random; makes the form that gives money serve once.
    pub once: String,
    /// The network's pages.
    pub network: String,
    /// The currency's code.
    pub currency: String,
    /// What the last write came to.
    pub outcome: Option<Result<String, Reason>>,
    /// What was typed for a funding that was refused: the holder and the amount.
    pub typed: (String, String),
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
    pub time: TimeMs,
    /// Whose money it is or becomes, by name; none for an account of nobody who is known here.
    pub holder: Option<String>,
    /// The merchant who asked, by name.
    pub merchant: Option<String>,
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
    /// What kind of device it is; empty where that is not known.
    pub device: String,
    /// Whose device it is.
    pub holder: String,
    /// When it was certified.
    pub since: TimeMs,
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
                (view.holders.ways("holders", MORE))
            }
            (fund(view))
        }
        section.section data-part="authorizations" aria-labelledby="authorizations" {
            h2 #authorizations { "Authorizations" }
            (settlements(view, &view.authorizations.entries, "Authorizations", "No merchant has asked for a payment yet."))
            (view.authorizations.ways("authorizations", OLDER))
        }
        section.section data-part="fundings" aria-labelledby="fundings" {
            h2 #fundings { "Fundings" }
            (settlements(view, &view.fundings.entries, "Fundings", "Nothing was issued yet. The form above gives money to a holder."))
            (view.fundings.ways("fundings", OLDER))
        }
        section.section aria-labelledby="devices" {
            h2 #devices { "Devices" }
            (certificates(view))
            (view.certificates.ways("devices", MORE))
        }
    }
}

fn fund(view: &OperatorView) -> Markup {
    html! {
        form.sheet.form method="post" action="/operator/fundings" aria-labelledby="fund" {
            h2 #fund { "Give money" }
            (form::token(&view.form_token))
            input type="hidden" name="once" value=(view.once);
            (field(&Field { value: &view.typed.0, ..Field::text("holder", "Name of the holder") }))
            (field(&Field { value: &view.typed.1, hint: Some("in major units, such as 12.30"), ..Field::text("amount", &format!("Amount in {}", view.currency)) }))
            button type="submit" { "Issue" }
        }
    }
}

fn holders(view: &OperatorView) -> Markup {
    if view.holders.entries.is_empty() {
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
    let rows: Vec<Row> = view.holders.entries.iter().map(row).collect();
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
    let has_merchants = entries.iter().any(|entry| entry.merchant.is_some());
    let named = |name: &Option<String>| match name {
        Some(name) => html! { (name) },
        None => html! { span.quiet { "–" } },
    };
    let row = |entry: &SettlementEntry| {
        let mut cells = vec![Cell::new(moment(entry.time)), Cell::new(named(&entry.holder))];
        if has_merchants {
            cells.push(Cell::new(named(&entry.merchant)));
        }
        cells.extend([
            Cell::new(match entry.transaction.map(|id| id.to_string()) {
                Some(id) => linked(&id, "transaction", &format!("{}/payments/{id}", view.network)),
                None => html! { span.quiet { "not yet" } },
            }),
            Cell::new(html! {
                (stage(entry.state))
                @if let Some(reason) = entry.failure { " " code { (reason.code()) } }
            }),
            Cell::number(money(&entry.amount)),
        ]);
        Row { key: entry.id.clone(), cells }
    };
    let rows: Vec<Row> = entries.iter().map(row).collect();
    let mut columns = vec!["Time", "Holder", "Transaction", "State", "Amount"];
    if has_merchants {
        columns.insert(2, "Paid to");
    }
    table(caption, &columns, &rows)
}

fn certificates(view: &OperatorView) -> Markup {
    if view.certificates.entries.is_empty() {
        return empty("No device was certified yet.");
    }
    let row = |entry: &CertificateEntry| Row {
        key: entry.serial.clone(),
        cells: vec![
            Cell::new(html! { (kind(entry)) }),
            Cell::new(html! { (entry.holder) }),
            Cell::new(moment(entry.since)),
            Cell::new(identifier(&entry.serial, "serial number")),
            Cell::new(match entry.revoked {
                Some(time) => html! { (badge(Tone::Bad, "revoked")) " " (moment(time)) },
                None => revocation(view, entry),
            }),
        ],
    };
    let rows: Vec<Row> = view.certificates.entries.iter().map(row).collect();
    let columns = ["Device", "Holder", "Certified", "Serial number", "State"];
    table("Devices", &columns, &rows)
}

fn kind(entry: &CertificateEntry) -> &str {
    if entry.device.is_empty() { "device" } else { &entry.device }
}

/// Revoking in two steps: it cannot be undone, so it says first what it would do, and to which.
fn revocation(view: &OperatorView, entry: &CertificateEntry) -> Markup {
    let (kind, holder) = (kind(entry), &entry.holder);
    html! {
        details.confirm {
            summary aria-label={ "Revoke the " (kind) " of " (holder) " …" } { "Revoke …" }
            form.form method="post" action={ "/operator/certificates/" (entry.serial) "/revoke" } {
                (form::token(&view.form_token))
                p { "Codes of the " (kind) " of " strong { (holder) } ", certified " (moment(entry.since)) ", are refused everywhere from then on. This cannot be undone." }
                button.button-danger.button-small type="submit" { "Revoke for good" }
            }
        }
    }
}
