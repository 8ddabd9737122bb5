//! The provider seam: signatures, MACs, AEAD, key derivation, HPKE and key stores.

pub mod aead;
pub mod batch;
pub mod hmac;
pub mod hpke;
pub mod key_derivation;
pub mod key_store;
pub mod password;
pub mod public_key;
mod randomness;
pub mod signature;
pub mod signing_key;
pub mod software_key_store;
pub mod standard_signature;

pub use batch::{verify_batch, verify_each};
pub use key_store::KeyStore;
pub use public_key::PublicKey;
pub use signature::Signature;
pub use signing_key::SigningKey;
pub use software_key_store::SoftwareKeyStore;
