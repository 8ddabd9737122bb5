//! Fundings: the operator gives money, which the worker mints.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use tallystick_api::batch::{BatchAnswer, BatchRequest};
use tallystick_api::issuer::{Funding as Shown, FundingRequest, WAIT_MAX};
use tallystick_api::operations::issuer as endpoints;
use tallystick_api::{Page, Problem, trace_context};
use tallystick_issuer::funding::{FUNDING_BYTES_MAX, Funding};
use tallystick_issuer::settlement::{Order, Subject};
use tallystick_kernel::{Amount, Codec as _, Digest, HolderId, Reason, hex};
use tallystick_store::Batch;

use super::{App, Issuer, SETTLE, decode, id_of, kinds, now};
use crate::http::batch;
use crate::http::gate::Caller;
use crate::http::idempotency::WriteKey;
use crate::http::{CursorQuery, JsonBody, Refusal, Routes, WaitQuery};
use crate::stored::latest::{self, Slice};

/// The endpoints of fundings.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    routes
        .add(endpoints::FUND, create)
        .add(endpoints::FUND_BATCH, create_each)
        .add(endpoints::FUNDINGS, list)
        .add(endpoints::FUNDING, funding)
}

impl Issuer {
    /// A funding with the version of its record; [`Reason::NotFound`].
    pub async fn funding(&self, id: &Digest) -> Result<(u64, Funding), Reason> {
        let record = self.store.read(kinds::FUNDING, id).await?.ok_or(Reason::NotFound)?;
        Ok((record.version, decode(&record, FUNDING_BYTES_MAX)?))
    }

    /// Has the fundings looked at that waited for a holder's account.
    pub async fn hasten_fundings(&self, holder: &HolderId) -> Result<(), Reason> {
        for record in self.store.find(kinds::FUNDING, "holder", &holder.0, None, 1000).await? {
            let funding: Funding = decode(&record, FUNDING_BYTES_MAX)?;
            if funding.account.is_none() {
                let hastened = Batch::new().reschedule(SETTLE, funding.id, now(), None);
                // The worker may be at it already.
                match self.store.write(hastened).await {
                    Ok(()) | Err(Reason::Conflict) => {}
                    Err(reason) => return Err(reason),
                }
            }
        }
        self.change();
        Ok(())
    }
}

fn shown(funding: &Funding) -> Shown {
    Shown {
        id: hex::encode(&funding.id),
        state: super::shown(&funding.progress),
        transaction: funding.progress.transaction(),
        code: funding.progress.failure().map(|reason| reason.code().to_owned()),
        amount: funding.amount,
        currency: funding.currency,
        created_ms: funding.created.0,
    }
}

/// Writes a funding with its index entries, and tells those who follow.
pub fn put_funding(batch: Batch, version: u64, funding: &Funding) -> Batch {
    let batch =
        batch.put(kinds::FUNDING, funding.id, version, funding.to_bytes(), &indexes(funding));
    batch.event(FEED, now(), funding.id)
}

/// The feed of fundings.
const FEED: &[u8] = b"fundings";

fn indexes(funding: &Funding) -> Vec<(&'static str, Vec<u8>)> {
    let mut indexes = vec![("time", funding.created.0.to_be_bytes().to_vec())];
    indexes.extend(funding.holder.map(|id| ("holder", id.0.to_vec())));
    indexes
}

async fn create(
    State(app): State<App>,
    Extension(key): Extension<WriteKey>,
    JsonBody(body): JsonBody<FundingRequest>,
) -> Result<Json<Shown>, Refusal> {
    fund(app, key, body).await.map(Json)
}

async fn create_each(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<BatchRequest<FundingRequest>>,
) -> Result<Json<BatchAnswer<Shown>>, Refusal> {
    let answers = Arc::new(app.answers.clone());
    let write = |key, body| fund(Arc::clone(&app), key, body);
    batch::answer_each(&endpoints::FUND, &caller, answers, body, write).await.map(Json)
}

async fn list(State(app): State<App>, cursor: CursorQuery) -> Result<Json<Page<Shown>>, Refusal> {
    let slice = Slice::page(latest::place(&cursor)?);
    let Page { items, next } = latest_fundings(&app, &slice).await?;
    Ok(Json(Page { items: items.iter().map(shown).collect(), next }))
}

/// A slice of the fundings, the latest first.
pub async fn latest_fundings(app: &App, slice: &Slice) -> Result<Page<Funding>, Reason> {
    let found = latest::read(&app.store, kinds::FUNDING, "time", &[], slice).await?;
    latest::page(found, slice, |record| decode(record, FUNDING_BYTES_MAX))
}

/// Stores a funding and has it worked on.
pub async fn fund(app: App, key: WriteKey, body: FundingRequest) -> Result<Shown, Refusal> {
    let id = id_of(&key)?;
    if let Ok((_, funding)) = app.funding(&id).await {
        return Ok(shown(&funding));
    }
    if body.currency != app.currency {
        return Err(Problem::new(Reason::CurrencyUnknown).field("currency").into());
    }
    let funding = match (body.holder, body.account) {
        (Some(name), None) => {
            let (_, holder) = app.holder_by_name(&name).await?;
            Funding::of_holder(id, &holder, body.currency, body.amount, now())?
        }
        (None, Some(account)) => {
            Funding::of_account(id, account, body.currency, body.amount, now())?
        }
        _ => {
            let problem = Problem::new(Reason::FieldInvalid).field("holder");
            return Err(problem.detail("either holder or account must be there").into());
        }
    };
    require_room(&app, &funding).await?;
    let order = Order { subject: Subject::Funding(id), transaction: None };
    let batch = put_funding(Batch::new(), 0, &funding)
        .push(SETTLE, id, now(), order.to_bytes(), trace_context::current())
        .audit(now(), format!("funding {} of {}", hex::encode(&id), funding.amount));
    app.store.write(batch).await?;
    app.change();
    Ok(shown(&funding))
}

/// [`Reason::SupplyExceeded`] for money that could never be minted: with it there would be more of
/// the currency than there may be. Only what is so much is asked about; a node that is away does not
/// keep a funding from being taken.
async fn require_room(app: &App, funding: &Funding) -> Result<(), Refusal> {
    if funding.amount < Amount::new(ASKED_FROM)? {
        return Ok(());
    }
    let Ok(found) = app.nodes.currency(&funding.currency).await else { return Ok(()) };
    match found.supply.plus(funding.amount) {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::new(Reason::SupplyExceeded)
            .field("amount")
            .detail(format!("in circulation: {} minor units", found.supply))
            .into()),
    }
}

/// Fundings below this many minor units exceed no supply but one that is all but at its maximum.
const ASKED_FROM: u64 = 1 << 47;

async fn funding(
    State(app): State<App>,
    Path(id): Path<String>,
    wait: WaitQuery,
) -> Result<Json<Shown>, Refusal> {
    let id: Digest = hex::decode(&id)
        .ok()
        .and_then(|id| id.try_into().ok())
        .ok_or_else(|| Problem::new(Reason::HexMalformed).field("id"))?;
    let found = super::authorizations::until_ended(&app, wait.duration(WAIT_MAX), || async {
        let (_, funding) = app.funding(&id).await?;
        Ok((funding.progress.has_ended(), funding))
    });
    Ok(Json(shown(&found.await?)))
}
