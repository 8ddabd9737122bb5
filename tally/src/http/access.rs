//! Routes: every one comes from an operation, which says who may call it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodFilter, on};
use tallystick_api::Problem;
use tallystick_api::log_level::LogLevel;
use tallystick_api::operation::{Access, Method, Operation, Place};
use tallystick_api::operations;
use tallystick_api::trace_context::{self, TRACEPARENT_HEADER};
use tallystick_kernel::{DurationMs, Reason};
use tracing::{Instrument as _, field};

use super::gate::{Asked, Gate};
use super::idempotency;
use super::problem::Refusal;
use super::rate_limit::Standing;
use super::request::JsonBody;
use super::request_id;
use super::visitor::VisitorKind;
use crate::metrics::{Metrics, OPENMETRICS};
use crate::source;
use crate::telemetry::log_level;

/// Where the request comes from.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// What events of the address are counted by: the address itself, or its /64 network for IPv6,
    /// where one subscriber has that many addresses.
    pub fn counted_as(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
            address @ IpAddr::V4(_) => address,
        }
    }

    /// The same as a number: which of a node's lanes its transactions wait in.
    pub fn lane(self) -> u128 {
        match self.counted_as() {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        }
    }
}

/// The routes of a role; `S` is the state that handlers are given.
pub struct Routes<S> {
    router: Router<S>,
    operations: Vec<Operation>,
    gate: Arc<Gate>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet but those of every process: `/livez`, the metrics, the level of the log.
    pub fn new(gate: Gate) -> Routes<S> {
        let (metrics, gate) = (gate.metrics.clone(), Arc::new(gate));
        let routes = Routes { router: Router::new(), operations: Vec::new(), gate };
        routes
            .add(operations::LIVEZ, async || "alive\n")
            .add(operations::METRICS, move || core::future::ready(show(&metrics)))
            .add(operations::LOG_LEVEL, async |JsonBody(wanted): JsonBody<LogLevel>| {
                log_level::set(wanted)?;
                tracing::warn!(level = wanted.level.name(), "the level of the log was set");
                Ok::<_, Refusal>(Json(wanted))
            })
    }

    /// Adds an endpoint: the only way in which a route comes to be.
    #[must_use]
    pub fn add<H, T>(mut self, operation: Operation, handler: H) -> Routes<S>
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let filter = match operation.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
        };
        let guard = Arc::new(Guard { operation, gate: Arc::clone(&self.gate) });
        let method = on(filter, handler).route_layer(from_fn_with_state(guard, stand_before));
        self.router = self.router.route(operation.path, method);
        self.operations.push(operation);
        self
    }

    /// Every operation that is served.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The router, ready to be served; what is not in the table is [`Reason::NotFound`].
    pub fn into_router(self, state: S) -> Router {
        self.router
            .fallback(async || Refusal::from(Reason::NotFound))
            .method_not_allowed_fallback(async || Refusal::from(Reason::MethodNotAllowed))
            .with_state(state)
    }
}

struct Guard {
    operation: Operation,
    gate: Arc<Gate>,
}

/// The metrics as a scraper reads them.
fn show(metrics: &Metrics) -> Result<Response, Refusal> {
    let text = metrics.text().map_err(|_| Reason::Internal)?;
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text).into_response())
}

/// Stands before every handler: counts and traces what [`admit`] answers.
async fn stand_before(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let (operation, began) = (guard.operation, Instant::now());
    let span = tracing::debug_span!(
        "serve",
        otel.name = operation.id,
        otel.kind = "server",
        http.request.method = operation.method.name(),
        http.route = operation.path,
        http.response.status_code = field::Empty,
        request.id = request_id::current(),
    );
    if let Some(parent) = request.headers().get(TRACEPARENT_HEADER) {
        trace_context::go_on(&span, parent.to_str().unwrap_or_default());
    }
    let metrics = guard.gate.metrics.clone();
    let mut response = admit(guard, request, next).instrument(span.clone()).await;
    response.extensions_mut().insert(operation);
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    metrics.http.answered(operation.id, status, began.elapsed());
    response
}

/// Rates, access, body, idempotency, time.
async fn admit(guard: Arc<Guard>, request: Request, next: Next) -> Response {
    let address = request.extensions().get::<ClientAddress>().map(|address| address.counted_as());
    let mut standing = None;
    let answered = match guard.count(address, &mut standing) {
        Ok(()) => guard.answer_in_time(request, next, &mut standing).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(refusal) => guard.refuse(refusal),
    };
    if let Some(address) = address.filter(|_| guard.operation.guess_limited)
        && !response.status().is_client_error()
    {
        guard.gate.guesses.forgive(&address);
    }
    if let Some(reason) = response.extensions().get::<Reason>()
        && !guard.operation.may_refuse_with(*reason)
    {
        tracing::error!(operation = guard.operation.id, %reason, "an undocumented refusal");
    }
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    response
}

impl Guard {
    /// Counts the request of an address, and the guess that it may be.
    fn count(
        &self,
        address: Option<IpAddr>,
        standing: &mut Option<Standing>,
    ) -> Result<(), Refusal> {
        let Some(address) = address else { return Ok(()) };
        let now = source::now();
        let of_address = self.gate.addresses.count(address, now);
        *standing = Some(of_address);
        of_address.check()?;
        if self.operation.guess_limited {
            let of_guesses = self.gate.guesses.count(address, now);
            *standing = Some(of_guesses);
            of_guesses.check()?;
        }
        Ok(())
    }

