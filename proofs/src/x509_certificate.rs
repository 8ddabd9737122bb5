//! One X.509 certificate (RFC 5280), read: its signed bytes, its key, its constraints.
//!
//! Invariants: the signed bytes are those that came, never encoded anew; an extension stands once;
//! a critical extension that is not processed here is refused when the certificate is read.

use tallystick_crypto::standard_signature::{Curve, Hash, Scheme, StandardKey};
use tallystick_kernel::{DurationMs, Reason, TimeMs, TimeWindow};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Header, Reader, SliceReader};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, PolicyConstraints,
    SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::Time;
use x509_cert::{Certificate, TbsCertificate};

/// Bytes of a certificate at most.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// A certificate of the right form; nothing about its signature or its time is known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct X509Certificate {
    der: Vec<u8>,
    signed: Signed,
    parsed: Certificate,
    key: StandardKey,
    ca: Option<BasicConstraints>,
    usage: Option<KeyUsage>,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
}

/// The three parts of everything that X.509 signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    message: Vec<u8>,
    scheme: Scheme,
    signature: Vec<u8>,
}

impl X509Certificate {
    /// Reads DER.
    ///
    /// Returns [`Reason::TooLarge`], [`Reason::CertificateMalformed`],
    /// [`Reason::AlgorithmNotAllowed`] for keys and signatures other than ECDSA on P-256, P-384,
    /// P-521 and Ed25519, and [`Reason::ExtensionUnknown`].
    pub fn read(der: &[u8]) -> Result<X509Certificate, Reason> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(Reason::TooLarge);
        }
        let parsed = Certificate::from_der(der).map_err(|_| Reason::CertificateMalformed)?;
        let tbs = parsed.tbs_certificate();
        if tbs.signature() != parsed.signature_algorithm() {
            return Err(Reason::CertificateMalformed);
        }
        let signature = parsed.signature().as_bytes().ok_or(Reason::CertificateMalformed)?;
        let signed = Signed::new(der, parsed.signature_algorithm(), signature)?;
        let key = key_of(tbs.subject_public_key_info())?;
        check_extensions(tbs)?;
        let authority: Option<AuthorityKeyIdentifier> = extension(tbs)?;
        let subject: Option<SubjectKeyIdentifier> = extension(tbs)?;
        Ok(X509Certificate {
            der: der.to_vec(),
            signed,
            key,
            ca: extension(tbs)?,
            usage: extension(tbs)?,
            subject_key_id: subject.map(|id| id.0.as_bytes().to_vec()),
            authority_key_id: authority
                .and_then(|id| id.key_identifier)
                .map(|id| id.as_bytes().to_vec()),
            parsed,
        })
    }

    /// The bytes that were read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certified key.
    pub fn key(&self) -> &StandardKey {
        &self.key
    }

    /// Whom it certifies.
    pub fn subject(&self) -> &Name {
        self.parsed.tbs_certificate().subject()
    }

    /// Who certifies.
    pub fn issuer(&self) -> &Name {
        self.parsed.tbs_certificate().issuer()
    }

    /// The subject as text, the last part first (RFC 4514).
    pub fn subject_text(&self) -> String {
        self.subject().to_string()
    }

    /// The serial number, big-endian without leading zeros.
    pub fn serial(&self) -> &[u8] {
        self.parsed.tbs_certificate().serial_number().as_bytes()
    }

    /// The one common name of the subject; none when there is none, or several.
    pub fn common_name(&self) -> Option<String> {
        let parts = || self.subject().iter_rdn().flat_map(|rdn| rdn.iter());
        let mut names = parts().filter(|part| part.oid == COMMON_NAME);
        let (name, more) = (names.next()?, names.next());
        let text = core::str::from_utf8(name.value.value()).ok()?;
        more.is_none().then(|| text.to_owned())
    }

    /// Whether it names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.subject() == self.issuer()
    }

    /// Whether the key may sign what is not a certificate or a revocation list.
    /// `required` refuses a certificate that says nothing about key usage.
    pub fn may_sign(&self, required: bool) -> bool {
        self.usage.as_ref().map_or(!required, KeyUsage::digital_signature)
    }

    /// Whether it may sign certificates: a CA, and key usage says nothing else.
    pub fn may_certify(&self) -> Result<(), Reason> {
        if !self.ca.as_ref().is_some_and(|constraints| constraints.ca) {
            return Err(Reason::NotCertificateAuthority);
        }
        if !self.usage.as_ref().is_none_or(KeyUsage::key_cert_sign) {
            return Err(Reason::KeyUsageMissing);
        }
        Ok(())
    }

    /// Whether its key may sign revocation lists.
    pub fn may_revoke(&self) -> bool {
        self.usage.as_ref().is_none_or(KeyUsage::crl_sign)
    }

    /// How many CA certificates may stand between it and the leaf, if that is limited.
    pub fn path_length(&self) -> Option<usize> {
        self.ca.as_ref().and_then(|constraints| constraints.path_len_constraint).map(usize::from)
    }

    /// Whether its validity holds `now`, both ends inclusive to the second (RFC 5280 section
    /// 4.1.2.5) and wider by `skew` at each end.
    ///
    /// Returns [`Reason::CertificateNotYetValid`] or [`Reason::CertificateExpired`].
    pub fn check_time(&self, now: TimeMs, skew: DurationMs) -> Result<(), Reason> {
        let validity = self.parsed.tbs_certificate().validity();
        let window = TimeWindow {
            not_before: time_of(validity.not_before),
            not_after: time_of(validity.not_after).after(DurationMs::seconds(1)),
        };
        window.check(now, skew, skew).map_err(|reason| match reason {
            Reason::NotYetValid => Reason::CertificateNotYetValid,
            _ => Reason::CertificateExpired,
        })
    }

    /// The last instant of its validity.
    pub fn not_after(&self) -> TimeMs {
        time_of(self.parsed.tbs_certificate().validity().not_after)
    }

    /// Whether `issuer` is named as the issuer, and by key id where both sides give one.
    pub fn names_as_issuer(&self, issuer: &X509Certificate) -> bool {
        let ids = (&self.authority_key_id, &issuer.subject_key_id);
        self.issuer() == issuer.subject() && !matches!(ids, (Some(a), Some(b)) if a != b)
    }

    /// Whether `issuer`'s key signed it; [`Reason::CertificateSignature`] otherwise.
    pub fn check_signature(&self, issuer: &X509Certificate) -> Result<(), Reason> {
        self.signed.verify(&issuer.key)
    }

    pub(crate) fn subject_key_id(&self) -> Option<&[u8]> {
        self.subject_key_id.as_deref()
    }
}

