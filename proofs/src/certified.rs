//! That a header is final: its descendants up to one with a certificate, and the sets that sign.

use tallystick_kernel::Reason;

use crate::finality::FinalityCertificate;
use crate::genesis::Genesis;
use crate::header::Header;
use crate::receipt::SetChange;
use crate::validator_sets::KnownSets;

/// A header, those that follow it, and the certificate of the last one.
pub struct Certified<'c> {
    /// The header that is to be final.
    pub header: &'c Header,
    /// Headers that follow on it one by one; empty when it has a certificate of its own.
    pub descendants: &'c [Header],
    /// The certificate of the last of them.
    pub finality: &'c FinalityCertificate,
}

impl<'c> Certified<'c> {
    /// The header that the certificate is for; [`Reason::HeaderMismatch`] when one does not follow
    /// on the one before it.
    pub fn last(&self) -> Result<&'c Header, Reason> {
        let mut tip = self.header;
        for next in self.descendants {
            if next.previous != tip.id() || next.height != tip.height + 1 {
                return Err(Reason::HeaderMismatch);
            }
            tip = next;
        }
        Ok(tip)
    }

    /// Verifies the certificate under the sets that are known: [`Reason::HeaderMismatch`],
    /// [`Reason::ValidatorSetMismatch`], then the reasons of [`FinalityCertificate::verify`].
    pub fn verify(&self, genesis: &Genesis, sets: &KnownSets) -> Result<(), Reason> {
        let certified = self.last()?;
        let validators = sets.at(certified.epoch);
        if certified.validator_set_hash != validators.hash()
            || certified.epoch != genesis.parameters.epoch_of(certified.height)
            || certified.epoch != self.finality.epoch
        {
            return Err(Reason::ValidatorSetMismatch);
        }
        self.finality.verify(&genesis.network(), validators, &certified.id())
    }

    /// As [`Certified::verify`], under the sets to which the changes lead from the genesis file;
    /// [`Reason::ValidatorChainBroken`] also when a change is of a later epoch than the last header,
    /// where it proves nothing.
    pub fn verify_from(&self, genesis: &Genesis, changes: &[SetChange]) -> Result<(), Reason> {
        let sets = follow(genesis, changes)?;
        self.verify(genesis, &sets)?;
        let is_of_later = sets.last_from() > self.last()?.epoch;
        if is_of_later { Err(Reason::ValidatorChainBroken) } else { Ok(()) }
    }
}

/// The sets to which changes lead from the genesis file; the reasons of [`KnownSets::follow`].
pub fn follow(genesis: &Genesis, changes: &[SetChange]) -> Result<KnownSets, Reason> {
    let mut sets = KnownSets::new(genesis);
    for SetChange(change) in changes {
        sets.follow(genesis, change)?;
    }
    Ok(sets)
}
