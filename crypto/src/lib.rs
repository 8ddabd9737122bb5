//! The provider seam: signatures, MACs, AEAD, key derivation, HPKE and key stores.

pub mod public_key;
pub mod signature;
pub mod signing_key;

pub use public_key::PublicKey;
pub use signature::Signature;
pub use signing_key::SigningKey;
