//! A code at the till: accepted in its minute, from a certified device, and refused otherwise.
#![expect(clippy::unwrap_used, reason = "a test may fail so")]

use std::collections::BTreeMap;

use tallystick_crypto::SigningKey;
use tallystick_crypto::key_store::Signer;
use tallystick_kernel::{Amount, CurrencyCode, DurationMs, Reason, TimeMs};
use tallystick_merchant::payment_code::{TillTrust, verify};
use tallystick_proofs::certificate_issue::{self, Contents, Lifetime};
use tallystick_proofs::payment_code::{self, Chain, PaymentClaims};
use tallystick_proofs::revocation_list::RevocationList;
use tallystick_proofs::x509_certificate::X509Certificate;
use tallystick_proofs::x509_chain::TrustAnchors;

const NOW: TimeMs = TimeMs(1_800_000_000_000);
const DAY: DurationMs = DurationMs::minutes(24 * 60);
const SERIAL: [u8; 16] = [3; 16];

fn key(seed: u8) -> SigningKey {
    SigningKey::p256_from_scalar(&[seed; 32]).unwrap()
}

fn contents(common_name: &str, serial: [u8; 16]) -> Contents<'_> {
    let lifetime = Lifetime { not_before: NOW.before(DAY), not_after: NOW.after(DAY) };
    Contents { common_name, organization: None, serial, lifetime }
}

/// A device certified for `token`, and a till that trusts its issuer, whose list names `revoked`.
fn world(token: &str, revoked: &[Vec<u8>], list_made: TimeMs) -> (Chain, TillTrust) {
    let authority = key(1);
    let signer: &dyn Signer = &authority;
    let root = certificate_issue::authority(contents("root", [1; 16]), 0, signer).unwrap();
    let root = X509Certificate::read(&root).unwrap();
    let public = key(2).public_key();
    let device =
        certificate_issue::device(contents(token, SERIAL), &public, &root, signer).unwrap();
    let revoked: Vec<_> = revoked.iter().map(|serial| (serial.clone(), NOW)).collect();
    let lifetime = Lifetime { not_before: list_made, not_after: list_made.after(DAY) };
    let list = certificate_issue::revocation_list(&root, 1, lifetime, &revoked, signer).unwrap();
    let trust = TillTrust {
        anchors: TrustAnchors::read(&[root.der()]).unwrap(),
        revocation: vec![RevocationList::read(&list).unwrap()],
        known: BTreeMap::new(),
    };
    (vec![device], trust)
}

fn claims() -> PaymentClaims {
    PaymentClaims {
        account_token: "token".to_owned(),
        issued: NOW,
        expires: NOW.after(DurationMs::seconds(60)),
        code_id: [9; 16],
        counter: 1,
        amount: None,
    }
}

fn code(claims: &PaymentClaims, signer: &SigningKey, chain: Option<&Chain>) -> String {
    payment_code::make(claims, signer, chain).unwrap()
}

#[test]
fn a_code_is_good_until_the_instant_at_which_it_expires() {
    let (chain, trust) = world("token", &[], NOW);
    let text = code(&claims(), &key(2), Some(&chain));
    let at = |time: TimeMs| verify(&text, None, &trust, time).map(|code| code.claims);
    let end = claims().expires;
    assert_eq!(at(NOW), Ok(claims()));
    assert_eq!(at(TimeMs(end.0 - 1)), Ok(claims()));
    assert_eq!(at(end), Err(Reason::Expired));
    assert_eq!(at(end.after(DurationMs::seconds(1))), Err(Reason::Expired));
    assert_eq!(at(NOW.before(DurationMs::seconds(5))), Ok(claims()));
    assert_eq!(at(NOW.before(DurationMs(5001))), Err(Reason::NotYetValid));
}

