//! The engine's signing schemes: one for each validator set, as far as sets are decided.
//!
//! Invariant: there is no scheme for an epoch whose set may still change, so that no certificate of
//! it is verified against a set that is out of date.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use commonware_codec::DecodeExt;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::Finalization;
use commonware_consensus::types::Epoch;
use commonware_cryptography::certificate::{Provider, Scheme as _, Scoped};
use commonware_cryptography::ed25519;
use commonware_cryptography::sha256::Digest;
use commonware_utils::TryCollect;
use commonware_utils::ordered::Set;
use tallystick_kernel::Reason;
use tallystick_ledger::State;
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::genesis::ValidatorSet;
use tallystick_proofs::header::Header;

use crate::certificate;

/// The schemes of one node; clones share them.
#[derive(Clone)]
pub struct Schemes {
    namespace: Arc<[u8]>,
    private: ed25519::PrivateKey,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// By the epoch from which each is in force.
    schemes: BTreeMap<u64, Arc<Scheme>>,
    /// The last epoch whose set is decided.
    until: u64,
}

impl Schemes {
    /// Those that the state knows of, for the holder of `private`; [`Reason::ValidatorsMalformed`].
    pub fn new(
        namespace: &[u8],
        private: ed25519::PrivateKey,
        state: &State,
    ) -> Result<Schemes, Reason> {
        let schemes = Schemes { namespace: namespace.into(), private, known: Arc::default() };
        schemes.learn(state)?;
        Ok(schemes)
    }

    /// Takes up what was decided since. What is executed in an epoch changes the second one after
    /// it at the earliest, so the epoch after the current one is decided.
    pub fn learn(&self, state: &State) -> Result<(), Reason> {
        let until = state.next_epoch().saturating_add(1);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.until = until;
        let decided = state.governance().sets().take_while(|(epoch, _)| *epoch <= until);
        for (epoch, set) in decided {
            if let Entry::Vacant(place) = known.schemes.entry(epoch) {
                place.insert(Arc::new(self.scheme(&set.validators)?));
            }
        }
        Ok(())
    }

    /// The scheme of an epoch: signs when this node is one of its validators.
    pub fn of(&self, epoch: u64) -> Option<Arc<Scheme>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch > known.until {
            return None;
        }
        known.schemes.range(..=epoch).next_back().map(|(_, scheme)| Arc::clone(scheme))
    }

    /// The engine's form of a certificate that was verified for this header.
    ///
    /// Returns [`Reason::ValidatorSetMismatch`] for an epoch whose set is not decided here, and the
    /// reasons of [`certificate::to_engine`].
    pub fn finalization(
        &self,
        certificate: &FinalityCertificate,
        header: &Header,
    ) -> Result<Finalization<Scheme, Digest>, Reason> {
        let scheme = self.of(certificate.epoch).ok_or(Reason::ValidatorSetMismatch)?;
        certificate::to_engine(certificate, header, scheme.participants().len())
    }

    fn scheme(&self, validators: &ValidatorSet) -> Result<Scheme, Reason> {
        let set: Result<Set<ed25519::PublicKey>, _> = keys(validators).into_iter().try_collect();
        let set = set.map_err(|_| Reason::ValidatorsMalformed)?;
        let signer = Scheme::signer(&self.namespace, set.clone(), self.private.clone());
        Ok(signer.unwrap_or_else(|| Scheme::verifier(&self.namespace, set)))
    }
}

impl Provider for Schemes {
    type Scope = Epoch;
    type Scheme = Scheme;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<Scheme>> {
        self.of(epoch.get()).map(Scoped::scheme)
    }
}

/// The validators' keys as the engine has them, in the order of the set.
pub fn keys(validators: &ValidatorSet) -> Vec<ed25519::PublicKey> {
    let keys = validators.keys().iter();
    keys.filter_map(|key| ed25519::PublicKey::decode(Bytes::copy_from_slice(key.bytes())).ok())
        .collect()
}
