//! What a holder sees of their payments: the list, and the feed of what changes.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use tallystick_api::Page;
use tallystick_api::issuer::Payment;
use tallystick_api::operations::issuer as endpoints;
use tallystick_issuer::authorization::{AUTHORIZATION_BYTES_MAX, Authorization};
use tallystick_kernel::{Digest, HolderId, Reason};
use tallystick_store::StoredEvent;

use super::authorizations::{feed_of, shown};
use super::{App, decode, kinds, refused_charges};
use crate::http::events::{self, EVENTS_AT_ONCE, Follower, LastEventId, Numbered};
use crate::http::gate::Caller;
use crate::http::{CursorQuery, Refusal, Routes};
use crate::stored::latest::{self, Slice};

/// The endpoints of a holder's payments.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    routes.add(endpoints::PAYMENTS, payments).add(endpoints::PAYMENT_EVENTS, payment_events)
}

/// A payment as its holder sees it.
fn payment(made: &Authorization) -> Payment {
    Payment { authorization: shown(made), payee: made.payee, created_ms: made.created.0 }
}

/// A slice of what a holder was asked to pay, the latest first.
pub async fn of_holder(
    app: &App,
    holder: &HolderId,
    slice: &Slice,
) -> Result<Page<Authorization>, Reason> {
    let found = latest::read(&app.store, kinds::AUTHORIZATION, "holder", &holder.0, slice).await?;
    latest::page(found, slice, |record| decode(record, AUTHORIZATION_BYTES_MAX))
}

async fn payments(
    State(app): State<App>,
    caller: Caller,
    cursor: CursorQuery,
) -> Result<Json<Page<Payment>>, Refusal> {
    let slice = Slice::page(latest::place(&cursor)?);
    let Page { items, next } = of_holder(&app, &caller.require_holder()?, &slice).await?;
    Ok(Json(Page { items: items.iter().map(payment).collect(), next }))
}

/// Streams a holder's payments whenever one changes.
async fn payment_events(
    State(app): State<App>,
    caller: Caller,
    follower: Follower,
    last: LastEventId,
) -> Result<impl IntoResponse, Refusal> {
    let holder = caller.require_holder()?;
    let (after, changed) = (events::begin(&app.store, last).await?, app.changed.subscribe());
    events::stream(follower, after, changed, move |after| {
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

/// Tells the holder's page whenever a payment changes or a charge is refused, and nothing more: it
/// fetches itself again.
pub async fn page_events(
    State(app): State<App>,
    caller: Caller,
    follower: Follower,
    last: LastEventId,
) -> Result<impl IntoResponse, Refusal> {
    let holder = caller.require_holder()?;
    let (after, changed) = (events::begin(&app.store, last).await?, app.changed.subscribe());
    events::stream(follower, after, changed, move |after| {
        let app = app.clone();
        async move {
            let mut numbered: Vec<Numbered> = Vec::new();
            for feed in [feed_of(&holder), refused_charges::feed_of(&holder)] {
                let found = app.store.events(&feed, after, EVENTS_AT_ONCE).await?;
                numbered.extend(found.iter().map(|event| (event.sequence, "{}".to_owned())));
            }
            // Of two full parts the later events come with the next look.
            numbered.sort_unstable();
            numbered.truncate(EVENTS_AT_ONCE as usize);
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
