//! Access credentials: what a provisioner releases to a device once the issuer approved.
//!
//! A CWT (RFC 8392) bound to the device's key by `cnf` (RFC 8747), in a COSE_Sign1 by the
//! provisioner's credential key. It travels sealed to the device ([`crate::sealed`]), and the device
//! shows it to the issuer to have its key certified. Invariants: a credential names one account and
//! one key; whoever holds it without that key can do nothing with it.

use coset::cbor::Value;
use tallystick_crypto::PublicKey;
use tallystick_crypto::key_store::Signer;
use tallystick_crypto::standard_signature::{Curve, StandardKey};
use tallystick_kernel::limits::CERTIFICATE_SKEW;
use tallystick_kernel::{AccountId, Reason, TimeMs};

use crate::cose::{self, Algorithm, CoseSign1, Headers, Tags};
use crate::cwt::{Claims, Skew, key};
use crate::foreign_cbor;

/// The label under which credentials are sealed; the request's id is the associated data.
pub const SEAL_LABEL: &str = "tallystick/credential/1";
/// The one right that is released so far.
pub const RIGHT_PAYMENT: &str = "payment";

/// What a credential says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The account that the device may pay from.
    pub account: AccountId,
    /// The device's key, P-256.
    pub device_key: PublicKey,
    /// When it was released; whole seconds.
    pub issued: TimeMs,
    /// From when on the issuer refuses it; whole seconds.
    pub expires: TimeMs,
    /// Names this credential; it is shown once.
    pub id: [u8; 16],
}

/// Makes the bytes of a credential. Returns [`Reason::KeyMalformed`] for a device key that is not
/// P-256, and the reasons of the signer.
pub fn make(credential: &Credential, signer: &dyn Signer) -> Result<Vec<u8>, Reason> {
    let point = StandardKey::from(&credential.device_key).to_uncompressed()?;
    let (Some(x), Some(y)) = (point.get(1..33), point.get(33..65)) else {
        return Err(Reason::KeyMalformed);
    };
    let device_key = Value::Map(vec![
        (Value::from(1), Value::from(2)),
        (Value::from(-1), Value::from(1)),
        (Value::from(-2), Value::Bytes(x.to_vec())),
        (Value::from(-3), Value::Bytes(y.to_vec())),
    ]);
    let claims = vec![
        (Value::from(key::SUBJECT), Value::Text(credential.account.to_string())),
        (Value::from(key::EXPIRY), Value::from(credential.expires.unix_seconds())),
        (Value::from(key::ISSUED), Value::from(credential.issued.unix_seconds())),
        (Value::from(key::TOKEN_ID), Value::Bytes(credential.id.to_vec())),
        (Value::from(CONFIRMATION), Value::Map(vec![(Value::from(1), device_key)])),
        (Value::from(RIGHT), Value::Text(RIGHT_PAYMENT.to_owned())),
    ];
    cose::sign(signer, Headers::default(), b"", &foreign_cbor::write(&Value::Map(claims)))
}

/// Verifies a credential under a provisioner's key at `now`.
///
/// Returns the reasons of [`CoseSign1`] and [`Claims`], [`Reason::AlgorithmNotAllowed`],
/// [`Reason::CredentialMalformed`] for claims that a credential does not have,
/// [`Reason::NotYetValid`] and [`Reason::Expired`].
pub fn verify(bytes: &[u8], provisioner: &PublicKey, now: TimeMs) -> Result<Credential, Reason> {
    let object = CoseSign1::read(bytes, Tags::Sign1)?;
    let algorithm = Algorithm::of_key(provisioner);
    if object.algorithm()? != algorithm {
        return Err(Reason::AlgorithmNotAllowed);
    }
    object.verify(&StandardKey::from(provisioner), algorithm, b"")?;
    let claims = Claims::read(object.payload()?)?;
    let malformed = Reason::CredentialMalformed;
    if claims.need(RIGHT)?.as_text() != Some(RIGHT_PAYMENT) {
        return Err(malformed);
    }
    let account = claims.need(key::SUBJECT)?.as_text().ok_or(malformed)?;
    let id = claims.need(key::TOKEN_ID)?.as_bytes().ok_or(malformed)?;
    let credential = Credential {
        account: account.parse().map_err(|_| malformed)?,
        device_key: confirmed_key(claims.need(CONFIRMATION)?)?,
        issued: claims.issued()?,
        expires: claims.expiry()?,
        id: id[..].try_into().map_err(|_| malformed)?,
    };
    claims.check_time(now, Skew { early: CERTIFICATE_SKEW, late: Skew::NONE.late })?;
    Ok(credential)
}

