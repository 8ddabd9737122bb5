//! `Idempotency-Key`: a write that is sent again gets its first answer again.
//!
//! Invariants: two requests with one key are never answered at the same time; the answer is stored
//! before it is sent; a request that was begun is carried through even when its client has gone
//! away. An answer that may change by itself (5xx, 429) is not stored, nor is the refusal of a body that
//! could not be read.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tallystick_api::Problem;
use tallystick_api::client::IDEMPOTENCY_KEY_HEADER;
use tallystick_kernel::{Digest, LabelledHash, Reason, TimeMs, hex};

use super::gate::{Caller, Later};
use super::problem::{Refusal, Unread};
use super::request_id;
use crate::source;

/// The header that marks an answer as a repeated one.
pub const IDEMPOTENCY_HIT_HEADER: &str = "Idempotency-Hit";

/// An answer as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub media_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// What the memory says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is new, and now taken by this request.
    First,
    /// It was answered.
    Again(StoredAnswer),
}

/// The durable memory of answers.
pub trait Answers: Send + Sync {
    /// Takes `key` for a request with this fingerprint.
    ///
    /// Waits while the first request with this key and fingerprint is being answered. Returns
    /// [`Reason::IdempotencyKeyReused`] when the key came with another request and
    /// [`Reason::InProgress`] when the wait took too long. A request that was begun and
    /// never finished (a crash) may be begun again, so handlers MUST derive the ids of what they
    /// make from the [`WriteKey`].
    fn begin<'a>(
        &'a self,
        key: &'a WriteKey,
        fingerprint: Digest,
        now: TimeMs,
    ) -> Later<'a, Result<Begun, Reason>>;

    /// Stores the answer to a key that was begun.
    fn finish<'a>(
        &'a self,
        key: &'a WriteKey,
        answer: StoredAnswer,
    ) -> Later<'a, Result<(), Reason>>;

    /// Forgets a key that was begun, so that the same request may be tried again.
    fn abandon(&self, key: &WriteKey);
}

/// A key that was begun: forgotten when this is dropped, whatever became of the work, unless the
/// answer was stored meanwhile.
pub struct Taken {
    answers: Arc<dyn Answers>,
    key: WriteKey,
    is_finished: bool,
}

impl Taken {
    /// The key that [`Answers::begin`] gave to us just now.
    pub fn new(answers: Arc<dyn Answers>, key: WriteKey) -> Taken {
        Taken { answers, key, is_finished: false }
    }

    /// Stores the answer.
    pub async fn finish(mut self, answer: StoredAnswer) -> Result<(), Reason> {
        let finished = self.answers.finish(&self.key, answer).await;
        // It is free already, and may be somebody else's.
        self.is_finished = true;
        finished
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.is_finished {
            self.answers.abandon(&self.key);
        }
    }
}

/// A write's key, bound to caller, method and path: 64 hexadecimal digits. Handlers find it in the
/// request's extensions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WriteKey(pub String);

/// A keyed write.
pub struct Write {
    /// Its key.
    pub key: WriteKey,
    /// Binds the key to the body.
    pub fingerprint: Digest,
}

impl Write {
    /// Reads the key; [`Reason::IdempotencyKeyMissing`] when there is none, or one that is empty
    /// or longer than 128 bytes.
    pub fn of_request(
        caller: &Caller,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Write, Refusal> {
        let given = headers.get(IDEMPOTENCY_KEY_HEADER).map(HeaderValue::as_bytes);
        Write::new(caller, method, path, given.unwrap_or_default(), body)
    }

    /// A write with this key; [`Reason::IdempotencyKeyMissing`] for one that is empty or longer
    /// than 128 bytes.
    pub fn new(
        caller: &Caller,
        method: &str,
        path: &str,
        given: &[u8],
        body: &[u8],
    ) -> Result<Write, Refusal> {
        if !(1..=KEY_BYTES_MAX).contains(&given.len()) {
            let problem = Problem::new(Reason::IdempotencyKeyMissing);
            return Err(problem
                .way_out("send Idempotency-Key: <1 to 128 random characters>, the same on a retry")
                .into());
        }
        let place = |label: &str| {
            LabelledHash::new(label)
                .part(caller.identity().as_bytes())
                .part(method.as_bytes())
                .part(path.as_bytes())
        };
        let key = place("tallystick/idempotency-key/1").part(given).finish();
        let fingerprint = place("tallystick/idempotency-body/1").part(body).finish();
        Ok(Write { key: WriteKey(hex::encode(&key)), fingerprint })
    }
}

/// Answers a write once: from memory when it was answered before, else by its handler.
pub async fn answer_once(
    answers: Arc<dyn Answers>,
    write: Write,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    // From the first look on in a task of its own: a client that goes away ends nothing half-way.
    let task = tokio::spawn(request_id::scoped(async move {
        match answers.begin(&write.key, write.fingerprint, source::now()).await? {
            Begun::Again(stored) => {
                let mut response = to_response(stored);
                let hit = HeaderValue::from_static("true");
                response.headers_mut().insert(IDEMPOTENCY_HIT_HEADER, hit);
                Ok(response)
            }
            Begun::First => carry_through(Taken::new(answers, write.key), request, next).await,
        }
    }));
    task.await.unwrap_or(Err(Refusal::from(Reason::Internal)))
}

async fn carry_through(taken: Taken, request: Request, next: Next) -> Result<Response, Refusal> {
    let response = next.run(request).await;
    let is_unread = response.extensions().get::<Unread>().is_some();
    if is_unread || is_passing(response.status()) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, ANSWER_BYTES_MAX).await.map_err(|_| Reason::Internal)?;
    let media_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let answer = StoredAnswer {
        status: parts.status.as_u16(),
        media_type: media_type.unwrap_or("application/json").to_owned(),
        body: body.to_vec(),
    };
    taken.finish(answer).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Whether an answer may change by itself, so that it is not kept.
pub fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

fn to_response(stored: StoredAnswer) -> Response {
    let mut response = Response::new(Body::from(stored.body));
    *response.status_mut() =
        StatusCode::from_u16(stored.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(media_type) = HeaderValue::from_str(&stored.media_type) {
        response.headers_mut().insert(CONTENT_TYPE, media_type);
    }
    response
}

const KEY_BYTES_MAX: usize = 128;
/// Answers to writes are small; a longer one is our own bug.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
