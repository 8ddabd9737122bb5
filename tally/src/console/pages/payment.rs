//! The page of a transaction: what it wanted, what became of it, and its proof, verified here.

use maud::{Markup, html};
use tallystick_kernel::{AccountId, Reason, TimeMs, TransactionId};

use super::missing::sentence;
use super::network::action_name;
use crate::console::badge::{Tone, badge};
use crate::console::identifier::{identifier, linked, short};
use crate::console::layout;
use crate::console::moment::moment;
use crate::console::money::{Money, money, money_large};
use crate::console::notice::notice;
use crate::console::table::{Cell, Row, table};

/// A transaction as a node has it.
#[derive(Clone, Debug)]
pub struct PaymentView {
    /// The transaction.
    pub id: TransactionId,
    /// Where it stands.
    pub state: PaymentState,
    /// What it wants, when the node still has it.
    pub wanted: Option<Wanted>,
    /// The time of the block that holds it, once there is one.
    pub time: Option<TimeMs>,
    /// Whether there is a receipt.
    pub has_receipt: bool,
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentState {
    /// It waits for a block; whether a quorum stored it.
    Pending(bool),
    /// It was executed at this height; why it failed, if it did.
    Final(u64, Option<Reason>),
    /// It will never be included.
    Expired,
}

/// What a transaction wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The action.
    pub action: &'static str,
    /// Whose money it moves.
    pub account: Option<AccountId>,
    /// Until when it may be included.
    pub valid_until: TimeMs,
    /// How much in all.
    pub total: Option<Money>,
    /// Whom it pays.
    pub lines: Vec<PaymentLine>,
    /// Who signed it.
    pub signers: Vec<String>,
}

/// One line of a payment.
#[derive(Clone, Debug)]
pub struct PaymentLine {
    /// Who is paid.
    pub payee: AccountId,
    /// How much.
    pub amount: Money,
    /// By what the payee finds the order.
    pub reference: Option<String>,
}

/// The page.
pub fn payment(view: &PaymentView) -> Markup {
    let kicker =
        view.wanted.as_ref().map_or("transaction".to_owned(), |wanted| action_name(wanted.action));
    html! {
        (layout::head(&kicker, &short(&view.id.to_string()), None))
        section.sheet data-part="result" aria-label="Result" {
            div.row.row-spread {
                @if let Some(total) = view.wanted.as_ref().and_then(|wanted| wanted.total) { (money_large(&total)) }
                (state(view.state))
            }
            (explained(view))
        }
        @if let Some(wanted) = &view.wanted { (wanted_part(view, wanted)) }
        @if view.has_receipt { (receipt(view)) }
    }
}

fn state(state: PaymentState) -> Markup {
    match state {
        PaymentState::Pending(false) => badge(Tone::Wait, "stored here"),
        PaymentState::Pending(true) => badge(Tone::Wait, "acknowledged"),
        PaymentState::Final(_, None) => badge(Tone::Good, "final"),
        PaymentState::Final(_, Some(_)) => badge(Tone::Bad, "failed"),
        PaymentState::Expired => badge(Tone::Bad, "expired"),
    }
}

fn explained(view: &PaymentView) -> Markup {
    match view.state {
        PaymentState::Pending(false) => html! { p { "One node has it. It is not a payment yet." } },
        PaymentState::Pending(true) => {
            html! { p { "A quorum of nodes stored it durably. It waits for its block." } }
        }
        PaymentState::Final(height, failure) => html! {
            p { "Executed in block " a href={ "/blocks/" (height) } { (height) } @if let Some(time) = view.time { ", " (moment(time)) } "." @if !view.has_receipt { " The receipt comes with the next blocks." } }
            @if let Some(reason) = failure { (notice(Tone::Bad, &format!("{} ({})", sentence(reason), reason.code()))) }
        },
        PaymentState::Expired => {
            html! { p { "It was not included in time and never will be: it moved no money." } }
        }
    }
}

fn wanted_part(view: &PaymentView, wanted: &Wanted) -> Markup {
    html! {
        @if !wanted.lines.is_empty() {
            section.section aria-labelledby="lines" {
                h2 #lines { "Lines" }
                (lines(&wanted.lines))
            }
        }
        section.section aria-labelledby="authority" {
            h2 #authority { "Authority" }
            dl.terms {
                div { dt { "Transaction" } dd { (identifier(&view.id.to_string(), "transaction")) } }
                @if let Some(account) = &wanted.account {
                    @let id = account.to_string();
                    div { dt { "Account" } dd { (linked(&id, "account", &format!("/accounts/{id}"))) } }
                }
                @for key in &wanted.signers {
                    div { dt { "Signed by" } dd { (identifier(key, "key")) } }
                }
                div { dt { "Valid until" } dd { (moment(wanted.valid_until)) } }
            }
        }
    }
}

fn lines(lines: &[PaymentLine]) -> Markup {
    let row = |(index, line): (usize, &PaymentLine)| {
        let payee = line.payee.to_string();
        let reference = line.reference.as_deref();
        Row {
            key: index.to_string(),
            cells: vec![
                Cell::new(linked(&payee, "payee", &format!("/accounts/{payee}"))),
                Cell::new(match reference {
                    Some(reference) => identifier(reference, "reference"),
                    None => html! { span.quiet { "none" } },
                }),
                Cell::number(money(&line.amount)),
            ],
        }
    };
    let rows: Vec<Row> = lines.iter().enumerate().map(row).collect();
    table("Lines of the payment", &["Payee", "Reference", "Amount"], &rows)
}

/// The beginning of the id, enough to tell files apart.
fn file_name(view: &PaymentView) -> String {
    view.id.to_string().chars().take(FILE_NAME_LENGTH).collect()
}

const FILE_NAME_LENGTH: usize = 13;

fn receipt(view: &PaymentView) -> Markup {
    html! {
        section.sheet aria-labelledby="receipt" data-verify={ "/v1/transactions/" (view.id) "/receipt" } data-genesis="/v1/genesis" data-transaction=(view.id) {
            div.section-head {
                h2 #receipt { "Receipt" }
                a href={ "/v1/transactions/" (view.id) "/receipt" } download={ "receipt-" (file_name(view)) ".tally" } { "Download" }
            }
            p { "The receipt proves what became of this transaction to anyone who has the genesis file. Verify it with this browser's own cryptography; the server is only asked for the bytes." }
            div.field {
                label for="genesis-file" { "Genesis file of your own" }
                input #genesis-file type="file" data-verify-genesis aria-describedby="genesis-hint";
                p.hint #genesis-hint { "Without one, the genesis file of this node is taken, and its network id is shown for you to compare." }
            }
            div.row { button type="button" data-verify-start { "Verify in this page" } }
            div data-verify-verdict role="status" {}
            ol.steps data-verify-steps aria-live="polite" {}
            noscript { p.notice { "To verify without scripts: tally receipt verify FILE --genesis GENESIS" } }
        }
    }
}
