//! Reading the inputs and naming the outputs of vectors.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tallystick_crypto::standard_signature::{Curve, StandardKey};
use tallystick_kernel::{Reason, TimeMs, hex};

/// The text of a member; none when it is not there or no text.
pub(super) fn text<'a>(input: &'a Value, name: &str) -> Option<&'a str> {
    input.get(name)?.as_str()
}

/// The bytes of the member `name_hex`, or of the text `name_utf8`.
pub(super) fn bytes(input: &Value, name: &str) -> Option<Vec<u8>> {
    match text(input, &format!("{name}_hex")) {
        Some(digits) => hex::decode(digits).ok(),
        None => text(input, &format!("{name}_utf8")).map(|text| text.as_bytes().to_vec()),
    }
}

/// The list of byte strings of the member `name_hex`; a single one is a list of one.
pub(super) fn byte_list(input: &Value, name: &str) -> Option<Vec<Vec<u8>>> {
    let decode = |value: &Value| hex::decode(value.as_str()?).ok();
    match input.get(format!("{name}_hex"))? {
        Value::Array(list) => list.iter().map(decode).collect(),
        single => Some(vec![decode(single)?]),
    }
}

/// A registered number.
pub(super) fn number(input: &Value, name: &str) -> Option<u16> {
    input.get(name)?.as_u64().and_then(|number| number.try_into().ok())
}

/// The instant at which the vector is to be judged.
pub(super) fn evaluation_time(input: &Value) -> Option<TimeMs> {
    let seconds = input.get("evaluation_time_unix")?.as_u64()?;
    seconds.checked_mul(1000).map(TimeMs)
}

/// The key of `public_jwk` (RFC 7517, RFC 8037); none for kinds of keys that are not supported.
pub(super) fn public_jwk(input: &Value) -> Option<Result<StandardKey, Reason>> {
    let jwk = input.get("public_jwk")?;
    let coordinate = |name| {
        let digits = text(jwk, name).ok_or(Reason::KeyMalformed)?;
        URL_SAFE_NO_PAD.decode(digits).map_err(|_| Reason::KeyMalformed)
    };
    let point = |curve| {
        let (x, y) = (coordinate("x")?, coordinate("y")?);
        StandardKey::from_coordinates(curve, &x, &y)
    };
    match (text(jwk, "kty")?, text(jwk, "crv")?) {
        ("EC", "P-256") => Some(point(Curve::P256)),
        ("EC", "P-384") => Some(point(Curve::P384)),
        ("EC", "P-521") => Some(point(Curve::P521)),
        ("OKP", "Ed25519") => {
            Some(coordinate("x").and_then(|x| StandardKey::new(Curve::Ed25519, &x)))
        }
        _ => None,
    }
}

/// Upper-case hexadecimal, as the vectors write bytes.
pub(super) fn upper_hex(bytes: &[u8]) -> Value {
    Value::String(hex::encode(bytes).to_uppercase())
}

/// Outputs by name.
pub(super) fn outputs<const N: usize>(outputs: [(&str, Value); N]) -> Map<String, Value> {
    outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
