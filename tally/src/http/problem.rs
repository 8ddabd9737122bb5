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
pub struct Refusal(Box<Problem>);

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Refusal {
        Refusal(Box::new(Problem::new(reason)))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal(Box::new(problem))
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
        let mut problem = *self.0;
        if problem.request_id.is_none() {
            problem.request_id = request_id::current();
        }
        let reason = problem.reason();
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(problem)).into_response();
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
                let seconds = if reason == Reason::RateLimited { "60" } else { "1" };
                headers.insert(RETRY_AFTER, HeaderValue::from_static(seconds));
            }
            _ => {}
        }
        response
    }
}
