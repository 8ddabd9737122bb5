//! DPoP: proof of possession of a device key, one proof for each request (RFC 9449).
//!
//! Invariants: nothing here reads a clock or keeps state: `now` comes in, and the caller MUST hand
//! [`Proof::jti`] to its replay window and refuse a second sight. Only ES256 is accepted.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};
use tallystick_kernel::hash::sha256;
use tallystick_kernel::limits::{CERTIFICATE_SKEW, REPLAY_SLACK};
use tallystick_kernel::{Digest, Reason, TimeMs};

use crate::json::{self, Bytes};

/// The header that carries a proof.
pub const DPOP_HEADER: &str = "DPoP";

/// A P-256 public key as an uncompressed point (SEC 1 section 2.3.3): `04 || x || y`.
pub type PublicPoint = [u8; 65];

/// What a proof is about.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The HTTP method, upper case.
    pub method: &'a str,
    /// The address; query and fragment do not count (RFC 9449 section 4.2, `htu`).
    pub url: &'a str,
    /// The session token that the request also carries.
    pub access_token: Option<&'a str>,
}

/// A proof that verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The device's public key.
    pub public_point: PublicPoint,
    /// The key's thumbprint (RFC 7638).
    pub thumbprint: Digest,
    /// Unique for each request; the caller MUST remember it until `remember_until`.
    pub jti: String,
    /// From then on the proof is refused for its age.
    pub remember_until: TimeMs,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwk {
    kty: String,
    crv: String,
    x: Bytes,
    y: Bytes,
}

#[derive(Serialize, Deserialize)]
struct ProofHeader {
    typ: String,
    alg: String,
    jwk: Jwk,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ath: Option<Bytes>,
}

/// Makes a proof. `sign` is given the JWS signing input and returns the 64 bytes `r || s` of an
/// ES256 signature by the key of `public_point`; `jti` must be new, from at least 12 random bytes.
///
/// Returns what `sign` returns, and [`Reason::KeyMalformed`] for a point that is not uncompressed.
pub fn make(
    public_point: &PublicPoint,
    target: Target<'_>,
    jti: &str,
    now: TimeMs,
    sign: impl FnOnce(&[u8]) -> Result<[u8; 64], Reason>,
) -> Result<String, Reason> {
    let header = ProofHeader {
        typ: TYPE.to_owned(),
        alg: ALGORITHM.to_owned(),
        jwk: Jwk::from_point(public_point)?,
        crit: None,
    };
    let claims = Claims {
        jti: jti.to_owned(),
        htm: target.method.to_owned(),
        htu: without_query(target.url).to_owned(),
        iat: now.unix_seconds(),
        ath: target.access_token.map(|token| Bytes(sha256(token.as_bytes()).to_vec())),
    };
    let input = format!(
        "{}.{}",
        Bytes::encode(&json::write(&header)),
        Bytes::encode(&json::write(&claims))
    );
    let signature = sign(input.as_bytes())?;
    Ok(format!("{input}.{}", Bytes::encode(&signature)))
}

/// Verifies a proof (the checks of RFC 9449 section 4.3, but for the replay window).
///
/// Every failure is [`Reason::ProofOfPossession`]: what exactly is wrong helps nobody but an
/// attacker. `target.url` is the server's own public address and path, not what the request says.
pub fn verify(proof: &str, target: Target<'_>, now: TimeMs) -> Result<Proof, Reason> {
    check(proof, target, now).ok_or(Reason::ProofOfPossession)
}

