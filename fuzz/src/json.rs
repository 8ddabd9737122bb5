//! What HTTP clients send: JSON bodies, proofs of possession, cursors.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tallystick_api::{Bytes, dpop, issuer, json, merchant, node, provisioner};
use tallystick_crypto::standard_signature::StandardKey;
use tallystick_kernel::{AccountId, Reason};

use crate::samples;
use crate::targets::{Read, Target};

/// Bytes of a body here at most; the servers' own bound is larger.
const BODY_MAX: usize = 8 * 1024;
const URL: &str = "https://issuer.example/v1/authorizations";

/// Every target of this module.
pub fn targets() -> Vec<Target> {
    let account = AccountId([4; 32]).to_string();
    let money = r#""currency":"EUR","amount":"1234""#;
    let reference = tallystick_kernel::Reference([5; 32]);
    let submit = r#"{"transactions":["AQID",""]}"#.to_owned();
    let link = format!(r#"{{"account":"{account}","key":"tlyk1","signature":"AAEC"}}"#);
    let funding = format!(r#"{{"holder":"ada",{money}}}"#);
    let authorization =
        format!(r#"{{"code":"TLY1:ABC","payee":"{account}",{money},"reference":"{reference}"}}"#);
    let charge = format!(r#"{{"code":"TLY1:ABC",{money},"order":"order 7"}}"#);
    let provisioning = format!(
        r#"{{"account":"{account}","device_kind":"phone","device_digest":"AAEC","nonce":"AAEC",
        "sealing_key":"AAEC","device_name":"Ada's phone"}}"#
    );
    let named = r#"{"name":"ada","password":"a long password"}"#.to_owned();
    vec![
        body("json submit", submit, again::<node::SubmitRequest>),
        body("json holder", named.clone(), again::<issuer::HolderRequest>),
        body("json session", named, again::<issuer::SessionRequest>),
        body("json link", link, again::<issuer::LinkRequest>),
        body("json funding", funding, again::<issuer::FundingRequest>),
        body(
            "json device",
            r#"{"request":"TLYD1:A"}"#.to_owned(),
            again::<issuer::DeviceAuthorizationRequest>,
        ),
        body(
            "json certificate",
            r#"{"request":"AAEC","credential":"AAEC"}"#.to_owned(),
            again::<issuer::CertificateRequest>,
        ),
        body("json authorization", authorization, again::<issuer::AuthorizationRequest>),
        body("json charge", charge, again::<merchant::ChargeRequest>),
        body("json provisioning", provisioning, again::<provisioner::ProvisioningRequest>),
        body(
            "json authorization code",
            r#"{"authorization_code":"BCDF-GHJK"}"#.to_owned(),
            again::<provisioner::AuthorizationCodeRequest>,
        ),
        body("cursor", Bytes::encode(&[1; 41]), |it| {
            let Ok(text) = core::str::from_utf8(it) else { return Read::Refused };
            match Bytes::decode(text) {
                Ok(bytes) if Bytes::encode(&bytes.0) != text => {
                    Read::Differs("accepts what it does not write".to_owned())
                }
                Ok(_) => Read::Same,
                Err(_) => Read::Refused,
            }
        }),
        body("proof of possession", proof(), read_proof),
    ]
}

fn body(name: &'static str, seed: String, read: fn(&[u8]) -> Read) -> Target {
    let seeds = vec![seed.into_bytes()];
    Target { name, seeds, bytes_max: BODY_MAX, allocates: 64 * 1024, read }
}

/// Reads a body, writes it, and reads that as the same.
fn again<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Read {
    let Ok(value) = json::read::<T>(bytes) else { return Read::Refused };
    let written = json::write(&value);
    match json::read::<T>(&written) {
        Ok(value) if json::write(&value) == written => Read::Same,
        _ => Read::Differs("does not read what it writes".to_owned()),
    }
}

fn target_of_proof() -> dpop::Target<'static> {
    dpop::Target { method: "POST", url: URL, access_token: Some("token") }
}

fn proof() -> String {
    // The uncompressed point of the key, as SEC 1 writes it; a proof that verifies needs no more.
    let key = crate::targets::device_key();
    let point = StandardKey::from(&key.public_key()).to_uncompressed();
    let made = point.and_then(|point| point.try_into().map_err(|_| Reason::KeyMalformed));
    let made = made.and_then(|point| {
        let sign = |input: &[u8]| Ok::<[u8; 64], Reason>(key.sign(input).0);
        dpop::make(&point, target_of_proof(), "a-new-identifier", samples::START, sign)
    });
    match made {
        Ok(proof) => proof,
        Err(reason) => unreachable!("the sample is right: {reason}"),
    }
}

fn read_proof(bytes: &[u8]) -> Read {
    let Ok(text) = core::str::from_utf8(bytes) else { return Read::Refused };
    match dpop::verify(text, target_of_proof(), samples::START) {
        Ok(proof) if proof.jti.is_empty() => Read::Differs("names nothing".to_owned()),
        Ok(_) => Read::Same,
        Err(_) => Read::Refused,
    }
}
