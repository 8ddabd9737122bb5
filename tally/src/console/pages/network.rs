//! The network page of a node: how high, by whom, and what happens now.

use maud::{Markup, html};
use tallystick_kernel::{AccountId, NetworkId, TimeMs, TransactionId};

use crate::console::badge::{Tone, badge};
use crate::console::identifier::{identifier, linked};
use crate::console::layout;
use crate::console::moment::moment;
use crate::console::money::{Money, digits, is_long, money};
use crate::console::notice::empty;
use crate::console::table::{Cell, Row, table, table_small};

/// What a node knows of its network.
#[derive(Clone, Debug)]
pub struct NetworkView {
    /// Its name for people.
    pub name: String,
    /// Its id.
    pub id: NetworkId,
    /// The height of the last block.
    pub height: u64,
    /// Up to which height there are receipts.
    pub reported_height: u64,
    /// The time of the last block.
    pub time: TimeMs,
    /// The epoch of the next block.
    pub epoch: u64,
    /// Who votes, and by which rules, now.
    pub now: Rule,
    /// What the operators have decided for later, in order.
    pub coming: Vec<Coming>,
    /// How many others this node heard of lately.
    pub peers_connected: u64,
    /// Transactions that wait.
    pub pool_size: u64,
    /// How much of each currency there is.
    pub supplies: Vec<Money>,
    /// The latest blocks, the newest first.
    pub blocks: Vec<BlockLine>,
    /// The latest transactions, the newest first.
    pub transactions: Vec<TransactionLine>,
}

/// Who votes, and by which rules.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The keys of the validators, each at its place.
    pub validators: Vec<String>,
    /// How many of them must agree.
    pub quorum: u64,
    /// The version of the rules.
    pub rules_version: u64,
}

/// Something that the operators have decided and that is not in force yet.
#[derive(Clone, Debug)]
pub struct Coming {
    /// The first height at which it is in force.
    pub from_height: u64,
    /// What it is.
    pub change: Change,
}

/// What is going to change.
#[derive(Clone, Debug)]
pub enum Change {
    /// Who validates.
    Validators {
        /// The keys that come.
        joining: Vec<String>,
        /// The keys that go.
        leaving: Vec<String>,
        /// The transaction that decided it.
        decided_by: Option<TransactionId>,
    },
    /// By which rules.
    Rules {
        /// Their version.
        version: u64,
        /// Whether this node's program knows them.
        is_known: bool,
    },
}

/// A block in a list.
#[derive(Clone, Debug)]
pub struct BlockLine {
    /// Its height.
    pub height: u64,
    /// Its time.
    pub time: TimeMs,
    /// The proposer's place.
    pub proposer: u64,
    /// How many transactions it holds.
    pub count: u64,
}

/// A transaction in a list.
#[derive(Clone, Debug)]
pub struct TransactionLine {
    /// The transaction.
    pub id: TransactionId,
    /// What it does, such as `remit`.
    pub action: &'static str,
    /// How much it moves.
    pub amount: Option<Money>,
    /// The account that it is of.
    pub account: Option<AccountId>,
    /// The height of its block.
    pub height: u64,
    /// Whether it succeeded.
    pub is_success: bool,
}