    async fn answer_in_time(
        &self,
        request: Request,
        next: Next,
        standing: &mut Option<Standing>,
    ) -> Result<Response, Refusal> {
        let wait = self.operation.wait_max.unwrap_or(DurationMs(0));
        let time_max = Duration::from_millis(wait.0.saturating_add(TIME_MAX.0));
        let answered = tokio::time::timeout(time_max, self.answer(request, next, standing)).await;
        answered.unwrap_or_else(|_| Err(Reason::Timeout.into()))
    }

    async fn answer(
        &self,
        request: Request,
        next: Next,
        standing: &mut Option<Standing>,
    ) -> Result<Response, Refusal> {
        let Guard { operation, gate } = self;
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let method = operation.method.name();
        let asked = Asked { method, path: &path, headers: &parts.headers };
        let caller = gate.admit(operation.access, asked, source::now()).await;
        let caller = caller.map_err(|reason| self.explain(reason, &parts.headers))?;
        self.check_query(parts.uri.query())?;
        if !is_text(&path) {
            return Err(Problem::new(Reason::FieldInvalid).field("path").into());
        }
        if let Some(of_key) = caller.standing {
            *standing = Some(of_key);
            of_key.check()?;
        }
        let body = to_bytes(body, operation.body_bytes_max).await.map_err(|_| {
            Problem::new(Reason::TooLarge)
                .detail(format!("a body here is at most {} bytes", operation.body_bytes_max))
        })?;
        if operation.method == Method::Post {
            caller.check_form(&parts.headers, &body)?;
        }
        if !operation.keyed {
            parts.extensions.insert(caller);
            return Ok(next.run(Request::from_parts(parts, Body::from(body))).await);
        }
        let write = idempotency::Write::of_request(&caller, method, &path, &parts.headers, &body)?;
        parts.extensions.insert(caller);
        parts.extensions.insert(write.key.clone());
        let answers = gate.answers.clone().ok_or(Reason::Internal)?;
        let request = Request::from_parts(parts, Body::from(body));
        idempotency::answer_once(answers, write, request, next).await
    }

    /// Why a caller was not admitted, as far as it helps whoever has the right to be.
    fn explain(&self, reason: Reason, headers: &HeaderMap) -> Refusal {
        let problem = Problem::new(reason);
        let is_named = headers.contains_key(AUTHORIZATION);
        let problem = match (self.operation.access, reason) {
            (Access::Scope(_), Reason::Unauthenticated) if is_named => {
                problem.detail("the API key that was sent is not known here")
            }
            (Access::Scope(_), Reason::Unauthenticated) => {
                problem.detail("no API key was sent").way_out("send Authorization: Bearer KEY")
            }
            (Access::Session, Reason::Unauthenticated) if is_named => {
                problem.detail("the session that was sent is not known here, or has ended")
            }
            (Access::Scope(scope) | Access::VisitorScope(scope), Reason::Forbidden) => {
                problem.detail(format!("the API key lacks the scope {scope}"))
            }
            _ => problem,
        };
        problem.into()
    }

    /// A parameter of the query that is not known is refused, as an unknown field of a body is: it
    /// may be one that was mistyped. What pages are asked for is theirs to judge.
    fn check_query(&self, query: Option<&str>) -> Result<(), Refusal> {
        let known = self.operation.parameters.iter().filter(|one| one.place == Place::Query);
        let known: Vec<&str> = known.map(|one| one.name).collect();
        let mut given = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let is_known = |pair: &str| known.contains(&pair.split('=').next().unwrap_or_default());
        if self.operation.is_page || given.all(is_known) {
            return Ok(());
        }
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let problem = Problem::new(Reason::FieldInvalid).field("query");
        Err(problem.detail(format!("an unknown parameter; known here: {known}")).into())
    }

    /// A visitor who is not logged in is led to the page where one logs in.
    fn refuse(&self, refusal: Refusal) -> Response {
        let logs_in = refusal.reason() == Reason::Unauthenticated && !self.operation.streams;
        match VisitorKind::of(self.operation.access).filter(|_| logs_in) {
            Some(visitor) => Redirect::to(visitor.login()).into_response(),
            None => refusal.into_response(),
        }
    }
}

/// Whether what a path stands for is text, once its escapes (RFC 3986, 2.1) are read.
fn is_text(path: &str) -> bool {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|digits| core::str::from_utf8(digits).ok());
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    core::str::from_utf8(&bytes).is_ok()
}

/// Answering takes at most this long, waiting apart.
const TIME_MAX: DurationMs = DurationMs::seconds(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_text_behind_its_escapes_too() {
        for (path, expected) in
            [("/a/%C3%A4", true), ("/a/100%", true), ("/%ff%fe", false), ("/%4", true)]
        {
            assert_eq!(is_text(path), expected, "{path}");
        }
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_counted_together() {
        let of = |text: &str| ClientAddress(text.parse().unwrap()).counted_as();
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
