//! Decides `base45`: RFC 9285.

use serde_json::Value;
use tallystick_proofs::base45;

use super::decide::Decision;
use super::input::{outputs, text, upper_hex};

pub(super) fn decide(operation: &str, input: &Value) -> Decision {
    match operation {
        "base45_decode" => {
            let decoded = base45::decode(text(input, "text")?);
            Some(decoded.map(|bytes| outputs([("bytes_hex", upper_hex(&bytes))])))
        }
        _ => None,
    }
}
