//! Certificates and revocation lists as an issuer's certificate authority makes them.
//!
//! Invariants: version 3, names in UTF-8, key ids by RFC 7093 (SHA-256 cut to 160 bits), basic
//! constraints and key usage always there and critical; OpenSSL accepts the chains and lists.

use core::time::Duration;

use signature::Keypair;
use tallystick_crypto::key_store::Signer;
use tallystick_crypto::standard_signature::{StandardKey, signature_der};
use tallystick_crypto::{PublicKey, Signature};
use tallystick_kernel::hash::sha256;
use tallystick_kernel::{Reason, TimeMs};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::der::asn1::{Any, BitString, ObjectIdentifier, OctetString, SetOfVec, Uint};
use x509_cert::der::{DateTime, Decode, Encode, Tag};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CrlNumber, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    AlgorithmIdentifierOwned, Document, DynSignatureAlgorithmIdentifier, EncodePublicKey,
    SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef,
};
use x509_cert::time::{Time, Validity};
use x509_cert::{TbsCertificate, Version, builder};

use crate::x509_certificate::{COMMON_NAME, ECDSA_SHA256, ED25519, X509Certificate};

/// When a certificate or a list is valid: whole seconds count, both ends inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The first second.
    pub not_before: TimeMs,
    /// The last second.
    pub not_after: TimeMs,
}

/// What every certificate has of its own.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// The common name: of an authority, or the account token of a device. 1 to 64 characters.
    pub common_name: &'a str,
    /// The organization, for authorities.
    pub organization: Option<&'a str>,
    /// 16 random bytes; the first bit is cleared so that the number is positive.
    pub serial: [u8; 16],
    /// When it is valid.
    pub lifetime: Lifetime,
}

/// Makes the self-signed certificate of a certificate authority, which certifies devices only
/// through at most `path_length` authorities in between.
///
/// Returns [`Reason::FieldInvalid`] for a name or a time that a certificate cannot hold, and the
/// reasons of the signer.
pub fn authority(
    contents: Contents<'_>,
    path_length: u8,
    signer: &dyn Signer,
) -> Result<Vec<u8>, Reason> {
    let profile = Profile {
        subject: name_of(&contents)?,
        issuer: None,
        issuer_key_id: key_id(&signer.public_key())?,
        ca: Some(path_length),
    };
    certificate(&profile, contents, &signer.public_key(), signer)
}

/// Makes the certificate of an authority below `issuer`. Reasons as for [`authority`].
pub fn intermediate(
    contents: Contents<'_>,
    path_length: u8,
    key: &PublicKey,
    issuer: &X509Certificate,
    signer: &dyn Signer,
) -> Result<Vec<u8>, Reason> {
    let profile = profile_below(issuer, &contents, Some(path_length))?;
    certificate(&profile, contents, key, signer)
}

/// Makes the certificate of a device's key, which signs payment codes and nothing else. `signer` is
/// the key of `issuer`. Reasons as for [`authority`].
pub fn device(
    contents: Contents<'_>,
    key: &PublicKey,
    issuer: &X509Certificate,
    signer: &dyn Signer,
) -> Result<Vec<u8>, Reason> {
    let profile = profile_below(issuer, &contents, None)?;
    certificate(&profile, contents, key, signer)
}

