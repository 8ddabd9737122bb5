//! Every refusal of an authorization, of a device's request, and of a certificate.
#![expect(clippy::unwrap_used, reason = "a test may fail so")]

use tallystick_crypto::key_store::{KeyAlgorithm, KeyPurpose, Signer};
use tallystick_crypto::software_key_store::Unlock;
use tallystick_crypto::{PublicKey, SigningKey, SoftwareKeyStore};
use tallystick_issuer::authorization::{
    AUTHORIZATION_BYTES_MAX, Asked, Authorization, Available, Limits, decide,
};
use tallystick_issuer::holder::{Holder, Link};
use tallystick_issuer::{certificate_authority, device_code, settlement};
use tallystick_kernel::{
    AccountId, Amount, Codec, CurrencyCode, DurationMs, HolderId, NetworkId, Reason, Reference,
    ReserveId, Salt, TimeMs,
};
use tallystick_proofs::action::{Action, Lock};
use tallystick_proofs::authorization_code::{Decision, check};
use tallystick_proofs::credential::{self, Credential};
use tallystick_proofs::device_code::{DeviceCode, DeviceRequest, SharedKeyId, account_digest};
use tallystick_proofs::payment_code::PaymentClaims;
use tallystick_proofs::revocation_list::RevocationList;
use tallystick_proofs::x509_certificate::X509Certificate;
use tallystick_proofs::x509_chain::{ChainPolicy, TrustAnchors, ValidChain};

const NOW: TimeMs = TimeMs(1_800_000_000_000);
const ACCOUNT: AccountId = AccountId([4; 32]);
const SHOP: AccountId = AccountId([5; 32]);
const SHARED: SharedKeyId = SharedKeyId(*b"shared-1");

fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

fn euro() -> CurrencyCode {
    CurrencyCode::new("EUR").unwrap()
}

fn holder() -> Holder {
    Holder {
        id: HolderId([1; 32]),
        name: "ada".to_owned(),
        password_hash: String::new(),
        link: Some(Link { account: ACCOUNT, token: "token".to_owned() }),
        blocked: false,
    }
}

fn claims(bound: Option<(CurrencyCode, Amount)>) -> PaymentClaims {
    PaymentClaims {
        account_token: "token".to_owned(),
        issued: NOW,
        expires: NOW.after(DurationMs::seconds(60)),
        code_id: [6; 16],
        counter: 1,
        amount: bound,
    }
}

fn asked(minor: u64) -> Asked {
    Asked {
        by: "shop".to_owned(),
        payee: SHOP,
        currency: euro(),
        amount: amount(minor),
        reference: Reference([7; 32]),
    }
}

fn lock() -> Lock {
    let mandate = SigningKey::ed25519_from_seed(&[8; 32]).public_key();
    Lock { mandate, payment_max: None, payees: vec![], unlock_delay: DurationMs::minutes(60) }
}

fn reserve(place: u8, minor: u64) -> Available {
    Available {
        id: ReserveId([place; 32]),
        currency: euro(),
        amount: amount(minor),
        lock: lock(),
        expiry: None,
        unlock_at: None,
    }
}

fn decided(
    holder: &Holder,
    claims: &PaymentClaims,
    asked: &Asked,
    available: &[Available],
) -> Result<Authorization, Reason> {
    let limits = Limits { unbound_max: amount(5000) };
    decide([9; 32], holder, claims, asked, &limits, available, NOW)
}

fn reserves() -> Vec<Available> {
    vec![reserve(1, 2000), reserve(2, 1000), reserve(3, 500)]
}

#[test]
fn a_payment_holds_the_reserves_that_fit_and_reserves_the_change_again() {
    let made = decided(&holder(), &claims(None), &asked(1230), &reserves()).unwrap();
    assert_eq!(made.reserves, [ReserveId([2; 32]), ReserveId([3; 32])]);
    assert_eq!(made.change, Some(amount(270)));
    assert_eq!(
        Authorization::from_bytes(&made.to_bytes(), AUTHORIZATION_BYTES_MAX),
        Ok(made.clone())
    );
    let body = settlement::remittance(&made, NetworkId([0; 32]), Salt([0; 16]), NOW);
    assert_eq!((body.account, body.check()), (ACCOUNT, Ok(())));
    let Action::Remit { reopen, .. } = body.action else { unreachable!() };
    assert_eq!(reopen, [amount(270)]);
    let exact = decided(&holder(), &claims(None), &asked(1500), &reserves()).unwrap();
    assert_eq!(exact.change, None);
}

