//! Payment codes at the till (capability 5): verified offline, before anybody is asked.

use std::collections::BTreeMap;

use tallystick_kernel::{Amount, CurrencyCode, Reason, TimeMs};
use tallystick_proofs::payment_code::{self, Chain, KeyId, Trust, VerifiedCode};
use tallystick_proofs::revocation_list::RevocationList;
use tallystick_proofs::x509_chain::TrustAnchors;

/// Chains that a till remembers at most; the oldest known are not dropped, new ones must wait for a
/// code that brings its chain along.
pub const CHAINS_MAX: usize = 10_000;

/// What a till trusts and has learnt.
#[derive(Clone, Debug)]
pub struct TillTrust {
    /// The certificates of issuers.
    pub anchors: TrustAnchors,
    /// Their current revocation lists.
    pub revocation: Vec<RevocationList>,
    /// Chains by the id of their device's key.
    pub known: BTreeMap<KeyId, Chain>,
}

/// Verifies a code at `now`, without asking anybody.
///
/// Returns the reasons of [`payment_code::verify`], then [`Reason::CurrencyMismatch`] and
/// [`Reason::AmountDiffers`] for a code that is bound to something else than is `wanted`. Whether
/// the code was used before is for the issuer to say.
pub fn verify(
    text: &str,
    wanted: Option<(CurrencyCode, Amount)>,
    trust: &TillTrust,
    now: TimeMs,
) -> Result<VerifiedCode, Reason> {
    let TillTrust { anchors, revocation, known } = trust;
    let code = payment_code::verify(text, now, Trust { anchors, known, revocation })?;
    if let (Some((currency, amount)), Some(wanted)) = (code.claims.amount, wanted) {
        if currency != wanted.0 {
            return Err(Reason::CurrencyMismatch);
        }
        if amount != wanted.1 {
            return Err(Reason::AmountDiffers);
        }
    }
    Ok(code)
}

impl TillTrust {
    /// Remembers the chain of a code that verified; tells whether it was new.
    pub fn learn(&mut self, code: &VerifiedCode) -> bool {
        let is_new = !self.known.contains_key(&code.key_id) && self.known.len() < CHAINS_MAX;
        if is_new {
            self.known.insert(code.key_id, code.chain.clone());
        }
        is_new
    }
}