/// The thumbprint of a key (RFC 7638 section 3): SHA-256 over its required members in
/// lexicographic order.
pub fn thumbprint(public_point: &PublicPoint) -> Digest {
    let (x, y) = (Bytes::encode(&public_point[1..33]), Bytes::encode(&public_point[33..]));
    sha256(format!(r#"{{"crv":"{CURVE}","kty":"{KEY_TYPE}","x":"{x}","y":"{y}"}}"#).as_bytes())
}

fn check(proof: &str, target: Target<'_>, now: TimeMs) -> Option<Proof> {
    if proof.len() > PROOF_CHARS_MAX {
        return None;
    }
    let (input, signature) = proof.rsplit_once('.')?;
    let (header, claims) = input.split_once('.')?;
    let header: ProofHeader = json::read(&Bytes::decode(header).ok()?.0).ok()?;
    let claims: Claims = json::read(&Bytes::decode(claims).ok()?.0).ok()?;
    if header.typ != TYPE || header.alg != ALGORITHM || header.crit.is_some() {
        return None;
    }
    let public_point = header.jwk.point()?;
    let key = DecodingKey::from_ec_der(&public_point);
    let verified =
        jsonwebtoken::crypto::verify(signature, input.as_bytes(), &key, Algorithm::ES256);
    if !verified.unwrap_or(false) {
        return None;
    }
    let same_target = claims.htm == target.method && same_address(&claims.htu, target.url);
    let issued = TimeMs(claims.iat.checked_mul(1000)?);
    let in_time = issued <= now.after(CERTIFICATE_SKEW) && now <= issued.after(CERTIFICATE_SKEW);
    let expected = target.access_token.map(|token| sha256(token.as_bytes()));
    let same_token = match (&expected, &claims.ath) {
        (Some(expected), Some(Bytes(given))) => given == expected,
        (None, _) => true,
        (Some(_), None) => false,
    };
    let usable_jti = (JTI_CHARS_MIN..=JTI_CHARS_MAX).contains(&claims.jti.len());
    (same_target && in_time && same_token && usable_jti).then(|| Proof {
        thumbprint: thumbprint(&public_point),
        public_point,
        jti: claims.jti,
        remember_until: issued.after(CERTIFICATE_SKEW).after(REPLAY_SLACK),
    })
}

impl Jwk {
    fn from_point(point: &PublicPoint) -> Result<Jwk, Reason> {
        if point[0] != UNCOMPRESSED {
            return Err(Reason::KeyMalformed);
        }
        Ok(Jwk {
            kty: KEY_TYPE.to_owned(),
            crv: CURVE.to_owned(),
            x: Bytes(point[1..33].to_vec()),
            y: Bytes(point[33..].to_vec()),
        })
    }

    fn point(&self) -> Option<PublicPoint> {
        if self.kty != KEY_TYPE || self.crv != CURVE || self.x.0.len() != 32 {
            return None;
        }
        [&[UNCOMPRESSED], self.x.0.as_slice(), &self.y.0].concat().try_into().ok()
    }
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// Scheme and host are compared without case (RFC 3986 section 6.2.2.1), the path exactly.
fn same_address(one: &str, two: &str) -> bool {
    let parts = |url| {
        let (scheme, rest) = without_query(url).split_once("://")?;
        let path_start = rest.find('/').unwrap_or(rest.len());
        Some((scheme, rest.split_at(path_start)))
    };
    match (parts(one), parts(two)) {
        (Some((scheme, (host, path))), Some((other_scheme, (other_host, other_path)))) => {
            scheme.eq_ignore_ascii_case(other_scheme)
                && host.eq_ignore_ascii_case(other_host)
                && path == other_path
        }
        _ => false,
    }
}

const TYPE: &str = "dpop+jwt";
const ALGORITHM: &str = "ES256";
const KEY_TYPE: &str = "EC";
const CURVE: &str = "P-256";
const UNCOMPRESSED: u8 = 4;
const PROOF_CHARS_MAX: usize = 4096;
const JTI_CHARS_MIN: usize = 8;
const JTI_CHARS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    use super::*;

    const NOW: TimeMs = TimeMs(1_800_000_000_000);
    const URL: &str = "http://127.0.0.1:7401/v1/certificates";

    fn key() -> (EcdsaKeyPair, PublicPoint) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref().try_into().unwrap();
        (pair, point)
    }

    fn target(token: Option<&str>) -> Target<'_> {
        Target { method: "POST", url: URL, access_token: token }
    }

    fn signed(pair: &EcdsaKeyPair, input: &[u8]) -> [u8; 64] {
        pair.sign(&SystemRandom::new(), input).unwrap().as_ref().try_into().unwrap()
    }

    fn proof(token: Option<&str>) -> (String, PublicPoint) {
        let (pair, point) = key();
        let made =
            make(&point, target(token), "0123456789abcdef", NOW, |input| Ok(signed(&pair, input)));
        (made.unwrap(), point)
    }

    #[test]
    fn a_proof_verifies_for_its_own_request_only() {
        let (proof, point) = proof(Some("token"));
        let verified = verify(&proof, target(Some("token")), NOW).unwrap();
        assert_eq!(verified.public_point, point);
        assert_eq!(verified.jti, "0123456789abcdef");
        let refused = Err(Reason::ProofOfPossession);
        let with = |target| verify(&proof, target, NOW);
        let good = target(Some("token"));
        assert_eq!(with(Target { method: "GET", ..good }), refused);
        assert_eq!(with(Target { url: "http://127.0.0.1:7401/v1/fundings", ..good }), refused);
        assert_eq!(with(Target { url: "http://127.0.0.1:7402/v1/certificates", ..good }), refused);
        assert_eq!(with(Target { access_token: Some("other"), ..good }), refused);
        assert!(with(Target { url: "HTTP://127.0.0.1:7401/v1/certificates?x=1", ..good }).is_ok());
    }

    #[test]
    fn a_proof_is_accepted_for_a_minute_around_its_time_and_no_longer() {
        let (proof, _) = proof(None);
        for (ms, accepted) in [(60_000, true), (60_001, false)] {
            assert_eq!(verify(&proof, target(None), TimeMs(NOW.0 + ms)).is_ok(), accepted);
            assert_eq!(verify(&proof, target(None), TimeMs(NOW.0 - ms)).is_ok(), accepted);
        }
        let remembered = verify(&proof, target(None), NOW).unwrap().remember_until;
        assert!(remembered > TimeMs(NOW.0 + 60_000));
    }

    #[test]
    fn a_proof_without_the_tokens_hash_does_not_carry_a_token() {
        let (proof, _) = proof(None);
        assert!(verify(&proof, target(None), NOW).is_ok());
        assert_eq!(verify(&proof, target(Some("token")), NOW), Err(Reason::ProofOfPossession));
    }

    #[test]
    fn an_altered_proof_another_algorithm_and_a_private_key_in_the_header_are_refused() {
        let (pair, point) = key();
        let (x, y) = (Bytes::encode(&point[1..33]), Bytes::encode(&point[33..]));
        let make_with = |header: &str| {
            let claims = format!(
                r#"{{"jti":"0123456789","htm":"POST","htu":"{URL}","iat":{}}}"#,
                NOW.0 / 1000
            );
            let parts = [Bytes::encode(header.as_bytes()), Bytes::encode(claims.as_bytes())];
            let input = parts.join(".");
            let signature = Bytes::encode(&signed(&pair, input.as_bytes()));
            format!("{input}.{signature}")
        };
        let header = |typ: &str, alg: &str, more: &str| {
            format!(
                r#"{{"typ":"{typ}","alg":"{alg}","jwk":{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"{more}}}}}"#
            )
        };
        let is_ok = |header: &str| verify(&make_with(header), target(None), NOW).is_ok();
        assert!(is_ok(&header("dpop+jwt", "ES256", "")));
        assert!(!is_ok(&header("JWT", "ES256", "")));
        assert!(!is_ok(&header("dpop+jwt", "none", "")));
        assert!(!is_ok(&header("dpop+jwt", "HS256", "")));
        assert!(!is_ok(&header("dpop+jwt", "ES256", r#","d":"AAAA""#)));
        let good = make_with(&header("dpop+jwt", "ES256", ""));
        for place in [5, good.find('.').unwrap() + 5, good.len() - 5] {
            let mut bytes = good.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert!(verify(&altered, target(None), NOW).is_err(), "byte {place}");
        }
        for text in ["", ".", "..", "a.b.c", &"a".repeat(5000)] {
            assert_eq!(verify(text, target(None), NOW), Err(Reason::ProofOfPossession));
        }
    }

    #[test]
    fn the_proof_of_the_rfc_verifies_and_has_its_thumbprint() {
        // RFC 9449 section 4.1 (proof) and section 6.1 (jkt of the same key).
        let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4\
            dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpi\
            VFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZ\
            hY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiw\
            iaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0\
            x7NVY-FNyJK70nfbV37xRZT3Lg";
        let url = "https://server.example.com/token";
        let target = Target { method: "POST", url, access_token: None };
        let verified = verify(proof, target, TimeMs(1_562_262_616_000)).unwrap();
        assert_eq!(verified.jti, "-BwC3ESc6acc2lTc");
        let jkt = Bytes::encode(&verified.thumbprint);
        assert_eq!(jkt, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    }
}
