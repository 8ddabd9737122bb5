//! From the engine's finalizations to our certificate format.

use commonware_codec::Encode;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::Finalization;
use commonware_consensus::{Epochable, Viewable};
use commonware_cryptography::sha256::Digest;
use tallystick_crypto::Signature;
use tallystick_kernel::Reason;
use tallystick_proofs::finality::FinalityCertificate;

/// Converts a finalization that the engine has verified.
///
/// The engine orders its participants by their key bytes, as [`ValidatorSet`] does, so its places
/// are ours. Returns [`Reason::Malformed`] for signatures that cannot be read.
///
/// [`ValidatorSet`]: tallystick_proofs::genesis::ValidatorSet
pub fn convert(finalization: &Finalization<Scheme, Digest>) -> Result<FinalityCertificate, Reason> {
    let signatures = finalization.certificate.signatures.iter().map(|signature| {
        let signature = signature.get().ok_or(Reason::Malformed)?;
        let bytes: [u8; 64] =
            signature.encode().as_ref().try_into().map_err(|_| Reason::Malformed)?;
        Ok(Signature(bytes))
    });
    Ok(FinalityCertificate {
        epoch: finalization.proposal.epoch().get(),
        view: finalization.proposal.view().get(),
        parent_view: finalization.proposal.parent.get(),
        signers: finalization
            .certificate
            .signers
            .iter()
            .map(|place| u64::from(place.get()))
            .collect(),
        signatures: signatures.collect::<Result<_, Reason>>()?,
    })
}
