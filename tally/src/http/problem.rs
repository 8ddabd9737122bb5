//! Refusals as HTTP responses.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tallystick_api::problem::PROBLEM_MEDIA_TYPE;
use tallystick_api::{ApiError, Problem};
use tallystick_kernel::Reason;

use super::request_id;

/// What a handler returns when it refuses.
#[derive(Clone, Debug)]
pub struct Refusal {
    problem: Box<Problem>,
    retry_after_seconds: u64,
    is_unread: bool,
}

/// Marks the answer to a request whose body could not be read as what the endpoint takes: it was
/// never acted on, so its idempotency key is free for the corrected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread;

impl Refusal {
    /// Why.
    pub fn reason(&self) -> Reason {
        self.problem.reason()
    }

    /// The field at fault, if one is.
    pub fn field(&self) -> Option<&str> {
        self.problem.field.as_deref()
    }

    /// The problem document, with the id of the request.
    pub fn into_problem(self) -> Problem {
        let mut problem = *self.problem;
        if problem.request_id.is_none() {
            problem.request_id = request_id::current();
        }
        problem
    }

    /// The same for a request that could not be read, see [`Unread`].
    #[must_use]
    pub fn unread(mut self) -> Refusal {
        self.is_unread = true;
        self
    }

    /// The same, telling the client how long to wait where waiting helps (429 and 503).
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Refusal {
        self.retry_after_seconds = seconds;
        self
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Refusal {
        Refusal::from(Problem::new(reason))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal { problem: Box::new(problem), retry_after_seconds: 1, is_unread: false }
    }
}

/// Another party that we had to ask refused, or is away: its reason becomes ours.
impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Refusal {
        let mut problem = Problem::new(error.reason);
        let cause = error.problem.and_then(|theirs| theirs.detail).or(error.cause);
        problem.cause = Some(match cause {
            Some(cause) => format!("{}: {cause}", error.call),
            None => error.call,
        });
        Refusal::from(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (retry_after_seconds, is_unread) = (self.retry_after_seconds, self.is_unread);
        let problem = self.into_problem();
        let reason = problem.reason();
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(problem)).into_response();
        response.extensions_mut().insert(reason);
        if is_unread {
            response.extensions_mut().insert(Unread);
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        match status {
            StatusCode::UNAUTHORIZED => {
                let scheme = match reason {
                    Reason::ProofOfPossession => "DPoP algs=\"ES256\"",
                    _ => "Bearer",
                };
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from(retry_after_seconds));
            }
            _ => {}
        }
        response
    }
}
