//! Every refusal of provisioning by device code and authorization code.
#![expect(clippy::unwrap_used, reason = "a test may fail so")]

use tallystick_crypto::hpke::Kem;
use tallystick_crypto::key_store::{KeyAlgorithm, KeyPurpose};
use tallystick_crypto::software_key_store::Unlock;
use tallystick_crypto::{KeyStore, SigningKey, SoftwareKeyStore};
use tallystick_kernel::limits::{DEVICE_CODE_LIFE, GUESSES_PER_REQUEST_MAX};
use tallystick_kernel::{AccountId, Codec, DurationMs, Reason, TimeMs};
use tallystick_proofs::authorization_code::{Decision, make};
use tallystick_proofs::credential::{SEAL_LABEL, verify};
use tallystick_proofs::device_code::{DeviceRequest, SharedKeyId, account_digest};
use tallystick_proofs::sealed::{SEALED_BYTES_MAX, SealedEnvelope};
use tallystick_provisioner::device_code::GUESSES_PER_KEY_MAX;
use tallystick_provisioner::{
    Completion, Guesses, Request, RequestState, RiskPolicy, Signals, Start, complete, release,
    start,
};

const NOW: TimeMs = TimeMs(1_800_000_000_000);
const DEVICE: [u8; 32] = [8; 32];

fn keys() -> SoftwareKeyStore {
    let mut keys = SoftwareKeyStore::new(Unlock::Machine(&[1; 32]), &[0; 16]).unwrap();
    for (name, purpose) in [("shared", KeyPurpose::SharedCode), ("codes", KeyPurpose::SharedCode)] {
        keys.import(name, purpose, KeyAlgorithm::HmacSha256, &[name.len() as u8; 32]).unwrap();
    }
    keys.create("opening", KeyPurpose::Opening, KeyAlgorithm::X25519, &[3; 32]).unwrap();
    keys
}

fn device() -> SigningKey {
    SigningKey::p256_from_scalar(&[4; 32]).unwrap()
}

fn asked() -> Start {
    Start {
        id: [5; 16],
        account: AccountId([6; 32]),
        device_key: device().public_key(),
        thumbprint: DEVICE,
        device_kind: "phone".to_owned(),
        device_digest: [7; 32],
        nonce: [9; 16],
        sealing_key: keys().sealing_key("opening").unwrap(),
        device_name: "Ada's phone".to_owned(),
    }
}

fn request() -> Request {
    start(&keys(), "codes", SharedKeyId(*b"shared-1"), asked(), NOW).unwrap()
}

fn code(request: &DeviceRequest, decision: Decision, now: TimeMs) -> String {
    make(&keys(), "shared", request, decision, now).unwrap().to_string()
}

fn calm() -> (Guesses, Signals) {
    (Guesses::default(), Signals { device_first_seen: Some(TimeMs(0)), ..Signals::default() })
}

fn handed_in(request: &Request, code: &str, now: TimeMs) -> Result<Completion, Reason> {
    let policy = RiskPolicy::default();
    complete(&keys(), Some("shared"), &policy, request, &DEVICE, code, calm(), now)
}

#[test]
fn an_approved_request_is_released_to_its_device_once() {
    let request = request();
    assert_eq!(Request::from_bytes(&request.to_bytes(), 1024), Ok(request.clone()));
    assert_eq!(request.carried.account_digest, account_digest(&request.account, &[9; 16]));
    let approved = code(&request.carried, Decision::Approve, NOW);
    let done = handed_in(&request, &approved, NOW).unwrap();
    assert_eq!((done.outcome, done.counts), (Ok(()), false));
    assert_eq!(handed_in(&done.next, &approved, NOW), Err(Reason::RequestUsed));
    let provisioner = SigningKey::ed25519_from_seed(&[2; 32]);
    let bytes = release(&done.next, &provisioner, [1; 16], [2; 32], NOW).unwrap();
    let envelope = SealedEnvelope::from_bytes(&bytes, SEALED_BYTES_MAX).unwrap();
    let opened = envelope.open(&keys(), "opening", SEAL_LABEL, &request.id).unwrap();
    let credential = verify(&opened, &provisioner.public_key(), NOW).unwrap();
    assert_eq!((credential.account, credential.device_key), (request.account, request.device_key));
    let foreign = envelope.open(&keys(), "opening", SEAL_LABEL, &[0; 16]);
    assert_eq!(foreign, Err(Reason::SealUnreadable), "sealed to another request");
    assert_eq!(request.sealing_key.kem(), Kem::X25519);
}

