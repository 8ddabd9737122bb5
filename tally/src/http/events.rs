//! Server-sent events: a feed read from what is stored, so that a client that comes back with
//! `Last-Event-ID` misses nothing.
//!
//! Invariants: an event is sent after it is durable; ids rise; at most [`STREAMS_MAX`] streams of a
//! role are open at once; a stream ends when the role stops or its feed fails, and the client comes
//! back by itself.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde::Serialize;
use tallystick_api::{Problem, json};
use tallystick_kernel::Reason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::problem::Refusal;
use super::server;

/// Streams of one role that are open at once.
pub const STREAMS_MAX: usize = 256;
/// Events that are read at once.
pub const EVENTS_AT_ONCE: u32 = 64;

/// The header by which a client says what it has seen.
const LAST_EVENT_ID_HEADER: &str = "Last-Event-ID";
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

struct Following<R> {
    after: u64,
    ready: VecDeque<Numbered>,
    changed: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    read: R,
    _permit: OwnedSemaphorePermit,
}

/// Streams what `read` gives after an id, and again whenever `changed` changes.
///
/// Returns [`Reason::RateLimited`] when too many streams are open.
pub fn stream<R, F>(
    after: u64,
    changed: watch::Receiver<u64>,
    read: R,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<R, F>>, Refusal>
where
    R: Fn(u64) -> F + Send + 'static,
    F: Future<Output = Result<Vec<Numbered>, Reason>> + Send,
{
    let permit = Arc::clone(&STREAMS).try_acquire_owned().map_err(|_| {
        Problem::new(Reason::RateLimited).detail("too many streams of events are open")
    })?;
    let following = Following {
        after,
        ready: VecDeque::new(),
        changed,
        stopping: server::stopping(),
        read,
        _permit: permit,
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
            if self.ready.is_empty() {
                tokio::select! {
                    changed = self.changed.changed() => changed.ok()?,
                    _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                }
            }
        }
    }
}

static STREAMS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(STREAMS_MAX)));
