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
use tallystick_kernel::limits::{GUESSES_PER_MINUTE_MAX, REQUESTS_PER_SECOND_MAX};
use tallystick_kernel::{DurationMs, HolderId, Reason, TimeMs};

use super::access::Access;
use super::api_keys::ApiKeys;
use super::idempotency::Answers;
use super::problem::Refusal;
use super::rate_limit::RateLimit;

/// A boxed future, as traits behind `dyn` need it.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The sessions of a role that has holders.
pub trait Sessions: Send + Sync {
    /// Whose session the token opens; [`Reason::Unauthenticated`] for none, or one that is over.
    fn holder<'a>(&'a self, token: &'a str, now: TimeMs) -> Later<'a, Result<HolderId, Reason>>;
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
    /// Requests by API key.
    pub requests: Arc<RateLimit<String>>,
}

/// Who makes the request, as far as the endpoint's [`Access`] asked.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The name of the API key.
    pub key_name: Option<String>,
    /// The holder of the session.
    pub holder: Option<HolderId>,
    /// The device that proved its key.
    pub device: Option<Proof>,
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
            requests: Arc::new(RateLimit::new(DurationMs::seconds(1), REQUESTS_PER_SECOND_MAX)),
        }
    }
}

impl Gate {
    /// Judges a request by what its endpoint asks for.
    ///
    /// Returns [`Reason::Unauthenticated`], [`Reason::Forbidden`],
    /// [`Reason::ProofOfPossession`], or [`Reason::RateLimited`] for an API key in too much use.
    pub async fn admit(
        &self,
        access: Access,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        now: TimeMs,
    ) -> Result<Caller, Reason> {
        let mut caller = Caller::default();
        match access {
            Access::Public => {}
            Access::Scope(scope) => {
                let key = token(headers, "Bearer").ok_or(Reason::Unauthenticated)?;
                let name = self.api_keys.check(key, scope)?.to_owned();
                self.requests.begin(name.clone(), now)?;
                caller.key_name = Some(name);
            }
            Access::Session => {
                let token = token(headers, "Bearer").ok_or(Reason::Unauthenticated)?;
                caller.holder = Some(self.session(token, now).await?);
            }
            Access::Device => {
                caller.device = Some(self.device(method, path, headers, None, now).await?);
            }
            Access::SessionAndDevice => {
                let token = token(headers, "DPoP").ok_or(Reason::Unauthenticated)?;
                caller.holder = Some(self.session(token, now).await?);
                caller.device = Some(self.device(method, path, headers, Some(token), now).await?);
            }
        }
        Ok(caller)
    }

    async fn session(&self, token: &str, now: TimeMs) -> Result<HolderId, Reason> {
        let sessions = self.sessions.as_ref().ok_or(Reason::Internal)?;
        sessions.holder(token, now).await
    }

    async fn device(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        access_token: Option<&str>,
        now: TimeMs,
    ) -> Result<Proof, Reason> {
        let replays = self.replays.as_ref().ok_or(Reason::Internal)?;
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
            let access = Access::Scope("charges");
            gate.admit(access, "GET", "/", &headers, TimeMs(now))
                .await
                .map(|caller| caller.key_name)
        };
        for _ in 0..REQUESTS_PER_SECOND_MAX {
            assert_eq!(admit(1000).await, Ok(Some("till".to_owned())));
        }
        assert_eq!(admit(1999).await, Err(Reason::RateLimited));
        assert!(admit(2000).await.is_ok());
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