#[test]
fn a_denial_is_final_even_when_the_holder_approves_afterwards() {
    let request = request();
    let denied = handed_in(&request, &code(&request.carried, Decision::Deny, NOW), NOW).unwrap();
    assert_eq!(denied.outcome, Err(Reason::AuthorizationDenied));
    assert_eq!(denied.next.state, RequestState::Denied);
    let approved = code(&request.carried, Decision::Approve, NOW);
    assert_eq!(handed_in(&denied.next, &approved, NOW), Err(Reason::AuthorizationDenied));
}

#[test]
fn codes_for_another_device_account_or_request_are_wrong_and_five_of_them_close_the_request() {
    let mut request = request();
    let others = [
        DeviceRequest { thumbprint: [0; 32], ..request.carried.clone() },
        DeviceRequest { account_digest: [0; 32], ..request.carried.clone() },
        DeviceRequest { nonce: [0; 16], ..request.carried.clone() },
    ];
    for guess in 0..GUESSES_PER_REQUEST_MAX {
        let other = &others[guess as usize % others.len()];
        let done = handed_in(&request, &code(other, Decision::Approve, NOW), NOW).unwrap();
        assert_eq!(done.outcome, Err(Reason::AuthorizationCodeWrong));
        assert!(done.counts);
        request = done.next;
    }
    assert_eq!(request.state, RequestState::Closed);
    let right = code(&request.carried, Decision::Approve, NOW);
    assert_eq!(handed_in(&request, &right, NOW), Err(Reason::GuessLimit));
}

#[test]
fn an_altered_code_does_not_count_and_an_expired_one_is_wrong() {
    let request = request();
    let right = code(&request.carried, Decision::Approve, NOW);
    let altered = format!("{}{}", &right[..15], if right.ends_with('B') { 'C' } else { 'B' });
    let refused = handed_in(&request, &altered, NOW);
    assert_eq!(refused, Err(Reason::AuthorizationCodeMalformed));
    let long_ago = code(&request.carried, Decision::Approve, NOW.before(DurationMs::minutes(10)));
    let done = handed_in(&request, &long_ago, NOW).unwrap();
    assert_eq!(done.outcome, Err(Reason::AuthorizationCodeWrong));
    let end = NOW.after(DEVICE_CODE_LIFE);
    let late = code(&request.carried, Decision::Approve, TimeMs(end.0 - 1));
    assert_eq!(handed_in(&request, &late, end), Err(Reason::DeviceCodeExpired));
    assert_eq!(handed_in(&request, &late, TimeMs(end.0 - 1)).unwrap().outcome, Ok(()));
}

#[test]
fn what_stands_in_the_way_is_told_in_a_fixed_order() {
    let (request, policy) = (request(), RiskPolicy::default());
    let right = code(&request.carried, Decision::Approve, NOW);
    let with = |shared, thumbprint: &[u8; 32], guesses, signals| {
        complete(&keys(), shared, &policy, &request, thumbprint, &right, (guesses, signals), NOW)
    };
    let (none, signals) = calm();
    let other = with(Some("shared"), &[1; 32], none, signals);
    assert_eq!(other, Err(Reason::DeviceMismatch));
    assert_eq!(with(None, &DEVICE, none, signals), Err(Reason::KeyIdUnknown));
    let key = Guesses { key: GUESSES_PER_KEY_MAX, ..none };
    assert_eq!(with(Some("shared"), &DEVICE, key, signals), Err(Reason::KeyIdBlocked));
    let guesses = Guesses { device: 10, ..none };
    assert_eq!(with(Some("shared"), &DEVICE, guesses, signals), Err(Reason::GuessLimitDay));
    let risky = Signals { account_requests: 100, ..signals };
    let done = with(Some("shared"), &DEVICE, none, risky).unwrap();
    assert_eq!((done.outcome, done.next.state), (Err(Reason::RiskTooHigh), RequestState::Closed));
}

#[test]
fn names_that_cannot_be_shown_are_refused() {
    let long = "x".repeat(65);
    for name in ["", "a\u{7}b", long.as_str()] {
        let asked = Start { device_name: name.to_owned(), ..asked() };
        let refused = start(&keys(), "codes", SharedKeyId([0; 8]), asked, NOW);
        assert_eq!(refused, Err(Reason::FieldInvalid), "{name:?}");
    }
}
