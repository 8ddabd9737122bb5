//! Who the validators of the current epoch are, as one node sees it.

use tallystick_crypto::PublicKey;
use tallystick_ledger::State;
use tallystick_proofs::genesis::ValidatorSet;

/// The validators of an epoch, and this node's place among them if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// The epoch.
    pub epoch: u64,
    /// Its validators.
    pub validators: ValidatorSet,
    own: PublicKey,
}

impl Members {
    /// Those who vote in an epoch that the state decides.
    pub fn of(state: &State, epoch: u64, own: PublicKey) -> Members {
        Members { epoch, validators: state.governance().validators(epoch).clone(), own }
    }

    /// The place of the validator with these key bytes.
    pub fn place_of(&self, key: &[u8]) -> Option<u64> {
        let place = self.validators.keys().iter().position(|known| known.bytes() == key)?;
        Some(place as u64)
    }

    /// The key at a place.
    pub fn key(&self, place: u64) -> Option<&PublicKey> {
        self.validators.keys().get(usize::try_from(place).ok()?)
    }

    /// This node's place; none when it only follows.
    pub fn own_place(&self) -> Option<u64> {
        self.place_of(self.own.bytes())
    }

    /// How many validators there are beside this node.
    pub fn others(&self) -> usize {
        self.validators.count() - usize::from(self.own_place().is_some())
    }
}
