//! The worker that brings fundings and authorizations onto the ledger, from the outbox, exactly
//! once across crashes.
//!
//! Invariant: every transaction is stored in the outbox before it is sent, so whatever instant the
//! process ends at, the next start knows which id to ask the ledger about.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tallystick_api::ApiError;
use tallystick_api::node::{Reception, TransactionState, TransactionStatus};
use tallystick_api::{NodeClient, trace_context};
use tallystick_issuer::funding::Funding;
use tallystick_issuer::settlement::{
    Next, ORDER_BYTES_MAX, Order, Progress, Seen, Subject, mint, remittance,
};
use tallystick_kernel::{
    Codec as _, DurationMs, Reason, ReserveId, Salt, TimeMs, TransactionId, hex,
};
use tallystick_proofs::receipt::Receipt;
use tallystick_proofs::transaction::Transaction;
use tallystick_store::{Batch, OutboxEntry};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::authorizations::put_authorization;
use super::fundings::put_funding;
use super::{App, Issuer, SETTLE, kinds, now};
use crate::source;

/// Orders that are worked on at the same time.
const AT_ONCE: usize = 256;
/// How long one look at an order waits for its end.
const WAIT: DurationMs = DurationMs::seconds(10);
/// Pauses between looks: doubled with each attempt, at most this.
const PAUSE_MAX: DurationMs = DurationMs::seconds(5);
const PAUSE_MIN: DurationMs = DurationMs(200);
/// How often an empty outbox is looked at.
const IDLE: DurationMs = DurationMs::seconds(60);

/// Works until the process ends.
pub async fn work(app: App) {
    let mut changed = app.changed.subscribe();
    let mut under_way: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut tasks: JoinSet<Vec<u8>> = JoinSet::new();
    loop {
        changed.mark_unchanged();
        let pause = match app.store.due(SETTLE, now(), AT_ONCE as u32).await {
            Ok(due) => {
                for entry in due {
                    if under_way.insert(entry.id.clone()) {
                        tasks.spawn(attend(Arc::clone(&app), entry));
                    }
                }
                pause(&app, under_way.is_empty()).await
            }
            Err(reason) => {
                tracing::error!(%reason, "the outbox cannot be read");
                PAUSE_MAX
            }
        };
        tokio::select! {
            _ = changed.changed() => {}
            Some(done) = tasks.join_next() => match done {
                Ok(id) => drop(under_way.remove(&id)),
                // What panicked is not known to have ended: the next start takes it up.
                Err(error) => tracing::error!(%error, "an order was dropped"),
            },
            () = tokio::time::sleep(Duration::from_millis(pause.0)) => {}
        }
    }
}

/// How long nothing is due, unless something changes.
async fn pause(app: &Issuer, idle: bool) -> DurationMs {
    if !idle {
        return PAUSE_MIN;
    }
    let next = app.store.next_due(SETTLE).await.unwrap_or(None);
    next.map_or(IDLE, |next| DurationMs(next.0.saturating_sub(now().0).clamp(10, IDLE.0)))
}

/// What a look at an order ended in.
enum Outcome {
    /// Look again after a pause, which grows with the attempts.
    Later,
    /// It has ended.
    Ended(Progress, Option<Vec<u8>>),
}

async fn attend(app: App, entry: OutboxEntry) -> Vec<u8> {
    let app = app.as_ref();
    let attempts = entry.attempts;
    let id = entry.id.clone();
    let span = tracing::debug_span!("settle", order = hex::encode(&id), attempts);
    trace_context::go_on(&span, &entry.trace);
    let done = match Order::from_bytes(&entry.bytes, ORDER_BYTES_MAX) {
        Ok(order) => step(app, &order, attempts).instrument(span).await,
        Err(_) => Err(Reason::StorageCorrupt),
    };
    let outcome = match done {
        Ok(Outcome::Ended(progress, receipt)) => finish(app, &entry, progress, receipt).await,
        Ok(Outcome::Later) => Err(Reason::InProgress),
        Err(reason) => Err(reason),
    };
    if let Err(reason) = outcome {
        let pause = PAUSE_MIN.0.saturating_mul(1 << attempts.min(8)).min(PAUSE_MAX.0);
        let due = now().after(DurationMs(pause));
        tracing::debug!(order = hex::encode(&id), %reason, "an order is looked at again");
        let later = Batch::new().reschedule(SETTLE, id.clone(), due, None);
        if let Err(reason) = app.store.write(later).await {
            tracing::warn!(%reason, "an order could not be put off");
        }
    }
    id
}

