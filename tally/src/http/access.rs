//! Routes: every one is registered through one function that demands to know who may call it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use tallystick_api::Problem;
use tallystick_kernel::{DurationMs, Reason};

use super::gate::{Caller, Gate};
use super::idempotency;
use super::problem::Refusal;
use super::request::BODY_BYTES_MAX;
use crate::source;

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Public,
    /// The holder of an API key with this scope.
    Scope(&'static str),
    /// A holder who is logged in.
    Session,
    /// A device that proves its key with DPoP.
    Device,
    /// Both, the proof bound to the session.
    SessionAndDevice,
}

/// One endpoint, as it stands in the table.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path in the router's syntax, such as `/v1/accounts/{id}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Whether it is a write that needs an `Idempotency-Key`.
    pub keyed: bool,
    /// Whether a refusal (4xx) counts as a wrong guess of the caller's address.
    pub guess_limited: bool,
    /// The longest body that is read.
    pub body_bytes_max: usize,
    /// How long answering may take.
    pub time_max: DurationMs,
}

/// Where the request comes from.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// The routes of a role with their table; `S` is the state that handlers are given.
pub struct Routes<S> {
    router: Router<S>,
    endpoints: Vec<Endpoint>,
    gate: Arc<Gate>,
}

impl Endpoint {
    /// A read.
    pub fn get(path: &'static str, access: Access) -> Endpoint {
        Endpoint {
            method: Method::GET,
            path,
            access,
            keyed: false,
            guess_limited: false,
            body_bytes_max: BODY_BYTES_MAX,
            time_max: TIME_MAX,
        }
    }

    /// A write that needs an `Idempotency-Key`.
    pub fn post(path: &'static str, access: Access) -> Endpoint {
        Endpoint { method: Method::POST, keyed: true, ..Endpoint::get(path, access) }
    }

    /// The endpoint in one line: method, path, who may call it, and what is special about it.
    pub fn row(&self) -> String {
        let keyed = if self.keyed { " keyed" } else { "" };
        let guess_limited = if self.guess_limited { " guess-limited" } else { "" };
        format!("{} {} {:?}{keyed}{guess_limited}", self.method, self.path, self.access)
    }

    /// The same without `Idempotency-Key`: for writes that are harmless to repeat by their own
    /// meaning, and for answers that hold a secret, which must not be stored.
    #[must_use]
    pub fn without_key(mut self) -> Endpoint {
        self.keyed = false;
        self
    }

    /// The same with refusals counted as guesses: at most 10 a minute from one address.
    #[must_use]
    pub fn guess_limited(mut self) -> Endpoint {
        self.guess_limited = true;
        self
    }

    /// The same for longer bodies.
    #[must_use]
    pub fn body_bytes_max(mut self, body_bytes_max: usize) -> Endpoint {
        self.body_bytes_max = body_bytes_max;
        self
    }

    /// The same for an endpoint that lets clients wait for up to `wait`.
    #[must_use]
    pub fn waits(mut self, wait: DurationMs) -> Endpoint {
        self.time_max = DurationMs(wait.0.saturating_add(TIME_MAX.0));
        self
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet but `/livez`.
    pub fn new(gate: Gate) -> Routes<S> {
        let routes = Routes { router: Router::new(), endpoints: Vec::new(), gate: Arc::new(gate) };
        routes.add(Endpoint::get("/livez", Access::Public), async || "alive\n")
    }

    /// Adds an endpoint: the only way in which a route comes to be.
    #[must_use]
    pub fn add<H, T>(mut self, endpoint: Endpoint, handler: H) -> Routes<S>
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let filter = match endpoint.method {
            Method::GET => MethodFilter::GET,
            Method::POST => MethodFilter::POST,
            Method::PUT => MethodFilter::PUT,
            _ => MethodFilter::DELETE,
        };
        let guard = Arc::new(Guard { endpoint: endpoint.clone(), gate: Arc::clone(&self.gate) });
        let method = on(filter, handler).route_layer(from_fn_with_state(guard, stand_before));
        self.router = self.router.route(endpoint.path, method);
        self.endpoints.push(endpoint);
        self
    }

    /// Every endpoint with who may call it.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
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
    endpoint: Endpoint,
    gate: Arc<Gate>,
}

/// Stands before every handler: guess limit, access, body, idempotency, time.
async fn stand_before(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let address = request.extensions().get::<ClientAddress>().map(|address| address.0);
    let counted = address.filter(|_| guard.endpoint.guess_limited);
    if let Some(address) = counted
        && let Err(reason) = guard.gate.guesses.begin(address, source::now())
    {
        let seconds = guard.gate.guesses.retry_after_seconds();
        return Refusal::from(reason).retry_after(seconds).into_response();
    }
    let time_max = Duration::from_millis(guard.endpoint.time_max.0);
    let answered = tokio::time::timeout(time_max, answer(&guard, request, next)).await;
    let response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refusal.into_response(),
        Err(_) => Refusal::from(Reason::Timeout).into_response(),
    };
    if let Some(address) = counted
        && !response.status().is_client_error()
    {
        guard.gate.guesses.forgive(&address);
    }
    response
}

async fn answer(guard: &Guard, request: Request, next: Next) -> Result<Response, Refusal> {
    let Guard { endpoint, gate } = guard;
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let method = parts.method.as_str().to_owned();
    let admitted = gate.admit(endpoint.access, &method, &path, &parts.headers, source::now());
    let caller: Caller = admitted.await?;
    let body = to_bytes(body, endpoint.body_bytes_max).await.map_err(|_| {
        Problem::new(Reason::TooLarge)
            .detail(format!("a body here is at most {} bytes", endpoint.body_bytes_max))
    })?;
    if !endpoint.keyed {
        parts.extensions.insert(caller);
        return Ok(next.run(Request::from_parts(parts, Body::from(body))).await);
    }
    let write = idempotency::Write::new(&caller, &method, &path, &parts.headers, &body)?;
    parts.extensions.insert(caller);
    parts.extensions.insert(write.key.clone());
    let answers = gate.answers.clone().ok_or(Reason::Internal)?;
    let request = Request::from_parts(parts, Body::from(body));
    idempotency::answer_once(answers, write, request, next).await
}

/// Answering takes at most this long, waiting apart.
const TIME_MAX: DurationMs = DurationMs::seconds(30);