/// The page.
pub fn network(view: &NetworkView) -> Markup {
    html! {
        (layout::head("Network", &view.name, Some("Blocks are final as soon as they are shown here: nothing on this page can be undone.")))
        (search(None))
        section data-part="figures" aria-label="Figures" { (figures(view)) }
        section.section data-part="transactions" aria-labelledby="transactions" {
            div.section-head { h2 #transactions { "Latest transactions" } }
            (transactions(&view.transactions))
        }
        div.columns {
            section.section data-part="blocks" aria-labelledby="blocks" {
                div.section-head { h2 #blocks { "Latest blocks" } }
                (blocks(&view.blocks))
            }
            section.section data-part="validators" aria-labelledby="validators" {
                div.section-head {
                    h2 #validators { "Validators" }
                    span.quiet { (view.now.quorum) " of " (view.now.validators.len()) " must agree" }
                }
                (validators(view))
                @for coming in &view.coming { (change(coming)) }
                (origin(view))
            }
        }
    }
}

/// The field in which anything on the ledger is looked for; `failed` is what was not found.
pub fn search(failed: Option<&str>) -> Markup {
    html! {
        form role="search" method="get" action="/search" {
            div.search {
                div.field {
                    label.visually-hidden for="query" { "Transaction, account or height" }
                    input id="query" name="query" type="search" required autocomplete="off"
                        spellcheck="false" placeholder="Id or height" value=[failed];
                }
                button type="submit" { "Look up" }
            }
        }
    }
}

fn figures(view: &NetworkView) -> Markup {
    html! {
        dl.figures {
            div.figure { dt { "height" } dd { (view.height) } }
            div.figure { dt { "provable up to height" } dd { (view.reported_height) } }
            div.figure { dt { "payments waiting for a block" } dd { (view.pool_size) } }
            div.figure { dt { "validators heard of" } dd { (view.peers_connected + 1) small { " of " (view.now.validators.len()) } } }
            div.figure { dt { "epoch" } dd { (view.epoch) small { " under rules " (view.now.rules_version) } } }
            @for supply in &view.supplies {
                @let long = if is_long(&supply.digits()) { "figure figure-long" } else { "figure" };
                div class=(long) { dt { (supply.currency) " in circulation" } dd { (digits(supply)) } }
            }
        }
    }
}

/// Transactions as rows.
pub fn transactions(lines: &[TransactionLine]) -> Markup {
    if lines.is_empty() {
        return empty("No transactions yet. They appear here as soon as their block is final.");
    }
    let row = |line: &TransactionLine| {
        let id = line.id.to_string();
        let cells = vec![
            Cell::new(linked(&id, "transaction", &format!("/payments/{id}"))),
            Cell::new(html! { (action_name(line.action)) }),
            Cell::new(match &line.account {
                Some(account) => {
                    let id = account.to_string();
                    linked(&id, "account", &format!("/accounts/{id}"))
                }
                None => html! { span.quiet { "none" } },
            }),
            Cell::new(html! { a.digits href={ "/blocks/" (line.height) } { (line.height) } }),
            Cell::new(outcome(line.is_success)),
            Cell::number(match &line.amount {
                Some(amount) => money(amount),
                None => html! { span.quiet { "–" } },
            }),
        ];
        Row { key: id, cells }
    };
    let rows: Vec<Row> = lines.iter().map(row).collect();
    let columns = ["Transaction", "Action", "Account", "Height", "Result", "Amount"];
    table("Transactions", &columns, &rows)
}

fn blocks(lines: &[BlockLine]) -> Markup {
    if lines.is_empty() {
        return empty("No block but the first one yet.");
    }
    let row = |line: &BlockLine| Row {
        key: line.height.to_string(),
        cells: vec![
            Cell::new(html! { a.digits href={ "/blocks/" (line.height) } { (line.height) } }),
            Cell::new(moment(line.time)),
            Cell::number(html! { (line.proposer) }),
            Cell::number(html! { (line.count) }),
        ],
    };
    let rows: Vec<Row> = lines.iter().map(row).collect();
    table_small("Blocks", &["Height", "Time", "Proposer", "Transactions"], &rows)
}

fn validators(view: &NetworkView) -> Markup {
    let row = |(place, key): (usize, &String)| Row {
        key: key.clone(),
        cells: vec![
            Cell::new(html! { span.digits { (place) } }),
            Cell::new(identifier(key, "key of a validator")),
        ],
    };
    let rows: Vec<Row> = view.now.validators.iter().enumerate().map(row).collect();
    table_small("Validators", &["Place", "Key"], &rows)
}

/// A decision that is not in force yet.
fn change(coming: &Coming) -> Markup {
    let keys = |says: &str, keys: &[String]| {
        html! {
            @for key in keys { p.small { (says) " " (identifier(key, "key of a validator")) } }
        }
    };
    html! {
        div data-part="coming" {
            h3 { "From height " (coming.from_height) }
            @match &coming.change {
                Change::Validators { joining, leaving, decided_by } => {
                    (keys("joins:", joining))
                    (keys("leaves:", leaving))
                    @if let Some(id) = decided_by.map(|id| id.to_string()) {
                        p.quiet.small { "decided by " (linked(&id, "transaction", &format!("/payments/{id}"))) }
                    }
                }
                Change::Rules { version, is_known: true } => p.small { "Rules " (version) " come into force." }
                Change::Rules { version, is_known: false } => {
                    p.small {
                        (badge(Tone::Bad, "unknown rules"))
                        " Rules " (version) " come into force. This node does not know them and stops before: \
                         install a newer version."
                    }
                }
            }
        }
    }
}

/// What everything here is verified from.
fn origin(view: &NetworkView) -> Markup {
    html! {
        p.quiet.small { "Network " (identifier(&view.id.to_string(), "network")) }
        p.quiet.small {
            a href="/v1/genesis" download="genesis.tally" { "Genesis file" }
            ": the one thing to have from a source that you trust. All proofs lead back to it."
        }
    }
}

/// What became of a transaction.
pub fn outcome(is_success: bool) -> Markup {
    if is_success { badge(Tone::Good, "succeeded") } else { badge(Tone::Bad, "failed") }
}

/// An action's name for people.
pub fn action_name(action: &str) -> String {
    let words = action.replace('_', " ");
    match words.as_str() {
        "remit" => "payment".to_owned(),
        "mint" => "issue".to_owned(),
        "burn" => "redemption".to_owned(),
        "account open" => "open account".to_owned(),
        "reserve open" => "open reserves".to_owned(),
        "reserve close" => "close reserves".to_owned(),
        "unlock request" => "ask to unlock".to_owned(),
        "" => "unknown".to_owned(),
        _ => words,
    }
}
