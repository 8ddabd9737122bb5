//! The pages of a node: the network, accounts, blocks, transactions.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::Markup;
use serde::Deserialize;
use tallystick_api::node::{PAGE_MAX, Validators};
use tallystick_api::operation::{Access, Operation};
use tallystick_kernel::{AccountId, Amount, CurrencyCode, Reason, Reference, TransactionId, hex};
use tallystick_node::block::Block;
use tallystick_node::history::History;
use tallystick_node::{NodeHandle, TransactionStatus};
use tallystick_proofs::action::Action;
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::{Body, Transaction};

use super::looking_back::{Found, look};
use super::node_routes::App;
use super::{node_json, pages};
use crate::console::layout::{Links, Page, Place};
use crate::console::money::Money;
use crate::console::pages::account::{self, AccountView, Holding};
use crate::console::pages::block::{self, BlockView};
use crate::console::pages::network::{
    self, BlockLine, Change, Coming, NetworkView, Rule, TransactionLine,
};
use crate::console::pages::payment::{self, PaymentLine, PaymentState, PaymentView, Wanted};
use crate::http::Routes;

const HOME: Operation = page("networkPage", "/", "The network: heights, validators, what happens.");
const ACCOUNT: Operation = page("accountPage", "/accounts/{id}", "What an account holds.");
const BLOCK: Operation = page("blockPage", "/blocks/{height}", "A block.");
const PAYMENT: Operation = page("paymentPage", "/payments/{id}", "A transaction and its proof.");
const SEARCH: Operation = page("search", "/search", "Leads to what has the id that is looked for.");

/// Blocks on the network page.
const BLOCKS_SHOWN: usize = 8;
/// Transactions in a list of the latest.
const TRANSACTIONS_SHOWN: usize = 10;

const fn page(id: &'static str, path: &'static str, says: &'static str) -> Operation {
    Operation::get(id, path, Access::Public, says).page()
}

/// Adds the pages to a node.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    pages::routes(routes)
        .add(HOME, home)
        .add(ACCOUNT, account_page)
        .add(BLOCK, block_page)
        .add(PAYMENT, payment_page)
        .add(SEARCH, search)
}

async fn home(State(app): State<App>) -> Response {
    let of_reading = app.clone();
    let made = app.turn.read(move || network_view(&of_reading)).await;
    answer(&app, "Network", Some("/v1/events"), made.map(|view| network::network(&view)))
}

async fn account_page(State(app): State<App>, Path(id): Path<String>) -> Response {
    let node = app.node.clone();
    let made = match id.parse() {
        Ok(id) => app.turn.read(move || account_view(&node, id)).await,
        Err(reason) => Err(reason),
    };
    answer(&app, "Account", Some("/v1/events"), made.map(|view| account::account(&view)))
}

async fn block_page(State(app): State<App>, Path(height): Path<String>) -> Response {
    let node = app.node.clone();
    let made = match height.parse() {
        Ok(height) => app.turn.read(move || block_view(&node, height)).await,
        Err(_) => Err(Reason::FieldInvalid),
    };
    answer(&app, "Block", None, made.map(|view| block::block(&view)))
}

async fn payment_page(State(app): State<App>, Path(id): Path<String>) -> Response {
    let made = id.parse().and_then(|id| payment_view(&app.node, id));
    // Once there is a receipt, nothing more can happen.
    let live = made.as_ref().is_ok_and(|view| !view.has_receipt).then_some("/v1/events");
    answer(&app, "Transaction", live, made.map(|view| payment::payment(&view)))
}

#[derive(Deserialize)]
struct SearchQuery {
    #[serde(default)]
    query: String,
}

