//! Damaged bytes for every decoder that faces the network.
//!
//! A [`targets::Target`] is one decoder with bytes that it accepts; [`damage`] alters them under a
//! seed; [`case`] says what went wrong with one input. Wanted of every decoder: it ends with a value
//! or a refusal, never with a panic; it allocates no more than its bound, whatever length the bytes
//! claim; what it accepts has one encoding, the bytes themselves.

pub mod behind;
pub mod case;
pub mod damage;
pub mod json;
pub mod targets;

#[path = "../../proofs/tests/ledger/samples.rs"]
mod samples;
