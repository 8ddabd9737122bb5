//! Decides `hpke_region_envelope`: HPKE base mode (RFC 9180).

use serde_json::Value;
use tallystick_crypto::hpke::{Aead, KDF_NUMBER, Kem, OpeningKey, Sealed};
use tallystick_kernel::Reason;

use super::decide::Decision;
use super::input::{bytes, number, outputs, upper_hex};

pub(super) fn decide(operation: &str, input: &Value) -> Decision {
    if operation != "hpke_base_open" || number(input, "kdf_id")? != KDF_NUMBER {
        return None;
    }
    let kem = Kem::from_number(number(input, "kem_id")?).ok()?;
    let aead = Aead::from_number(number(input, "aead_id")?).ok()?;
    let private = bytes(input, "recipient_private_key")?;
    let sealed =
        Sealed { encapsulated: bytes(input, "enc")?, ciphertext: bytes(input, "ciphertext")? };
    let (info, aad) = (bytes(input, "info")?, bytes(input, "aad")?);
    let opened = private_key(kem, &private)
        .and_then(|key| key.open(aead, &info, &aad, &sealed))
        .map(|plaintext| match core::str::from_utf8(&plaintext) {
            Ok(text) => outputs([
                ("plaintext_utf8", Value::from(text)),
                ("plaintext_hex", upper_hex(&plaintext)),
            ]),
            Err(_) => outputs([("plaintext_hex", upper_hex(&plaintext))]),
        });
    Some(opened)
}

/// A private key; P-256 scalars are numbers, whatever width they are written in.
fn private_key(kem: Kem, bytes: &[u8]) -> Result<OpeningKey, Reason> {
    let mut key = [0; 32];
    match kem {
        Kem::X25519 => {
            key = bytes.try_into().map_err(|_| Reason::KeyMalformed)?;
        }
        Kem::P256 => {
            let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
            let digits = &bytes[first..];
            let start = key.len().checked_sub(digits.len()).ok_or(Reason::KeyMalformed)?;
            key[start..].copy_from_slice(digits);
        }
    }
    OpeningKey::from_private_key(kem, &key)
}
