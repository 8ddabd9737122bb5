//! The acknowledgement certificate: `n - f` validators state that they stored a transaction durably.
//!
//! It promises that the body survives `f` faults and that the id ends in exactly one of: a result,
//! or expiry. It is no payment: only a receipt of success is.

use tallystick_crypto::Signature;
use tallystick_kernel::limits::VALIDATORS_MAX;
use tallystick_kernel::{Codec, Digest, LabelledHash, NetworkId, Reader, Reason, Writer};

use crate::genesis::ValidatorSet;
use crate::header::{Entry, entries_root};
use crate::merkle::MerklePath;

/// The version of the certificate's encoding.
pub const ACKNOWLEDGEMENT_VERSION: u64 = 1;

/// `[version, entry, path, signers, signatures]`: the entry lies in a batch, and each signer signed
/// the batch's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcknowledgementCertificate {
    /// What is acknowledged: the transaction with this witness.
    pub entry: Entry,
    /// The way from the entry to the batch's root.
    pub path: MerklePath,
    /// The places of the signers in the validator set, strictly rising.
    pub signers: Vec<u64>,
    /// One signature over [`statement`] for each signer.
    pub signatures: Vec<Signature>,
}

/// The root that names a batch.
pub fn batch_root(entries: &[Entry]) -> Digest {
    entries_root(entries)
}

/// What a validator signs to state that it stored the batch with this root.
pub fn statement(network: &NetworkId, root: &Digest) -> Digest {
    LabelledHash::new("tallystick/stored/1").part(&network.0).part(root).finish()
}

impl AcknowledgementCertificate {
    /// Verifies the path and a quorum of statements.
    ///
    /// Returns [`Reason::PathInvalid`], [`Reason::Malformed`], [`Reason::SignerUnknown`],
    /// [`Reason::CertificateShort`] and [`Reason::SignatureInvalid`].
    pub fn verify(&self, network: &NetworkId, validators: &ValidatorSet) -> Result<(), Reason> {
        if self.signers.len() != self.signatures.len() {
            return Err(Reason::Malformed);
        }
        if self.signers.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Reason::SignerUnknown);
        }
        if self.signers.len() < validators.quorum() {
            return Err(Reason::CertificateShort);
        }
        let root = self.path.root(&self.entry.to_bytes())?;
        let message = statement(network, &root);
        self.signers.iter().zip(&self.signatures).try_for_each(|(signer, signature)| {
            let place = usize::try_from(*signer).map_err(|_| Reason::SignerUnknown)?;
            let key = validators.keys().get(place).ok_or(Reason::SignerUnknown)?;
            key.verify(&message, signature)
        })
    }
}

impl Codec for AcknowledgementCertificate {
    fn encode(&self, out: &mut Writer) {
        out.array(5).u64(ACKNOWLEDGEMENT_VERSION).value(&self.entry).value(&self.path);
        out.list(&self.signers).list(&self.signatures);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(5)?;
        if input.u64()? != ACKNOWLEDGEMENT_VERSION {
            return Err(Reason::VersionUnknown);
        }
        Ok(AcknowledgementCertificate {
            entry: Entry::decode(input)?,
            path: MerklePath::decode(input)?,
            signers: input.list(VALIDATORS_MAX)?,
            signatures: input.list(VALIDATORS_MAX)?,
        })
    }
}
