//! Charges: stored first, then authorised at the issuer, then proven by a receipt.
//!
//! Invariant: a charge asks the issuer with a key that follows from its id, so that asking again
//! after a crash gets the first answer and never a second payment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use tallystick_api::batch::{BatchAnswer, BatchRequest};
use tallystick_api::issuer::{AuthorizationRequest, Progress};
use tallystick_api::merchant::{Charge as Shown, ChargeRequest, WAIT_MAX};
use tallystick_api::node::CBOR;
use tallystick_api::operations::merchant as endpoints;
use tallystick_api::{Page, Problem, trace_context};
use tallystick_kernel::limits::PAYMENT_CODE_CHARS_MAX;
use tallystick_kernel::{Codec as _, Digest, DurationMs, Reason, hex};
use tallystick_merchant::charge::{CHARGE_BYTES_MAX, Charge, ChargeState, ORDER_BYTES_MAX};
use tallystick_merchant::payment_code;
use tallystick_proofs::receipt::Receipt;
use tallystick_store::{Batch, Kind, OutboxEntry};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{App, Merchant};
use crate::http::batch;
use crate::http::events::{self, EVENTS_AT_ONCE, Follower, LastEventId};
use crate::http::gate::Caller;
use crate::http::idempotency::WriteKey;
use crate::http::{CursorQuery, JsonBody, Refusal, Routes, WaitQuery};
use crate::source;
use crate::stored::latest::{self, Slice};

/// Charges by id.
const CHARGE: Kind = Kind("charge");
/// The feed of charges.
const FEED: &[u8] = b"charges";
/// Verified receipts by charge.
const RECEIPT: Kind = Kind("receipt");
/// The outbox of charges that have not ended.
const OPEN: &str = "charge";
const AT_ONCE: u32 = 256;
/// How long one look at a charge waits for its end.
const WAIT: DurationMs = DurationMs::seconds(10);
const PAUSE_MIN: DurationMs = DurationMs(200);
const PAUSE_MAX: DurationMs = DurationMs::seconds(5);
const IDLE: DurationMs = DurationMs::seconds(60);

/// The endpoints of charges.
pub fn routes(routes: Routes<App>) -> Routes<App> {
    routes
        .add(endpoints::CHARGE, create)
        .add(endpoints::CHARGE_BATCH, create_each)
        .add(endpoints::CHARGES, list)
        .add(endpoints::CHARGE_EVENTS, charge_events)
        .add(endpoints::CHARGE_STATUS, charge)
        .add(endpoints::CHARGE_RECEIPT, receipt)
}

impl Merchant {
    async fn charge(&self, id: &[u8]) -> Result<(u64, Charge), Reason> {
        let record = self.store.read(CHARGE, id).await?.ok_or(Reason::NotFound)?;
        let charge = Charge::from_bytes(&record.bytes, CHARGE_BYTES_MAX);
        Ok((record.version, charge.map_err(|_| Reason::StorageCorrupt)?))
    }

    /// Stores how far a charge is; with its receipt when it is paid.
    async fn advance(
        &self,
        id: &[u8],
        state: ChargeState,
        receipt: Option<Vec<u8>>,
    ) -> Result<(), Reason> {
        let (version, charge) = self.charge(id).await?;
        let next = Charge { state, ..charge };
        let mut batch = put(Batch::new(), version, &next);
        if let Some(receipt) = receipt {
            batch = batch.put(RECEIPT, id, 0, receipt, &[]);
        }
        if next.has_ended() {
            let event = format!("charge {} ended: {:?}", hex::encode(id), next.state);
            batch = batch.done(OPEN, id).audit(source::now(), event);
        }
        self.store.write(batch).await?;
        self.counted.count(&next, source::now());
        self.change();
        Ok(())
    }

    /// One look at a charge: asks the issuer for what is next.
    async fn step(&self, id: &[u8]) -> Result<(), Reason> {
        let (_, charge) = self.charge(id).await?;
        let authorization = match &charge.state {
            ChargeState::Accepted => {
                let authorization = self.authorize(&charge).await?;
                let state = ChargeState::Authorized(authorization.clone());
                self.advance(id, state, None).await?;
                authorization
            }
            ChargeState::Authorized(authorization) => authorization.clone(),
            ChargeState::Settled(_) | ChargeState::Failed(_) => return Ok(()),
        };
        let asked = self.issuer.authorization(&authorization, WAIT).await;
        let found = asked.map_err(|error| error.reason)?;
        match found.state {
            Progress::Settled => {
                let bytes = self.issuer.receipt(&authorization).await;
                let bytes = bytes.map_err(|error| error.reason)?;
                let verified = Receipt::read(&bytes)?.verify(&self.genesis)?;
                let transaction = charge.check_receipt(&verified, self.account)?;
                self.advance(id, ChargeState::Settled(transaction), Some(bytes)).await
            }
            Progress::Failed => {
                let reason = found.code.as_deref().and_then(Reason::from_code);
                let reason = reason.unwrap_or(Reason::SettlementFailed);
                self.advance(id, ChargeState::Failed(reason), None).await
            }
            Progress::Accepted | Progress::Submitted => Err(Reason::InProgress),
        }
    }

