//! Device codes: what the holder carries from the provisioner to the issuer.
//!
//! A code is nine letters of the base-20 alphabet of RFC 8628 section 6.1, short enough to be
//! typed. The request text carries the code with all that the issuer must know, so that the two
//! need no connection: `TLYP1:` || Base45( canonical CBOR ). Invariant: neither holds the raw
//! identifier of a device or an account.

use core::fmt;
use core::str::FromStr;

use tallystick_crypto::hmac;
use tallystick_kernel::limits::DEVICE_CODE_CHARS;
use tallystick_kernel::shown_text::is_shown;
use tallystick_kernel::{AccountId, Codec, Digest, LabelledHash, Reader, Reason, TimeMs, Writer};

use crate::base45;

/// What every request text starts with.
pub const REQUEST_PREFIX: &str = "TLYP1:";
/// Letters that make no words and are hard to mistake (RFC 8628 section 6.1).
pub const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Bytes of a device's name for people at most.
pub const DEVICE_NAME_BYTES_MAX: usize = 64;
/// Characters of a request text at most.
pub const REQUEST_CHARS_MAX: usize = 1024;

/// Names the key that an issuer and a provisioner share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedKeyId(pub [u8; 8]);

/// A device code; places in [`ALPHABET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceCode([u8; DEVICE_CODE_CHARS]);

/// What the issuer must know to authorise a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// The key that the authorization code is to be made with.
    pub key_id: SharedKeyId,
    /// The device code.
    pub device_code: DeviceCode,
    /// The request's nonce, chosen by the wallet.
    pub nonce: [u8; 16],
    /// The thumbprint (RFC 7638) of the device's key.
    pub thumbprint: Digest,
    /// The account, as [`account_digest`] hides it.
    pub account_digest: Digest,
    /// A name for people.
    pub device_name: String,
    /// From when on the device code is refused.
    pub expiry: TimeMs,
}

/// The keyed digest of a device's identifier (a phone number, an IMEI, the id of a secure element):
/// what is sent instead of it, bound to the request by its nonce.
pub fn device_digest(kind: &str, identifier: &str, nonce: &[u8; 16]) -> Digest {
    hmac::tag(nonce, "tallystick/device-id/1", &[kind.as_bytes(), identifier.as_bytes()])
}

/// The digest of an account number bound to a request: both sides know the account, and whoever
/// carries the request text does not learn it.
pub fn account_digest(account: &AccountId, nonce: &[u8; 16]) -> Digest {
    LabelledHash::new("tallystick/account-digest/1").part(nonce).part(&account.0).finish()
}

impl DeviceCode {
    /// The code of a request, from a tag that only the provisioner can make over the device's
    /// digest and the nonce.
    pub fn from_tag(tag: &[u8; 32]) -> DeviceCode {
        let mut letters = [0; DEVICE_CODE_CHARS];
        letters.copy_from_slice(&letters_of(tag, DEVICE_CODE_CHARS));
        DeviceCode(letters)
    }

    /// The letters' places in the alphabet.
    pub fn places(&self) -> &[u8] {
        &self.0
    }
}

/// `count` letters from a tag, as places in the alphabet; below 2^-60 of bias for up to 13.
pub(crate) fn letters_of(tag: &[u8; 32], count: usize) -> Vec<u8> {
    let mut wide = [0; 16];
    wide.copy_from_slice(&tag[..16]);
    let mut rest = u128::from_be_bytes(wide);
    let letter = |_| {
        let place = (rest % 20) as u8;
        rest /= 20;
        place
    };
    (0..count).map(letter).collect()
}

/// Reads letters of the alphabet, in either case, with spaces and hyphens anywhere.
pub(crate) fn read_letters<const N: usize>(text: &str, refusal: Reason) -> Result<[u8; N], Reason> {
    let mut places = [0; N];
    let mut count = 0;
    for letter in text.bytes().filter(|letter| !matches!(letter, b' ' | b'-')) {
        let upper = letter.to_ascii_uppercase();
        let place = ALPHABET.iter().position(|known| *known == upper).ok_or(refusal)?;
        *places.get_mut(count).ok_or(refusal)? = place as u8;
        count += 1;
    }
    if count == N { Ok(places) } else { Err(refusal) }
}

/// Writes letters in groups of `group`, joined by hyphens.
pub(crate) fn write_letters(
    places: &[u8],
    group: usize,
    formatter: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (at, place) in places.iter().enumerate() {
        if at > 0 && at % group == 0 {
            formatter.write_str("-")?;
        }
        write!(formatter, "{}", char::from(ALPHABET[usize::from(*place) % ALPHABET.len()]))?;
    }
    Ok(())
}

impl fmt::Display for DeviceCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_letters(&self.0, 3, formatter)
    }
}

impl FromStr for DeviceCode {
    type Err = Reason;

    /// [`Reason::DeviceCodeUnknown`] for what is no device code at all.
    fn from_str(text: &str) -> Result<DeviceCode, Reason> {
        read_letters(text, Reason::DeviceCodeUnknown).map(DeviceCode)
    }
}

