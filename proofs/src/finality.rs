//! The finality certificate: proof that a quorum of validators finalized a header.
//!
//! Invariant: [`FinalityCertificate::message`] gives exactly the bytes that the consensus engine
//! signs to finalize a proposal (commonware simplex, Ed25519 scheme: `union_unique(namespace ||
//! "_FINALIZE", epoch || view || parent view || payload)`, numbers as LEB128). The crate `node`
//! tests this against the engine's own verifier.

use tallystick_crypto::{PublicKey, Signature};
use tallystick_kernel::limits::VALIDATORS_MAX;
use tallystick_kernel::{BlockId, Codec, NetworkId, Reader, Reason, Writer};

use crate::genesis::ValidatorSet;

/// The version of the certificate's encoding.
pub const FINALITY_VERSION: u64 = 1;
const NAMESPACE_PREFIX: &[u8] = b"_TALLYSTICK_1_";
const FINALIZE_SUFFIX: &[u8] = b"_FINALIZE";

/// `[version, epoch, view, parent_view, signers, signatures]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalityCertificate {
    /// The epoch of the validator set.
    pub epoch: u64,
    /// The engine's view in which the proposal was finalized.
    pub view: u64,
    /// The view of the proposal's parent.
    pub parent_view: u64,
    /// The places of the signers in the validator set, strictly rising.
    pub signers: Vec<u64>,
    /// One signature for each signer, in the same order.
    pub signatures: Vec<Signature>,
}

/// The engine's namespace for a network: signatures for one network mean nothing in another.
pub fn namespace(network: &NetworkId) -> Vec<u8> {
    [NAMESPACE_PREFIX, &network.0].concat()
}

impl FinalityCertificate {
    /// The bytes that each signer signed to finalize the header with this id.
    pub fn message(&self, network: &NetworkId, header: &BlockId) -> Vec<u8> {
        let namespace = [&namespace(network), FINALIZE_SUFFIX].concat();
        let mut message = Vec::with_capacity(namespace.len() + 64);
        leb128(namespace.len() as u64, &mut message);
        message.extend_from_slice(&namespace);
        for number in [self.epoch, self.view, self.parent_view] {
            leb128(number, &mut message);
        }
        message.extend_from_slice(&header.0);
        message
    }

    /// Whether a quorum of `validators` finalized the header with this id.
    ///
    /// Returns [`Reason::SignerUnknown`] for a signer that is not there or not in order,
    /// [`Reason::CertificateShort`] below `n - f` signatures, [`Reason::Malformed`] when the lists
    /// differ in length, and [`Reason::SignatureInvalid`].
    pub fn verify(
        &self,
        network: &NetworkId,
        validators: &ValidatorSet,
        header: &BlockId,
    ) -> Result<(), Reason> {
        if self.signers.len() != self.signatures.len() {
            return Err(Reason::Malformed);
        }
        if self.signers.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Reason::SignerUnknown);
        }
        if self.signers.len() < validators.quorum() {
            return Err(Reason::CertificateShort);
        }
        let message = self.message(network, header);
        self.signers.iter().zip(&self.signatures).try_for_each(|(signer, signature)| {
            let place = usize::try_from(*signer).map_err(|_| Reason::SignerUnknown)?;
            let key: &PublicKey = validators.keys().get(place).ok_or(Reason::SignerUnknown)?;
            key.verify(&message, signature)
        })
    }
}

fn leb128(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

impl Codec for FinalityCertificate {
    fn encode(&self, out: &mut Writer) {
        out.array(6).u64(FINALITY_VERSION).u64(self.epoch).u64(self.view).u64(self.parent_view);
        out.list(&self.signers).list(&self.signatures);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(6)?;
        if input.u64()? != FINALITY_VERSION {
            return Err(Reason::VersionUnknown);
        }
        Ok(FinalityCertificate {
            epoch: input.u64()?,
            view: input.u64()?,
            parent_view: input.u64()?,
            signers: input.list(VALIDATORS_MAX)?,
            signatures: input.list(VALIDATORS_MAX)?,
        })
    }
}