/// The key of a `cnf` claim that holds a COSE_Key (RFC 8747 section 3.2) on P-256.
fn confirmed_key(confirmation: &Value) -> Result<PublicKey, Reason> {
    let malformed = Reason::CredentialMalformed;
    let member = |map: &Value, label: i64| -> Result<Value, Reason> {
        let entries = map.as_map().ok_or(malformed)?;
        let found = entries.iter().find(|(key, _)| *key == Value::from(label));
        found.map(|(_, value)| value.clone()).ok_or(malformed)
    };
    let device_key = member(confirmation, 1)?;
    if member(&device_key, 1)? != Value::from(2) || member(&device_key, -1)? != Value::from(1) {
        return Err(malformed);
    }
    let (x, y) = (member(&device_key, -2)?, member(&device_key, -3)?);
    let (x, y) = (x.as_bytes().ok_or(malformed)?, y.as_bytes().ok_or(malformed)?);
    StandardKey::from_coordinates(Curve::P256, x, y)?.to_public_key()
}

/// `cnf` (RFC 8747 section 3.1).
const CONFIRMATION: i64 = 8;
/// Our claim, in the range that RFC 8392 leaves for private use.
const RIGHT: i64 = -70_010;

#[cfg(test)]
mod tests {
    use tallystick_crypto::SigningKey;

    use super::*;

    const NOW: TimeMs = TimeMs(1_800_000_000_000);

    fn device() -> PublicKey {
        SigningKey::p256_from_scalar(&[4; 32]).unwrap().public_key()
    }

    fn credential() -> Credential {
        Credential {
            account: AccountId([3; 32]),
            device_key: device(),
            issued: NOW,
            expires: TimeMs(NOW.0 + 600_000),
            id: [5; 16],
        }
    }

    #[test]
    fn a_credential_is_verified_under_its_provisioner_and_in_its_time_only() {
        let provisioner = SigningKey::ed25519_from_seed(&[1; 32]);
        let bytes = make(&credential(), &provisioner).unwrap();
        assert_eq!(verify(&bytes, &provisioner.public_key(), NOW), Ok(credential()));
        let other = SigningKey::ed25519_from_seed(&[2; 32]).public_key();
        assert_eq!(verify(&bytes, &other, NOW), Err(Reason::SignatureInvalid));
        let own = provisioner.public_key();
        assert_eq!(verify(&bytes, &device(), NOW), Err(Reason::AlgorithmNotAllowed));
        let end = credential().expires;
        assert_eq!(verify(&bytes, &own, TimeMs(end.0 + 1000)), Err(Reason::Expired));
        let early = NOW.before(tallystick_kernel::DurationMs::minutes(2));
        assert_eq!(verify(&bytes, &own, early), Err(Reason::NotYetValid));
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert!(verify(&altered, &own, NOW).is_err(), "{at}");
        }
    }

    #[test]
    fn only_keys_of_devices_are_named() {
        let signer = SigningKey::ed25519_from_seed(&[1; 32]);
        let wrong = Credential { device_key: signer.public_key(), ..credential() };
        assert_eq!(make(&wrong, &signer), Err(Reason::KeyMalformed));
    }
}
