//! COSE_Sign1 (RFC 9052): one signature over protected headers and a payload.
//!
//! Invariants: `crit` is obeyed, no label stands twice (also not once protected and once not), the
//! payload is inside, and the algorithm is one that was registered for the key.

use coset::cbor::Value;
use coset::{ProtectedHeader, SignatureContext};
use tallystick_crypto::key_store::Signer;
use tallystick_crypto::standard_signature::{Curve, Hash, Scheme, StandardKey};
use tallystick_crypto::{PublicKey, Signature};
use tallystick_kernel::Reason;

use crate::foreign_cbor;

/// Bytes of a COSE object at most.
pub const COSE_BYTES_MAX: usize = 64 * 1024;
/// Certificates that an `x5chain` may hold.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;

/// A registered algorithm (RFC 9053 section 2, RFC 9864).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA with SHA-256, number -7.
    Es256,
    /// ECDSA with SHA-384, number -35.
    Es384,
    /// ECDSA with SHA-512, number -36.
    Es512,
    /// EdDSA, number -8.
    EdDsa,
    /// ECDSA on P-256 with SHA-256 and nothing else, number -9.
    Esp256,
    /// ECDSA on P-384 with SHA-384 and nothing else, number -51.
    Esp384,
    /// ECDSA on P-521 with SHA-512 and nothing else, number -52.
    Esp512,
    /// EdDSA on Ed25519 and nothing else, number -19.
    Ed25519,
}

/// Which CBOR tags may stand before the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// Tag 18 (COSE_Sign1) and no other.
    Sign1,
    /// Tag 18, or none where the context says what the object is (RFC 9052 section 2).
    Optional,
    /// As [`Tags::Optional`], and tag 61 (CWT) may precede tag 18 (RFC 8392 section 6).
    Cwt,
}

/// A COSE_Sign1 object whose form is right and whose signature is not yet verified.
#[derive(Clone, Debug, PartialEq)]
pub struct CoseSign1 {
    protected_bytes: Vec<u8>,
    protected: Vec<(Value, Value)>,
    unprotected: Vec<(Value, Value)>,
    payload: Option<Vec<u8>>,
    signature: Vec<u8>,
}

impl Algorithm {
    /// The registered number.
    pub const fn number(self) -> i64 {
        match self {
            Algorithm::Es256 => -7,
            Algorithm::Es384 => -35,
            Algorithm::Es512 => -36,
            Algorithm::EdDsa => -8,
            Algorithm::Esp256 => -9,
            Algorithm::Esp384 => -51,
            Algorithm::Esp512 => -52,
            Algorithm::Ed25519 => -19,
        }
    }

    /// The algorithm of a name in the IANA registry; [`Reason::AlgorithmNotAllowed`] for others.
    pub fn from_name(name: &str) -> Result<Algorithm, Reason> {
        let named = ALGORITHMS.iter().find(|(other, _)| *other == name);
        named.map(|(_, algorithm)| *algorithm).ok_or(Reason::AlgorithmNotAllowed)
    }

    /// The algorithm that goes with a key when nothing else was registered.
    pub const fn of_curve(curve: Curve) -> Algorithm {
        match curve {
            Curve::Ed25519 => Algorithm::EdDsa,
            Curve::P256 => Algorithm::Es256,
            Curve::P384 => Algorithm::Es384,
            Curve::P521 => Algorithm::Es512,
        }
    }

    /// Whether it is the algorithm of [`Algorithm::of_curve`], under its own name or the one of
    /// RFC 9864.
    pub fn is_of_curve(self, curve: Curve) -> bool {
        let full = match curve {
            Curve::Ed25519 => Algorithm::Ed25519,
            Curve::P256 => Algorithm::Esp256,
            Curve::P384 => Algorithm::Esp384,
            Curve::P521 => Algorithm::Esp512,
        };
        self == Algorithm::of_curve(curve) || self == full
    }

    /// The algorithm of a key of the ledger.
    pub const fn of_key(key: &PublicKey) -> Algorithm {
        match key {
            PublicKey::Ed25519(_) => Algorithm::EdDsa,
            PublicKey::P256(_) => Algorithm::Es256,
        }
    }

