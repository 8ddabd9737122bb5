//! The vocabulary of Tallystick: amounts, currencies, ids, time, canonical CBOR, limits and reason codes.
//!
//! Invariants: nothing here does I/O, reads a clock or draws randomness. Amounts never wrap or
//! saturate. Every encoding is deterministic CBOR and decoding accepts only the bytes that
//! encoding would have produced.

pub mod amount;
pub mod codec;
pub mod currency;
pub mod hash;
pub mod hex;
pub mod id;
pub mod limits;
pub mod reason;
pub mod shown_text;
pub mod time;

pub use amount::Amount;
pub use codec::{Codec, Reader, Writer};
pub use currency::CurrencyCode;
pub use hash::{Digest, LabelledHash};
pub use id::{AccountId, BlockId, HolderId, NetworkId, Reference, ReserveId, Salt, TransactionId};
pub use reason::{Group, Reason};
pub use time::{DurationMs, TimeMs, TimeWindow};