#[test]
fn what_may_not_be_paid_is_refused_in_a_fixed_order() {
    let refused = |holder: &Holder, claims: &PaymentClaims, asked: &Asked| {
        decided(holder, claims, asked, &reserves()).err()
    };
    let unlinked = Holder { link: None, ..holder() };
    assert_eq!(refused(&unlinked, &claims(None), &asked(1)), Some(Reason::AccountNotLinked));
    let foreign = PaymentClaims { account_token: "other".to_owned(), ..claims(None) };
    assert_eq!(refused(&holder(), &foreign, &asked(1)), Some(Reason::TokenUnknown));
    let blocked = Holder { blocked: true, ..holder() };
    assert_eq!(refused(&blocked, &claims(None), &asked(1)), Some(Reason::TokenBlocked));
    assert_eq!(refused(&holder(), &claims(None), &asked(0)), Some(Reason::AmountZero));
    assert_eq!(refused(&holder(), &claims(None), &asked(5001)), Some(Reason::CodeLimitExceeded));
    let bound = claims(Some((euro(), amount(700))));
    assert_eq!(refused(&holder(), &bound, &asked(701)), Some(Reason::AmountDiffers));
    assert_eq!(refused(&holder(), &bound, &asked(700)), None);
    let dollars = claims(Some((CurrencyCode::new("USD").unwrap(), amount(700))));
    assert_eq!(refused(&holder(), &dollars, &asked(700)), Some(Reason::CurrencyMismatch));
    assert_eq!(refused(&holder(), &claims(None), &asked(3501)), Some(Reason::NoReserveFits));
    let large = claims(Some((euro(), amount(5001))));
    assert_eq!(refused(&holder(), &large, &asked(5001)), Some(Reason::NoReserveFits));
}

#[test]
fn reserves_whose_terms_forbid_the_payment_are_not_held() {
    let one = |change: &dyn Fn(&mut Available)| {
        let mut reserve = reserve(1, 2000);
        change(&mut reserve);
        decided(&holder(), &claims(None), &asked(1000), &[reserve]).err()
    };
    assert_eq!(one(&|_| {}), None);
    let none = Some(Reason::NoReserveFits);
    assert_eq!(one(&|r| r.currency = CurrencyCode::new("USD").unwrap()), none);
    assert_eq!(one(&|r| r.unlock_at = Some(TimeMs(1))), none);
    assert_eq!(one(&|r| r.expiry = Some(NOW)), none);
    assert_eq!(one(&|r| r.lock.payment_max = Some(amount(999))), none);
    assert_eq!(one(&|r| r.lock.payees = vec![ACCOUNT]), none);
    assert_eq!(one(&|r| r.lock.payees = vec![SHOP]), None);
    let mut other = reserve(2, 500);
    other.lock.unlock_delay = DurationMs::minutes(120);
    let mixed = decided(&holder(), &claims(None), &asked(1500), &[reserve(1, 1000), other]);
    assert_eq!(mixed.err(), none, "reserves of different terms do not go together");
}

fn keys() -> SoftwareKeyStore {
    let mut keys = SoftwareKeyStore::new(Unlock::Machine(&[1; 32]), &[0; 16]).unwrap();
    let (purpose, algorithm) = (KeyPurpose::SharedCode, KeyAlgorithm::HmacSha256);
    keys.import("shared", purpose, algorithm, &[9; 32]).unwrap();
    keys
}

fn request() -> DeviceRequest {
    DeviceRequest {
        key_id: SHARED,
        device_code: DeviceCode::from_tag(&[7; 32]),
        nonce: [1; 16],
        thumbprint: [2; 32],
        account_digest: account_digest(&ACCOUNT, &[1; 16]),
        device_name: "phone".to_owned(),
        expiry: NOW.after(DurationMs::minutes(10)),
    }
}

