//! What the operators have decided: the validator sets of epochs, and the rules of heights.
//!
//! Invariants: a set is in force for whole epochs, from the second one on after the one in which it
//! was decided; at most one set is decided in an epoch; versions of the rules follow each other
//! without a gap at rising heights. So who judges a block and by which rules is known to every node
//! that has executed all blocks of the epochs before the block's.

use std::collections::BTreeMap;

use tallystick_kernel::{Codec, Reader, Reason, TransactionId, Writer};
use tallystick_proofs::genesis::{Genesis, ValidatorSet};

/// A validator set and the transaction that decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedSet {
    /// The set.
    pub validators: ValidatorSet,
    /// Its `validators_change`; none for the genesis file's.
    pub decided_by: Option<TransactionId>,
}

/// All sets and all versions of the rules so far, those of genesis too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Governance {
    /// By the epoch from which each set is in force.
    pub(crate) sets: BTreeMap<u64, DecidedSet>,
    /// By the height from which each version is in force.
    pub(crate) rules: BTreeMap<u64, u64>,
}

impl Governance {
    /// What the genesis file fixes.
    pub(crate) fn new(genesis: &Genesis) -> Governance {
        let first = DecidedSet { validators: genesis.validators.clone(), decided_by: None };
        let version = genesis.parameters.rules_version();
        Governance { sets: BTreeMap::from([(0, first)]), rules: BTreeMap::from([(0, version)]) }
    }

    /// The set in force in an epoch, as far as decided.
    pub fn validators(&self, epoch: u64) -> &ValidatorSet {
        match self.sets.range(..=epoch).next_back() {
            Some((_, decided)) => &decided.validators,
            None => unreachable!("the genesis file's set stands at epoch zero"),
        }
    }

    /// Every set, by the epoch from which it is in force.
    pub fn sets(&self) -> impl DoubleEndedIterator<Item = (u64, &DecidedSet)> {
        self.sets.iter().map(|(epoch, decided)| (*epoch, decided))
    }

    /// The version of the rules in force at a height, as far as decided.
    pub fn rules_version(&self, height: u64) -> u64 {
        let in_force = self.rules.range(..=height).next_back();
        in_force.map_or(0, |(_, version)| *version)
    }

    /// Every version of the rules, by the height from which it is in force.
    pub fn rules(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> {
        self.rules.iter().map(|(height, version)| (*height, *version))
    }

    /// The last version decided and the height from which it is in force.
    pub fn last_rules(&self) -> (u64, u64) {
        self.rules.last_key_value().map_or((0, 0), |(height, version)| (*version, *height))
    }
}

/// An entry beyond the genesis file's: only these are persisted and authenticated.
pub(crate) fn decided<T>(entries: &BTreeMap<u64, T>, from: u64) -> Option<&T> {
    entries.get(&from).filter(|_| from > 0)
}

impl Codec for DecidedSet {
    fn encode(&self, out: &mut Writer) {
        out.array(2).value(&self.validators).option(self.decided_by.as_ref());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(2)?;
        Ok(DecidedSet { validators: ValidatorSet::decode(input)?, decided_by: input.option()? })
    }
}
