//! The HTTP surface of Tallystick: the types that travel, problem documents, DPoP and the client.
//!
//! Invariants: everything that travels as JSON is a type of this crate. It knows no role and decides
//! nothing: it turns JSON into the vocabulary of `kernel` and back. What is signed travels as the
//! bytes that were signed (base64url without padding), never as JSON.
//!
//! Conventions of every JSON type: field names in snake case; ids and public keys as their bech32m text; amounts
//! as a decimal string of minor units (`"1250"`), because a JSON number is not exact above 2^53;
//! times and durations as integers in milliseconds (`_ms`), exact up to 2^53; a field that is not
//! there is left out or `null`; a reader ignores fields that it does not know in answers and
//! refuses them in requests.

pub mod batch;
pub mod client;
pub mod dpop;
pub mod error;
pub mod issuer;
pub mod json;
pub mod log_level;
pub mod merchant;
pub mod node;
mod node_client;
pub mod openapi;
pub mod operation;
pub mod operations;
pub mod problem;
pub mod provisioner;
pub mod status;
pub mod text_schema;
pub mod trace_context;

pub use client::{Client, ProofMaker};
pub use error::ApiError;
pub use json::{Bytes, Page};
pub use node_client::NodeClient;
pub use problem::Problem;
pub use status::status_of;