    fn from_value(value: &Value) -> Result<Algorithm, Reason> {
        let Value::Integer(number) = value else { return Err(Reason::AlgorithmNotAllowed) };
        let number = i128::from(*number);
        let known = ALGORITHMS.iter().find(|(_, other)| i128::from(other.number()) == number);
        known.map(|(_, algorithm)| *algorithm).ok_or(Reason::AlgorithmNotAllowed)
    }

    /// The scheme on `curve`, if the algorithm may be used there at all.
    fn scheme(self, curve: Curve) -> Result<Scheme, Reason> {
        let scheme = match self {
            Algorithm::Es256 => Scheme::Ecdsa(Hash::Sha256),
            Algorithm::Es384 => Scheme::Ecdsa(Hash::Sha384),
            Algorithm::Es512 => Scheme::Ecdsa(Hash::Sha512),
            Algorithm::Esp256 if curve == Curve::P256 => Scheme::Ecdsa(Hash::Sha256),
            Algorithm::Esp384 if curve == Curve::P384 => Scheme::Ecdsa(Hash::Sha384),
            Algorithm::Esp512 if curve == Curve::P521 => Scheme::Ecdsa(Hash::Sha512),
            Algorithm::EdDsa | Algorithm::Ed25519 => Scheme::EdDsa,
            _ => return Err(Reason::AlgorithmNotAllowed),
        };
        Ok(scheme)
    }
}

impl CoseSign1 {
    /// Reads an object.
    ///
    /// Returns the reasons of [`foreign_cbor::read`], [`Reason::CoseMalformed`] for a wrong tag or
    /// shape, and [`Reason::CriticalHeaderUnknown`].
    pub fn read(bytes: &[u8], tags: Tags) -> Result<CoseSign1, Reason> {
        let value = untag(foreign_cbor::read(bytes, COSE_BYTES_MAX)?, tags)?;
        let Value::Array(parts) = value else { return Err(Reason::CoseMalformed) };
        let parts: [Value; 4] = parts.try_into().map_err(|_| Reason::CoseMalformed)?;
        let [
            Value::Bytes(protected_bytes),
            Value::Map(unprotected),
            payload,
            Value::Bytes(signature),
        ] = parts
        else {
            return Err(Reason::CoseMalformed);
        };
        let payload = match payload {
            Value::Bytes(payload) => Some(payload),
            Value::Null => None,
            _ => return Err(Reason::CoseMalformed),
        };
        let protected = if protected_bytes.is_empty() {
            Vec::new()
        } else {
            match foreign_cbor::read(&protected_bytes, COSE_BYTES_MAX)? {
                Value::Map(entries) => entries,
                _ => return Err(Reason::CoseMalformed),
            }
        };
        let read = CoseSign1 { protected_bytes, protected, unprotected, payload, signature };
        read.check_labels()?;
        read.check_critical()?;
        Ok(read)
    }

    /// The payload; [`Reason::PayloadDetached`] when it is not inside.
    pub fn payload(&self) -> Result<&[u8], Reason> {
        self.payload.as_deref().ok_or(Reason::PayloadDetached)
    }

    /// The algorithm of the protected headers; [`Reason::AlgorithmNotAllowed`] when there is none
    /// or it is not known here.
    pub fn algorithm(&self) -> Result<Algorithm, Reason> {
        find(&self.protected, ALG)
            .ok_or(Reason::AlgorithmNotAllowed)
            .and_then(Algorithm::from_value)
    }

    /// The algorithm wherever it stands, for objects of others whose key fixes the algorithm.
    pub fn algorithm_anywhere(&self) -> Result<Algorithm, Reason> {
        let value = find(&self.protected, ALG).or_else(|| find(&self.unprotected, ALG));
        value.ok_or(Reason::AlgorithmNotAllowed).and_then(Algorithm::from_value)
    }

    /// The key id of the protected headers, if there is one.
    pub fn key_id(&self) -> Option<&[u8]> {
        find(&self.protected, KID).and_then(Value::as_bytes).map(Vec::as_slice)
    }

    /// The key id wherever it stands.
    pub fn key_id_anywhere(&self) -> Option<&[u8]> {
        let unprotected = || find(&self.unprotected, KID).and_then(Value::as_bytes);
        self.key_id().or_else(|| unprotected().map(Vec::as_slice))
    }

    /// The certificates of `x5chain` (RFC 9360), leaf first, from the protected headers only;
    /// none when the header is not there.
    pub fn chain(&self) -> Result<Option<Vec<Vec<u8>>>, Reason> {
        find(&self.protected, X5CHAIN).map(chain_of).transpose()
    }

