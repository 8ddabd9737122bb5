//! Bulk writes: each item is a keyed write of its own, with the answer that it would have alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use futures::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tallystick_api::batch::{BATCH_MAX, BatchAnswer, BatchItem, BatchItemAnswer, BatchRequest};
use tallystick_api::operation::Operation;
use tallystick_api::problem::PROBLEM_MEDIA_TYPE;
use tallystick_api::{Problem, json};
use tallystick_kernel::Reason;
use tokio::sync::oneshot;

use super::gate::Caller;
use super::idempotency::{self, Answers, Begun, StoredAnswer, Taken, Write, WriteKey};
use super::problem::Refusal;
use super::request_id;
use crate::source;

/// Does every write of a bulk write, all at once, and answers each in order. `write` MUST derive
/// the ids of what it makes from the key. `operation` is the single write: a key is one and the same
/// whether it comes with that or in a bulk.
///
/// Returns [`Reason::ListEmpty`] or [`Reason::TooLarge`] for the whole. What was begun is carried
/// through even when the client has gone away.
pub async fn answer_each<B, A, F>(
    operation: &Operation,
    caller: &Caller,
    answers: Arc<dyn Answers>,
    request: BatchRequest<B>,
    write: impl Fn(WriteKey, B) -> F,
) -> Result<BatchAnswer<A>, Refusal>
where
    B: Serialize,
    A: Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = Result<A, Refusal>> + Send + 'static,
{
    if request.items.is_empty() {
        return Err(Problem::new(Reason::ListEmpty).field("items").into());
    }
    if request.items.len() > BATCH_MAX {
        let detail = format!("at most {BATCH_MAX} items at once");
        return Err(Problem::new(Reason::TooLarge).field("items").detail(detail).into());
    }
    // Items with one key are done in their order, so that the first is the first for everyone.
    let mut before: BTreeMap<String, oneshot::Receiver<()>> = BTreeMap::new();
    let begun = request.items.into_iter().map(|BatchItem { key, body }| {
        let text = json::write(&body);
        let method = operation.method.name();
        let keyed = Write::new(caller, method, operation.path, key.as_bytes(), &text);
        let answers = Arc::clone(&answers);
        let (ended, is_ended) = oneshot::channel();
        let earlier = before.insert(key, is_ended);
        let done = keyed.map(|keyed| {
            let work = write(keyed.key.clone(), body);
            tokio::spawn(request_id::scoped(async move {
                if let Some(earlier) = earlier {
                    // However it ended.
                    let _ = earlier.await;
                }
                let answer = answer(answers, keyed, work).await;
                drop(ended);
                answer
            }))
        });
        async {
            match done {
                Ok(task) => task.await.unwrap_or_else(|_| refused(Reason::Internal.into())),
                Err(refusal) => refused(refusal),
            }
        }
    });
    Ok(BatchAnswer { items: join_all(begun).await })
}

async fn answer<A: Serialize + DeserializeOwned>(
    answers: Arc<dyn Answers>,
    keyed: Write,
    work: impl Future<Output = Result<A, Refusal>>,
) -> BatchItemAnswer<A> {
    match answers.begin(&keyed.key, keyed.fingerprint, source::now()).await {
        Err(reason) => refused(reason.into()),
        Ok(Begun::Again(stored)) => {
            read(&stored).unwrap_or_else(|| refused(Reason::StorageCorrupt.into()))
        }
        Ok(Begun::First) => {
            let taken = Taken::new(answers, keyed.key);
            let answer = match work.await {
                Ok(body) => done(body),
                Err(refusal) => refused(refusal),
            };
            match keep(taken, &answer).await {
                Ok(()) => answer,
                Err(reason) => refused(reason.into()),
            }
        }
    }
}

async fn keep<A: Serialize>(taken: Taken, answer: &BatchItemAnswer<A>) -> Result<(), Reason> {
    let status = StatusCode::from_u16(answer.status).map_err(|_| Reason::Internal)?;
    if idempotency::is_passing(status) {
        return Ok(());
    }
    let body = match (&answer.body, &answer.problem) {
        (Some(body), _) => json::write(body),
        (None, problem) => json::write(problem),
    };
    let media_type = if answer.problem.is_some() { PROBLEM_MEDIA_TYPE } else { "application/json" };
    let media_type = media_type.to_owned();
    taken.finish(StoredAnswer { status: answer.status, media_type, body }).await
}

fn read<A: DeserializeOwned>(stored: &StoredAnswer) -> Option<BatchItemAnswer<A>> {
    let (body, problem) = match stored.status {
        200 => (Some(json::read(&stored.body).ok()?), None),
        _ => (None, Some(json::read(&stored.body).ok()?)),
    };
    Some(BatchItemAnswer { status: stored.status, idempotency_hit: true, body, problem })
}

fn done<A>(body: A) -> BatchItemAnswer<A> {
    BatchItemAnswer { status: 200, idempotency_hit: false, body: Some(body), problem: None }
}

fn refused<A>(refusal: Refusal) -> BatchItemAnswer<A> {
    let problem = refusal.into_problem();
    let status = problem.status;
    BatchItemAnswer { status, idempotency_hit: false, body: None, problem: Some(problem) }
}