impl Signed {
    /// Takes the signed bytes out of `SEQUENCE { signed, algorithm, signature }`.
    pub(crate) fn new(
        der: &[u8],
        algorithm: &AlgorithmIdentifierOwned,
        signature: &[u8],
    ) -> Result<Signed, Reason> {
        let cut = || -> x509_cert::der::Result<Vec<u8>> {
            let mut reader = SliceReader::new(der)?;
            Header::decode(&mut reader)?;
            reader.tlv_bytes().map(<[u8]>::to_vec)
        };
        Ok(Signed {
            message: cut().map_err(|_| Reason::CertificateMalformed)?,
            scheme: scheme_of(algorithm)?,
            signature: signature.to_vec(),
        })
    }

    pub(crate) fn verify(&self, key: &StandardKey) -> Result<(), Reason> {
        key.verify_x509(self.scheme, &self.message, &self.signature)
            .map_err(|_| Reason::CertificateSignature)
    }
}

/// The key of a `SubjectPublicKeyInfo`; [`Reason::AlgorithmNotAllowed`] for other kinds,
/// [`Reason::KeyMalformed`] for bytes that are no point.
pub(crate) fn key_of(info: &SubjectPublicKeyInfoOwned) -> Result<StandardKey, Reason> {
    let parameters = &info.algorithm.parameters;
    let curve = if info.algorithm.oid == ED25519 && parameters.is_none() {
        Curve::Ed25519
    } else if info.algorithm.oid == EC_PUBLIC_KEY {
        let named = parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        match named {
            Some(P256) => Curve::P256,
            Some(P384) => Curve::P384,
            Some(P521) => Curve::P521,
            _ => return Err(Reason::AlgorithmNotAllowed),
        }
    } else {
        return Err(Reason::AlgorithmNotAllowed);
    };
    let bytes = info.subject_public_key.as_bytes().ok_or(Reason::KeyMalformed)?;
    StandardKey::new(curve, bytes)
}