    /// The certificates of `x5chain` wherever it stands.
    pub fn chain_anywhere(&self) -> Result<Option<Vec<Vec<u8>>>, Reason> {
        let value = find(&self.protected, X5CHAIN).or_else(|| find(&self.unprotected, X5CHAIN));
        value.map(chain_of).transpose()
    }

    /// Verifies the signature by `key` with `algorithm`, over `external` data as well.
    ///
    /// Returns [`Reason::PayloadDetached`], [`Reason::AlgorithmNotAllowed`] when the algorithm does
    /// not go with the key, [`Reason::SignatureEncoding`], [`Reason::SignatureInvalid`].
    pub fn verify(
        &self,
        key: &StandardKey,
        algorithm: Algorithm,
        external: &[u8],
    ) -> Result<(), Reason> {
        // An empty map is signed as an empty string (RFC 9052 section 4.4).
        let protected = if self.protected.is_empty() { &[][..] } else { &self.protected_bytes };
        let signed = to_be_signed(protected, external, self.payload()?);
        key.verify_fixed(algorithm.scheme(key.curve())?, &signed, &self.signature)
    }

    /// Labels are integers or text, and none stands in both buckets.
    fn check_labels(&self) -> Result<(), Reason> {
        for (label, _) in self.protected.iter().chain(&self.unprotected) {
            if !matches!(label, Value::Integer(_) | Value::Text(_)) {
                return Err(Reason::CoseMalformed);
            }
        }
        let twice =
            |(label, _): &(Value, Value)| self.protected.iter().any(|(other, _)| other == label);
        if self.unprotected.iter().any(twice) { Err(Reason::DuplicateKey) } else { Ok(()) }
    }

    /// `crit` is protected, not empty, and names headers that are there and known here.
    fn check_critical(&self) -> Result<(), Reason> {
        if find(&self.unprotected, CRIT).is_some() {
            return Err(Reason::CoseMalformed);
        }
        let Some(critical) = find(&self.protected, CRIT) else { return Ok(()) };
        let labels = critical.as_array().ok_or(Reason::CoseMalformed)?;
        if labels.is_empty() {
            return Err(Reason::CoseMalformed);
        }
        for label in labels {
            let known = UNDERSTOOD.iter().any(|number| *label == Value::from(*number));
            if !known {
                return Err(Reason::CriticalHeaderUnknown);
            }
            if !self.protected.iter().any(|(other, _)| other == label) {
                return Err(Reason::CoseMalformed);
            }
        }
        Ok(())
    }
}

/// The protected headers of an object that is made here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// The key id, if any.
    pub key_id: Option<&'a [u8]>,
    /// The certificates of the key, leaf first, if any.
    pub chain: Option<&'a [Vec<u8>]>,
}

/// A COSE_Sign1 that lacks nothing but its signature, for a signer elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    protected: Vec<u8>,
    payload: Vec<u8>,
    to_be_signed: Vec<u8>,
}

impl Unsigned {
    /// What `key` is to sign; the algorithm is the one of the key, and all headers are protected.
    pub fn new(key: &PublicKey, headers: Headers<'_>, external: &[u8], payload: &[u8]) -> Unsigned {
        let algorithm = Algorithm::of_key(key);
        let mut protected = vec![(Value::from(ALG), Value::from(algorithm.number()))];
        if let Some(key_id) = headers.key_id {
            protected.push((Value::from(KID), Value::Bytes(key_id.to_vec())));
        }
        if let Some(chain) = headers.chain {
            let mut certificates: Vec<Value> = chain.iter().cloned().map(Value::Bytes).collect();
            let value = match (certificates.len(), certificates.pop()) {
                (1, Some(single)) => single,
                _ => Value::Array(chain.iter().cloned().map(Value::Bytes).collect()),
            };
            protected.push((Value::from(X5CHAIN), value));
        }
        let protected = foreign_cbor::write(&Value::Map(protected));
        let to_be_signed = to_be_signed(&protected, external, payload);
        Unsigned { protected, payload: payload.to_vec(), to_be_signed }
    }

