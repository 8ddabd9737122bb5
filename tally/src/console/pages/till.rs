//! The till: an amount, a code by camera, file or paste, and what becomes of the charge.

use maud::{Markup, html};
use tallystick_kernel::{Reason, TimeMs, TransactionId};

use super::holder::{Stage, stage};
use super::missing::sentence;
use crate::console::badge::Tone;
use crate::console::form;
use crate::console::identifier::linked;
use crate::console::layout;
use crate::console::moment::moment;
use crate::console::money::{Money, money, money_large};
use crate::console::notice::{empty, notice};
use crate::console::table::{Cell, Listed, OLDER, Row, table};

/// What the merchant shows at the till.
#[derive(Clone, Debug)]
pub struct TillView {
    /// The merchant's name.
    pub name: String,
    /// The currency's code.
    pub currency: String,
    /// Charges, the newest first.
    pub charges: Listed<ChargeEntry>,
    /// The form token.
    pub form_token: String,
    /// The network's pages.
    pub network: String,
    /// Why the last charge was refused.
    pub refused: Option<Refused>,
    /// What was typed for it.
    pub typed: Typed,
}

/// What was typed for a charge; empty for a new one.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    /// The amount.
    pub amount: String,
    /// The order.
    pub order: String,
    /// The holder's code.
    pub code: String,
}

/// Why a charge was refused, and the field at fault where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub reason: Reason,
    /// The name of the field: `amount`, `order` or `code`.
    pub field: Option<&'static str>,
}

/// The longest order that a till takes, in bytes.
pub const ORDER_LENGTH_MAX: usize = tallystick_merchant::charge::ORDER_BYTES_MAX;

/// A charge.
#[derive(Clone, Debug)]
pub struct ChargeEntry {
    /// Its id at the merchant.
    pub id: String,
    /// What it is for.
    pub order: String,
    /// When it was made.
    pub time: TimeMs,
    /// How much.
    pub amount: Money,
    /// How far it is.
    pub state: Stage,
    /// The remittance.
    pub transaction: Option<TransactionId>,
    /// Why it failed.
    pub failure: Option<Reason>,
}

/// The till.
pub fn till(view: &TillView) -> Markup {
    html! {
        (layout::head("Till", &view.name, None))
        @if let Some(Refused { reason, field: None }) = view.refused { (notice(Tone::Bad, &sentence(reason))) }
        div.columns {
            (charge_form(view))
            section.section data-part="charges" aria-labelledby="charges" {
                h2 #charges { "Charges" }
                (charges(view))
            }
        }
    }
}

fn charge_form(view: &TillView) -> Markup {
    let fault = |name: &str| {
        let refused = view.refused.filter(|refused| refused.field == Some(name))?;
        Some(form::error(name, &explained(refused.reason, name)))
    };
    let (amount, order, code) = (fault("amount"), fault("order"), fault("code"));
    let invalid = |fault: &Option<Markup>| fault.as_ref().map(|_| "true");
    html! {
        form.sheet.form method="post" action="/till" data-till data-form-token=(view.form_token) aria-labelledby="new" {
            h2 #new { "New charge" }
            (form::token(&view.form_token))
            div.field {
                label for="amount" { "Amount in " (view.currency) }
                input.amount #amount name="amount" required autofocus inputmode="decimal" autocomplete="off" placeholder="0.00" value=(view.typed.amount)
                    aria-invalid=[invalid(&amount)] aria-describedby=[amount.as_ref().map(|_| "amount-error")];
                @if let Some(amount) = &amount { (amount) }
            }
            div.field {
                label for="order" { "Order" }
                input #order name="order" autocomplete="off" maxlength=(ORDER_LENGTH_MAX) value=(view.typed.order)
                    aria-invalid=[invalid(&order)] aria-describedby=(if order.is_some() { "order-error order-hint" } else { "order-hint" });
                @if let Some(order) = &order { (order) }
                p.hint #order-hint { "Your own text; only a salted hash of it leaves the till." }
            }
            fieldset.field {
                legend { "The holder's code" }
                div.row data-till-ways hidden {
                    button.button-plain.button-small type="button" data-till-camera { "Use the camera" }
                    label.button.button-plain.button-small for="picture" { "Read a picture" }
                    input.visually-hidden #picture type="file" accept="image/png,image/jpeg" data-till-picture;
                }
                div.camera data-till-viewfinder hidden {
                    video playsinline muted aria-label="What the camera sees" {}
                    button.button-plain.button-small type="button" data-till-camera-stop { "Stop the camera" }
                }
                label.visually-hidden for="code" { "Text of the code" }
                textarea #code name="code" required spellcheck="false" autocomplete="off" placeholder="or paste it here: TLY1:…"
                    aria-invalid=[invalid(&code)] aria-describedby=[code.as_ref().map(|_| "code-error")] { (view.typed.code) }
                @if let Some(code) = &code { (code) }
                p data-till-status role="status" {}
            }
            button type="submit" { "Charge" }
        }
    }
}