/// The milliseconds of an X.509 time.
pub(crate) fn time_of(time: Time) -> TimeMs {
    let ms = time.to_unix_duration().as_millis();
    TimeMs(u64::try_from(ms).unwrap_or(u64::MAX))
}

fn scheme_of(algorithm: &AlgorithmIdentifierOwned) -> Result<Scheme, Reason> {
    if algorithm.parameters.is_some() {
        return Err(Reason::AlgorithmNotAllowed);
    }
    match algorithm.oid {
        ECDSA_SHA256 => Ok(Scheme::Ecdsa(Hash::Sha256)),
        ECDSA_SHA384 => Ok(Scheme::Ecdsa(Hash::Sha384)),
        ECDSA_SHA512 => Ok(Scheme::Ecdsa(Hash::Sha512)),
        ED25519 => Ok(Scheme::EdDsa),
        _ => Err(Reason::AlgorithmNotAllowed),
    }
}

/// No extension twice, none at all before version 3, and no critical one that is not obeyed here.
fn check_extensions(tbs: &TbsCertificate) -> Result<(), Reason> {
    let Some(extensions) = tbs.extensions() else { return Ok(()) };
    if tbs.version() != x509_cert::Version::V3 {
        return Err(Reason::CertificateMalformed);
    }
    for (index, found) in extensions.iter().enumerate() {
        if extensions[..index].iter().any(|other| other.extn_id == found.extn_id) {
            return Err(Reason::CertificateMalformed);
        }
        // Constraints on names are not processed, so they are refused even when not critical.
        let refused = found.extn_id == NAME_CONSTRAINTS
            || (found.critical && !PROCESSED.contains(&found.extn_id));
        if refused {
            return Err(Reason::ExtensionUnknown);
        }
    }
    // A policy is never asked for, so that only a demand for one would fail.
    let policies: Option<PolicyConstraints> = extension(tbs)?;
    if policies.is_some_and(|policies| policies.require_explicit_policy.is_some()) {
        return Err(Reason::ExtensionUnknown);
    }
    let critical_purposes =
        extensions.iter().any(|found| found.critical && found.extn_id == EXTENDED_KEY_USAGE);
    let purposes: Option<ExtendedKeyUsage> = extension(tbs)?;
    match purposes {
        Some(purposes) if critical_purposes && !purposes.0.contains(&ANY_PURPOSE) => {
            Err(Reason::KeyUsageMissing)
        }
        _ => Ok(()),
    }
}

fn extension<'a, T>(tbs: &'a TbsCertificate) -> Result<Option<T>, Reason>
where
    T: Decode<'a> + x509_cert::der::oid::AssociatedOid,
{
    let found = tbs.get_extension::<T>().map_err(|_| Reason::CertificateMalformed)?;
    Ok(found.map(|(_, value)| value))
}

pub(crate) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
pub(crate) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(crate) const ECDSA_SHA256: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
/// Extensions that may be critical: those that are obeyed, those that only inform (alternative
/// names), and those about policies, none of which is ever demanded.
const PROCESSED: [ObjectIdentifier; 10] = [
    ObjectIdentifier::new_unwrap("2.5.29.14"),
    ObjectIdentifier::new_unwrap("2.5.29.15"),
    ObjectIdentifier::new_unwrap("2.5.29.17"),
    ObjectIdentifier::new_unwrap("2.5.29.18"),
    ObjectIdentifier::new_unwrap("2.5.29.19"),
    ObjectIdentifier::new_unwrap("2.5.29.32"),
    ObjectIdentifier::new_unwrap("2.5.29.35"),
    ObjectIdentifier::new_unwrap("2.5.29.36"),
    EXTENDED_KEY_USAGE,
    ObjectIdentifier::new_unwrap("2.5.29.54"),
];
