//! Decides `x509_code_chain`: codes that carry their certificates (RFC 9360, RFC 5280).

use serde_json::Value;
use tallystick_kernel::{DurationMs, Reason, TimeMs};
use tallystick_proofs::cose::{CoseSign1, Tags};
use tallystick_proofs::cwt::{Claims, Skew};
use tallystick_proofs::revocation_list::RevocationList;
use tallystick_proofs::x509_certificate::X509Certificate;
use tallystick_proofs::x509_chain::{ChainPolicy, TrustAnchors, ValidChain};

use super::decide::Decision;
use super::input::{byte_list, bytes, evaluation_time, outputs};

pub(super) fn decide(operation: &str, input: &Value) -> Decision {
    if operation != "cose_x5chain_verify" {
        return None;
    }
    let object = bytes(input, "cose")?;
    let mut anchors = byte_list(input, "trust_anchors_der")?;
    let now = evaluation_time(input)?;
    let lists = match input.get("crl_der_hex") {
        None | Some(Value::Null) => None,
        Some(_) => Some(byte_list(input, "crl_der")?),
    };
    // An anchor that cannot be read vouches for nothing and does no harm.
    anchors.retain(|der| X509Certificate::read(der).is_ok());
    let verified = verify(&object, &anchors, lists.as_deref(), now);
    Some(verified.map(|subject| outputs([("leaf_subject", Value::String(subject))])))
}

fn verify(
    object: &[u8],
    anchors: &[Vec<u8>],
    lists: Option<&[Vec<u8>]>,
    now: TimeMs,
) -> Result<String, Reason> {
    let none = DurationMs(0);
    let object = CoseSign1::read(object, Tags::Cwt)?;
    let chain = object.chain_anywhere()?.ok_or(Reason::ChainIncomplete)?;
    let anchors = TrustAnchors::read(anchors)?;
    let policy = ChainPolicy { now, skew: none, leaf_usage_required: false };
    let path = ValidChain::validate(&chain, &anchors, policy)?;
    let key = path.leaf().key();
    let algorithm = object.algorithm()?;
    if !algorithm.is_of_curve(key.curve()) {
        return Err(Reason::AlgorithmNotAllowed);
    }
    object.verify(key, algorithm, b"")?;
    // The payload is a code where it is a set of claims, and then its time counts.
    if let Ok(claims) = Claims::read(object.payload()?) {
        claims.check_time(now, Skew::NONE)?;
    }
    if let Some(lists) = lists {
        let lists: Vec<RevocationList> =
            lists.iter().map(|der| RevocationList::read(der)).collect::<Result<_, _>>()?;
        path.check_revocation(&lists, now, none)?;
    }
    Ok(path.leaf().subject_text())
}