/// What is wrong with a field, in the words of whoever stands at the till.
fn explained(reason: Reason, field: &str) -> String {
    match field {
        "order" => format!("An order has at most {ORDER_LENGTH_MAX} bytes."),
        "code" if is_unreadable(reason) => {
            "This is no whole payment code. Read it again, or paste all of its text.".to_owned()
        }
        "amount" if reason == Reason::AmountMalformed => {
            "Write an amount such as 12.30, without a sign.".to_owned()
        }
        _ => sentence(reason),
    }
}

/// Whether a code could not even be read.
fn is_unreadable(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::InflateFailed
            | Reason::Base45Malformed
            | Reason::PrefixUnknown
            | Reason::Malformed
            | Reason::NotCanonical
            | Reason::TrailingBytes
            | Reason::CoseMalformed
            | Reason::TooLarge
    )
}

fn charges(view: &TillView) -> Markup {
    if view.charges.entries.is_empty() {
        return empty(
            "No charges yet. The first one appears here and is followed until it is proven.",
        );
    }
    let row = |entry: &ChargeEntry| Row {
        key: entry.id.clone(),
        cells: vec![
            Cell::new(html! { a href={ "/till/charges/" (entry.id) } { (order_name(entry)) } }),
            Cell::new(moment(entry.time)),
            Cell::new(stage(entry.state)),
            Cell::number(money(&entry.amount)),
        ],
    };
    let rows: Vec<Row> = view.charges.entries.iter().map(row).collect();
    html! {
        (table("Charges", &["Order", "Time", "State", "Amount"], &rows))
        (view.charges.ways("charges", OLDER))
    }
}

/// The order as a part of a file's name: letters, digits and hyphens; else the beginning of the id.
fn file_name(entry: &ChargeEntry) -> String {
    let letters = entry.order.chars().map(|letter| match letter {
        letter if letter.is_ascii_alphanumeric() => letter,
        _ => '-',
    });
    let name: String = letters.take(FILE_NAME_MAX).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { entry.id.chars().take(8).collect() } else { name.to_owned() }
}

const FILE_NAME_MAX: usize = 32;

fn order_name(entry: &ChargeEntry) -> &str {
    if entry.order.is_empty() { "without order" } else { &entry.order }
}

/// The page of one charge.
pub fn charge(entry: &ChargeEntry, network: &str) -> Markup {
    let reached = match entry.state {
        Stage::Accepted | Stage::Failed => 0,
        Stage::Submitted => 1,
        Stage::Settled => 3,
    };
    html! {
        (layout::head("Charge", order_name(entry), None))
        section.sheet data-part="charge" aria-label="State" {
            div.row.row-spread { (money_large(&entry.amount)) (stage(entry.state)) }
            p.quiet.small { "Charged " (moment(entry.time)) }
            @if let Some(reason) = entry.failure {
                (notice(Tone::Bad, &format!("{} ({})", sentence(reason), reason.code())))
            } @else {
                ol.steps {
                    (step(reached > 0, reached == 0, "Code verified", "offline, against the issuer's certificate"))
                    (step(reached > 1, reached == 1, "Authorised", "the issuer holds the holder's reserves"))
                    (step(reached > 2, false, "Proven", "the receipt was verified from the genesis file"))
                }
            }
            @if entry.state == Stage::Settled {
                div.row {
                    a.button href={ "/till/charges/" (entry.id) "/receipt" } download={ "receipt-" (file_name(entry)) ".tally" } { "Download receipt" }
                    @if let Some(id) = entry.transaction.map(|id| id.to_string()) {
                        a.button.button-plain href={ (network) "/payments/" (id) } { "Verify on the network" }
                    }
                }
                @if let Some(id) = entry.transaction.map(|id| id.to_string()) {
                    p.quiet.small { "Transaction " (linked(&id, "transaction", &format!("{network}/payments/{id}"))) }
                }
            }
        }
        p { a href="/till" { "Next charge" } }
    }
}

fn step(is_done: bool, is_now: bool, title: &str, detail: &str) -> Markup {
    let class = match (is_done, is_now) {
        (true, _) => "step step-done",
        (false, true) => "step step-now",
        (false, false) => "step",
    };
    let said = if is_done { "done: " } else { "" };
    html! {
        li class=(class) {
            strong { span.visually-hidden { (said) } (title) }
            span.detail { (detail) }
        }
    }
}
