//! The HTTP interface of a node.
//!
//! Everything on the ledger is public to whoever reaches the node, and a transaction carries its
//! own authority in its witness: so every endpoint is public but the one that has a file written.

use std::sync::Arc;

use axum::body::Bytes as Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use tallystick_api::node::{
    self as json, BLOCKS_PAGE_MAX, BlockSummary, CBOR, PAGE_MAX, SUBMISSION_MAX, WAIT_MAX,
};
use tallystick_api::operations::{self, node as endpoints};
use tallystick_api::{Bytes, Page, Problem};
use tallystick_crypto::PublicKey;
use tallystick_kernel::limits::TRANSACTION_BYTES_MAX;
use tallystick_kernel::{
    AccountId, Codec as _, CurrencyCode, DurationMs, Group, Reader, Reason, Reference, ReserveId,
    TransactionId,
};
use tallystick_node::{NodeHandle, SubmissionOutcome, TransactionStatus};
use tracing::{Instrument as _, field};

use super::block_summaries::BlockSummaries;
use super::looking_back::Turn;
use super::node_json;
use super::node_snapshots::Snapshots;
use crate::console::layout::Links;
use crate::http::access::ClientAddress;
use crate::http::events::{self, EVENTS_AT_ONCE, Follower, LAST_EVENT_ID_HEADER, LastEventId};
use crate::http::page::page;
use crate::http::request::read_json;
use crate::http::{CursorQuery, Gate, Refusal, Routes, WaitQuery, path_value};
use crate::metrics::node::SubmissionMetrics;
use crate::telemetry::traces;

/// How many blocks a stream of events goes back.
const EVENTS_BACK_MAX: u64 = 1000;

/// What the handlers work on.
#[derive(Clone)]
pub struct App {
    pub(super) node: NodeHandle,
    pub(super) name: String,
    pub(super) links: Links,
    pub(super) turn: Turn,
    summaries: BlockSummaries,
    submitted: SubmissionMetrics,
    snapshots: Snapshots,
}

impl App {
    /// The node, its network's name, where the pages of the other roles are, what counts transactions
    /// that are handed in, and what writes snapshots.
    pub fn new(
        node: NodeHandle,
        name: String,
        links: Links,
        submitted: SubmissionMetrics,
        snapshots: Snapshots,
    ) -> App {
        let (turn, summaries) = (Turn::new(), BlockSummaries::new());
        App { node, name, links, turn, summaries, submitted, snapshots }
    }
}

/// Every endpoint of a node.
pub fn routes(gate: Gate) -> Routes<App> {
    Routes::new(gate)
        .add(operations::READYZ, ready)
        .add(operations::OPENAPI, super::openapi("node"))
        .add(endpoints::NETWORK, network)
        .add(endpoints::VALIDATORS, validators)
        .add(endpoints::GENESIS, genesis)
        .add(endpoints::SUBMIT, submit)
        .add(endpoints::TRANSACTION, transaction)
        .add(endpoints::RECEIPT, receipt)
        .add(endpoints::ACKNOWLEDGEMENT, acknowledgement)
        .add(endpoints::ACCOUNT, account)
        .add(endpoints::STATEMENT, statement)
        .add(endpoints::RESERVES, reserves)
        .add(endpoints::RESERVES_LOCKED, reserves_locked)
        .add(endpoints::CURRENCY, currency)
        .add(endpoints::REFERENCE, by_reference)
        .add(endpoints::BLOCKS, blocks)
        .add(endpoints::BLOCK, block)
        .add(endpoints::CHECKPOINT, checkpoint)
        .add(endpoints::SNAPSHOT, snapshot)
        .add(endpoints::EVENTS, block_events)
}

async fn ready(State(app): State<App>) -> Result<&'static str, Refusal> {
    app.node.ready()?;
    Ok("ready\n")
}

async fn network(State(app): State<App>) -> Json<json::NetworkStatus> {
    Json(node_json::network(&app.node.network_status(), &app.name))
}

async fn validators(State(app): State<App>) -> Json<json::Validators> {
    Json(node_json::validators(&app.node.decisions()))
}

async fn genesis(State(app): State<App>) -> Response {
    cbor(app.node.genesis())
}