#[test]
fn a_request_is_shown_to_the_holder_whose_account_it_names() {
    let read = |text: &str, holder: &Holder, now| device_code::read(text, holder, SHARED, now);
    let text = request().to_text();
    assert_eq!(read(&text, &holder(), NOW), Ok(request()));
    assert_eq!(read("TLY1:", &holder(), NOW), Err(Reason::PrefixUnknown));
    let link = Some(Link { account: SHOP, token: "token".to_owned() });
    let other = Holder { link, ..holder() };
    assert_eq!(read(&text, &other, NOW), Err(Reason::AccountMismatch));
    let unlinked = Holder { link: None, ..holder() };
    assert_eq!(read(&text, &unlinked, NOW), Err(Reason::AccountNotLinked));
    let foreign = DeviceRequest { key_id: SharedKeyId(*b"shared-2"), ..request() }.to_text();
    assert_eq!(read(&foreign, &holder(), NOW), Err(Reason::KeyIdUnknown));
    assert_eq!(read(&text, &holder(), request().expiry), Err(Reason::DeviceCodeExpired));
}

#[test]
fn a_denial_stays() {
    let decide = |before, decision| {
        device_code::decide(&keys(), "shared", &request(), before, decision, NOW)
    };
    let approved = decide(None, Decision::Approve).unwrap();
    assert_eq!(check(&keys(), "shared", &request(), &approved, NOW), Ok(Decision::Approve));
    assert!(decide(Some(Decision::Approve), Decision::Approve).is_ok());
    assert!(decide(Some(Decision::Approve), Decision::Deny).is_ok());
    let after_denial = decide(Some(Decision::Deny), Decision::Approve);
    assert_eq!(after_denial.err(), Some(Reason::AuthorizationDenied));
}

#[test]
fn a_device_is_certified_for_its_own_credential_and_is_refused_once_revoked() {
    let device = SigningKey::p256_from_scalar(&[4; 32]).unwrap();
    let other = SigningKey::p256_from_scalar(&[5; 32]).unwrap();
    let provisioner = SigningKey::ed25519_from_seed(&[6; 32]);
    let credential = |account, key: PublicKey| {
        let (issued, expires) = (NOW, NOW.after(DurationMs::minutes(10)));
        let credential = Credential { account, device_key: key, issued, expires, id: [7; 16] };
        credential::make(&credential, &provisioner).unwrap()
    };
    let csr = tallystick_proofs::certificate_request::make("token", &device).unwrap();
    let certifiable = |csr: &[u8], credential: &[u8], proven: &SigningKey| {
        let (proven, by) = (proven.public_key(), provisioner.public_key());
        device_code::certifiable(csr, credential, &proven, &holder(), &by, NOW).map(|c| c.id)
    };
    let good = credential(ACCOUNT, device.public_key());
    assert_eq!(certifiable(&csr, &good, &device), Ok([7; 16]));
    assert_eq!(certifiable(&csr, &good, &other), Err(Reason::DeviceMismatch));
    let foreign = credential(ACCOUNT, other.public_key());
    assert_eq!(certifiable(&csr, &foreign, &device), Err(Reason::DeviceMismatch));
    let elsewhere = credential(SHOP, device.public_key());
    assert_eq!(certifiable(&csr, &elsewhere, &device), Err(Reason::AccountMismatch));
    assert_eq!(certifiable(b"none", &good, &device), Err(Reason::RequestMalformed));

    let authority = SigningKey::p256_from_scalar(&[8; 32]).unwrap();
    let signer: &dyn Signer = &authority;
    let root = certificate_authority::root("Test bank", [1; 16], NOW, signer).unwrap();
    let root = X509Certificate::read(&root).unwrap();
    let key = device.public_key();
    let made = certificate_authority::device(
        "token",
        &key,
        HolderId([1; 32]),
        &root,
        [2; 16],
        NOW,
        signer,
    );
    let made = made.unwrap();
    let anchors = TrustAnchors::read(&[root.der()]).unwrap();
    let policy = ChainPolicy { now: NOW, skew: DurationMs(0), leaf_usage_required: true };
    let chain = ValidChain::validate(std::slice::from_ref(&made.der), &anchors, policy).unwrap();
    let judged = |revoked: &[(Vec<u8>, TimeMs)]| {
        let list = certificate_authority::revocation_list(&root, revoked, NOW, signer).unwrap();
        let list = RevocationList::read(&list).unwrap();
        chain.check_revocation(&[list], NOW, DurationMs(0))
    };
    assert_eq!(judged(&[]), Ok(()));
    assert_eq!(judged(&[(made.serial.clone(), NOW)]), Err(Reason::Revoked));
    let stored = certificate_authority::DeviceCertificate::from_bytes(&made.to_bytes(), 20_000);
    assert_eq!(stored, Ok(made));
}
