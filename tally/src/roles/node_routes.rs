//! The HTTP interface of a node.
//!
//! Everything on the ledger is public to whoever reaches the node, and a transaction carries its
//! own authority in its witness: so every endpoint is public.

use axum::Json;
use axum::body::Bytes as Body;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tallystick_api::node::{self as json, CBOR, PAGE_MAX, SUBMISSION_MAX, WAIT_MAX};
use tallystick_api::{Bytes, Page, Problem};
use tallystick_crypto::PublicKey;
use tallystick_kernel::limits::TRANSACTION_BYTES_MAX;
use tallystick_kernel::{
    AccountId, Codec as _, CurrencyCode, DurationMs, Group, Reader, Reason, Reference, ReserveId,
    TransactionId,
};
use tallystick_node::{NodeHandle, SubmissionOutcome};

use super::node_json;
use crate::http::request::read_json;
use crate::http::{Access, Endpoint, Gate, Refusal, Routes, WaitQuery, path_value};

/// What the handlers work on.
#[derive(Clone)]
pub struct App {
    node: NodeHandle,
    name: String,
}

impl App {
    /// The node and its network's name.
    pub fn new(node: NodeHandle, name: String) -> App {
        App { node, name }
    }
}

/// Every endpoint of a node.
pub fn routes(gate: Gate) -> Routes<App> {
    let get = |path| Endpoint::get(path, Access::Public);
    let submit_endpoint = Endpoint::post("/v1/transactions", Access::Public)
        // The id of a transaction is its idempotency key.
        .without_key()
        .body_bytes_max(SUBMISSION_BYTES_MAX);
    Routes::new(gate)
        .add(get("/readyz"), ready)
        .add(get("/v1/network"), network)
        .add(get("/v1/genesis"), genesis)
        .add(submit_endpoint, submit)
        .add(get("/v1/transactions/{id}").waits(WAIT_MAX), transaction)
        .add(get("/v1/transactions/{id}/receipt"), receipt)
        .add(get("/v1/transactions/{id}/acknowledgement"), acknowledgement)
        .add(get("/v1/accounts/{id}"), account)
        .add(get("/v1/accounts/{id}/reserves"), reserves)
        .add(get("/v1/mandates/{key}/accounts/{id}/reserves"), reserves_locked)
        .add(get("/v1/currencies/{code}"), currency)
        .add(get("/v1/references/{payee}/{reference}"), by_reference)
        .add(get("/v1/blocks/{height}"), block)
}

async fn ready(State(app): State<App>) -> Result<&'static str, Refusal> {
    app.node.ready()?;
    Ok("ready\n")
}

async fn network(State(app): State<App>) -> Json<json::NetworkStatus> {
    Json(node_json::network(&app.node.network_status(), &app.name))
}

async fn genesis(State(app): State<App>) -> Response {
    cbor(app.node.genesis())
}

async fn submit(
    State(app): State<App>,
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
    let outcomes = app.node.submit(&transactions).await;
    // A node that can take nothing says so as a whole, so that clients wait and come again.
    let turned_away = outcomes.iter().map(|(_, outcome)| turned_away(outcome));
    if let Some(reason) = turned_away.reduce(Option::and).flatten() {
        return Err(reason.into());
    }
    let submissions =
        outcomes.iter().map(|(id, outcome)| node_json::submission(*id, outcome)).collect();
    Ok(Json(json::SubmitAnswer { submissions }))
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

#[derive(Deserialize)]
struct PageQuery {
    cursor: Option<String>,
}

async fn reserves(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<json::Reserve>>, Refusal> {
    reserves_page(&app, &path_value("id", &id)?, None, &page)
}

async fn reserves_locked(
    State(app): State<App>,
    Path((key, id)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<json::Reserve>>, Refusal> {
    let key: PublicKey = path_value("key", &key)?;
    reserves_page(&app, &path_value("id", &id)?, Some(&key), &page)
}

fn reserves_page(
    app: &App,
    account: &AccountId,
    mandate: Option<&PublicKey>,
    page: &PageQuery,
) -> Result<Json<Page<json::Reserve>>, Refusal> {
    let read_cursor = |cursor: &String| -> Result<ReserveId, Refusal> {
        let id = Bytes::decode(cursor).ok().and_then(|Bytes(bytes)| bytes.try_into().ok());
        let id = id.ok_or_else(|| Problem::new(Reason::FieldInvalid).field("cursor"))?;
        Ok(ReserveId(id))
    };
    let after = page.cursor.as_ref().map(read_cursor).transpose()?;
    let mut found = app.node.reserves(account, mandate, after.as_ref(), PAGE_MAX + 1);
    let is_more = found.len() > PAGE_MAX;
    found.truncate(PAGE_MAX);
    let last = found.last().filter(|_| is_more);
    let next = last.map(|(id, _)| Bytes::encode(&id.0));
    let items = found.iter().map(|(id, reserve)| node_json::reserve(*id, reserve)).collect();
    Ok(Json(Page { items, next }))
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

async fn block(
    State(app): State<App>,
    Path(height): Path<String>,
) -> Result<Json<json::Block>, Refusal> {
    let invalid = |_| Problem::new(Reason::FieldInvalid).field("height");
    let height: u64 = height.parse().map_err(invalid)?;
    let (block, certificate) = app.node.block(height)?.ok_or(Reason::NotFound)?;
    Ok(Json(node_json::block(&block, certificate.as_ref())))
}

fn cbor(bytes: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, CBOR)], bytes).into_response()
}

/// Room for a hundred of the greatest transactions, and for a full batch of usual ones.
const SUBMISSION_BYTES_MAX: usize = 2 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoints_of_a_node_and_who_may_call_them_are_these() {
        let routes = routes(Gate::default());
        let table: Vec<String> = routes.endpoints().iter().map(Endpoint::row).collect();
        let expected = [
            "GET /livez Public",
            "GET /readyz Public",
            "GET /v1/network Public",
            "GET /v1/genesis Public",
            "POST /v1/transactions Public",
            "GET /v1/transactions/{id} Public",
            "GET /v1/transactions/{id}/receipt Public",
            "GET /v1/transactions/{id}/acknowledgement Public",
            "GET /v1/accounts/{id} Public",
            "GET /v1/accounts/{id}/reserves Public",
            "GET /v1/mandates/{key}/accounts/{id}/reserves Public",
            "GET /v1/currencies/{code} Public",
            "GET /v1/references/{payee}/{reference} Public",
            "GET /v1/blocks/{height} Public",
        ];
        assert_eq!(table, expected);
    }
}
