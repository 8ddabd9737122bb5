//! A request id for every request: in the answer's header, in problems and in the log.

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tallystick_kernel::hex;
use tracing::Instrument as _;

use crate::source;

/// The header that carries it.
pub const REQUEST_ID_HEADER: &str = "X-Request-Id";

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task is answering.
pub fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Keeps the request's id for work that goes on in a task of its own.
pub async fn scoped<F: Future>(work: F) -> F::Output {
    CURRENT.scope(current().unwrap_or_default(), work).await
}

/// Gives the request an id and logs how it ended. What the client sends as id is not believed.
pub async fn layer(request: Request, next: Next) -> Response {
    let id = source::random::<12>().map(|bytes| hex::encode(&bytes)).unwrap_or_default();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("request", id = %id);
    CURRENT
        .scope(id.clone(), async move {
            let mut response = next.run(request).await;
            let status = response.status().as_u16();
            if status >= 500 && status != 503 {
                tracing::warn!(%method, path, status, "answered");
            } else {
                tracing::debug!(%method, path, status, "answered");
            }
            if let Ok(value) = HeaderValue::from_str(&id) {
                response.headers_mut().insert(REQUEST_ID_HEADER, value);
            }
            response
        })
        .instrument(span)
        .await
}
