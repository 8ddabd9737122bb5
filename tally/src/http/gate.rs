//! Who may come in: the checks that stand before every handler.

use core::future::Future;
use core::pin::Pin;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use tallystick_api::dpop::{self, DPOP_HEADER, Proof, Target};
use tallystick_api::operation::Access;
use tallystick_kernel::limits::{
    ADDRESS_REQUESTS_PER_SECOND_MAX, GUESSES_PER_MINUTE_MAX, REQUESTS_PER_SECOND_MAX,
};
use tallystick_kernel::{DurationMs, HolderId, Reason, TimeMs};
use zeroize::Zeroizing;

use super::api_keys::ApiKeys;
use super::events::OpenSession;
use super::idempotency::Answers;
use super::problem::Refusal;
use super::rate_limit::{RateLimit, Standing};
use super::visitor::{self, Visit, VisitorKind};
use crate::metrics::Metrics;

/// A boxed future, as traits behind `dyn` need it.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whose a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A holder who logged in with a password.
    Holder(HolderId),
    /// Whoever logged in to the pages with the API key of this name.
    Key(String),
}

/// The sessions of a role.
pub trait Sessions: Send + Sync {
    /// Whose session the token opens; [`Reason::Unauthenticated`] for none, or one that is over.
    fn subject<'a>(&'a self, token: &'a str, now: TimeMs) -> Later<'a, Result<Subject, Reason>>;
}

/// The durable memory of things that serve once.
pub trait ReplayWindow: Send + Sync {
    /// Remembers `id` until `until`; [`Reason::CodeReplayed`] when it was there.
    fn spend<'a>(&'a self, id: &'a str, until: TimeMs) -> Later<'a, Result<(), Reason>>;
}

/// What a role's server knows to judge requests by.
#[derive(Clone)]
pub struct Gate {
    /// The role's address as clients write it, such as `http://127.0.0.1:7401`: what DPoP proofs
    /// must name.
    pub public_url: String,
    /// The keys of operators and tills.
    pub api_keys: ApiKeys,
    /// Needed where an endpoint asks for a session.
    pub sessions: Option<Arc<dyn Sessions>>,
    /// Needed where an endpoint asks for a device.
    pub replays: Option<Arc<dyn ReplayWindow>>,
    /// Needed where an endpoint asks for an `Idempotency-Key`.
    pub answers: Option<Arc<dyn Answers>>,
    /// Wrong guesses by address.
    pub guesses: Arc<RateLimit<IpAddr>>,
    /// Requests by address.
    pub addresses: Arc<RateLimit<IpAddr>>,
    /// Requests by API key.
    pub requests: Arc<RateLimit<String>>,
    /// What is counted.
    pub metrics: Metrics,
}

/// Who makes the request, as far as the endpoint's [`Access`] asked.
#[derive(Clone, Default)]
pub struct Caller {
    /// The name of the API key.
    pub key_name: Option<String>,
    /// The holder of the session.
    pub holder: Option<HolderId>,
    /// The device that proved its key.
    pub device: Option<Proof>,
    /// Where the API key stands in its window.
    pub standing: Option<Standing>,
    /// The visit to the pages.
    pub visit: Option<Visit>,
    /// The session by which they came in, for what goes on as long as it lasts.
    pub session: Option<OpenSession>,
}

/// A request, as far as it is needed to judge who makes it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The path without the query.
    pub path: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
}

impl Caller {
    /// The holder; [`Reason::Unauthenticated`] where the endpoint did not ask for a session.
    pub fn require_holder(&self) -> Result<HolderId, Reason> {
        self.holder.ok_or(Reason::Unauthenticated)
    }

    /// The device; [`Reason::ProofOfPossession`] where the endpoint did not ask for one.
    pub fn require_device(&self) -> Result<&Proof, Reason> {
        self.device.as_ref().ok_or(Reason::ProofOfPossession)
    }

    /// The name of the API key; [`Reason::Unauthenticated`] where the endpoint did not ask for one.
    pub fn require_key(&self) -> Result<&str, Reason> {
        self.key_name.as_deref().ok_or(Reason::Unauthenticated)
    }

    /// Checks that a write of a visitor was made by a page of ours, see [`Visit::check_form`].
    pub fn check_form(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Reason> {
        self.visit.as_ref().map_or(Ok(()), |visit| visit.check_form(headers, body))
    }

    /// A text that is the same for the same caller: idempotency keys of two callers never meet.
    pub fn identity(&self) -> String {
        let device = self.device.as_ref();
        let device = device.map(|proof| tallystick_kernel::hex::encode(&proof.thumbprint));
        let holder = self.holder.map(|holder| holder.to_string());
        format!("{:?}/{holder:?}/{device:?}", self.key_name)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        // The guard puts it there for every endpoint.
        parts.extensions.get::<Caller>().cloned().ok_or(Refusal::from(Reason::Unauthenticated))
    }
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            public_url: String::new(),
            api_keys: ApiKeys::default(),
            sessions: None,
            replays: None,
            answers: None,
            guesses: Arc::new(RateLimit::new(DurationMs::minutes(1), GUESSES_PER_MINUTE_MAX)),
            addresses: Arc::new(RateLimit::new(
                DurationMs::seconds(1),
                ADDRESS_REQUESTS_PER_SECOND_MAX,
            )),
            requests: Arc::new(RateLimit::new(DurationMs::seconds(1), REQUESTS_PER_SECOND_MAX)),
            metrics: Metrics::default(),
        }
    }
}