impl DeviceRequest {
    /// The text to carry.
    pub fn to_text(&self) -> String {
        format!("{REQUEST_PREFIX}{}", base45::encode(&self.to_bytes()))
    }

    /// Reads a text; spaces and line ends around it are ignored.
    ///
    /// Returns [`Reason::PrefixUnknown`], [`Reason::TooLarge`], [`Reason::Base45Malformed`], and
    /// the reasons of decoding.
    pub fn from_text(text: &str) -> Result<DeviceRequest, Reason> {
        // A space is a letter of Base45, but never the first after the prefix of version 1.
        let text = text.trim_matches(['\r', '\n', '\t']);
        let body = text.strip_prefix(REQUEST_PREFIX).ok_or(Reason::PrefixUnknown)?;
        if text.len() > REQUEST_CHARS_MAX {
            return Err(Reason::TooLarge);
        }
        DeviceRequest::from_bytes(&base45::decode(body)?, REQUEST_CHARS_MAX)
    }

    /// Names the request among all that an issuer sees.
    pub fn id(&self) -> Digest {
        LabelledHash::new("tallystick/device-request/1").part(&self.to_bytes()).finish()
    }
}

impl Codec for DeviceRequest {
    fn encode(&self, out: &mut Writer) {
        out.array(8).u64(REQUEST_VERSION).bytes(&self.key_id.0).bytes(&self.device_code.0);
        out.bytes(&self.nonce).bytes(&self.thumbprint).bytes(&self.account_digest);
        out.text(&self.device_name).value(&self.expiry);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(8)?;
        if input.u64()? != REQUEST_VERSION {
            return Err(Reason::VersionUnknown);
        }
        let key_id = SharedKeyId(input.byte_array()?);
        let places: [u8; DEVICE_CODE_CHARS] = input.byte_array()?;
        if places.iter().any(|place| usize::from(*place) >= ALPHABET.len()) {
            return Err(Reason::Malformed);
        }
        let shown = |name: &str| match is_shown(name) {
            true => Ok(name.to_owned()),
            false => Err(Reason::Malformed),
        };
        Ok(DeviceRequest {
            key_id,
            device_code: DeviceCode(places),
            nonce: input.byte_array()?,
            thumbprint: input.byte_array()?,
            account_digest: input.byte_array()?,
            device_name: shown(input.text(DEVICE_NAME_BYTES_MAX)?)?,
            expiry: TimeMs::decode(input)?,
        })
    }
}

impl Codec for DeviceCode {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        let places: [u8; DEVICE_CODE_CHARS] = input.byte_array()?;
        let known = places.iter().all(|place| usize::from(*place) < ALPHABET.len());
        if known { Ok(DeviceCode(places)) } else { Err(Reason::Malformed) }
    }
}

const REQUEST_VERSION: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> DeviceRequest {
        DeviceRequest {
            key_id: SharedKeyId(*b"shared-1"),
            device_code: DeviceCode::from_tag(&[7; 32]),
            nonce: [1; 16],
            thumbprint: [2; 32],
            account_digest: account_digest(&AccountId([3; 32]), &[1; 16]),
            device_name: "Ada's phone".to_owned(),
            expiry: TimeMs(1_800_000_000_000),
        }
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = request().device_code;
        let shown = code.to_string();
        assert_eq!(shown.len(), 11);
        for typed in [shown.clone(), shown.to_lowercase(), shown.replace('-', " ")] {
            assert_eq!(typed.parse(), Ok(code), "{typed}");
        }
        for wrong in ["", "BCD-FGH-JK", "BCD-FGH-JKLM", "BCD-FGH-JKA", "BCD-FGH-JK\u{e9}"] {
            assert_eq!(wrong.parse::<DeviceCode>(), Err(Reason::DeviceCodeUnknown), "{wrong}");
        }
    }

    #[test]
    fn a_request_is_read_back_and_nothing_else_is() {
        let text = request().to_text();
        assert_eq!(DeviceRequest::from_text(&text), Ok(request()));
        assert_eq!(DeviceRequest::from_text(&format!("{text}\n")), Ok(request()));
        assert_eq!(DeviceRequest::from_text(&text[1..]), Err(Reason::PrefixUnknown));
        let long = format!("{text}{}", "0".repeat(REQUEST_CHARS_MAX));
        assert_eq!(DeviceRequest::from_text(&long), Err(Reason::TooLarge));
        assert!(DeviceRequest::from_text(&text[..text.len() - 3]).is_err());
    }

    #[test]
    fn digests_depend_on_the_nonce_and_hide_what_they_are_of() {
        let account = AccountId([3; 32]);
        assert_ne!(account_digest(&account, &[1; 16]), account_digest(&account, &[2; 16]));
        let one = device_digest("imei", "490154203237518", &[1; 16]);
        assert_ne!(one, device_digest("imei", "490154203237518", &[2; 16]));
        assert_ne!(one, device_digest("phone", "490154203237518", &[1; 16]));
        assert_ne!(one, device_digest("imei", "490154203237519", &[1; 16]));
    }
}