    /// Asks the issuer for the payment. A refusal ends the charge; an issuer that is away does not.
    async fn authorize(&self, charge: &Charge) -> Result<String, Reason> {
        let body = AuthorizationRequest {
            code: charge.code.clone(),
            payee: self.account,
            currency: charge.currency,
            amount: charge.amount,
            reference: charge.reference().to_string(),
        };
        match self.issuer.authorize(&body, &hex::encode(&charge.id)).await {
            Ok(authorization) => Ok(authorization.id),
            Err(error) if error.is_transport() || passes(error.reason) => Err(error.reason),
            Err(error) => {
                self.advance(&charge.id, ChargeState::Failed(error.reason), None).await?;
                Err(error.reason)
            }
        }
    }
}

/// Writes a charge with its index entry, and tells those who follow.
fn put(batch: Batch, version: u64, charge: &Charge) -> Batch {
    let index = [("time", charge.created.0.to_be_bytes().to_vec())];
    batch.put(CHARGE, charge.id, version, charge.to_bytes(), &index).event(
        FEED,
        source::now(),
        charge.id,
    )
}

/// Whether a refusal says nothing about the payment, so that asking again may end otherwise.
fn passes(reason: Reason) -> bool {
    use tallystick_kernel::Group;
    matches!(reason.group(), Group::Environment | Group::Limits)
        || matches!(reason, Reason::InProgress | Reason::Conflict)
}

fn shown(charge: &Charge) -> Shown {
    let (state, transaction, failure) = match &charge.state {
        ChargeState::Accepted => (Progress::Accepted, None, None),
        ChargeState::Authorized(_) => (Progress::Submitted, None, None),
        ChargeState::Settled(id) => (Progress::Settled, Some(*id), None),
        ChargeState::Failed(reason) => (Progress::Failed, None, Some(reason.code().to_owned())),
    };
    Shown {
        id: hex::encode(&charge.id),
        state,
        order: charge.order.clone(),
        amount: charge.amount,
        currency: charge.currency,
        reference: charge.reference().to_string(),
        transaction,
        failure,
        created_ms: charge.created.0,
    }
}

async fn create(
    State(app): State<App>,
    Extension(key): Extension<WriteKey>,
    JsonBody(body): JsonBody<ChargeRequest>,
) -> Result<Json<Shown>, Refusal> {
    charge_code(app, key, body).await.map(Json)
}

async fn create_each(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<BatchRequest<ChargeRequest>>,
) -> Result<Json<BatchAnswer<Shown>>, Refusal> {
    let answers = Arc::new(app.answers.clone());
    let write = |key, body| charge_code(Arc::clone(&app), key, body);
    batch::answer_each(&endpoints::CHARGE, &caller, answers, body, write).await.map(Json)
}

/// Verifies a code, stores the charge and has it worked on.
pub async fn charge_code(app: App, key: WriteKey, body: ChargeRequest) -> Result<Shown, Refusal> {
    let id: Digest = hex::decode(&key.0)?.try_into().map_err(|_| Reason::Internal)?;
    if let Ok((_, charge)) = app.charge(&id).await {
        return Ok(shown(&charge));
    }
    let (now, price) = (source::now(), (body.currency, body.amount));
    let made = Charge::new(id, &body.order, source::random()?, &body.code, price, now);
    let made = made.map_err(misfit)?;
    let trust = app.trust().ok_or(Reason::NotReady)?;
    let code = payment_code::verify(&body.code, Some(price), &trust, now)
        .map_err(|reason| Problem::new(reason).field("code"))?;
    if let Err(failure) = app.learn(&code) {
        tracing::warn!(%failure, "a chain could not be stored");
    }
    let batch = Batch::new()
        .push(OPEN, id, now, Vec::new(), trace_context::current())
        .audit(now, format!("charge {} of {}", hex::encode(&id), made.amount));
    app.store.write(put(batch, 0, &made)).await?;
    app.change();
    Ok(shown(&made))
}

/// Names the field that does not fit into a charge.
fn misfit(reason: Reason) -> Problem {
    let problem = Problem::new(reason);
    match reason {
        Reason::FieldInvalid => {
            let limit = format!("an order has at most {ORDER_BYTES_MAX} bytes");
            problem.field("order").detail(limit).way_out("write less, such as a number")
        }
        Reason::TooLarge => {
            let limit = format!("a code has at most {PAYMENT_CODE_CHARS_MAX} characters");
            problem.field("code").detail(limit)
        }
        Reason::AmountZero => problem.field("amount"),
        _ => problem,
    }
}

