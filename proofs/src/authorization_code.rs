//! Authorization codes: the issuer's decision about one request, carried by the holder.
//!
//! HMAC-SHA-256 under a key that issuer and provisioner share, over the decision, the request and a
//! bucket of five minutes, shown as twelve letters and a check letter. Invariants: a code says
//! approve or deny and cannot be turned into the other; it serves one request of one device for one
//! account; comparisons take the same time for every wrong code.

use core::fmt;
use core::str::FromStr;

use subtle::ConstantTimeEq;
use tallystick_crypto::KeyStore;
use tallystick_kernel::limits::{AUTHORIZATION_CODE_BUCKET, AUTHORIZATION_CODE_CHARS};
use tallystick_kernel::{Reason, TimeMs};

use crate::device_code::{ALPHABET, DeviceRequest, letters_of, read_letters, write_letters};

/// What the holder decided at the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The device may have the credential.
    Approve,
    /// It may not, now or later.
    Deny,
}

/// The code: twelve letters and a check letter, as places in the alphabet. A secret while it lasts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthorizationCode([u8; AUTHORIZATION_CODE_CHARS + 1]);

/// Makes the code for a decision at `now`, with the key `key_name` of `keys`. It is accepted from
/// now to the end of the next five-minute bucket.
///
/// Returns the reasons of [`KeyStore::tag`].
pub fn make(
    keys: &dyn KeyStore,
    key_name: &str,
    request: &DeviceRequest,
    decision: Decision,
    now: TimeMs,
) -> Result<AuthorizationCode, Reason> {
    made_in(keys, key_name, request, decision, bucket(now))
}

/// From when on the code that [`make`] gives at `now` is refused.
pub fn expiry(now: TimeMs) -> TimeMs {
    TimeMs((bucket(now) + 2) * AUTHORIZATION_CODE_BUCKET.0)
}

/// Tells what a code says about a request, if it was made in this bucket or the one before.
///
/// Returns [`Reason::AuthorizationCodeWrong`] for another device, account or request, an altered
/// or an expired code, and the reasons of [`KeyStore::tag`].
pub fn check(
    keys: &dyn KeyStore,
    key_name: &str,
    request: &DeviceRequest,
    code: &AuthorizationCode,
    now: TimeMs,
) -> Result<Decision, Reason> {
    let mut found = None;
    for bucket in [bucket(now), bucket(now).saturating_sub(1)] {
        for decision in [Decision::Approve, Decision::Deny] {
            let right = made_in(keys, key_name, request, decision, bucket)?;
            if bool::from(right.0.ct_eq(&code.0)) {
                found = Some(decision);
            }
        }
    }
    found.ok_or(Reason::AuthorizationCodeWrong)
}

fn made_in(
    keys: &dyn KeyStore,
    key_name: &str,
    request: &DeviceRequest,
    decision: Decision,
    bucket: u64,
) -> Result<AuthorizationCode, Reason> {
    let decision = match decision {
        Decision::Approve => b"approve".as_slice(),
        Decision::Deny => b"deny",
    };
    let tag = keys.tag(
        key_name,
        "tallystick/authorization-code/1",
        &[
            decision,
            &request.nonce,
            &request.thumbprint,
            request.device_code.places(),
            &request.account_digest,
            &bucket.to_be_bytes(),
            &request.key_id.0,
        ],
    )?;
    let letters = letters_of(&tag, AUTHORIZATION_CODE_CHARS);
    let mut code = [0; AUTHORIZATION_CODE_CHARS + 1];
    code[..AUTHORIZATION_CODE_CHARS].copy_from_slice(&letters);
    code[AUTHORIZATION_CODE_CHARS] = check_letter(&letters);
    Ok(AuthorizationCode(code))
}

fn bucket(now: TimeMs) -> u64 {
    now.0 / AUTHORIZATION_CODE_BUCKET.0
}

/// The check letter by the Luhn algorithm modulo 20: it tells every mistyped letter and nearly
/// every exchange of neighbours, before the code counts as a guess.
fn check_letter(letters: &[u8]) -> u8 {
    let base = ALPHABET.len() as u32;
    let sum: u32 = letters
        .iter()
        .rev()
        .enumerate()
        .map(|(at, letter)| {
            let weighted = u32::from(*letter) * if at % 2 == 0 { 2 } else { 1 };
            weighted / base + weighted % base
        })
        .sum();
    ((base - sum % base) % base) as u8
}

impl fmt::Display for AuthorizationCode {
    /// Groups of four, then the check letter.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_letters(&self.0, 4, formatter)
    }
}

impl FromStr for AuthorizationCode {
    type Err = Reason;