async fn search(
    State(app): State<App>,
    Query(SearchQuery { query }): Query<SearchQuery>,
) -> Response {
    let wanted = query.trim();
    let found = if let Ok(reference) = wanted.parse::<Reference>() {
        let node = app.node.clone();
        match app.turn.read(move || paid_under(&node, reference)).await {
            Ok(found) => found.map(|id| format!("/payments/{id}")),
            Err(reason) => return refused(&app.links, reason),
        }
    } else if wanted.parse::<TransactionId>().is_ok() {
        Some(format!("/payments/{wanted}"))
    } else if wanted.parse::<AccountId>().is_ok() {
        Some(format!("/accounts/{wanted}"))
    } else {
        let height = wanted.parse::<u64>().ok();
        let height = height.filter(|height| *height <= app.node.network_status().height);
        height.map(|height| format!("/blocks/{height}"))
    };
    match found {
        Some(address) => Redirect::to(&address).into_response(),
        None => refused(&app.links, Reason::NotFound),
    }
}

fn answer(app: &App, title: &str, live: Option<&str>, made: Result<Markup, Reason>) -> Response {
    let content = match made {
        Ok(content) => content,
        Err(reason) => return refused(&app.links, reason),
    };
    pages::shown(&Page {
        title,
        place: Place::Network,
        links: &app.links,
        logged_in: None,
        modules: &["verify-receipt.js"],
        live,
        is_narrow: false,
        content,
    })
}

fn refused(links: &Links, reason: Reason) -> Response {
    let way_out = "Look for a transaction (tlyt1…), an account (tlya1…), the reference of a payment in the \
                   latest blocks (tlyo1…; older ones are not looked through) or the height of a block.";
    pages::refused(reason, way_out, Place::Network, links)
}

fn network_view(app: &App) -> Result<NetworkView, Reason> {
    let node = &app.node;
    let status = node.network_status();
    let genesis = Genesis::read(&node.genesis())?;
    let supply = |code: &CurrencyCode| node.currency(code).map(|it| money(node, *code, it.supply));
    let history = node.history();
    let mut blocks = Vec::new();
    for height in (1..=status.height).rev().take(BLOCKS_SHOWN) {
        blocks.extend(history.block(height)?.as_ref().map(block_line));
    }
    let transactions = latest_where(node, |_| true)?.lines;
    let decided = node_json::validators(&node.decisions());
    let (now, coming) = in_force_and_coming(&decided);
    Ok(NetworkView {
        name: app.name.clone(),
        id: status.network,
        height: status.height,
        reported_height: status.reported_height,
        time: status.time,
        epoch: decided.epoch,
        now,
        coming,
        peers_connected: status.connected as u64,
        pool_size: status.pool as u64,
        supplies: genesis.currencies.iter().filter_map(|it| supply(&it.code)).collect(),
        blocks,
        transactions,
    })
}

/// Who votes by which rules, and what changes later.
fn in_force_and_coming(decided: &Validators) -> (Rule, Vec<Coming>) {
    let (set, rules) = (decided.sets.first(), decided.rules.first());
    let now = Rule {
        validators: set.map(|set| set.keys.clone()).unwrap_or_default(),
        quorum: set.map_or(0, |set| set.quorum),
        rules_version: rules.map_or(0, |rules| rules.version),
    };
    let beyond = |keys: &[String], others: &[String]| {
        keys.iter().filter(|key| !others.contains(key)).cloned().collect()
    };
    let sets = decided.sets.windows(2).filter_map(|pair| {
        let [before, after] = pair else { return None };
        let change = Change::Validators {
            joining: beyond(&after.keys, &before.keys),
            leaving: beyond(&before.keys, &after.keys),
            decided_by: after.decided_by,
        };
        Some(Coming { from_height: after.from_height, change })
    });
    let rules = decided.rules.iter().skip(1).map(|rules| Coming {
        from_height: rules.from_height,
        change: Change::Rules { version: rules.version, is_known: rules.is_known },
    });
    let mut coming: Vec<Coming> = sets.chain(rules).collect();
    coming.sort_by_key(|coming| coming.from_height);
    (now, coming)
}

fn block_line(block: &Block) -> BlockLine {
    let header = &block.header;
    let (height, time, proposer, count) =
        (header.height, header.time, header.proposer, header.count);
    BlockLine { height, time, proposer, count }
}

