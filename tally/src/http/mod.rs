//! The HTTP server that every role stands on.

pub mod access;
pub mod api_keys;
pub mod batch;
pub mod events;
pub mod gate;
pub mod idempotency;
pub mod page;
pub mod problem;
pub mod rate_limit;
pub mod request;
pub mod request_id;
pub mod server;
pub mod visitor;

pub use access::Routes;
pub use gate::{Caller, Gate};
pub use page::CursorQuery;
pub use problem::Refusal;
pub use request::{JsonBody, WaitQuery, path_value};