    /// [`Reason::AuthorizationCodeMalformed`] for other letters or a check letter that does not fit.
    fn from_str(text: &str) -> Result<AuthorizationCode, Reason> {
        let places: [u8; AUTHORIZATION_CODE_CHARS + 1] =
            read_letters(text.trim(), Reason::AuthorizationCodeMalformed)?;
        match places.split_last() {
            Some((check, letters)) if check_letter(letters) == *check => {
                Ok(AuthorizationCode(places))
            }
            _ => Err(Reason::AuthorizationCodeMalformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use tallystick_crypto::SoftwareKeyStore;
    use tallystick_crypto::key_store::{KeyAlgorithm, KeyPurpose};
    use tallystick_crypto::software_key_store::Unlock;
    use tallystick_kernel::AccountId;

    use super::*;
    use crate::device_code::{DeviceCode, SharedKeyId, account_digest};

    const NOW: TimeMs = TimeMs(1_800_000_100_000);

    fn keys(secret: u8) -> SoftwareKeyStore {
        let mut keys = SoftwareKeyStore::new(Unlock::Machine(&[1; 32]), &[0; 16]).unwrap();
        let (purpose, algorithm) = (KeyPurpose::SharedCode, KeyAlgorithm::HmacSha256);
        keys.import("shared", purpose, algorithm, &[secret; 32]).unwrap();
        keys
    }

    fn request(device: u64) -> DeviceRequest {
        let mut thumbprint = [0; 32];
        thumbprint[..8].copy_from_slice(&device.to_be_bytes());
        DeviceRequest {
            key_id: SharedKeyId(*b"shared-1"),
            device_code: DeviceCode::from_tag(&[7; 32]),
            nonce: [1; 16],
            thumbprint,
            account_digest: account_digest(&AccountId([3; 32]), &[1; 16]),
            device_name: "phone".to_owned(),
            expiry: NOW,
        }
    }

    fn says(
        request: &DeviceRequest,
        code: &AuthorizationCode,
        now: TimeMs,
    ) -> Result<Decision, Reason> {
        check(&keys(9), "shared", request, code, now)
    }

    #[test]
    fn a_code_says_what_was_decided_about_this_request_and_no_other() {
        let right = request(1);
        for decision in [Decision::Approve, Decision::Deny] {
            let code = make(&keys(9), "shared", &right, decision, NOW).unwrap();
            assert_eq!(says(&right, &code, NOW), Ok(decision));
            let wrong = Err(Reason::AuthorizationCodeWrong);
            assert_eq!(check(&keys(8), "shared", &right, &code, NOW), wrong);
            let others = [
                request(2),
                DeviceRequest { nonce: [2; 16], ..right.clone() },
                DeviceRequest { device_code: DeviceCode::from_tag(&[8; 32]), ..right.clone() },
                DeviceRequest { account_digest: [0; 32], ..right.clone() },
                DeviceRequest { key_id: SharedKeyId(*b"shared-2"), ..right.clone() },
            ];
            for other in others {
                assert_eq!(says(&other, &code, NOW), wrong, "{other:?}");
            }
        }
    }

    #[test]
    fn a_code_ends_with_the_bucket_after_its_own() {
        let code = make(&keys(9), "shared", &request(1), Decision::Approve, NOW).unwrap();
        let end = expiry(NOW);
        assert!(end > NOW.after(AUTHORIZATION_CODE_BUCKET));
        assert_eq!(says(&request(1), &code, TimeMs(end.0 - 1)), Ok(Decision::Approve));
        assert_eq!(says(&request(1), &code, end), Err(Reason::AuthorizationCodeWrong));
        let before = TimeMs(bucket(NOW) * AUTHORIZATION_CODE_BUCKET.0 - 1);
        assert_eq!(says(&request(1), &code, before), Err(Reason::AuthorizationCodeWrong));
    }

    #[test]
    fn a_mistyped_letter_is_told_from_a_wrong_code() {
        let code = make(&keys(9), "shared", &request(1), Decision::Approve, NOW).unwrap();
        let shown = code.to_string();
        assert_eq!(shown.len(), 16);
        assert!(shown.to_lowercase().parse() == Ok(code));
        let malformed = Err(Reason::AuthorizationCodeMalformed);
        for at in 0..shown.len() {
            let mut typed = shown.clone().into_bytes();
            if typed[at] == b'-' {
                continue;
            }
            for letter in ALPHABET.iter().filter(|letter| **letter != shown.as_bytes()[at]) {
                typed[at] = *letter;
                let typed = String::from_utf8(typed.clone()).unwrap();
                assert!(typed.parse::<AuthorizationCode>() == malformed, "{typed}");
            }
        }
        assert!("BCDF".parse::<AuthorizationCode>() == malformed);
    }

    /// At full length a foreign code is never accepted; cut to 16 bits it is at a rate of 2^-16 for
    /// each comparison, which shows that the trial can fail.
    #[test]
    fn a_code_for_another_device_is_accepted_as_rarely_as_its_length_promises() {
        const TRIALS: u64 = 262_144;
        let keys = keys(9);
        let short = |code: &AuthorizationCode| {
            code.0
                .iter()
                .fold(0_u64, |sum, place| sum.wrapping_mul(31) + u64::from(*place) + 1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                >> 48
        };
        let right = made_in(&keys, "shared", &request(0), Decision::Approve, bucket(NOW)).unwrap();
        let (mut full, mut cut) = (0, 0);
        for device in 1..=TRIALS {
            let other = request(device);
            let made = made_in(&keys, "shared", &other, Decision::Approve, bucket(NOW)).unwrap();
            full += u64::from(made == right);
            cut += u64::from(short(&made) == short(&right));
        }
        assert_eq!(full, 0);
        // Expected 4; outside 0 and 16 lies less than one run in ten million.
        assert!((1..=16).contains(&cut), "{cut} of {TRIALS}");
    }
}