async fn step(app: &Issuer, order: &Order, attempts: u64) -> Result<Outcome, Reason> {
    let Some(transaction) = &order.transaction else {
        let signed = sign(app, order).await?;
        return send(app, &signed).await;
    };
    if attempts == 0 {
        // Never sent, as far as we know; a second copy changes nothing.
        return send(app, transaction).await;
    }
    let (time, status) = ask(app, &transaction.id()).await.map_err(|error| error.reason)?;
    match order.next(time, seen(&status)) {
        Next::Settled | Next::Failed(_) => with_receipt(app, &transaction.id()).await,
        Next::Submit => send(app, transaction).await,
        Next::Wait => wait(app, transaction).await,
        Next::SignAnew => match hopeless(app, order).await? {
            Some(reason) => Ok(Outcome::Ended(failed(transaction, reason), None)),
            None => {
                let signed = sign(app, order).await?;
                send(app, &signed).await
            }
        },
    }
}

fn failed(transaction: &Transaction, reason: Reason) -> Progress {
    Progress::Failed(transaction.id(), reason)
}

/// Asks one node for its time and then for the status, in this order.
async fn ask(app: &Issuer, id: &TransactionId) -> Result<(TimeMs, TransactionStatus), ApiError> {
    let mut away = None;
    for node in &app.each_node {
        match ask_one(node, id).await {
            Ok(answer) => return Ok(answer),
            Err(error) => away = Some(error),
        }
    }
    Err(away.unwrap_or_else(|| ApiError {
        reason: Reason::Unreachable,
        problem: None,
        call: "no node".to_owned(),
        cause: None,
    }))
}

async fn ask_one(
    node: &NodeClient,
    id: &TransactionId,
) -> Result<(TimeMs, TransactionStatus), ApiError> {
    let time = TimeMs(node.network().await?.time_ms);
    Ok((time, node.transaction(id).await?))
}

fn seen(status: &TransactionStatus) -> Seen {
    match (status.state, &status.result) {
        (TransactionState::Final, Some(result)) if result.success => Seen::Final(None),
        (TransactionState::Final, Some(result)) => {
            let code = result.code.as_deref().and_then(Reason::from_code);
            Seen::Final(Some(code.unwrap_or(Reason::SettlementFailed)))
        }
        (TransactionState::Expired, _) => Seen::Expired,
        (TransactionState::Unknown, _) => Seen::Unknown,
        _ => Seen::Pending,
    }
}

async fn send(app: &Issuer, transaction: &Transaction) -> Result<Outcome, Reason> {
    let sent = app.nodes.submit(vec![transaction.to_bytes()]).await;
    let answer = sent.map_err(|error| error.reason)?;
    match answer.submissions.first().map(|submission| submission.outcome) {
        Some(Reception::Refused) | None => {
            // A node that lags may refuse what others take; it is asked again until it is certain
            // that the transaction can no longer be included.
            let problem = answer.submissions.into_iter().next().and_then(|one| one.problem);
            let reason = problem.map_or(Reason::AnswerMalformed, |problem| problem.reason());
            tracing::info!(%reason, "a node refused a settlement");
            Ok(Outcome::Later)
        }
        Some(_) => wait(app, transaction).await,
    }
}

async fn wait(app: &Issuer, transaction: &Transaction) -> Result<Outcome, Reason> {
    let id = transaction.id();
    let status = app.nodes.wait_final(&id, WAIT).await.map_err(|error| error.reason)?;
    match seen(&status) {
        Seen::Final(_) => with_receipt(app, &id).await,
        _ => Ok(Outcome::Later),
    }
}

/// Fetches the receipt and verifies it: only that makes a payment settled, or failed.
async fn with_receipt(app: &Issuer, id: &TransactionId) -> Result<Outcome, Reason> {
    let bytes = app.nodes.receipt(id).await.map_err(|error| error.reason)?;
    let verified = Receipt::read(&bytes)?.verify(&app.genesis)?;
    if verified.id != *id {
        return Err(Reason::ReceiptMismatch);
    }
    let progress = match verified.result.failure {
        None => Progress::Settled(*id),
        Some(reason) => Progress::Failed(*id, reason),
    };
    Ok(Outcome::Ended(progress, Some(bytes)))
}