async fn charge(
    State(app): State<App>,
    Path(id): Path<String>,
    wait: WaitQuery,
) -> Result<Json<Shown>, Refusal> {
    let id = hex::decode(&id).map_err(|reason| Problem::new(reason).field("id"))?;
    let wait = Duration::from_millis(wait.duration(WAIT_MAX).0);
    let deadline = tokio::time::Instant::now() + wait;
    let mut changed = app.changed.subscribe();
    loop {
        changed.mark_unchanged();
        let (_, charge) = app.charge(&id).await?;
        let waited = tokio::time::timeout_at(deadline, changed.changed());
        if charge.has_ended() || waited.await.is_err() {
            return Ok(Json(shown(&charge)));
        }
    }
}

async fn list(State(app): State<App>, cursor: CursorQuery) -> Result<Json<Page<Shown>>, Refusal> {
    Ok(Json(latest_charges(&app, &Slice::page(latest::place(&cursor)?)).await?))
}

/// A slice of the charges, the latest first.
pub async fn latest_charges(app: &App, slice: &Slice) -> Result<Page<Shown>, Reason> {
    let found = latest::read(&app.store, CHARGE, "time", &[], slice).await?;
    latest::page(found, slice, |record| {
        let charge = Charge::from_bytes(&record.bytes, CHARGE_BYTES_MAX);
        charge.map(|charge| shown(&charge)).map_err(|_| Reason::StorageCorrupt)
    })
}

/// Streams charges whenever one changes; for a caller with a till's key of either kind.
pub async fn charge_events(
    State(app): State<App>,
    follower: Follower,
    last: LastEventId,
) -> Result<impl IntoResponse, Refusal> {
    let (after, changed) = (events::begin(&app.store, last).await?, app.changed.subscribe());
    events::stream(follower, after, changed, move |after| {
        let app = Arc::clone(&app);
        async move {
            let found = app.store.events(FEED, after, EVENTS_AT_ONCE).await?;
            let mut numbered = Vec::with_capacity(found.len());
            for event in found {
                let (_, charge) = app.charge(&event.bytes).await?;
                numbered.push(events::numbered(event.sequence, &shown(&charge)));
            }
            Ok(numbered)
        }
    })
}

/// A charge by the text of its id.
pub async fn charge_of(app: &App, id: &str) -> Result<Shown, Reason> {
    app.charge(&hex::decode(id)?).await.map(|(_, charge)| shown(&charge))
}

/// The receipt of a charge; for a caller with a till's key of either kind.
pub async fn receipt(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let id = hex::decode(&id).map_err(|reason| Problem::new(reason).field("id"))?;
    let found = app.store.read(RECEIPT, &id).await?.ok_or(Reason::NotFound)?;
    Ok(([(CONTENT_TYPE, CBOR)], found.bytes).into_response())
}

/// Works until the process ends.
pub async fn work(app: App) {
    let mut changed = app.changed.subscribe();
    let mut under_way: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut tasks: JoinSet<Vec<u8>> = JoinSet::new();
    loop {
        changed.mark_unchanged();
        match app.store.due(OPEN, source::now(), AT_ONCE).await {
            Ok(due) => {
                for entry in due {
                    if under_way.insert(entry.id.clone()) {
                        tasks.spawn(attend(Arc::clone(&app), entry));
                    }
                }
            }
            Err(reason) => tracing::error!(%reason, "the outbox cannot be read"),
        }
        let pause = pause(&app, under_way.is_empty()).await;
        tokio::select! {
            _ = changed.changed() => {}
            Some(done) = tasks.join_next() => match done {
                Ok(id) => drop(under_way.remove(&id)),
                // What panicked is not known to have ended: the next start takes it up.
                Err(error) => tracing::error!(%error, "a charge was dropped"),
            },
            () = tokio::time::sleep(Duration::from_millis(pause.0)) => {}
        }
    }
}

async fn pause(app: &Merchant, idle: bool) -> DurationMs {
    if !idle {
        return PAUSE_MIN;
    }
    let next = app.store.next_due(OPEN).await.unwrap_or(None);
    let until = |next: tallystick_kernel::TimeMs| next.0.saturating_sub(source::now().0);
    next.map_or(IDLE, |next| DurationMs(until(next).clamp(10, IDLE.0)))
}

async fn attend(app: App, entry: OutboxEntry) -> Vec<u8> {
    let id = entry.id;
    let span = tracing::debug_span!("charge", charge = hex::encode(&id), entry.attempts);
    trace_context::go_on(&span, &entry.trace);
    if let Err(reason) = app.step(&id).instrument(span).await {
        tracing::debug!(charge = hex::encode(&id), %reason, "a charge is looked at again");
        let pause = PAUSE_MIN.0.saturating_mul(1 << entry.attempts.min(8)).min(PAUSE_MAX.0);
        let due = source::now().after(DurationMs(pause));
        let later = Batch::new().reschedule(OPEN, id.clone(), due, None);
        // One that has ended is not there any more.
        let _ = app.store.write(later).await;
    }
    id
}