async fn submit(
    State(app): State<App>,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<json::SubmitAnswer>, Refusal> {
    let transactions = match headers.get(CONTENT_TYPE) {
        Some(media_type) if media_type.as_bytes() == CBOR.as_bytes() => read_batch(&body)?,
        _ => {
            let request: json::SubmitRequest = read_json(&body)?;
            request.transactions.into_iter().map(|Bytes(bytes)| bytes).collect()
        }
    };
    if transactions.is_empty() {
        return Err(Problem::new(Reason::ListEmpty).field("transactions").into());
    }
    if transactions.len() > SUBMISSION_MAX {
        let detail = format!("at most {SUBMISSION_MAX} transactions at once");
        return Err(Problem::new(Reason::TooLarge).field("transactions").detail(detail).into());
    }
    let lane = address.map_or(0, |Extension(address)| address.lane());
    let outcomes = app.node.submit(lane, &transactions).await;
    for (id, outcome) in &outcomes {
        app.submitted.count(outcome);
        if let (Some(id), false) = (id, matches!(outcome, SubmissionOutcome::Refused(_))) {
            follow(&app.node, *id);
        }
    }
    // A node that can take nothing says so as a whole, so that clients wait and come again.
    let turned_away = outcomes.iter().map(|(_, outcome)| turned_away(outcome));
    if let Some(reason) = turned_away.reduce(Option::and).flatten() {
        return Err(reason.into());
    }
    let submissions =
        outcomes.iter().map(|(id, outcome)| node_json::submission(*id, outcome)).collect();
    Ok(Json(json::SubmitAnswer { submissions }))
}

/// Traces what becomes of a transaction, where traces are made: agreement, execution, report.
fn follow(node: &NodeHandle, id: TransactionId) {
    if !traces::are_made() {
        return;
    }
    let span = tracing::debug_span!("finality", transaction = %id, height = field::Empty);
    let (node, of_task) = (node.clone(), span.clone());
    let work = async move {
        if let TransactionStatus::Final { result, .. } = node.wait_final(&id, WAIT_MAX).await {
            of_task.record("height", result.height);
        }
    };
    tokio::spawn(work.instrument(span));
}

fn turned_away(outcome: &SubmissionOutcome) -> Option<Reason> {
    match outcome {
        SubmissionOutcome::Refused(reason)
            if reason.group() == Group::Limits || *reason == Reason::NotReady =>
        {
            Some(*reason)
        }
        _ => None,
    }
}

fn read_batch(body: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut input = Reader::new(body);
    let mut read = || -> Result<Vec<Vec<u8>>, Reason> {
        let length = input.array(SUBMISSION_MAX)?;
        (0..length).map(|_| input.bytes(TRANSACTION_BYTES_MAX).map(<[u8]>::to_vec)).collect()
    };
    let transactions = read()?;
    if input.is_empty() { Ok(transactions) } else { Err(Reason::TrailingBytes.into()) }
}

async fn transaction(
    State(app): State<App>,
    Path(id): Path<String>,
    wait: WaitQuery,
) -> Result<Json<json::TransactionStatus>, Refusal> {
    let id: TransactionId = path_value("id", &id)?;
    let status = match wait.duration(WAIT_MAX) {
        DurationMs(0) => app.node.status(&id),
        limit => app.node.wait_final(&id, limit).await,
    };
    Ok(Json(node_json::transaction(id, &status)))
}

async fn receipt(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let id: TransactionId = path_value("id", &id)?;
    let receipt = app.node.receipt(&id)?.ok_or_else(|| {
        Problem::new(Reason::NotFound)
            .detail("there is a receipt once the transaction is final and reported")
            .way_out(format!("GET /v1/transactions/{id}?wait=final"))
    })?;
    Ok(cbor(receipt.to_bytes()))
}

async fn acknowledgement(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id: TransactionId = path_value("id", &id)?;
    let certificate = app.node.acknowledgement(&id).ok_or(Reason::NotFound)?;
    Ok(cbor(certificate.to_bytes()))
}

async fn account(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<json::Account>, Refusal> {
    let id: AccountId = path_value("id", &id)?;
    let (account, balances) = app.node.account(&id).ok_or(Reason::AccountUnknown)?;
    Ok(Json(node_json::account(id, &account, &balances)))
}

async fn statement(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let id: AccountId = path_value("id", &id)?;
    let statement = app.node.account_statement(&id).map_err(|reason| {
        let problem = Problem::new(reason);
        match reason {
            Reason::NotReady => problem
                .detail("the last checkpoint is not certified yet, or not known since a start")
                .way_out("ask again after some blocks; /v1/checkpoints/latest says where it is"),
            _ => problem,
        }
    })?;
    Ok(cbor(statement.to_bytes()))
}

async fn reserves(
    State(app): State<App>,
    Path(id): Path<String>,
    cursor: CursorQuery,
) -> Result<Json<Page<json::Reserve>>, Refusal> {
    let account: AccountId = path_value("id", &id)?;
    let after = cursor.array()?.map(ReserveId);
    let found = app.node.reserves(&account, after.as_ref(), PAGE_MAX + 1);
    let shown = |(id, reserve): (ReserveId, _)| Ok(node_json::reserve(id, &reserve));
    Ok(Json(page(found, PAGE_MAX, |(id, _)| id.0.to_vec(), shown)?))
}

async fn reserves_locked(
    State(app): State<App>,
    Path((key, id)): Path<(String, String)>,
    cursor: CursorQuery,
) -> Result<Json<Page<json::Reserve>>, Refusal> {
    let key: PublicKey = path_value("key", &key)?;
    let account: AccountId = path_value("id", &id)?;
    let after = cursor.array()?.map(ReserveId);
    let (found, next) = app.node.reserves_locked(&account, &key, after.as_ref(), PAGE_MAX);
    let items = found.iter().map(|(id, reserve)| node_json::reserve(*id, reserve)).collect();
    Ok(Json(Page { items, next: next.map(|id| Bytes::encode(&id.0)) }))
}

async fn currency(
    State(app): State<App>,
    Path(code): Path<String>,
) -> Result<Json<json::Currency>, Refusal> {
    let code: CurrencyCode = path_value("code", &code)?;
    let currency = app.node.currency(&code).ok_or(Reason::CurrencyUnknown)?;
    Ok(Json(node_json::currency(code, &currency)))
}

async fn by_reference(
    State(app): State<App>,
    Path((payee, reference)): Path<(String, String)>,
) -> Result<Json<json::ReferenceAnswer>, Refusal> {
    let payee: AccountId = path_value("payee", &payee)?;
    let reference: Reference = path_value("reference", &reference)?;
    let transactions = app.node.by_reference(&payee, &reference, PAGE_MAX)?;
    Ok(Json(json::ReferenceAnswer { transactions }))
}

async fn blocks(
    State(app): State<App>,
    cursor: CursorQuery,
) -> Result<Json<Page<BlockSummary>>, Refusal> {
    let end = app.node.network_status().height.saturating_add(1);
    let before = cursor.array()?.map_or(end, u64::from_be_bytes).min(end);
    let heights: Vec<u64> = (1..before).rev().take(BLOCKS_PAGE_MAX + 1).collect();
    // One more is asked for, which only tells that there is another page.
    let read = app.summaries.read(&app.node, heights.iter().take(BLOCKS_PAGE_MAX).copied()).await?;
    let shown = |height: u64| {
        let found = read.iter().find(|summary| summary.height == height);
        found.map(|summary| BlockSummary::clone(summary)).ok_or(Reason::StorageCorrupt)
    };
    Ok(Json(page(heights, BLOCKS_PAGE_MAX, |height| height.to_be_bytes().to_vec(), shown)?))
}

async fn block(
    State(app): State<App>,
    Path(height): Path<String>,
) -> Result<Json<json::Block>, Refusal> {
    let invalid = |_| Problem::new(Reason::FieldInvalid).field("height");
    let height: u64 = height.parse().map_err(invalid)?;
    let (block, certificate) = app.node.block(height)?.ok_or(Reason::NotFound)?;
    Ok(Json(node_json::block(&block, certificate.as_ref())))
}

async fn checkpoint(State(app): State<App>) -> Result<Json<json::Checkpoint>, Refusal> {
    Ok(Json(node_json::checkpoint(&app.node.checkpoint()?)))
}

async fn snapshot(State(app): State<App>) -> Result<Json<json::SnapshotWritten>, Refusal> {
    let written = tokio::task::spawn_blocking(move || app.snapshots.write()).await;
    Ok(Json(written.unwrap_or(Err(Reason::Internal))?))
}

async fn block_events(
    State(app): State<App>,
    follower: Follower,
    LastEventId(last): LastEventId,
) -> Result<impl IntoResponse, Refusal> {
    let height = app.node.network_status().height;
    // Nobody has seen a block that is not there yet.
    let after = last.unwrap_or(height).min(height);
    if height - after > EVENTS_BACK_MAX {
        return Err(Problem::new(Reason::FieldInvalid)
            .field(LAST_EVENT_ID_HEADER)
            .detail(format!("a stream goes back {EVENTS_BACK_MAX} blocks at most"))
            .way_out("read what was before from /v1/blocks, and follow from now on")
            .into());
    }
    let changed = app.node.watch();
    events::stream(follower, after, changed, move |after| {
        let app = app.clone();
        async move {
            let heights = (after..).skip(1).take(EVENTS_AT_ONCE as usize);
            let found = app.summaries.read(&app.node, heights).await?;
            let event = |block: &Arc<BlockSummary>| events::numbered(block.height, &**block);
            Ok(found.iter().map(event).collect())
        }
    })
}

fn cbor(bytes: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, CBOR)], bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_serves_every_endpoint_of_its_interface() {
        let served: Vec<&str> = routes(Gate::default()).operations().iter().map(|o| o.id).collect();
        let described: Vec<&str> = endpoints::ALL.iter().map(|o| o.id).collect();
        assert_eq!(served, described);
    }
}
