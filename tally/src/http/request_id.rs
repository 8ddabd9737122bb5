//! A request id for every request: in the answer's header, in problems and in the log.

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tallystick_api::operation::Operation;
use tallystick_kernel::hex;
use tracing::Instrument as _;

use crate::source;

/// The header that carries it.
pub const REQUEST_ID_HEADER: &str = "X-Request-Id";

/// The name of the span that is around everything that a request logs.
pub const SPAN: &str = "request";

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task is answering.
pub fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Keeps the request's id and its span for work that goes on in a task of its own.
/// They are taken when this is called, in the request's own task.
pub fn scoped<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(current().unwrap_or_default(), work).in_current_span()
}

/// Gives the request an id and logs how it ended. What the client sends as id is not believed.
pub async fn layer(request: Request, next: Next) -> Response {
    let id = source::random::<12>().map(|bytes| hex::encode(&bytes)).unwrap_or_default();
    let method = request.method().clone();
    let span = tracing::info_span!(SPAN, id = %id);
    CURRENT
        .scope(id.clone(), async move {
            let mut response = next.run(request).await;
            let status = response.status().as_u16();
            // Never the path: what stands in it was written by the client.
            let operation = response.extensions().get::<Operation>().map(|operation| operation.id);
            if status >= 500 && status != 503 {
                tracing::warn!(%method, operation, status, "answered");
            } else {
                tracing::debug!(%method, operation, status, "answered");
            }
            if let Ok(value) = HeaderValue::from_str(&id) {
                response.headers_mut().insert(REQUEST_ID_HEADER, value);
            }
            response
        })
        .instrument(span)
        .await
}
