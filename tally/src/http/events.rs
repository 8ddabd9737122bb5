//! Server-sent events: a feed read from what is stored, so that a client that comes back with
//! `Last-Event-ID` misses nothing.
//!
//! Invariants: an event is sent after it is durable; ids rise; at most [`STREAMS_MAX`] streams of a
//! role are open at once, [`STREAMS_OF_ADDRESS_MAX`] of one address and [`STREAMS_OF_CALLER_MAX`] of
//! one caller; a stream ends when the role stops, its feed fails, or the session is over that opened
//! it, and the client comes back by itself.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde::Serialize;
use tallystick_api::{Problem, json};
use tallystick_kernel::Reason;
use tallystick_store::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use zeroize::Zeroizing;

use super::access::ClientAddress;
use super::gate::{Caller, Sessions};
use super::problem::Refusal;
use super::server;
use crate::source;

/// Streams of one role that are open at once.
pub const STREAMS_MAX: usize = 256;
/// Streams that are open to one address at once.
pub const STREAMS_OF_ADDRESS_MAX: usize = 32;
/// Streams that are open to one caller at once, as far as callers are told apart.
pub const STREAMS_OF_CALLER_MAX: usize = 8;
/// Events that are read at once.
pub const EVENTS_AT_ONCE: u32 = 64;

/// The header by which a client says what it has seen.
pub const LAST_EVENT_ID_HEADER: &str = "Last-Event-ID";
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `Last-Event-ID`, if the client has seen an event.
#[derive(Clone, Copy, Debug)]
pub struct LastEventId(pub Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let Some(given) = parts.headers.get(LAST_EVENT_ID_HEADER) else {
            return Ok(LastEventId(None));
        };
        let number = given.to_str().ok().and_then(|text| text.parse().ok());
        let number = number.ok_or_else(|| {
            Problem::new(Reason::FieldInvalid)
                .field(LAST_EVENT_ID_HEADER)
                .way_out("send the id of an event, or none")
        })?;
        Ok(LastEventId(Some(number)))
    }
}

/// One event: its id, and its data as JSON.
pub type Numbered = (u64, String);

/// An event of a type that travels as JSON.
pub fn numbered<T: Serialize>(id: u64, data: &T) -> Numbered {
    (id, String::from_utf8(json::write(data)).unwrap_or_default())
}

/// Where a stream of a store's events begins: after what the client has seen, or with what comes. An
/// id that was never given counts as the newest.
pub async fn begin(store: &Store, LastEventId(last): LastEventId) -> Result<u64, Reason> {
    let newest = store.last_event().await?;
    Ok(last.unwrap_or(newest).min(newest))
}

/// Who follows: what a stream is counted by, and whether it may go on.
pub struct Follower {
    address: Option<IpAddr>,
    caller: Option<String>,
    session: Option<OpenSession>,
}

/// The session that opened a stream.
#[derive(Clone)]
pub struct OpenSession {
    /// Where it is looked up.
    pub sessions: Arc<dyn Sessions>,
    /// Its token.
    pub token: Zeroizing<String>,
}

/// Whether the session that opened a stream is over: who has logged out is told nothing more.
async fn is_over(session: Option<&OpenSession>) -> bool {
    let Some(OpenSession { sessions, token }) = session else { return false };
    sessions.subject(token, source::now()).await == Err(Reason::Unauthenticated)
}

impl<S: Send + Sync> FromRequestParts<S> for Follower {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let address = parts.extensions.get::<ClientAddress>().map(|it| it.counted_as());
        let caller = parts.extensions.get::<Caller>();
        let is_known = |caller: &&Caller| caller.holder.is_some() || caller.key_name.is_some();
        let session = caller.and_then(|caller| caller.session.clone());
        Ok(Follower { address, caller: caller.filter(is_known).map(Caller::identity), session })
    }
}

/// Takes part in the streams of whom it is counted by, as long as it lives.
struct Places(Vec<Counted>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    Address(IpAddr),
    Caller(String),
}

