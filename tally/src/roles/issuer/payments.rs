//! What a holder sees of their payments: the list, and the feed of what changes.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use tallystick_api::Page;
use tallystick_api::issuer::Payment;
use tallystick_api::operations::issuer as endpoints;
use tallystick_issuer::authorization::{AUTHORIZATION_BYTES_MAX, Authorization};
use tallystick_kernel::{Digest, HolderId, Reason};
use tallystick_store::{Place, Record, StoredEvent};

use super::authorizations::{feed_of, shown};
use super::{App, decode, kinds};
use crate::http::events::{self, EVENTS_AT_ONCE, LastEventId, Numbered};
use crate::http::gate::Caller;
use crate::http::{CursorQuery, Refusal, Routes};
use crate::stored::latest;

/// The endpoints of a holder's payments.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    routes.add(endpoints::PAYMENTS, payments).add(endpoints::PAYMENT_EVENTS, payment_events)
}

/// A payment as its holder sees it.
fn payment(made: &Authorization) -> Payment {
    Payment { authorization: shown(made), payee: made.payee, created_ms: made.created.0 }
}

/// A page of a holder's payments, the latest first.
pub async fn of_holder(
    app: &App,
    holder: &HolderId,
    place: Option<Place>,
) -> Result<Page<Payment>, Reason> {
    let found = latest::read(&app.store, kinds::AUTHORIZATION, "holder", &holder.0, place).await?;
    let show = |record: &Record| decode(record, AUTHORIZATION_BYTES_MAX).map(|one| payment(&one));
    latest::page(found, show)
}

async fn payments(
    State(app): State<App>,
    caller: Caller,
    cursor: CursorQuery,
) -> Result<Json<Page<Payment>>, Refusal> {
    let place = latest::place(&cursor)?;
    Ok(Json(of_holder(&app, &caller.require_holder()?, place).await?))
}

/// Streams a holder's payments whenever one changes; for a caller with a session of either kind.
pub async fn payment_events(
    State(app): State<App>,
    caller: Caller,
    LastEventId(last): LastEventId,
) -> Result<impl IntoResponse, Refusal> {
    let holder = caller.require_holder()?;
    let newest = app.store.last_event().await?;
    let (after, changed) = (last.unwrap_or(newest).min(newest), app.changed.subscribe());
    events::stream(after, changed, move |after| {
        let app = app.clone();
        async move {
            let found = app.store.events(&feed_of(&holder), after, EVENTS_AT_ONCE).await?;
            let mut numbered = Vec::with_capacity(found.len());
            for event in found {
                numbered.push(read(&app, &event).await?);
            }
            Ok(numbered)
        }
    })
}

/// An event with the payment as it is now.
async fn read(app: &App, event: &StoredEvent) -> Result<Numbered, Reason> {
    let id: Digest = event.bytes.as_slice().try_into().map_err(|_| Reason::StorageCorrupt)?;
    let (_, made) = app.authorization(&id).await?;
    Ok(events::numbered(event.sequence, &payment(&made)))
}