/// Makes the complete revocation list of `issuer`: `number` rises with each list, `revoked` names
/// serial numbers and when each was revoked. Reasons as for [`authority`].
pub fn revocation_list(
    issuer: &X509Certificate,
    number: u64,
    lifetime: Lifetime,
    revoked: &[(Vec<u8>, TimeMs)],
    signer: &dyn Signer,
) -> Result<Vec<u8>, Reason> {
    let algorithm = algorithm_of(&signer.public_key());
    let entry = |(serial, when): &(Vec<u8>, TimeMs)| {
        Ok(RevokedCert {
            serial_number: SerialNumber::new(serial).map_err(unusable)?,
            revocation_date: time(*when)?,
            crl_entry_extensions: None,
        })
    };
    let entries = revoked.iter().map(entry).collect::<Result<Vec<_>, Reason>>()?;
    let subject = issuer.subject();
    let number = CrlNumber(Uint::new(&number.to_be_bytes()).map_err(unusable)?);
    let extensions = [
        (false, &number).to_extension(subject, &[]).map_err(unusable)?,
        (false, &issued_by(issuer_key_id(issuer)?)?)
            .to_extension(subject, &[])
            .map_err(unusable)?,
    ];
    let list: TbsCertList = TbsCertList {
        version: Version::V2,
        signature: algorithm.clone(),
        issuer: subject.clone(),
        this_update: time(lifetime.not_before)?,
        next_update: Some(time(lifetime.not_after)?),
        revoked_certificates: (!entries.is_empty()).then_some(entries),
        crl_extensions: Some(extensions.into()),
    };
    let signature = sign(signer, &list.to_der().map_err(unusable)?)?;
    let list = CertificateList { tbs_cert_list: list, signature_algorithm: algorithm, signature };
    list.to_der().map_err(unusable)
}

/// The algorithm identifier of signatures by `key`.
pub(crate) fn algorithm_of(key: &PublicKey) -> AlgorithmIdentifierOwned {
    let oid = match key {
        PublicKey::Ed25519(_) => ED25519,
        PublicKey::P256(_) => ECDSA_SHA256,
    };
    AlgorithmIdentifierOwned { oid, parameters: None }
}

/// The `SubjectPublicKeyInfo` of `key`.
pub(crate) fn key_info(key: &PublicKey) -> Result<SubjectPublicKeyInfoOwned, Reason> {
    let der = StandardKey::from(key).to_spki_der()?;
    SubjectPublicKeyInfoOwned::from_der(&der).map_err(unusable)
}

/// Signs for X.509.
fn sign(signer: &dyn Signer, message: &[u8]) -> Result<BitString, Reason> {
    signature_bits(&signer.public_key(), &signer.sign(message)?)
}

/// A signature by `key` as X.509 carries it.
pub(crate) fn signature_bits(key: &PublicKey, signature: &Signature) -> Result<BitString, Reason> {
    let bytes = match key {
        PublicKey::Ed25519(_) => signature.0.to_vec(),
        PublicKey::P256(_) => signature_der(&signature.0[..32], &signature.0[32..]),
    };
    BitString::from_bytes(&bytes).map_err(unusable)
}

/// A name of an organization, if any, and a common name.
pub(crate) fn name(common_name: &str, organization: Option<&str>) -> Result<Name, Reason> {
    let mut parts = Vec::new();
    let named = organization.map(|text| (ORGANIZATION, text));
    for (oid, text) in named.into_iter().chain([(COMMON_NAME, common_name)]) {
        if text.is_empty() || text.chars().count() > NAME_CHARS_MAX {
            return Err(Reason::FieldInvalid);
        }
        let value = Any::new(Tag::Utf8String, text.as_bytes()).map_err(unusable)?;
        let mut set = SetOfVec::new();
        set.insert(AttributeTypeAndValue { oid, value }).map_err(unusable)?;
        parts.push(RelativeDistinguishedName::from(set));
    }
    let der = RdnSequence::from(parts).to_der().map_err(unusable)?;
    Name::from_der(&der).map_err(unusable)
}

fn name_of(contents: &Contents<'_>) -> Result<Name, Reason> {
    name(contents.common_name, contents.organization)
}

fn profile_below(
    issuer: &X509Certificate,
    contents: &Contents<'_>,
    ca: Option<u8>,
) -> Result<Profile, Reason> {
    issuer.may_certify()?;
    Ok(Profile {
        subject: name_of(contents)?,
        issuer: Some(issuer.subject().clone()),
        issuer_key_id: issuer_key_id(issuer)?,
        ca,
    })
}