#[test]
fn a_code_that_is_signed_elsewhere_is_good_with_the_signature_of_its_own_key_only() {
    let (chain, trust) = world("token", &[], NOW);
    let public = key(2).public_key();
    let unsigned = payment_code::UnsignedCode::new(&claims(), &public, Some(&chain)).unwrap();
    let check = |signer: &SigningKey| {
        let signature = signer.sign(unsigned.to_be_signed());
        let text = unsigned.clone().assemble(&signature).unwrap();
        verify(&text, None, &trust, NOW).map(|code| code.claims)
    };
    assert_eq!(check(&key(2)), Ok(claims()));
    assert_eq!(check(&key(3)), Err(Reason::SignatureInvalid));
    let endless = PaymentClaims { expires: NOW.after(DAY), ..claims() };
    let refused = payment_code::UnsignedCode::new(&endless, &public, None);
    assert_eq!(refused, Err(Reason::ValidityTooLong));
}

#[test]
fn a_key_is_known_by_its_chain_at_first_and_by_its_id_afterwards() {
    let (chain, mut trust) = world("token", &[], NOW);
    let short = code(&claims(), &key(2), None);
    assert_eq!(verify(&short, None, &trust, NOW).err(), Some(Reason::KeyUnknown));
    let first = verify(&code(&claims(), &key(2), Some(&chain)), None, &trust, NOW).unwrap();
    assert!(trust.learn(&first) && !trust.learn(&first));
    assert_eq!(verify(&short, None, &trust, NOW).unwrap().key_id, first.key_id);
    assert!(short.len() < 300, "{} characters", short.len());
}

#[test]
fn what_another_key_signed_or_another_issuer_certified_is_refused() {
    let (chain, trust) = world("token", &[], NOW);
    let refused = |text: &str| verify(text, None, &trust, NOW).err();
    let forged = code(&claims(), &key(7), Some(&chain));
    assert_eq!(refused(&forged), Some(Reason::KeyUnknown), "the key is not the certificate's");
    let foreign = PaymentClaims { account_token: "other".to_owned(), ..claims() };
    assert_eq!(refused(&code(&foreign, &key(2), Some(&chain))), Some(Reason::AccountMismatch));
    let stranger = key(5);
    let root = certificate_issue::authority(contents("root", [1; 16]), 0, &stranger).unwrap();
    let root = X509Certificate::read(&root).unwrap();
    let public = key(2).public_key();
    let contents = contents("token", SERIAL);
    let certified = certificate_issue::device(contents, &public, &root, &stranger).unwrap();
    let text = code(&claims(), &key(2), Some(&vec![certified]));
    assert!(
        matches!(refused(&text), Some(Reason::CertificateSignature | Reason::ChainUntrusted)),
        "{:?}",
        refused(&text)
    );
}

#[test]
fn a_revoked_device_or_a_stale_list_is_refused() {
    let (chain, _) = world("token", &[], NOW);
    let serial = X509Certificate::read(&chain[0]).unwrap().serial().to_vec();
    let text = code(&claims(), &key(2), Some(&chain));
    let (_, revoked) = world("token", &[serial], NOW);
    assert_eq!(verify(&text, None, &revoked, NOW).err(), Some(Reason::Revoked));
    let (_, stale) = world("token", &[], NOW.before(DurationMs::minutes(48 * 60)));
    assert_eq!(verify(&text, None, &stale, NOW).err(), Some(Reason::RevocationUnknown));
    let (_, mut none) = world("token", &[], NOW);
    none.revocation.clear();
    assert_eq!(verify(&text, None, &none, NOW).err(), Some(Reason::RevocationUnknown));
}

#[test]
fn a_bound_code_is_for_its_own_price() {
    let (chain, trust) = world("token", &[], NOW);
    let price =
        |currency: &str, minor| (CurrencyCode::new(currency).unwrap(), Amount::new(minor).unwrap());
    let bound = PaymentClaims { amount: Some(price("EUR", 700)), ..claims() };
    let text = code(&bound, &key(2), Some(&chain));
    let judged = |wanted| verify(&text, wanted, &trust, NOW).err();
    assert_eq!(judged(Some(price("EUR", 700))), None);
    assert_eq!(judged(None), None);
    assert_eq!(judged(Some(price("EUR", 701))), Some(Reason::AmountDiffers));
    assert_eq!(judged(Some(price("USD", 700))), Some(Reason::CurrencyMismatch));
}