/// Signs the transaction of an order and stores it before anybody sees it.
async fn sign(app: &Issuer, order: &Order) -> Result<Transaction, Reason> {
    let (network, salt) = (app.genesis.network(), Salt(source::random()?));
    let (transaction, batch, id) = match &order.subject {
        Subject::Funding(id) => {
            let (version, mut funding) = app.funding(id).await?;
            if let (None, Some(holder)) = (funding.account, funding.holder) {
                let (_, holder) = app.holder(&holder).await?;
                funding.account = Some(holder.require_link()?.account);
            }
            let body = mint(&funding, network, app.authority, salt, now())?;
            let transaction = body.sign_by(&[&app.authority_signer()?])?;
            funding.progress = Progress::Submitted(transaction.id());
            (transaction, put_funding(Batch::new(), version, &funding), id)
        }
        Subject::Authorization(id) => {
            let (version, mut made) = app.authorization(id).await?;
            let body = remittance(&made, network, salt, now());
            let transaction = body.sign_by(&[&app.mandate_signer()?])?;
            made.progress = Progress::Submitted(transaction.id());
            (transaction, put_authorization(Batch::new(), version, &made), id)
        }
    };
    let signed = Order { subject: order.subject, transaction: Some(transaction.clone()) };
    let batch = batch.reschedule(SETTLE, *id, now().after(WAIT), Some(signed.to_bytes()));
    app.store.write(batch).await?;
    Ok(transaction)
}

/// Why a new transaction could never succeed either, if so.
async fn hopeless(app: &Issuer, order: &Order) -> Result<Option<Reason>, Reason> {
    let id = match &order.subject {
        Subject::Funding(id) => return cannot_mint(app, &app.funding(id).await?.1).await,
        Subject::Authorization(id) => id,
    };
    let (_, made) = app.authorization(id).await?;
    let mandate = app.mandate.to_string();
    let locked = app.nodes.reserves_locked(&mandate, &made.account, usize::MAX).await;
    let locked = locked.map_err(|error| error.reason)?;
    let there = |id: &ReserveId| locked.iter().any(|reserve| reserve.id == *id);
    Ok((!made.reserves.iter().all(there)).then_some(Reason::ReserveUnknown))
}

/// Why money can never be minted so: there is too much of it, or nobody to give it to.
async fn cannot_mint(app: &Issuer, funding: &Funding) -> Result<Option<Reason>, Reason> {
    let found = app.nodes.currency(&funding.currency).await.map_err(|error| error.reason)?;
    if found.supply.plus(funding.amount).is_err() {
        return Ok(Some(Reason::SupplyExceeded));
    }
    let Some(account) = funding.account else { return Ok(None) };
    match app.nodes.account(&account).await {
        Err(error) if error.reason == Reason::AccountUnknown => Ok(Some(Reason::PayeeUnknown)),
        Err(error) => Err(error.reason),
        Ok(_) => Ok(None),
    }
}

async fn finish(
    app: &Issuer,
    entry: &OutboxEntry,
    progress: Progress,
    receipt: Option<Vec<u8>>,
) -> Result<(), Reason> {
    let order = Order::from_bytes(&entry.bytes, ORDER_BYTES_MAX)?;
    let mut batch = Batch::new().done(SETTLE, entry.id.clone());
    match &order.subject {
        Subject::Funding(id) => {
            let (version, mut funding) = app.funding(id).await?;
            funding.progress = progress;
            batch = put_funding(batch, version, &funding);
        }
        Subject::Authorization(id) => {
            let (version, mut made) = app.authorization(id).await?;
            made.progress = progress;
            batch = put_authorization(batch, version, &made);
            for reserve in &made.reserves {
                batch = batch.delete(kinds::HOLD, reserve.0, 1);
                if matches!(progress, Progress::Settled(_)) {
                    let index = [("account", made.account.0.to_vec())];
                    let time = now().0.to_be_bytes();
                    batch = batch.put(kinds::SPENT, reserve.0, 0, time, &index);
                }
            }
        }
    }
    if let (Some(receipt), Some(transaction)) = (receipt, progress.transaction()) {
        batch = batch.put(kinds::RECEIPT, transaction.0, 0, receipt, &[]);
    }
    let event = format!("{} ended: {progress:?}", hex::encode(&entry.id));
    app.store.write(batch.audit(now(), event)).await?;
    app.counted.count(&order.subject, &progress);
    app.change();
    Ok(())
}