fn certificate(
    profile: &Profile,
    contents: Contents<'_>,
    key: &PublicKey,
    signer: &dyn Signer,
) -> Result<Vec<u8>, Reason> {
    let Lifetime { not_before, not_after } = contents.lifetime;
    let mut serial = contents.serial;
    serial[0] &= 0x7f;
    let validity = Validity::new(time(not_before)?, time(not_after)?);
    let serial = SerialNumber::new(&serial).map_err(unusable)?;
    let mut made = CertificateBuilder::new(profile, serial, validity, key_info(key)?)
        .map_err(|_| Reason::FieldInvalid)?;
    let public = Public(signer.public_key());
    let message = made.finalize(&public).map_err(|_| Reason::FieldInvalid)?;
    let signature = sign(signer, &message)?;
    let made = made.assemble(signature, &public).map_err(|_| Reason::FieldInvalid)?;
    made.to_der().map_err(unusable)
}

struct Profile {
    subject: Name,
    issuer: Option<Name>,
    issuer_key_id: Vec<u8>,
    /// The path length of an authority; none for a device.
    ca: Option<u8>,
}

impl BuilderProfile for &Profile {
    fn get_issuer(&self, subject: &Name) -> Name {
        self.issuer.clone().unwrap_or_else(|| subject.clone())
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let subject = tbs.subject();
        let usage = match self.ca {
            Some(_) => KeyUsages::KeyCertSign | KeyUsages::CRLSign,
            None => KeyUsages::DigitalSignature.into(),
        };
        let constraints = BasicConstraints { ca: self.ca.is_some(), path_len_constraint: self.ca };
        let id = sha256(key.subject_public_key.raw_bytes());
        let own_id = SubjectKeyIdentifier(OctetString::new(&id[..20])?);
        let issuer_id = AuthorityKeyIdentifier {
            key_identifier: Some(OctetString::new(&self.issuer_key_id[..])?),
            ..Default::default()
        };
        Ok(vec![
            (true, &constraints).to_extension(subject, &[])?,
            (true, &KeyUsage(usage)).to_extension(subject, &[])?,
            (false, &own_id).to_extension(subject, &[])?,
            (false, &issuer_id).to_extension(subject, &[])?,
        ])
    }
}

/// The signer's public half in the shape that the library asks for; signing itself stays outside.
struct Public(PublicKey);

#[derive(Clone)]
struct PublicInfo(PublicKey);

impl Keypair for Public {
    type VerifyingKey = PublicInfo;

    fn verifying_key(&self) -> PublicInfo {
        PublicInfo(self.0)
    }
}

impl DynSignatureAlgorithmIdentifier for Public {
    fn signature_algorithm_identifier(&self) -> x509_cert::spki::Result<AlgorithmIdentifierOwned> {
        Ok(algorithm_of(&self.0))
    }
}

impl EncodePublicKey for PublicInfo {
    fn to_public_key_der(&self) -> x509_cert::spki::Result<Document> {
        let der = StandardKey::from(&self.0)
            .to_spki_der()
            .map_err(|_| x509_cert::spki::Error::KeyMalformed)?;
        Ok(Document::try_from(der)?)
    }
}

fn key_id(key: &PublicKey) -> Result<Vec<u8>, Reason> {
    let info = key_info(key)?;
    Ok(sha256(info.subject_public_key.raw_bytes())[..20].to_vec())
}

fn issuer_key_id(issuer: &X509Certificate) -> Result<Vec<u8>, Reason> {
    match issuer.subject_key_id() {
        Some(id) => Ok(id.to_vec()),
        None => key_id(&issuer.key().to_public_key()?),
    }
}

fn issued_by(key_id: Vec<u8>) -> Result<AuthorityKeyIdentifier, Reason> {
    let key_identifier = Some(OctetString::new(key_id).map_err(unusable)?);
    Ok(AuthorityKeyIdentifier { key_identifier, ..Default::default() })
}

fn time(time: TimeMs) -> Result<Time, Reason> {
    let made = DateTime::from_unix_duration(Duration::from_secs(time.unix_seconds()));
    made.map(Time::from).map_err(unusable)
}

fn unusable<E>(_: E) -> Reason {
    Reason::FieldInvalid
}

const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
/// The bound of common and organization names (RFC 5280 appendix A).
const NAME_CHARS_MAX: usize = 64;