impl Places {
    fn take(follower: &Follower) -> Result<Places, Refusal> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let address = follower.address.map(|it| (Counted::Address(it), STREAMS_OF_ADDRESS_MAX));
        let caller = follower.caller.clone();
        let caller = caller.map(|it| (Counted::Caller(it), STREAMS_OF_CALLER_MAX));
        let wanted: Vec<_> = address.into_iter().chain(caller).collect();
        let is_full = |(counted, most): &(Counted, usize)| {
            open.get(counted).is_some_and(|count| count >= most)
        };
        if wanted.iter().any(is_full) {
            return Err(too_many());
        }
        let taken: Vec<Counted> = wanted.into_iter().map(|(counted, _)| counted).collect();
        for counted in &taken {
            *open.entry(counted.clone()).or_default() += 1;
        }
        Ok(Places(taken))
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        for counted in &self.0 {
            match open.get_mut(counted) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(open.remove(counted)),
            }
        }
    }
}

fn too_many() -> Refusal {
    Problem::new(Reason::RateLimited).detail("too many streams of events are open").into()
}

struct Following<R> {
    after: u64,
    ready: VecDeque<Numbered>,
    changed: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    read: R,
    session: Option<OpenSession>,
    _permit: OwnedSemaphorePermit,
    _places: Places,
}

/// Streams what `read` gives after an id, and again whenever `changed` changes.
///
/// Returns [`Reason::RateLimited`] when too many streams are open.
pub fn stream<R, F>(
    follower: Follower,
    after: u64,
    changed: watch::Receiver<u64>,
    read: R,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<R, F>>, Refusal>
where
    R: Fn(u64) -> F + Send + 'static,
    F: Future<Output = Result<Vec<Numbered>, Reason>> + Send,
{
    let places = Places::take(&follower)?;
    let permit = Arc::clone(&STREAMS).try_acquire_owned().map_err(|_| too_many())?;
    let following = Following {
        after,
        ready: VecDeque::new(),
        changed,
        stopping: server::stopping(),
        read,
        session: follower.session,
        _permit: permit,
        _places: places,
    };
    let events = futures::stream::unfold(following, async |mut following| {
        let (id, data) = following.next().await?;
        Some((Ok(Event::default().id(id.to_string()).data(data)), following))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

impl<R, F> Following<R>
where
    R: Fn(u64) -> F,
    F: Future<Output = Result<Vec<Numbered>, Reason>>,
{
    /// The next event; none when the stream is to end.
    async fn next(&mut self) -> Option<Numbered> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if is_over(self.session.as_ref()).await {
                    return None;
                }
                self.after = event.0;
                return Some(event);
            }
            self.changed.mark_unchanged();
            match (self.read)(self.after).await {
                Ok(found) => self.ready.extend(found),
                Err(reason) => {
                    tracing::warn!(%reason, "a feed of events cannot be read");
                    return None;
                }
            }
            if !self.ready.is_empty() {
                continue;
            }
            let is_due = tokio::select! {
                changed = self.changed.changed() => changed.map(|()| false).ok()?,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                () = tokio::time::sleep(KEEP_ALIVE) => true,
            };
            if is_due && is_over(self.session.as_ref()).await {
                return None;
            }
        }
    }
}

static OPEN: LazyLock<Mutex<HashMap<Counted, usize>>> = LazyLock::new(Mutex::default);
static STREAMS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(STREAMS_MAX)));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_and_one_address_leave_streams_for_others() {
        let follower = |last: u8, caller: Option<&str>| Follower {
            address: Some(IpAddr::from([192, 0, 2, last])),
            caller: caller.map(str::to_owned),
            session: None,
        };
        let mut held: Vec<Places> = Vec::new();
        for _ in 0..STREAMS_OF_CALLER_MAX {
            held.push(Places::take(&follower(1, Some("till"))).unwrap());
        }
        for address in [1, 2] {
            let refused = Places::take(&follower(address, Some("till"))).err().unwrap();
            assert_eq!(refused.reason(), Reason::RateLimited);
        }
        for _ in STREAMS_OF_CALLER_MAX..STREAMS_OF_ADDRESS_MAX {
            held.push(Places::take(&follower(1, None)).unwrap());
        }
        assert!(Places::take(&follower(1, Some("other"))).is_err());
        assert!(Places::take(&follower(2, Some("other"))).is_ok());
        // What is closed makes room.
        held.clear();
        assert!(Places::take(&follower(1, Some("till"))).is_ok());
        assert!(OPEN.lock().unwrap().is_empty());
    }
}
