//! The validator sets that a verifier knows: the genesis file's, and each that followed it.
//!
//! Invariant: a set is known only after a quorum of the set in force before it has certified the
//! decision, in an epoch before the one from which the new set is in force.

use tallystick_kernel::Reason;

use crate::action::Action;
use crate::genesis::{Genesis, ValidatorSet};
use crate::receipt::Receipt;

/// Sets by the epoch from which each is in force; the first is epoch zero's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSets(Vec<(u64, ValidatorSet)>);

impl KnownSets {
    /// The genesis file's set, which is in force until a change of it is followed.
    pub fn new(genesis: &Genesis) -> KnownSets {
        KnownSets(vec![(0, genesis.validators.clone())])
    }

    /// The set in force in an epoch, as far as changes were followed.
    pub fn at(&self, epoch: u64) -> &ValidatorSet {
        let known = self.0.iter().rev().find(|(from, _)| *from <= epoch);
        // The first entry is epoch zero's.
        known.map_or(&self.0[0].1, |(_, set)| set)
    }

    /// The epoch from which on the last set that is known is in force.
    pub fn last_from(&self) -> u64 {
        self.0.last().map_or(0, |(from, _)| *from)
    }

    /// Takes up a change of the set: `change` must verify under the sets known so far.
    ///
    /// Returns the reasons of [`Receipt::verify_under`], and [`Reason::ValidatorChainBroken`] for a
    /// transaction that changed no set, or whose set would be in force no later than the last one.
    pub fn follow(&mut self, genesis: &Genesis, change: &Receipt) -> Result<(), Reason> {
        let verified = change.verify_under(genesis, self)?;
        let from = genesis.parameters.effective_epoch(verified.result.height);
        match verified.body.action {
            Action::ValidatorsChange { validators }
                if verified.result.failure.is_none() && from > self.last_from() =>
            {
                self.0.push((from, validators));
                Ok(())
            }
            _ => Err(Reason::ValidatorChainBroken),
        }
    }
}
