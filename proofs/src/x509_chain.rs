//! Certification paths (RFC 5280 section 6) from a leaf to a trust anchor.
//!
//! Invariants: every certificate of the path, anchor included, is in its validity; every one above
//! the leaf is a CA that may certify and whose path length is kept; the leaf may sign. Policies,
//! constraints on names and keys other than ECDSA and Ed25519 are refused, not ignored.

use tallystick_kernel::{DurationMs, Reason, TimeMs};

use crate::cose::CHAIN_CERTIFICATES_MAX;
use crate::revocation_list::RevocationList;
use crate::x509_certificate::X509Certificate;

/// Trust anchors at most.
pub const TRUST_ANCHORS_MAX: usize = 64;

/// The certificates that are trusted without proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustAnchors(Vec<X509Certificate>);

/// What a chain is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainPolicy {
    /// The time of judgement.
    pub now: TimeMs,
    /// By how much each validity is widened at both ends.
    pub skew: DurationMs,
    /// Whether the leaf must say in so many words that its key may sign. RFC 5280 lets a
    /// certificate be silent, and then any use is allowed.
    pub leaf_usage_required: bool,
}

/// A path that was found valid: the leaf first, the trust anchor last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidChain(Vec<X509Certificate>);

impl TrustAnchors {
    /// Reads the anchors. Returns the reasons of [`X509Certificate::read`], and
    /// [`Reason::TooLarge`] above [`TRUST_ANCHORS_MAX`].
    pub fn read<D: AsRef<[u8]>>(anchors: &[D]) -> Result<TrustAnchors, Reason> {
        if anchors.len() > TRUST_ANCHORS_MAX {
            return Err(Reason::TooLarge);
        }
        let read = anchors.iter().map(|der| X509Certificate::read(der.as_ref()));
        read.collect::<Result<_, _>>().map(TrustAnchors)
    }
}

impl ValidChain {
    /// Finds and judges the path of `chain` (DER, leaf first, each certified by the next; the
    /// anchor itself may be there or not).
    ///
    /// Returns, in this order of precedence: [`Reason::ChainIncomplete`] for an empty chain,
    /// [`Reason::PathTooLong`] for one of more than [`CHAIN_CERTIFICATES_MAX`]; reasons of form;
    /// [`Reason::CertificateSignature`], [`Reason::ChainUntrusted`], [`Reason::ChainIncomplete`];
    /// [`Reason::CertificateExpired`] and [`Reason::CertificateNotYetValid`];
    /// [`Reason::NotCertificateAuthority`], [`Reason::KeyUsageMissing`], [`Reason::PathTooLong`].
    pub fn validate<D: AsRef<[u8]>>(
        chain: &[D],
        anchors: &TrustAnchors,
        policy: ChainPolicy,
    ) -> Result<ValidChain, Reason> {
        if chain.len() > CHAIN_CERTIFICATES_MAX {
            return Err(Reason::PathTooLong);
        }
        let path = build(chain, anchors)?;
        for certificate in &path {
            certificate.check_time(policy.now, policy.skew)?;
        }
        check_authorities(&path)?;
        if !path[0].may_sign(policy.leaf_usage_required) {
            return Err(Reason::KeyUsageMissing);
        }
        Ok(ValidChain(path))
    }

    /// The certificate whose key signs.
    pub fn leaf(&self) -> &X509Certificate {
        &self.0[0]
    }

    /// The trust anchor that the path ends in.
    pub fn anchor(&self) -> &X509Certificate {
        &self.0[self.0.len() - 1]
    }

    /// Judges the path by revocation lists: the leaf must be covered by a current list of its
    /// issuer; certificates between are judged where there is a list of their issuer.
    ///
    /// Returns [`Reason::RevocationUnknown`] or [`Reason::Revoked`].
    pub fn check_revocation(
        &self,
        lists: &[RevocationList],
        now: TimeMs,
        skew: DurationMs,
    ) -> Result<(), Reason> {
        for (index, pair) in self.0.windows(2).enumerate() {
            let (certificate, issuer) = (&pair[0], &pair[1]);
            let mut covered = index > 0 && !lists.iter().any(|list| list.is_for(certificate));
            for list in lists.iter().filter(|list| list.is_for(certificate)) {
                match list.check(certificate, issuer, now, skew) {
                    Ok(()) => covered = true,
                    Err(Reason::Revoked) => return Err(Reason::Revoked),
                    Err(_) => {}
                }
            }
            if !covered {
                return Err(Reason::RevocationUnknown);
            }
        }
        Ok(())
    }
}

/// Walks up from the leaf until an anchor certifies; each signature on the way is verified.
fn build<D: AsRef<[u8]>>(
    chain: &[D],
    anchors: &TrustAnchors,
) -> Result<Vec<X509Certificate>, Reason> {
    let leaf = chain.first().ok_or(Reason::ChainIncomplete)?;
    let mut path = vec![X509Certificate::read(leaf.as_ref())?];
    loop {
        let current = &path[path.len() - 1];
        let mut signature_failed = false;
        for anchor in &anchors.0 {
            if current.der() == anchor.der() {
                return Ok(path);
            }
            if current.names_as_issuer(anchor) {
                if current.check_signature(anchor).is_ok() {
                    path.push(anchor.clone());
                    return Ok(path);
                }
                signature_failed = true;
            }
        }
        let Some(next) = chain.get(path.len()) else {
            return Err(nowhere(current, anchors, signature_failed));
        };
        let next = X509Certificate::read(next.as_ref())?;
        if !current.names_as_issuer(&next) {
            return Err(nowhere(current, anchors, signature_failed));
        }
        current.check_signature(&next)?;
        path.push(next);
    }
}

/// Why the path ends at `last` without an anchor.
fn nowhere(last: &X509Certificate, anchors: &TrustAnchors, signature_failed: bool) -> Reason {
    let named = anchors.0.iter().any(|anchor| anchor.subject() == last.issuer());
    if signature_failed {
        Reason::CertificateSignature
    } else if named || last.is_self_issued() {
        Reason::ChainUntrusted
    } else {
        Reason::ChainIncomplete
    }
}

/// Every certificate above the leaf may certify, and keeps its path length (RFC 5280 section
/// 6.1.4, which does not count certificates that a CA issues to itself).
fn check_authorities(path: &[X509Certificate]) -> Result<(), Reason> {
    let mut below = 0;
    for certificate in &path[1..] {
        certificate.may_certify()?;
        if certificate.path_length().is_some_and(|allowed| below > allowed) {
            return Err(Reason::PathTooLong);
        }
        below += usize::from(!certificate.is_self_issued());
    }
    Ok(())
}