    /// The bytes to sign.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// The object with tag 18. The signature is taken as it is: whoever reads the object verifies.
    pub fn assemble(self, signature: &Signature) -> Vec<u8> {
        let parts = vec![
            Value::Bytes(self.protected),
            Value::Map(Vec::new()),
            Value::Bytes(self.payload),
            Value::Bytes(signature.0.to_vec()),
        ];
        foreign_cbor::write(&Value::Tag(TAG_SIGN1, Box::new(Value::Array(parts))))
    }
}

/// Makes a COSE_Sign1 as [`Unsigned`] does, and signs it.
pub fn sign(
    signer: &dyn Signer,
    headers: Headers<'_>,
    external: &[u8],
    payload: &[u8],
) -> Result<Vec<u8>, Reason> {
    let unsigned = Unsigned::new(&signer.public_key(), headers, external, payload);
    let signature = signer.sign(unsigned.to_be_signed())?;
    Ok(unsigned.assemble(&signature))
}

/// `Sig_structure` of RFC 9052 section 4.4, made by the library from the bytes as they came.
fn to_be_signed(protected: &[u8], external: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = ProtectedHeader {
        original_data: Some(protected.to_vec()),
        header: coset::Header::default(),
    };
    coset::sig_structure_data(SignatureContext::CoseSign1, header, None, external, payload)
}

fn untag(value: Value, tags: Tags) -> Result<Value, Reason> {
    match value {
        Value::Tag(TAG_CWT, inner) if tags == Tags::Cwt => match *inner {
            Value::Tag(TAG_SIGN1, object) => Ok(*object),
            _ => Err(Reason::CoseMalformed),
        },
        Value::Tag(TAG_SIGN1, object) => Ok(*object),
        Value::Tag(..) => Err(Reason::CoseMalformed),
        bare if tags != Tags::Sign1 => Ok(bare),
        _ => Err(Reason::CoseMalformed),
    }
}

fn find(entries: &[(Value, Value)], label: i64) -> Option<&Value> {
    let label = Value::from(label);
    entries.iter().find(|(other, _)| *other == label).map(|(_, value)| value)
}

fn chain_of(value: &Value) -> Result<Vec<Vec<u8>>, Reason> {
    let bytes = |value: &Value| value.as_bytes().cloned().ok_or(Reason::CoseMalformed);
    match value {
        Value::Bytes(single) => Ok(vec![single.clone()]),
        Value::Array(list) if list.is_empty() => Err(Reason::CoseMalformed),
        Value::Array(list) if list.len() > CHAIN_CERTIFICATES_MAX => Err(Reason::PathTooLong),
        Value::Array(list) => list.iter().map(bytes).collect(),
        _ => Err(Reason::CoseMalformed),
    }
}

const ALG: i64 = 1;
const CRIT: i64 = 2;
const KID: i64 = 4;
const X5CHAIN: i64 = 33;
/// Headers that are processed here, so that `crit` may name them: algorithm, content type, key id,
/// certificates.
const UNDERSTOOD: [i64; 5] = [ALG, CRIT, 3, KID, X5CHAIN];
const TAG_SIGN1: u64 = 18;
const TAG_CWT: u64 = 61;
const ALGORITHMS: [(&str, Algorithm); 8] = [
    ("ES256", Algorithm::Es256),
    ("ES384", Algorithm::Es384),
    ("ES512", Algorithm::Es512),
    ("EdDSA", Algorithm::EdDsa),
    ("ESP256", Algorithm::Esp256),
    ("ESP384", Algorithm::Esp384),
    ("ESP512", Algorithm::Esp512),
    ("Ed25519", Algorithm::Ed25519),
];

#[cfg(test)]
mod tests {
    use tallystick_crypto::SigningKey;

    use super::*;

    fn keys() -> [SigningKey; 2] {
        [SigningKey::ed25519_from_seed(&[3; 32]), SigningKey::p256_from_scalar(&[3; 32]).unwrap()]
    }

    #[test]
    fn what_is_signed_verifies_with_its_own_key_and_context_only() {
        for key in keys() {
            let headers = Headers { key_id: Some(b"12345678"), chain: None };
            let bytes = sign(&key, headers, b"context", b"payload").unwrap();
            let read = CoseSign1::read(&bytes, Tags::Sign1).unwrap();
            let public = StandardKey::from(&key.public_key());
            let algorithm = read.algorithm().unwrap();
            assert_eq!(read.key_id(), Some(&b"12345678"[..]));
            assert_eq!(read.payload(), Ok(&b"payload"[..]));
            assert_eq!(read.verify(&public, algorithm, b"context"), Ok(()));
            let other = read.verify(&public, algorithm, b"");
            assert_eq!(other, Err(Reason::SignatureInvalid));
            for other in [Algorithm::Es384, Algorithm::Esp512] {
                assert!(read.verify(&public, other, b"context").is_err());
            }
        }
    }

