//! The seam behind which private keys live: a store signs, opens and authenticates by name.
//!
//! Invariant: nothing that a [`KeyStore`] offers gives a private or secret key out.

use tallystick_kernel::Reason;
use zeroize::Zeroizing;

use crate::hpke::{Aead, Kem, Sealed, SealingKey};
use crate::public_key::PublicKey;
use crate::signature::Signature;

/// What a key is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    /// Signs with Ed25519.
    Ed25519,
    /// Signs with P-256 and SHA-256.
    P256,
    /// Opens what was sealed to X25519 by HPKE.
    X25519,
    /// Opens what was sealed to P-256 by HPKE.
    P256Hpke,
    /// Authenticates with HMAC-SHA-256.
    HmacSha256,
}

/// What a key is for. One key has one purpose, and is refused for any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPurpose {
    /// Owns an account, or holds the authority of a currency: signs ledger transactions.
    Account,
    /// Spends reserves that holders locked to this party: signs ledger transactions.
    Mandate,
    /// Proves that it is this device: signs payment codes and requests.
    Device,
    /// Signs certificates and revocation lists.
    CertificateAuthority,
    /// Opens credentials sealed to this party.
    Opening,
    /// Authenticates codes that another party verifies with the same key.
    SharedCode,
    /// Signs or authenticates what this party alone reads back: sessions, tokens.
    Internal,
}

/// What a store tells about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// The name it is used by: 1 to [`KEY_NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// What it is made of.
    pub algorithm: KeyAlgorithm,
}

/// Bytes of the longest name.
pub const KEY_NAME_BYTES_MAX: usize = 64;

/// Keys by name. Every method that names a key returns [`Reason::KeyNameUnknown`] when there is
/// none, and [`Reason::AlgorithmNotAllowed`] when the key is for something else.
pub trait KeyStore {
    /// Makes a key from `seed`, 32 fresh random bytes that the caller forgets afterwards.
    ///
    /// Returns [`Reason::KeyNameTaken`], [`Reason::FieldInvalid`] for an unusable name or a purpose
    /// that does not go with the algorithm.
    fn create(
        &mut self,
        name: &str,
        purpose: KeyPurpose,
        algorithm: KeyAlgorithm,
        seed: &[u8; 32],
    ) -> Result<(), Reason>;

    /// Every key, in the order of their names.
    fn describe(&self) -> Vec<KeyDescription>;

    /// The public key of a signing key.
    fn public_key(&self, name: &str) -> Result<PublicKey, Reason>;

    /// The public key of an opening key.
    fn sealing_key(&self, name: &str) -> Result<SealingKey, Reason>;

    /// Signs `message`.
    fn sign(&self, name: &str, purpose: KeyPurpose, message: &[u8]) -> Result<Signature, Reason>;

    /// Opens what was sealed to [`KeyStore::sealing_key`]; [`Reason::SealUnreadable`] otherwise.
    fn open_sealed(
        &self,
        name: &str,
        aead: Aead,
        info: &[u8],
        associated: &[u8],
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, Reason>;

    /// The tag of [`crate::hmac::tag`] over `parts` for the use named `label`.
    fn tag(&self, name: &str, label: &str, parts: &[&[u8]]) -> Result<[u8; 32], Reason>;
}

/// What signs a message without showing its key: a key in memory, or one of a store.
pub trait Signer {
    /// The key that verifies.
    fn public_key(&self) -> PublicKey;

    /// Signs `message`.
    fn sign(&self, message: &[u8]) -> Result<Signature, Reason>;
}

/// One signing key of a store, as a [`Signer`].
pub struct StoredSigner<'a> {
    store: &'a dyn KeyStore,
    name: &'a str,
    purpose: KeyPurpose,
    public: PublicKey,
}

impl<'a> StoredSigner<'a> {
    /// The key `name` of `store`, which must be there for `purpose`.
    pub fn new(
        store: &'a dyn KeyStore,
        name: &'a str,
        purpose: KeyPurpose,
    ) -> Result<StoredSigner<'a>, Reason> {
        let public = store.public_key(name)?;
        Ok(StoredSigner { store, name, purpose, public })
    }
}

impl Signer for StoredSigner<'_> {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, Reason> {
        self.store.sign(self.name, self.purpose, message)
    }
}

impl Signer for crate::signing_key::SigningKey {
    fn public_key(&self) -> PublicKey {
        crate::signing_key::SigningKey::public_key(self)
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, Reason> {
        Ok(crate::signing_key::SigningKey::sign(self, message))
    }
}

impl KeyAlgorithm {
    /// The number in encodings.
    pub(crate) const fn number(self) -> u64 {
        match self {
            KeyAlgorithm::Ed25519 => 1,
            KeyAlgorithm::P256 => 2,
            KeyAlgorithm::X25519 => 3,
            KeyAlgorithm::P256Hpke => 4,
            KeyAlgorithm::HmacSha256 => 5,
        }
    }

    pub(crate) const fn from_number(number: u64) -> Result<KeyAlgorithm, Reason> {
        match number {
            1 => Ok(KeyAlgorithm::Ed25519),
            2 => Ok(KeyAlgorithm::P256),
            3 => Ok(KeyAlgorithm::X25519),
            4 => Ok(KeyAlgorithm::P256Hpke),
            5 => Ok(KeyAlgorithm::HmacSha256),
            _ => Err(Reason::AlgorithmNotAllowed),
        }
    }

    /// The mechanism of an opening key.
    pub(crate) const fn kem(self) -> Option<Kem> {
        match self {
            KeyAlgorithm::X25519 => Some(Kem::X25519),
            KeyAlgorithm::P256Hpke => Some(Kem::P256),
            _ => None,
        }
    }
}

impl KeyPurpose {
    /// Whether a key of this purpose may be of `algorithm`.
    pub const fn allows(self, algorithm: KeyAlgorithm) -> bool {
        use KeyAlgorithm::{Ed25519, HmacSha256, P256, P256Hpke, X25519};
        match self {
            KeyPurpose::Account
            | KeyPurpose::Mandate
            | KeyPurpose::Device
            | KeyPurpose::CertificateAuthority => matches!(algorithm, Ed25519 | P256),
            KeyPurpose::Opening => matches!(algorithm, X25519 | P256Hpke),
            KeyPurpose::SharedCode => matches!(algorithm, HmacSha256),
            KeyPurpose::Internal => matches!(algorithm, Ed25519 | P256 | HmacSha256),
        }
    }

    pub(crate) const fn number(self) -> u64 {
        match self {
            KeyPurpose::Account => 1,
            KeyPurpose::Mandate => 2,
            KeyPurpose::Device => 3,
            KeyPurpose::CertificateAuthority => 4,
            KeyPurpose::Opening => 5,
            KeyPurpose::SharedCode => 6,
            KeyPurpose::Internal => 7,
        }
    }

    pub(crate) const fn from_number(number: u64) -> Result<KeyPurpose, Reason> {
        match number {
            1 => Ok(KeyPurpose::Account),
            2 => Ok(KeyPurpose::Mandate),
            3 => Ok(KeyPurpose::Device),
            4 => Ok(KeyPurpose::CertificateAuthority),
            5 => Ok(KeyPurpose::Opening),
            6 => Ok(KeyPurpose::SharedCode),
            7 => Ok(KeyPurpose::Internal),
            _ => Err(Reason::Malformed),
        }
    }
}
