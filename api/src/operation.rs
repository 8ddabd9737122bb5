//! What an endpoint is: one value from which its route, its authorization and its page in the
//! OpenAPI document all come.
//!
//! Invariant: an endpoint that has no [`Operation`] has no route, and one whose refusals are not
//! among [`Operation::reasons`] says so in the log of the server.

use serde::Serialize;
use tallystick_kernel::{DurationMs, Group, Reason};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// A body of at most this many bytes is read, unless the operation says otherwise.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// A body of a bulk write is at most this long.
pub const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The methods that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A read.
    Get,
    /// A write.
    Post,
}

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
    /// A holder who is logged in to the pages of this role, with a cookie; a write needs the token
    /// of the form as well.
    Visitor,
    /// The same for whoever logged in with an API key of this scope.
    VisitorScope(&'static str),
}

/// A type that travels as JSON, with a value of it that the documentation shows.
pub trait Documented: ToSchema + Serialize {
    /// A value that could really travel.
    fn example() -> Self;
}

/// The body of a request or of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// JSON of a documented type.
    Json(Json),
    /// Bytes of this media type, and what they are.
    Bytes(&'static str, &'static str),
    /// Events (`text/event-stream`), the data of each being JSON of a documented type.
    Events(Json),
}

/// A documented type, without its type.
#[derive(Clone, Copy, Debug)]
pub struct Json {
    /// The name of its schema.
    pub name: fn() -> String,
    /// The schema itself.
    pub schema: fn() -> RefOr<Schema>,
    /// Puts the schemas that it refers to into a list.
    pub schemas: fn(&mut Vec<(String, RefOr<Schema>)>),
    /// The example.
    pub example: fn() -> serde_json::Value,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the path.
    Path,
    /// In the query; it may be missing.
    Query,
}

/// A parameter of the path or of the query.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub says: &'static str,
    /// Its schema.
    pub schema: fn() -> RefOr<Schema>,
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its name in camel case, unique within the role.
    pub id: &'static str,
    /// The method.
    pub method: Method,
    /// The path, such as `/v1/accounts/{id}`.
    pub path: &'static str,
    /// What it does, in one sentence.
    pub says: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Whether it is a write that needs an `Idempotency-Key`.
    pub keyed: bool,
    /// Whether a refusal (4xx) counts as a wrong guess of the caller's address.
    pub guess_limited: bool,
    /// The longest body that is read.
    pub body_bytes_max: usize,
    /// How long a client may ask to be kept waiting.
    pub wait_max: Option<DurationMs>,
    /// Whether the answer goes on until one side ends it.
    pub streams: bool,
    /// Whether it is a page for people: it is left out of the OpenAPI document.
    pub is_page: bool,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// What it reads.
    pub body: Option<Body>,
    /// What it answers when it does not refuse.
    pub answer: Option<Body>,
    /// Why it may refuse, beyond what every operation of its kind may.
    pub own_reasons: &'static [Reason],
    /// Groups of which it may refuse with any reason.
    pub own_groups: &'static [Group],
}

impl Operation {
    /// A read.
    pub const fn get(
        id: &'static str,
        path: &'static str,
        access: Access,
        says: &'static str,
    ) -> Operation {
        Operation {
            id,
            method: Method::Get,
            path,
            says,
            access,
            keyed: false,
            guess_limited: false,
            body_bytes_max: BODY_BYTES_MAX,
            wait_max: None,
            streams: false,
            is_page: false,
            parameters: &[],
            body: None,
            answer: None,
            own_reasons: &[],
            own_groups: &[],
        }
    }

    /// A write that needs an `Idempotency-Key`.
    pub const fn post(
        id: &'static str,
        path: &'static str,
        access: Access,
        says: &'static str,
    ) -> Operation {
        let get = Operation::get(id, path, access, says);
        Operation { method: Method::Post, keyed: true, ..get }
    }

    /// The same without `Idempotency-Key`: for writes that are harmless to repeat by their own
    /// meaning, and for answers that hold a secret, which must not be stored.
    #[must_use]
    pub const fn without_key(mut self) -> Operation {
        self.keyed = false;
        self
    }

    /// The same with refusals counted as guesses: at most 10 a minute from one address.
    #[must_use]
    pub const fn guess_limited(mut self) -> Operation {
        self.guess_limited = true;
        self
    }

    /// The same for longer bodies.
    #[must_use]
    pub const fn body_bytes_max(mut self, body_bytes_max: usize) -> Operation {
        self.body_bytes_max = body_bytes_max;
        self
    }

    /// The same for an operation that lets clients wait for up to `wait`; its parameters MUST
    /// include [`crate::operations::WAIT`] and [`crate::operations::TIMEOUT`].
    #[must_use]
    pub const fn waits(mut self, wait: DurationMs) -> Operation {
        self.wait_max = Some(wait);
        self
    }

