//! The client: one HTTP call with a deadline, bounded retries and a reason for every failure.
//!
//! Invariants: no call outlives its deadline; a request is sent again only when that is harmless
//! (it never left, it is a read, or it carries an `Idempotency-Key`); no answer is read beyond
//! [`ANSWER_BYTES_MAX`].

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tallystick_kernel::{DurationMs, Reason};
use tokio::time::Instant;
use tracing::{Instrument as _, field};

use crate::dpop::DPOP_HEADER;
use crate::error::ApiError;
use crate::json;
use crate::problem::Problem;
use crate::trace_context::{self, TRACEPARENT_HEADER};

/// The header by which a repeated write is recognised.
pub const IDEMPOTENCY_KEY_HEADER: &str = "Idempotency-Key";
/// How long a call may take unless told otherwise.
pub const DEADLINE: DurationMs = DurationMs::seconds(5);
/// How often one call is sent at most.
pub const ATTEMPTS_MAX: u32 = 4;
/// The longest answer that is read.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Makes a fresh DPoP proof for each attempt; the wallet implements it with its device key.
pub trait ProofMaker: Send + Sync {
    /// A proof for this method, address and session token (see [`crate::dpop::make`]).
    fn proof(&self, method: &str, url: &str, access_token: Option<&str>) -> Result<String, Reason>;
}

/// A party's address with what we show to it.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<str>,
    deadline: DurationMs,
    attempts_max: u32,
    token: Option<Arc<str>>,
    proof_maker: Option<Arc<dyn ProofMaker>>,
}

/// Whether a write may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat<'a> {
    /// The server recognises this key and gives its first answer again.
    Key(&'a str),
    /// Doing it twice is the same as doing it once.
    Harmless,
    /// It is sent at most once.
    Never,
}

/// One call, before it is sent.
struct Call<'a> {
    method: Method,
    path: &'a str,
    accept: &'static str,
    body: Option<(&'static str, Vec<u8>)>,
    repeat: Repeat<'a>,
    deadline: DurationMs,
}

enum Attempt {
    Answer(Vec<u8>),
    /// What went wrong, whether the same may be sent again, and after which pause.
    Failed(Reason, Option<Box<Problem>>, Option<String>, Sent, Option<Duration>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    No,
    Perhaps,
    Refused,
}

impl Client {
    /// A client of the party at `base`, such as `http://127.0.0.1:7401`.
    ///
    /// Plain `http` is for loopback and for networks that are trusted otherwise; `https` uses the
    /// system's trust anchors. Returns [`Reason::FieldInvalid`] for an address of another kind and
    /// [`Reason::Internal`] when TLS cannot be set up.
    pub fn new(base: &str) -> Result<Client, Reason> {
        let base = base.trim_end_matches('/');
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("tallystick/", env!("CARGO_PKG_VERSION")));
        let builder = match base.split_once("://") {
            // Without TLS the system's trust anchors are not read, so they need not be there.
            Some(("http", _)) => builder.tls_certs_only([]),
            Some(("https", _)) => builder.https_only(true),
            _ => return Err(Reason::FieldInvalid),
        };
        let http = builder.build().map_err(|_| Reason::Internal)?;
        Ok(Client {
            http,
            base: base.into(),
            deadline: DEADLINE,
            attempts_max: ATTEMPTS_MAX,
            token: None,
            proof_maker: None,
        })
    }

