//! What an issuer decides: who its holders are, which devices may pay for them, which payments it
//! authorises, and how each is settled exactly once.
//!
//! Pure: records and time come in, changed records go out; the caller stores them under the version
//! that it read. Invariants: an authorization names reserves that no other open one names; a
//! settlement is signed and stored before it is sent, and signed anew only when the ledger can no
//! longer include the former; a code pays once.

pub mod authorization;
pub mod certificate_authority;
pub mod device_code;
pub mod funding;
pub mod holder;
pub mod settlement;
