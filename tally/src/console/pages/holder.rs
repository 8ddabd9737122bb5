//! The holder's page: what is there, a code to pay with, and what was paid.

use maud::{Markup, html};
use tallystick_kernel::{AccountId, Reason, TimeMs, TransactionId};

use super::account::{Holding, holdings};
use super::missing::sentence;
use crate::console::badge::{Tone, badge};
use crate::console::identifier::linked;
use crate::console::layout;
use crate::console::moment::moment;
use crate::console::money::{Money, money};
use crate::console::notice::{empty, notice};
use crate::console::table::{Cell, Listed, OLDER, Row, table};

/// What the issuer shows a holder.
#[derive(Clone, Debug)]
pub struct HolderView {
    /// The holder's id.
    pub id: String,
    /// The login name.
    pub name: String,
    /// The linked account, if there is one.
    pub account: Option<AccountId>,
    /// What is on it; none when no node could say.
    pub holdings: Option<Vec<Holding>>,
    /// The payments, the newest first.
    pub payments: Listed<PaymentEntry>,
    /// A charge with a code of theirs that was refused a moment ago.
    pub refused: Option<RefusedCharge>,
    /// The form token.
    pub form_token: String,
    /// The network's pages, where payments can be looked up.
    pub network: String,
}

/// A charge that the issuer refused to authorise.
#[derive(Clone, Debug)]
pub struct RefusedCharge {
    /// When.
    pub time: TimeMs,
    /// Who asked for it.
    pub merchant: String,
    /// How much.
    pub amount: Money,
    /// Why.
    pub reason: Reason,
}

/// A payment of the holder.
#[derive(Clone, Debug)]
pub struct PaymentEntry {
    /// When it was authorised.
    pub time: TimeMs,
    /// Who is paid, by name.
    pub merchant: String,
    /// Who is paid.
    pub payee: AccountId,
    /// How much.
    pub amount: Money,
    /// How far it is.
    pub state: Stage,
    /// The remittance.
    pub transaction: Option<TransactionId>,
}

/// How far something is that ends on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Decided, not on its way.
    Accepted,
    /// On its way.
    Submitted,
    /// Final and proven.
    Settled,
    /// Ended without a payment.
    Failed,
}

/// The page.
pub fn holder(view: &HolderView) -> Markup {
    html! {
        (layout::head("Holder", &view.name, None))
        @match view.account {
            None => (no_account()),
            Some(account) => {
                div.columns.columns-aside.columns-pay {
                    (code(view))
                    div.section {
                        div data-part="holdings" { (held(view)) }
                        p.quiet.small { "Account " (linked(&account.to_string(), "account", &format!("{}/accounts/{account}", view.network))) }
                    }
                }
                section.section data-part="payments" aria-labelledby="payments" {
                    h2 #payments { "Payments" }
                    (payments(view))
                }
            }
        }
    }
}

fn no_account() -> Markup {
    html! {
        p { "No ledger account is linked yet. A wallet opens one and links it:" }
        p { code { "tally wallet init --data FOLDER --network network.toml --holder NAME" } }
    }
}

fn held(view: &HolderView) -> Markup {
    match &view.holdings {
        Some(found) => holdings(found),
        None => notice(Tone::Wait, "No node answers just now; what you hold cannot be shown."),
    }
}

/// The code: this browser has a key of its own, which signs each code and cannot be copied.
fn code(view: &HolderView) -> Markup {
    html! {
        section.sheet.code-card aria-labelledby="code" data-code data-holder=(view.id) data-form-token=(view.form_token) {
            h2 #code { "Pay" }
            div.section data-part="able" { (refused(view)) (able(view)) }
            p.quiet.small data-code-hint { "Makes a key in this browser, has it certified, and shows a code that lives for a minute and pays once." }
            form.form data-code-form {
                div.field {
                    label for="code-amount" { "Only for this amount" }
                    input #code-amount name="amount" inputmode="decimal" autocomplete="off" placeholder="any amount";
                }
                button type="submit" { "Show a code" }
            }
            div.code-picture data-code-picture hidden {}
            progress.code-left data-code-left max="60" value="60" hidden aria-label="Seconds that the code still lives" {}
            p data-code-status role="status" {}
            div.row data-code-actions hidden {
                button.button-plain.button-small type="button" data-code-text data-copy="" { "Copy as text" }
                button.button-plain.button-small type="button" data-code-stop { "Hide" }
            }
        }
    }
}

/// What went wrong with the last code, where a till used one in vain.
fn refused(view: &HolderView) -> Markup {
    let Some(charge) = &view.refused else { return html! {} };
    html! {
        p.notice.notice-bad role="alert" data-refused {
            (charge.merchant) " asked for " (money(&charge.amount)) " " (moment(charge.time)) ", and was refused. "
            (sentence(charge.reason)) " "
            @if charge.reason == Reason::NoReserveFits { (RESERVE_MORE) " " code { (RESERVE) } }
        }
    }
}

/// Whether a code could pay: only what is reserved for the issuer pays at a till.
fn able(view: &HolderView) -> Markup {
    let Some(held) = &view.holdings else { return html! {} };
    let is_reserved = held.iter().any(|one| one.reserves.iter().any(|(_, is_locked)| *is_locked));
    if is_reserved {
        return html! {};
    }
    let is_rich = held.iter().any(|one| !one.total.amount.is_zero());
    html! {
        p.notice.notice-wait role="status" data-unable {
            @if is_rich {
                "Nothing is reserved, so a code cannot pay yet. " (RESERVE_MORE) " " code { (RESERVE) }
            } @else {
                "There is no money here, so a code cannot pay yet. The issuer's operator gives some."
            }
        }
    }
}

const RESERVE_MORE: &str = "Reserve what you want to spend, in the wallet:";
const RESERVE: &str = "tally wallet reserve --data FOLDER 20.00 10.00";

fn payments(view: &HolderView) -> Markup {
    if view.payments.entries.is_empty() {
        return empty(
            "Nothing paid yet. A payment appears here as soon as a merchant asks for it.",
        );
    }
    let row = |entry: &PaymentEntry| {
        let payee = entry.payee.to_string();
        let transaction = entry.transaction.map(|id| id.to_string());
        let shown = match &transaction {
            Some(id) => linked(id, "transaction", &format!("{}/payments/{id}", view.network)),
            None => html! { span.quiet { "not yet" } },
        };
        Row {
            key: transaction.unwrap_or_else(|| format!("{} {payee}", entry.time.0)),
            cells: vec![
                Cell::new(moment(entry.time)),
                Cell::new(
                    html! { a href={ (view.network) "/accounts/" (payee) } title=(payee) { (entry.merchant) } },
                ),
                Cell::new(shown),
                Cell::new(stage(entry.state)),
                Cell::number(money(&entry.amount)),
            ],
        }
    };
    let rows: Vec<Row> = view.payments.entries.iter().map(row).collect();
    html! {
        (table("Payments", &["Time", "Paid to", "Transaction", "State", "Amount"], &rows))
        (view.payments.ways("payments", OLDER))
    }
}

/// How far something is, as a badge.
pub fn stage(stage: Stage) -> Markup {
    match stage {
        Stage::Accepted => badge(Tone::Wait, "accepted"),
        Stage::Submitted => badge(Tone::Wait, "on its way"),
        Stage::Settled => badge(Tone::Good, "paid"),
        Stage::Failed => badge(Tone::Bad, "failed"),
    }
}
