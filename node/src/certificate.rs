//! From the engine's finalizations to our certificate format.

use bytes::Bytes;
use commonware_codec::{DecodeExt, Encode};
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::{Finalization, Proposal};
use commonware_consensus::types::{Epoch, Round, View};
use commonware_consensus::{Epochable, Viewable};
use commonware_cryptography::certificate::Signers;
use commonware_cryptography::ed25519;
use commonware_cryptography::sha256::Digest;
use commonware_utils::Participant;
use tallystick_crypto::Signature;
use tallystick_kernel::Reason;
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::header::Header;

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

/// The engine's form of a certificate that was verified for this header.
///
/// Returns [`Reason::Malformed`] for signers and signatures that the engine cannot hold.
pub fn to_engine(
    certificate: &FinalityCertificate,
    header: &Header,
    validators: usize,
) -> Result<Finalization<Scheme, Digest>, Reason> {
    let malformed = Reason::Malformed;
    let count = u32::try_from(validators).map_err(|_| malformed)?;
    let places = certificate.signers.iter().map(|place| u32::try_from(*place));
    let places = places.collect::<Result<Vec<u32>, _>>().map_err(|_| malformed)?;
    let signers = Signers::new(count, places.into_iter().map(Participant::new));
    let signatures = certificate.signatures.iter().map(|signature| {
        ed25519::Signature::decode(Bytes::copy_from_slice(&signature.0))
            .map(Into::into)
            .map_err(|_| malformed)
    });
    let round = Round::new(Epoch::new(certificate.epoch), View::new(certificate.view));
    let parent = View::new(certificate.parent_view);
    Ok(Finalization {
        proposal: Proposal::new(round, parent, Digest::from(header.id().0)),
        certificate: ed25519::certificate::Certificate {
            signers: signers.map_err(|_| malformed)?,
            signatures: signatures.collect::<Result<_, Reason>>()?,
        },
    })
}
