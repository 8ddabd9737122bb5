//! Revocation lists (RFC 5280 section 5): complete lists of one issuer, read and judged.
//!
//! Invariant: a list that is stale, of another issuer, partial, or signed by another key says
//! nothing; what it would have said is then unknown, never "not revoked".

use std::collections::BTreeSet;

use tallystick_kernel::{DurationMs, Reason, TimeMs, TimeWindow};
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::name::Name;

use crate::x509_certificate::{Signed, X509Certificate, time_of};

/// Bytes of a list at most.
pub const REVOCATION_LIST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A list of the right form whose signature is not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    signed: Signed,
    issuer: Name,
    authority_key_id: Option<Vec<u8>>,
    window: TimeWindow,
    revoked: BTreeSet<Vec<u8>>,
}

impl RevocationList {
    /// Reads DER. Returns [`Reason::TooLarge`], and [`Reason::RevocationUnknown`] for bytes that
    /// are no list, a list without `nextUpdate`, and one with a critical extension: delta and
    /// indirect lists are not processed.
    pub fn read(der: &[u8]) -> Result<RevocationList, Reason> {
        if der.len() > REVOCATION_LIST_BYTES_MAX {
            return Err(Reason::TooLarge);
        }
        let parsed = <CertificateList>::from_der(der).map_err(unknown)?;
        let list = parsed.tbs_cert_list;
        let signature = parsed.signature.as_bytes().ok_or(Reason::RevocationUnknown)?;
        let signed = Signed::new(der, &parsed.signature_algorithm, signature).map_err(unknown)?;
        let next_update = list.next_update.ok_or(Reason::RevocationUnknown)?;
        let entries = list.revoked_certificates.unwrap_or_default();
        let entry_extensions =
            entries.iter().flat_map(|entry| entry.crl_entry_extensions.iter().flatten());
        let extensions = list.crl_extensions.unwrap_or_default();
        let critical = |found: &Extension| found.critical || found.extn_id == DELTA;
        if list.signature != parsed.signature_algorithm
            || extensions.iter().chain(entry_extensions).any(critical)
        {
            return Err(Reason::RevocationUnknown);
        }
        Ok(RevocationList {
            signed,
            issuer: list.issuer,
            authority_key_id: authority_of(&extensions)?,
            window: TimeWindow {
                not_before: time_of(list.this_update),
                not_after: time_of(next_update),
            },
            revoked: entries.iter().map(|entry| entry.serial_number.as_bytes().to_vec()).collect(),
        })
    }

    /// Whether the list claims to be of the issuer that `certificate` names.
    pub fn is_for(&self, certificate: &X509Certificate) -> bool {
        self.issuer == *certificate.issuer()
    }

    /// Whether the list, signed by `issuer`, leaves `certificate` alone at `now`.
    ///
    /// Returns [`Reason::RevocationUnknown`] when the list cannot tell, [`Reason::Revoked`].
    pub fn check(
        &self,
        certificate: &X509Certificate,
        issuer: &X509Certificate,
        now: TimeMs,
        skew: DurationMs,
    ) -> Result<(), Reason> {
        let ids = (&self.authority_key_id, issuer.subject_key_id());
        let other_key = matches!(ids, (Some(a), Some(b)) if a != b);
        if !self.is_for(certificate)
            || other_key
            || self.issuer != *issuer.subject()
            || !issuer.may_revoke()
        {
            return Err(Reason::RevocationUnknown);
        }
        self.window.check(now, skew, skew).map_err(unknown)?;
        self.signed.verify(issuer.key()).map_err(unknown)?;
        if self.revoked.contains(certificate.serial()) { Err(Reason::Revoked) } else { Ok(()) }
    }
}

fn authority_of(extensions: &[Extension]) -> Result<Option<Vec<u8>>, Reason> {
    use x509_cert::ext::pkix::AuthorityKeyIdentifier;
    let Some(found) = extensions.iter().find(|found| found.extn_id == AUTHORITY) else {
        return Ok(None);
    };
    let id = AuthorityKeyIdentifier::from_der(found.extn_value.as_bytes()).map_err(unknown)?;
    Ok(id.key_identifier.map(|id| id.as_bytes().to_vec()))
}

fn unknown<E>(_: E) -> Reason {
    Reason::RevocationUnknown
}

const AUTHORITY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const DELTA: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