fn transaction_line(
    node: &NodeHandle,
    history: &History,
    entry: &Entry,
    body: Option<&Body>,
    height: u64,
) -> Result<TransactionLine, Reason> {
    Ok(TransactionLine {
        id: entry.id,
        action: body.map_or("", |body| body.action.name()),
        amount: body.and_then(|body| total(node, &body.action)),
        account: body.and_then(concerned),
        height,
        is_success: history.result(&entry.id)?.is_some_and(|result| result.is_success()),
    })
}

fn account_view(node: &NodeHandle, id: AccountId) -> Result<AccountView, Reason> {
    let (account, balances) = node.account(&id).ok_or(Reason::AccountUnknown)?;
    let mut reserves = node.reserves(&id, None, PAGE_MAX + 1);
    let has_more = reserves.len() > PAGE_MAX;
    reserves.truncate(PAGE_MAX);
    reserves.sort_by_key(|(_, reserve)| core::cmp::Reverse(reserve.amount));
    let holding = |balance: &tallystick_node::Balance| {
        let code = balance.currency;
        let own = reserves.iter().filter(|(_, reserve)| reserve.currency == code);
        Ok(Holding {
            total: money(node, code, balance.free.plus(balance.reserved)?),
            free: money(node, code, balance.free),
            reserves: own
                .map(|(_, reserve)| (money(node, code, reserve.amount), reserve.lock.is_some()))
                .collect(),
        })
    };
    let lately = latest_where(node, |body| touches(body, &id))?;
    Ok(AccountView {
        id,
        threshold: u64::from(account.owners.threshold),
        keys: account.owners.keys.iter().map(ToString::to_string).collect(),
        holdings: balances.iter().map(holding).collect::<Result<_, Reason>>()?,
        has_more,
        lately: lately.lines,
        looked_through: lately.blocks,
    })
}

/// Transactions of the latest blocks, and how many blocks were looked through.
struct Lately {
    lines: Vec<TransactionLine>,
    blocks: usize,
}

/// The transactions of the latest blocks that `is_wanted`, the newest first.
fn latest_where(node: &NodeHandle, is_wanted: impl Fn(&Body) -> bool) -> Result<Lately, Reason> {
    let (history, top) = (node.history(), node.network_status().height);
    let look = look(&history, top, TRANSACTIONS_SHOWN, |it| is_wanted(&it.body))?;
    let line = |found: &Found| {
        let body = Some(&found.transaction.body);
        transaction_line(node, &history, &found.entry, body, found.height)
    };
    let lines = look.found.iter().map(line).collect::<Result<_, Reason>>()?;
    Ok(Lately { lines, blocks: look.blocks })
}

/// The latest payment under a reference, in the latest blocks: the ledger finds references by the
/// account that is paid, which whoever looks for one need not know.
fn paid_under(node: &NodeHandle, reference: Reference) -> Result<Option<TransactionId>, Reason> {
    let is_paid = |body: &Body| match &body.action {
        Action::Mint { reference: of_mint, .. } => *of_mint == Some(reference),
        Action::Transfer { lines, .. } | Action::Remit { lines, .. } => {
            lines.iter().any(|line| line.reference == Some(reference))
        }
        _ => false,
    };
    let look = look(&node.history(), node.network_status().height, 1, |it| is_paid(&it.body))?;
    Ok(look.found.first().map(|found| found.entry.id))
}

fn block_view(node: &NodeHandle, height: u64) -> Result<BlockView, Reason> {
    let (block, certificate) = node.block(height)?.ok_or(Reason::NotFound)?;
    let history = node.history();
    let line = |entry: &Entry| {
        let transaction = history.transaction(entry)?;
        let body = transaction.as_ref().map(|transaction| &transaction.body);
        transaction_line(node, &history, entry, body, height)
    };
    let header = &block.header;
    Ok(BlockView {
        id: header.id(),
        height,
        previous: header.previous,
        time: header.time,
        proposer: header.proposer,
        executed_height: header.executed_height,
        results_root: hex::encode(&header.results_root),
        checkpoint_root: hex::encode(&header.checkpoint_root),
        signers: certificate.map(|certificate| certificate.signers),
        transactions: block.entries.iter().map(line).collect::<Result<_, Reason>>()?,
        has_next: height < node.network_status().height,
    })
}