impl Gate {
    /// Judges a request by what its endpoint asks for.
    ///
    /// Returns [`Reason::Unauthenticated`], [`Reason::Forbidden`] or
    /// [`Reason::ProofOfPossession`]. Whether an API key is in too much use is for the caller to
    /// check, by [`Caller::standing`].
    pub async fn admit(
        &self,
        access: Access,
        asked: Asked<'_>,
        now: TimeMs,
    ) -> Result<Caller, Reason> {
        let mut caller = Caller::default();
        match access {
            Access::Public => {}
            Access::Scope(scope) => {
                let key = token(asked.headers, "Bearer").ok_or(Reason::Unauthenticated)?;
                let name = self.api_keys.check(key, scope)?.to_owned();
                caller.standing = Some(self.requests.count(name.clone(), now));
                caller.key_name = Some(name);
            }
            Access::Session => {
                let token = token(asked.headers, "Bearer").ok_or(Reason::Unauthenticated)?;
                caller.holder = Some(self.session(token, now).await?);
                caller.session = self.open(token);
            }
            Access::Device => {
                caller.device = Some(self.device(asked, None, now).await?);
            }
            Access::SessionAndDevice => {
                let token = token(asked.headers, "DPoP").ok_or(Reason::Unauthenticated)?;
                caller.holder = Some(self.session(token, now).await?);
                caller.device = Some(self.device(asked, Some(token), now).await?);
            }
            Access::Visitor | Access::VisitorScope(_) => {
                self.visit(access, asked.headers, &mut caller, now).await?;
            }
        }
        Ok(caller)
    }

    async fn session(&self, token: &str, now: TimeMs) -> Result<HolderId, Reason> {
        match self.subject(token, now).await? {
            Subject::Holder(holder) => Ok(holder),
            Subject::Key(_) => Err(Reason::Unauthenticated),
        }
    }

    async fn subject(&self, token: &str, now: TimeMs) -> Result<Subject, Reason> {
        let sessions = self.sessions.as_ref().ok_or(Reason::Internal)?;
        sessions.subject(token, now).await
    }

    async fn visit(
        &self,
        access: Access,
        headers: &HeaderMap,
        caller: &mut Caller,
        now: TimeMs,
    ) -> Result<(), Reason> {
        let kind = VisitorKind::of(access).ok_or(Reason::Internal)?;
        let name = kind.cookie(&self.public_url);
        let token = visitor::cookie(headers, &name).ok_or(Reason::Unauthenticated)?;
        match (self.subject(token, now).await?, access) {
            (Subject::Holder(holder), Access::Visitor) => caller.holder = Some(holder),
            (Subject::Key(name), Access::VisitorScope(scope)) => {
                // A key that was taken away since then ends its visits too.
                self.api_keys.check_name(&name, scope)?;
                caller.key_name = Some(name);
            }
            _ => return Err(Reason::Unauthenticated),
        }
        caller.visit = Some(Visit::of(token));
        caller.session = self.open(token);
        Ok(())
    }

    fn open(&self, token: &str) -> Option<OpenSession> {
        let sessions = Arc::clone(self.sessions.as_ref()?);
        Some(OpenSession { sessions, token: Zeroizing::new(token.to_owned()) })
    }

    async fn device(
        &self,
        asked: Asked<'_>,
        access_token: Option<&str>,
        now: TimeMs,
    ) -> Result<Proof, Reason> {
        let replays = self.replays.as_ref().ok_or(Reason::Internal)?;
        let Asked { method, path, headers } = asked;
        let mut given = headers.get_all(DPOP_HEADER).iter();
        let (Some(proof), None) = (given.next(), given.next()) else {
            return Err(Reason::ProofOfPossession);
        };
        let proof = proof.to_str().map_err(|_| Reason::ProofOfPossession)?;
        let url = format!("{}{path}", self.public_url);
        let proof = dpop::verify(proof, Target { method, url: &url, access_token }, now)?;
        // The key's thumbprint keeps one device from using up another's identifiers.
        let thumbprint = tallystick_kernel::hex::encode(&proof.thumbprint);
        let id = format!("dpop/{thumbprint}/{}", proof.jti);
        match replays.spend(&id, proof.remember_until).await {
            Err(Reason::CodeReplayed) => Err(Reason::ProofOfPossession),
            other => other.map(|()| proof),
        }
    }
}

/// The token of the one `Authorization` header, when it is of this scheme.
fn token<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let (given_scheme, token) = value.to_str().ok()?.split_once(' ')?;
    given_scheme.eq_ignore_ascii_case(scheme).then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::http::api_keys::{ApiKeyEntry, digest};

    #[tokio::test]
    async fn an_api_key_in_too_much_use_is_refused_until_the_next_second() {
        let entry = ApiKeyEntry {
            name: "till".to_owned(),
            scopes: vec!["charges".to_owned()],
            digest: digest("tlk_key"),
        };
        let api_keys = ApiKeys::new(vec![entry]).unwrap();
        let gate = Gate { api_keys, ..Gate::default() };
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer tlk_key"));
        let admit = async |now| {
            let asked = Asked { method: "GET", path: "/", headers: &headers };
            let caller = gate.admit(Access::Scope("charges"), asked, TimeMs(now)).await.unwrap();
            assert_eq!(caller.key_name.as_deref(), Some("till"));
            caller.standing.unwrap().exceeded
        };
        for _ in 0..REQUESTS_PER_SECOND_MAX {
            assert!(!admit(1000).await);
        }
        assert!(admit(1999).await);
        assert!(!admit(2000).await);
    }

    #[tokio::test]
    async fn two_authorization_headers_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer one"));
        assert_eq!(token(&headers, "bearer"), Some("one"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer two"));
        assert_eq!(token(&headers, "bearer"), None);
    }
}
