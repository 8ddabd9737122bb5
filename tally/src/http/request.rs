//! What handlers take out of a request, with the field at fault named.

use core::str::FromStr;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Query, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tallystick_api::{Problem, json};
use tallystick_kernel::{DurationMs, Reason};

use super::problem::Refusal;

/// A JSON body. Its type is checked by reading; `Content-Type` does not matter.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        // The guard has already bounded the body by the endpoint's limit.
        let bytes = to_bytes(request.into_body(), usize::MAX)
            .await
            .map_err(|_| Problem::new(Reason::TooLarge))?;
        read_json(&bytes).map(JsonBody)
    }
}

/// Reads JSON from bytes; [`Reason::BodyMalformed`], or [`Reason::FieldInvalid`] with the field.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    json::read(bytes).map_err(|fault| {
        let problem = match fault.field {
            Some(field) => Problem::new(Reason::FieldInvalid).field(field),
            None => Problem::new(Reason::BodyMalformed),
        };
        Refusal::from(problem.cause(fault.cause)).unread()
    })
}

/// Reads a value out of the path; the reason of its own kind, with `field` named.
pub fn path_value<T: FromStr<Err = Reason>>(field: &str, text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|reason| Refusal::from(Problem::new(reason).field(field)))
}

/// `?wait=final&timeout_ms=`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct WaitQuery {
    wait: Option<String>,
    timeout_ms: Option<u64>,
}

impl WaitQuery {
    /// How long the client wants us to wait for the end, at most `longest`; zero for not at all.
    pub fn duration(&self, longest: DurationMs) -> DurationMs {
        match self.wait.as_deref() {
            Some(_) => DurationMs(self.timeout_ms.unwrap_or(longest.0)).min(longest),
            None => DurationMs(0),
        }
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for WaitQuery {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Refusal> {
        let query = Query::<WaitQuery>::from_request_parts(parts, state).await;
        let Query(query) = query.map_err(|error| {
            Problem::new(Reason::FieldInvalid).field("query").cause(error.body_text())
        })?;
        if query.wait.as_deref().is_some_and(|wait| wait != "final") {
            let problem = Problem::new(Reason::FieldInvalid).field("wait");
            return Err(problem.way_out("wait=final, or no wait at all").into());
        }
        Ok(query)
    }
}