fn payment_view(node: &NodeHandle, id: TransactionId) -> Result<PaymentView, Reason> {
    let (state, has_receipt) = match node.status(&id) {
        TransactionStatus::Unknown => return Err(Reason::NotFound),
        TransactionStatus::Pending { acknowledged } => (PaymentState::Pending(acknowledged), false),
        TransactionStatus::Expired => (PaymentState::Expired, false),
        TransactionStatus::Final { result, reported_in } => {
            (PaymentState::Final(result.height, result.failure), reported_in.is_some())
        }
    };
    let block = match state {
        PaymentState::Final(height, _) => node.block(height)?.map(|(block, _)| block),
        _ => None,
    };
    let time = block.as_ref().map(|block| block.header.time);
    let entry = block.as_ref().and_then(|block| block.entries.iter().find(|it| it.id == id));
    let transaction = entry.map_or(Ok(None), |entry| node.transaction(entry))?;
    let wanted = transaction.map(|transaction| wanted(node, &transaction));
    Ok(PaymentView { id, state, wanted, time, has_receipt })
}

fn wanted(node: &NodeHandle, transaction: &Transaction) -> Wanted {
    let body = &transaction.body;
    Wanted {
        action: body.action.name(),
        account: account_of(body),
        valid_until: body.valid_until,
        total: total(node, &body.action),
        lines: lines(node, &body.action),
        signers: transaction.witness.signers().map(ToString::to_string).collect(),
    }
}

/// Whom a transaction is about in a list: who is given money, or whose money it moves.
fn concerned(body: &Body) -> Option<AccountId> {
    match &body.action {
        Action::Mint { payee, .. } => Some(*payee),
        _ => account_of(body),
    }
}

/// Whether a transaction moves money of an account, or to it.
fn touches(body: &Body, id: &AccountId) -> bool {
    let is_payee = match &body.action {
        Action::Mint { payee, .. } => payee == id,
        Action::Transfer { lines, .. } | Action::Remit { lines, .. } => {
            lines.iter().any(|line| line.payee == *id)
        }
        _ => false,
    };
    is_payee || body.account == *id
}

fn account_of(body: &Body) -> Option<AccountId> {
    (body.account != AccountId::NONE).then_some(body.account)
}

fn lines(node: &NodeHandle, action: &Action) -> Vec<PaymentLine> {
    let line = |currency, payee, amount, reference: Option<tallystick_kernel::Reference>| {
        let reference = reference.map(|reference| reference.to_string());
        PaymentLine { payee, amount: money(node, currency, amount), reference }
    };
    match action {
        Action::Transfer { currency, lines } | Action::Remit { currency, lines, .. } => {
            lines.iter().map(|it| line(*currency, it.payee, it.amount, it.reference)).collect()
        }
        Action::Mint { currency, payee, amount, reference } => {
            vec![line(*currency, *payee, *amount, *reference)]
        }
        _ => Vec::new(),
    }
}

/// How much an action moves in all, where it says so.
fn total(node: &NodeHandle, action: &Action) -> Option<Money> {
    let (currency, amount) = match action {
        Action::Mint { currency, amount, .. } | Action::Burn { currency, amount } => {
            (currency, Ok(*amount))
        }
        Action::Transfer { currency, lines } | Action::Remit { currency, lines, .. } => {
            (currency, Amount::sum(lines.iter().map(|line| line.amount)))
        }
        Action::ReserveOpen { currency, amounts, .. } => {
            (currency, Amount::sum(amounts.iter().copied()))
        }
        _ => return None,
    };
    amount.ok().map(|amount| money(node, *currency, amount))
}

fn money(node: &NodeHandle, currency: CurrencyCode, amount: Amount) -> Money {
    let exponent = node.currency(&currency).map_or(0, |currency| currency.exponent);
    Money { amount, currency, exponent }
}
