//! Certificate requests (PKCS#10, RFC 2986): a device asks the issuer to certify its key.
//!
//! Invariant: a request that was read is signed by the key that it asks for.

use tallystick_crypto::key_store::Signer;
use tallystick_crypto::{PublicKey, Signature};
use tallystick_kernel::Reason;
use x509_cert::der::{Decode, Encode};
use x509_cert::request::{CertReq, CertReqInfo, Version};

use crate::certificate_issue::{algorithm_of, key_info, name, signature_bits};
use crate::x509_certificate::{Signed, key_of};

/// Bytes of a request at most.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// A request whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    key: PublicKey,
    subject: String,
}

impl CertificateRequest {
    /// Reads DER and verifies it.
    ///
    /// Returns [`Reason::TooLarge`], [`Reason::RequestMalformed`],
    /// [`Reason::AlgorithmNotAllowed`] for a key other than Ed25519 or P-256, and
    /// [`Reason::SignatureInvalid`] when the asker does not hold the key.
    pub fn read(der: &[u8]) -> Result<CertificateRequest, Reason> {
        if der.len() > REQUEST_BYTES_MAX {
            return Err(Reason::TooLarge);
        }
        let parsed = CertReq::from_der(der).map_err(|_| Reason::RequestMalformed)?;
        let signature = parsed.signature.as_bytes().ok_or(Reason::RequestMalformed)?;
        let signed = Signed::new(der, &parsed.algorithm, signature)?;
        let key = key_of(&parsed.info.public_key)?;
        signed.verify(&key).map_err(|_| Reason::SignatureInvalid)?;
        let key = key.to_public_key()?;
        key.check()?;
        Ok(CertificateRequest { key, subject: parsed.info.subject.to_string() })
    }

    /// The key to be certified.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// The subject that was asked for, as text (RFC 4514). The issuer puts its own.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

/// A request that lacks nothing but its signature, for a device whose key is elsewhere (in a
/// browser).
#[derive(Clone, Debug)]
pub struct UnsignedRequest {
    info: CertReqInfo,
    key: PublicKey,
    to_be_signed: Vec<u8>,
}

impl UnsignedRequest {
    /// What the holder of `key` is to sign to be certified under `common_name` (1 to 64
    /// characters). Returns [`Reason::FieldInvalid`] and the reasons of reading the key.
    pub fn new(common_name: &str, key: &PublicKey) -> Result<UnsignedRequest, Reason> {
        let info = CertReqInfo {
            version: Version::V1,
            subject: name(common_name, None)?,
            public_key: key_info(key)?,
            attributes: Default::default(),
        };
        let to_be_signed = info.to_der().map_err(|_| Reason::FieldInvalid)?;
        Ok(UnsignedRequest { info, key: *key, to_be_signed })
    }

    /// The bytes to sign: a `CertificationRequestInfo` in DER.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// The request in DER; [`CertificateRequest::read`] verifies it.
    pub fn assemble(self, signature: &Signature) -> Result<Vec<u8>, Reason> {
        let signature = signature_bits(&self.key, signature)?;
        let algorithm = algorithm_of(&self.key);
        let request = CertReq { info: self.info, algorithm, signature };
        request.to_der().map_err(|_| Reason::FieldInvalid)
    }
}

/// Makes a request for the signer's key under `common_name` (1 to 64 characters); DER.
///
/// Returns [`Reason::FieldInvalid`] and the reasons of the signer.
pub fn make(common_name: &str, signer: &dyn Signer) -> Result<Vec<u8>, Reason> {
    let unsigned = UnsignedRequest::new(common_name, &signer.public_key())?;
    let signature = signer.sign(unsigned.to_be_signed())?;
    unsigned.assemble(&signature)
}

#[cfg(test)]
mod tests {
    use tallystick_crypto::SigningKey;

    use super::*;

    #[test]
    fn a_request_is_read_back_and_every_altered_byte_is_noticed() {
        for key in [
            SigningKey::ed25519_from_seed(&[3; 32]),
            SigningKey::p256_from_scalar(&[3; 32]).unwrap(),
        ] {
            let der = make("device 7", &key).unwrap();
            let read = CertificateRequest::read(&der).unwrap();
            assert_eq!((read.key(), read.subject()), (key.public_key(), "CN=device 7"));
            for place in 0..der.len() {
                let mut altered = der.clone();
                altered[place] ^= 1;
                assert!(CertificateRequest::read(&altered).is_err(), "{place}");
            }
            assert_eq!(CertificateRequest::read(&der[1..]), Err(Reason::RequestMalformed));
        }
    }

    #[test]
    fn a_request_that_is_signed_elsewhere_is_the_same_and_a_foreign_signature_is_refused() {
        let key = SigningKey::p256_from_scalar(&[3; 32]).unwrap();
        let unsigned = UnsignedRequest::new("device 7", &key.public_key()).unwrap();
        let signature = key.sign(unsigned.to_be_signed());
        let der = unsigned.clone().assemble(&signature).unwrap();
        assert_eq!(CertificateRequest::read(&der).unwrap().key(), key.public_key());
        let other = SigningKey::p256_from_scalar(&[4; 32]).unwrap();
        let der = unsigned.clone().assemble(&other.sign(unsigned.to_be_signed())).unwrap();
        assert_eq!(CertificateRequest::read(&der), Err(Reason::SignatureInvalid));
    }

    #[test]
    fn a_name_that_no_certificate_can_hold_is_refused() {
        let key = SigningKey::ed25519_from_seed(&[3; 32]);
        for name in [String::new(), "x".repeat(65)] {
            assert_eq!(make(&name, &key), Err(Reason::FieldInvalid));
        }
    }
}
