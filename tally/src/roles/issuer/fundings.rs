//! Fundings: the operator gives money, which the worker mints.

use axum::extract::{Path, State};
use axum::{Extension, Json};
use tallystick_api::Problem;
use tallystick_api::issuer::{Funding as Shown, FundingRequest, WAIT_MAX};
use tallystick_issuer::funding::{FUNDING_BYTES_MAX, Funding};
use tallystick_issuer::settlement::{Order, Subject};
use tallystick_kernel::{Codec as _, Digest, HolderId, Reason, hex};
use tallystick_store::Batch;

use super::{App, Issuer, SETTLE, decode, id_of, kinds, now};
use crate::http::idempotency::WriteKey;
use crate::http::{Access, Endpoint, JsonBody, Refusal, Routes, WaitQuery};

/// The endpoints of fundings.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    let one = Endpoint::get("/v1/fundings/{id}", Access::Scope("fundings")).waits(WAIT_MAX);
    routes.add(Endpoint::post("/v1/fundings", Access::Scope("fundings")), create).add(one, funding)
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
    }
}

async fn create(
    State(app): State<App>,
    Extension(key): Extension<WriteKey>,
    JsonBody(body): JsonBody<FundingRequest>,
) -> Result<Json<Shown>, Refusal> {
    let id = id_of(&key)?;
    if let Ok((_, funding)) = app.funding(&id).await {
        return Ok(Json(shown(&funding)));
    }
    if body.currency != app.currency {
        return Err(Problem::new(Reason::CurrencyUnknown).field("currency").into());
    }
    let funding = match (body.holder, body.account) {
        (Some(name), None) => {
            let (_, holder) = app.holder_by_name(&name).await?;
            Funding::of_holder(id, &holder, body.currency, body.amount)?
        }
        (None, Some(account)) => Funding::of_account(id, account, body.currency, body.amount)?,
        _ => {
            let problem = Problem::new(Reason::FieldInvalid).field("holder");
            return Err(problem.detail("either holder or account must be there").into());
        }
    };
    let indexes: Vec<_> = funding.holder.iter().map(|id| ("holder", id.0.to_vec())).collect();
    let order = Order { subject: Subject::Funding(id), transaction: None };
    let batch = Batch::new()
        .put(kinds::FUNDING, id, 0, funding.to_bytes(), &indexes)
        .push(SETTLE, id, now(), order.to_bytes())
        .audit(now(), format!("funding {} of {}", hex::encode(&id), funding.amount));
    app.store.write(batch).await?;
    app.change();
    Ok(Json(shown(&funding)))
}

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