    /// The same with parameters.
    #[must_use]
    pub const fn with(mut self, parameters: &'static [Parameter]) -> Operation {
        self.parameters = parameters;
        self
    }

    /// The same, reading JSON.
    #[must_use]
    pub const fn reads<T: Documented>(mut self) -> Operation {
        self.body = Some(Body::Json(Json::of::<T>()));
        self
    }

    /// The same, reading something else.
    #[must_use]
    pub const fn reads_bytes(mut self, media_type: &'static str, says: &'static str) -> Operation {
        self.body = Some(Body::Bytes(media_type, says));
        self
    }

    /// The same, answering JSON.
    #[must_use]
    pub const fn answers<T: Documented>(mut self) -> Operation {
        self.answer = Some(Body::Json(Json::of::<T>()));
        self
    }

    /// The same, answering something else.
    #[must_use]
    pub const fn answers_bytes(
        mut self,
        media_type: &'static str,
        says: &'static str,
    ) -> Operation {
        self.answer = Some(Body::Bytes(media_type, says));
        self
    }

    /// The same, answering a stream of events.
    #[must_use]
    pub const fn answers_events<T: Documented>(mut self) -> Operation {
        self.answer = Some(Body::Events(Json::of::<T>()));
        self.streams = true;
        self
    }

    /// The same as a page for people.
    #[must_use]
    pub const fn page(mut self) -> Operation {
        self.is_page = true;
        self.keyed = false;
        self
    }

    /// The same, refusing with these reasons and with any of these groups.
    #[must_use]
    pub const fn refuses(
        mut self,
        reasons: &'static [Reason],
        groups: &'static [Group],
    ) -> Operation {
        self.own_reasons = reasons;
        self.own_groups = groups;
        self
    }

    /// Whether a refusal with this reason is documented.
    pub fn may_refuse_with(&self, reason: Reason) -> bool {
        self.own_groups.contains(&reason.group())
            || self.own_reasons.contains(&reason)
            || self.common_reasons().any(|common| common == reason)
    }

    /// Every reason with which it may refuse, in the order of their numbers.
    pub fn reasons(&self) -> Vec<Reason> {
        Reason::ALL.iter().copied().filter(|reason| self.may_refuse_with(*reason)).collect()
    }

    /// The operation in one line: method, path, who may call it, and what is special about it.
    pub fn row(&self) -> String {
        let keyed = if self.keyed { " keyed" } else { "" };
        let guess_limited = if self.guess_limited { " guess-limited" } else { "" };
        let page = if self.is_page { " page" } else { "" };
        let (method, path, access) = (self.method.name(), self.path, self.access);
        format!("{method} {path} {access:?}{keyed}{guess_limited}{page}")
    }

    /// The reasons of every operation of this kind.
    fn common_reasons(&self) -> impl Iterator<Item = Reason> {
        let of_access: &[Reason] = match self.access {
            Access::Public => &[],
            Access::Scope(_) => &[Reason::Unauthenticated, Reason::Forbidden],
            Access::Session => &[Reason::Unauthenticated],
            Access::Device => &[Reason::ProofOfPossession],
            Access::SessionAndDevice => &[Reason::Unauthenticated, Reason::ProofOfPossession],
            Access::Visitor | Access::VisitorScope(_) => {
                &[Reason::Unauthenticated, Reason::Forbidden]
            }
        };
        let of_body: &[Reason] = match (self.method, self.body) {
            (Method::Post, Some(Body::Json(_))) => {
                &[Reason::TooLarge, Reason::BodyMalformed, Reason::FieldInvalid]
            }
            _ => &[Reason::TooLarge],
        };
        let of_key: &[Reason] = match self.keyed {
            true => &[
                Reason::IdempotencyKeyMissing,
                Reason::IdempotencyKeyReused,
                Reason::InProgress,
                Reason::Conflict,
            ],
            false => &[],
        };
        let lists = [ALWAYS, of_access, of_body, of_key];
        lists.into_iter().flatten().copied()
    }
}

impl Method {
    /// As it stands in a request.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

impl Json {
    /// Of a type.
    pub const fn of<T: Documented>() -> Json {
        Json {
            name: name_of::<T>,
            schema: schema_of::<T>,
            schemas: T::schemas,
            example: example_of::<T>,
        }
    }
}

fn name_of<T: Documented>() -> String {
    T::name().into_owned()
}

fn schema_of<T: Documented>() -> RefOr<Schema> {
    T::schema()
}

fn example_of<T: Documented>() -> serde_json::Value {
    match serde_json::to_value(T::example()) {
        Ok(value) => value,
        Err(error) => unreachable!("the types of this crate have text keys only: {error}"),
    }
}

/// What may happen to any request.
const ALWAYS: &[Reason] = &[
    // A path that is no text, a parameter that is not known.
    Reason::FieldInvalid,
    Reason::RateLimited,
    Reason::Timeout,
    Reason::StorageFailed,
    Reason::StorageCorrupt,
    Reason::NotReady,
    Reason::Internal,
];