    /// The same, showing an API key or a session token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Client {
        self.token = Some(token.into());
        self
    }

    /// The same, proving possession of a device key with every call.
    #[must_use]
    pub fn with_proof_maker(mut self, maker: Arc<dyn ProofMaker>) -> Client {
        self.proof_maker = Some(maker);
        self
    }

    /// The same with another deadline for each call.
    #[must_use]
    pub fn with_deadline(mut self, deadline: DurationMs) -> Client {
        self.deadline = deadline;
        self
    }

    /// The same, sending each call at most so often; for callers with another party to turn to.
    #[must_use]
    pub fn with_attempts(mut self, attempts_max: u32) -> Client {
        self.attempts_max = attempts_max;
        self
    }

    /// The address of the party.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `GET /readyz`: [`Reason::NotReady`] until the party can do its work.
    pub async fn ready(&self) -> Result<(), ApiError> {
        let call = self.call(Method::GET, "/readyz", Repeat::Never);
        self.send(call).await.map(drop)
    }

    /// Reads JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        let call = self.call(Method::GET, path, Repeat::Harmless);
        self.json(call).await
    }

    /// Reads JSON from an endpoint that waits up to `wait` before it answers.
    pub async fn get_waiting<T: DeserializeOwned>(
        &self,
        path: &str,
        wait: DurationMs,
    ) -> Result<T, ApiError> {
        let mut call = self.call(Method::GET, path, Repeat::Harmless);
        call.deadline = DurationMs(wait.0.saturating_add(self.deadline.0));
        self.json(call).await
    }

    /// Reads bytes of the media type `accept`.
    pub async fn get_bytes(&self, path: &str, accept: &'static str) -> Result<Vec<u8>, ApiError> {
        let mut call = self.call(Method::GET, path, Repeat::Harmless);
        call.accept = accept;
        self.send(call).await
    }

    /// Writes JSON and reads JSON.
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        repeat: Repeat<'_>,
    ) -> Result<T, ApiError> {
        let mut call = self.call(Method::POST, path, repeat);
        call.body = Some((JSON, json::write(body)));
        self.json(call).await
    }

    fn call<'a>(&self, method: Method, path: &'a str, repeat: Repeat<'a>) -> Call<'a> {
        Call { method, path, accept: JSON, body: None, repeat, deadline: self.deadline }
    }

    async fn json<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, ApiError> {
        let name = self.name(&call);
        let bytes = self.send(call).await?;
        json::read(&bytes).map_err(|fault| ApiError {
            reason: Reason::AnswerMalformed,
            problem: None,
            call: name,
            cause: Some(fault.cause),
        })
    }

    /// The call as a span of the trace that it belongs to.
    async fn send(&self, call: Call<'_>) -> Result<Vec<u8>, ApiError> {
        let span = tracing::debug_span!(
            "call",
            otel.name = call.method.as_str(),
            otel.kind = "client",
            http.request.method = call.method.as_str(),
            server.address = &*self.base,
            error.type = field::Empty,
        );
        let sent = self.send_until_answered(call).instrument(span.clone()).await;
        if let Err(error) = &sent {
            span.record("error.type", error.reason.code());
        }
        sent
    }

    /// Sends the call until there is an answer, a refusal that will not change, or no time left.
    async fn send_until_answered(&self, call: Call<'_>) -> Result<Vec<u8>, ApiError> {
        let end = Instant::now() + Duration::from_millis(call.deadline.0);
        let mut attempt = 0;
        loop {
            let tried = tokio::time::timeout_at(end, self.attempt(&call)).await;
            let tried =
                tried.unwrap_or(Attempt::Failed(Reason::Timeout, None, None, Sent::Perhaps, None));
            let (reason, problem, cause, sent, asked_pause) = match tried {
                Attempt::Answer(bytes) => return Ok(bytes),
                Attempt::Failed(reason, problem, cause, sent, pause) => {
                    (reason, problem, cause, sent, pause)
                }
            };
            attempt += 1;
            let harmless = sent == Sent::No || call.repeat != Repeat::Never;
            let passing = sent != Sent::Refused || is_passing(reason);
            let pause = asked_pause.unwrap_or(PAUSE_FIRST * 2u32.pow(attempt - 1));
            let in_time = Instant::now() + pause < end;
            if !(harmless && passing && in_time && attempt < self.attempts_max) {
                return Err(ApiError { reason, problem, call: self.name(&call), cause });
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, call: &Call<'_>) -> Attempt {
        let request = match self.request(call) {
            Ok(request) => request,
            Err(reason) => return Attempt::Failed(reason, None, None, Sent::Refused, None),
        };
        match request.send().await {
            Ok(response) => read_answer(response).await,
            Err(error) => {
                let reason = if error.is_timeout() { Reason::Timeout } else { Reason::Unreachable };
                let sent = if error.is_connect() { Sent::No } else { Sent::Perhaps };
                Attempt::Failed(reason, None, Some(innermost(&error)), sent, None)
            }
        }
    }

    /// A request is made anew for each attempt, because a DPoP proof serves once.
    fn request(&self, call: &Call<'_>) -> Result<reqwest::RequestBuilder, Reason> {
        let url = format!("{}{}", self.base, call.path);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(call.accept));
        if let Some(maker) = &self.proof_maker {
            let proof = maker.proof(call.method.as_str(), &url, self.token.as_deref())?;
            headers.insert(DPOP_HEADER, header_value(&proof)?);
        }
        if let Some(token) = &self.token {
            let scheme = if self.proof_maker.is_some() { "DPoP" } else { "Bearer" };
            let mut value = header_value(&format!("{scheme} {token}"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let trace = trace_context::current();
        if !trace.is_empty() {
            headers.insert(TRACEPARENT_HEADER, header_value(&trace)?);
        }
        if let Repeat::Key(key) = call.repeat {
            headers.insert(IDEMPOTENCY_KEY_HEADER, header_value(key)?);
        }
        let mut request = self.http.request(call.method.clone(), url).headers(headers);
        if let Some((media_type, body)) = &call.body {
            request = request.header(CONTENT_TYPE, *media_type).body(body.clone());
        }
        Ok(request)
    }

    fn name(&self, call: &Call<'_>) -> String {
        let path = call.path.split('?').next().unwrap_or(call.path);
        format!("{} {}{path}", call.method, self.base)
    }
}

async fn read_answer(mut response: Response) -> Attempt {
    let status = response.status();
    let pause = retry_after(&response);
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => {
                let cause = Some("the answer is too long".to_owned());
                return Attempt::Failed(Reason::AnswerMalformed, None, cause, Sent::Refused, None);
            }
            Ok(None) => break,
            Err(error) => {
                let cause = Some(innermost(&error));
                return Attempt::Failed(Reason::Unreachable, None, cause, Sent::Perhaps, None);
            }
        }
    }
    if status.is_success() {
        return Attempt::Answer(body);
    }
    match json::read::<Problem>(&body) {
        Ok(problem) => {
            let reason = problem.reason();
            Attempt::Failed(reason, Some(Box::new(problem)), None, Sent::Refused, pause)
        }
        Err(_) => {
            let reason = match status {
                StatusCode::SERVICE_UNAVAILABLE => Reason::NotReady,
                StatusCode::TOO_MANY_REQUESTS => Reason::RateLimited,
                _ => Reason::AnswerMalformed,
            };
            let cause = Some(format!("status {status} without a problem document"));
            Attempt::Failed(reason, None, cause, Sent::Refused, pause)
        }
    }
}

/// Whether a refusal may go away by waiting.
fn is_passing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NotReady
            | Reason::PoolFull
            | Reason::SenderQuota
            | Reason::RateLimited
            | Reason::InProgress
            | Reason::Unreachable
            | Reason::Timeout
    )
}

fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.parse().ok().map(Duration::from_secs)
}

fn header_value(text: &str) -> Result<HeaderValue, Reason> {
    HeaderValue::from_str(text).map_err(|_| Reason::FieldInvalid)
}

/// The error at the bottom says what happened; those above it repeat the address.
fn innermost(error: &dyn core::error::Error) -> String {
    let mut bottom = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    bottom.to_string()
}

const JSON: &str = "application/json";
const PAUSE_FIRST: Duration = Duration::from_millis(100);