    fn object(protected: &[u8], unprotected: Value, payload: Value, signature: Value) -> Vec<u8> {
        let parts = vec![Value::Bytes(protected.to_vec()), unprotected, payload, signature];
        foreign_cbor::write(&Value::Tag(18, Box::new(Value::Array(parts))))
    }

    fn with_headers(protected: Vec<(Value, Value)>, unprotected: Vec<(Value, Value)>) -> Vec<u8> {
        let protected = foreign_cbor::write(&Value::Map(protected));
        object(&protected, Value::Map(unprotected), Value::Bytes(vec![]), Value::Bytes(vec![0; 64]))
    }

    #[test]
    fn critical_headers_must_be_protected_present_and_known() {
        let alg = || (Value::from(1), Value::from(-7));
        let crit = |labels: Vec<Value>| (Value::from(2), Value::Array(labels));
        let check = |protected, unprotected, expect: Result<(), Reason>| {
            let bytes = with_headers(protected, unprotected);
            assert_eq!(CoseSign1::read(&bytes, Tags::Sign1).map(drop), expect);
        };
        let malformed = Err(Reason::CoseMalformed);
        check(vec![alg(), crit(vec![Value::from(1)])], vec![], Ok(()));
        check(vec![alg(), crit(vec![])], vec![], malformed);
        check(vec![alg(), crit(vec![Value::from(4)])], vec![], malformed);
        check(vec![alg()], vec![crit(vec![Value::from(1)])], malformed);
        check(vec![alg(), (Value::from(2), Value::from(1))], vec![], malformed);
        let unknown = Err(Reason::CriticalHeaderUnknown);
        let named = (Value::Text("x".into()), Value::Null);
        check(vec![alg(), named, crit(vec![Value::Text("x".into())])], vec![], unknown);
        check(vec![alg(), crit(vec![Value::from(-70000)])], vec![], unknown);
        check(vec![alg()], vec![alg()], Err(Reason::DuplicateKey));
        check(vec![(Value::Bytes(vec![]), Value::Null)], vec![], malformed);
    }

    #[test]
    fn tags_are_only_those_of_the_policy() {
        let bytes = with_headers(vec![], vec![]);
        let bare = &bytes[1..];
        let cwt = [&[0xd8, 61], &bytes[..]].concat();
        let cwt_bare = [&[0xd8, 61], bare].concat();
        let twice = [&[0xd2], &bytes[..]].concat();
        let read = |bytes: &[u8], tags| CoseSign1::read(bytes, tags).is_ok();
        for (tags, expect) in [
            (Tags::Sign1, [true, false, false, false, false]),
            (Tags::Optional, [true, true, false, false, false]),
            (Tags::Cwt, [true, true, true, false, false]),
        ] {
            let made = [&bytes[..], bare, &cwt, &cwt_bare, &twice].map(|bytes| read(bytes, tags));
            assert_eq!(made, expect, "{tags:?}");
        }
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let nothing = || Value::Bytes(vec![]);
        let map = || Value::Map(vec![]);
        for bytes in [
            object(&[0x80], map(), nothing(), nothing()),
            object(&[], Value::Null, nothing(), nothing()),
            object(&[], map(), Value::Text(String::new()), nothing()),
            object(&[], map(), nothing(), Value::Null),
            vec![0xd2, 0x80],
        ] {
            assert_eq!(CoseSign1::read(&bytes, Tags::Sign1), Err(Reason::CoseMalformed));
        }
        let detached = object(&[], map(), Value::Null, nothing());
        let read = CoseSign1::read(&detached, Tags::Sign1).unwrap();
        let key = StandardKey::from(&keys()[0].public_key());
        assert_eq!(read.algorithm(), Err(Reason::AlgorithmNotAllowed));
        assert_eq!(read.verify(&key, Algorithm::EdDsa, b""), Err(Reason::PayloadDetached));
    }
}
