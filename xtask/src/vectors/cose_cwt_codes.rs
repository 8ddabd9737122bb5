//! Decides `cose_cwt_codes`: COSE_Sign1 (RFC 9052), CWT (RFC 8392) and codes made of them.

use serde_json::{Map, Value};
use tallystick_crypto::standard_signature::StandardKey;
use tallystick_kernel::{Reason, TimeMs};
use tallystick_proofs::cose::{Algorithm, CoseSign1, Tags};
use tallystick_proofs::cwt::{Claims, Skew};
use tallystick_proofs::foreign_cbor::Value as Cbor;
use tallystick_proofs::payment_code::unpack;

use super::decide::Decision;
use super::input::{bytes, evaluation_time, outputs, public_jwk, text, upper_hex};

pub(super) fn decide(operation: &str, input: &Value) -> Decision {
    let key = match public_jwk(input)? {
        Ok(key) => key,
        Err(reason) => return Some(Err(reason)),
    };
    match operation {
        "cose_sign1_verify" => {
            let external = bytes(input, "external_aad")?;
            let verified = cose_sign1_verify(&bytes(input, "cose")?, &key, &external);
            Some(verified.map(|payload| outputs([("payload_hex", upper_hex(&payload))])))
        }
        "cwt_verify" => {
            let algorithm = Algorithm::from_name(text(input, "alg")?).ok()?;
            let now = evaluation_time(input)?;
            let claims = cwt_verify(&bytes(input, "cose")?, &key, algorithm, now);
            Some(claims.map(|claims| outputs([("claims", claims_json(&claims))])))
        }
        "signed_code_verify" => {
            let code = Code {
                text: text(input, "text")?,
                prefix: text(input, "prefix")?,
                key_id: &bytes(input, "kid")?,
                algorithm: Algorithm::from_name(text(input, "alg")?).ok()?,
                now: evaluation_time(input)?,
            };
            Some(code.verify(&key))
        }
        _ => None,
    }
}

/// Any COSE_Sign1: the algorithm may stand in either bucket, where it goes with the key.
fn cose_sign1_verify(object: &[u8], key: &StandardKey, external: &[u8]) -> Result<Vec<u8>, Reason> {
    let object = CoseSign1::read(object, Tags::Optional)?;
    object.verify(key, object.algorithm_anywhere()?, external)?;
    object.payload().map(<[u8]>::to_vec)
}

/// A CWT. Its `nbf` is judged only where it lies before `exp`: python-cwt stamps it with the clock
/// of the machine that makes the token, and the recorded tokens, which are to be judged at another
/// time, would by the letter of RFC 8392 be valid at none.
fn cwt_verify(
    object: &[u8],
    key: &StandardKey,
    algorithm: Algorithm,
    now: TimeMs,
) -> Result<Claims, Reason> {
    let object = CoseSign1::read(object, Tags::Cwt)?;
    check_algorithm(&object, algorithm)?;
    object.verify(key, algorithm, b"")?;
    let claims = Claims::read(object.payload()?)?;
    if claims.is_never_valid() {
        claims.check_lifetime(now, Skew::NONE)?;
    } else {
        claims.check_time(now, Skew::NONE)?;
    }
    Ok(claims)
}

struct Code<'a> {
    text: &'a str,
    prefix: &'a str,
    key_id: &'a [u8],
    algorithm: Algorithm,
    now: TimeMs,
}

impl Code<'_> {
    /// A code of others: as ours, but for the prefix, the claims, and a key id in either bucket.
    fn verify(&self, key: &StandardKey) -> Result<Map<String, Value>, Reason> {
        let object = CoseSign1::read(&unpack(self.text, self.prefix)?, Tags::Cwt)?;
        check_algorithm(&object, self.algorithm)?;
        if object.key_id_anywhere() != Some(self.key_id) {
            return Err(Reason::KeyUnknown);
        }
        object.verify(key, self.algorithm, b"")?;
        let payload = object.payload()?;
        let claims = Claims::read(payload)?;
        claims.expiry()?;
        claims.check_time(self.now, Skew::NONE)?;
        Ok(outputs([("claims_cbor_hex", upper_hex(payload)), ("claims", claims_json(&claims))]))
    }
}

fn check_algorithm(object: &CoseSign1, registered: Algorithm) -> Result<(), Reason> {
    if object.algorithm()? == registered { Ok(()) } else { Err(Reason::AlgorithmNotAllowed) }
}

fn claims_json(claims: &Claims) -> Value {
    map_json(claims.entries())
}

fn map_json(entries: &[(Cbor, Cbor)]) -> Value {
    let name = |key: &Cbor| match json(key) {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Value::Object(entries.iter().map(|(key, value)| (name(key), json(value))).collect())
}

/// CBOR as the vectors show it: bytes in upper-case hexadecimal, keys as text.
fn json(value: &Cbor) -> Value {
    match value {
        Cbor::Integer(number) => {
            let number = i128::from(*number);
            let unsigned = u64::try_from(number).map(Value::from);
            let signed = || i64::try_from(number).map(Value::from);
            unsigned.or_else(|_| signed()).unwrap_or_else(|_| Value::String(number.to_string()))
        }
        Cbor::Bytes(bytes) => upper_hex(bytes),
        Cbor::Text(text) => Value::String(text.clone()),
        Cbor::Float(number) => Value::from(*number),
        Cbor::Bool(truth) => Value::Bool(*truth),
        Cbor::Array(items) => Value::Array(items.iter().map(json).collect()),
        Cbor::Map(entries) => map_json(entries),
        Cbor::Tag(_, item) => json(item),
        _ => Value::Null,
    }
}
