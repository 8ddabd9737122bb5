//! Foreign bytes that are refused before any signature is looked at.

use tallystick_crypto::SigningKey;
use tallystick_kernel::{Reason, TimeMs};
use tallystick_proofs::certificate_issue::{Contents, Lifetime, authority};
use tallystick_proofs::cose::{self, Headers};
use tallystick_proofs::foreign_cbor::{self, Value};
use tallystick_proofs::x509_certificate::X509Certificate;
use tallystick_proofs::{credential, cwt};

const NOW: TimeMs = TimeMs(1_800_000_000_000);

#[test]
fn a_certificate_is_read_whole_or_not_at_all() {
    let signer = SigningKey::p256_from_scalar(&[7; 32]).unwrap();
    let lifetime = Lifetime { not_before: NOW, not_after: TimeMs(NOW.0 + 1_000_000) };
    let contents =
        Contents { common_name: "root", organization: Some("bank"), serial: [1; 16], lifetime };
    let der = authority(contents, 1, &signer).unwrap();
    assert!(X509Certificate::read(&der).is_ok());
    for end in 0..der.len() {
        let refusal = X509Certificate::read(&der[..end]).err();
        assert_eq!(refusal, Some(Reason::CertificateMalformed), "cut at {end}");
    }
    // The critical extension of basic constraints becomes one of name constraints.
    let constraints = [0x55, 0x1d, 19];
    let at = der.windows(3).position(|bytes| bytes == constraints).unwrap();
    let mut altered = der.clone();
    altered[at + 2] = 30;
    assert_eq!(X509Certificate::read(&altered).err(), Some(Reason::ExtensionUnknown));
    // Key usage becomes a second extension of basic constraints.
    let usage = [0x55, 0x1d, 15];
    let at = der.windows(3).position(|bytes| bytes == usage).unwrap();
    let mut altered = der;
    altered[at + 2] = 19;
    assert_eq!(X509Certificate::read(&altered).err(), Some(Reason::CertificateMalformed));
}

#[test]
fn a_signed_object_for_another_right_is_no_credential() {
    let signer = SigningKey::ed25519_from_seed(&[1; 32]);
    let right = |text: &str| {
        let claims = vec![
            (Value::from(cwt::key::EXPIRY), Value::from(NOW.unix_seconds() + 60)),
            (Value::from(cwt::key::ISSUED), Value::from(NOW.unix_seconds())),
            (Value::from(-70_010), Value::Text(text.to_owned())),
        ];
        let claims = foreign_cbor::write(&Value::Map(claims));
        let bytes = cose::sign(&signer, Headers::default(), b"", &claims).unwrap();
        credential::verify(&bytes, &signer.public_key(), NOW).err()
    };
    assert_eq!(right("entry"), Some(Reason::CredentialMalformed));
    // For the right right it is the next claim that is missing.
    assert_eq!(right("payment"), Some(Reason::ClaimMissing));
}
