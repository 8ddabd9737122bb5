//! Collecting storage statements until a quorum has acknowledged a transaction.
//!
//! Invariant: a statement is counted only after its signature verified, once for each validator.

use std::collections::BTreeMap;
use std::sync::Arc;

use tallystick_crypto::Signature;
use tallystick_kernel::{Codec, Digest, NetworkId, Reason, TransactionId};
use tallystick_proofs::acknowledgement::{AcknowledgementCertificate, batch_root, statement};
use tallystick_proofs::genesis::ValidatorSet;
use tallystick_proofs::header::Entry;
use tallystick_proofs::merkle;

/// Batches that wait for statements at most; the oldest give way and are offered again.
const BATCHES_MAX: usize = 1024;

/// Batches that this node sent out, and what others said of them.
pub struct Acknowledgements {
    network: NetworkId,
    validators: ValidatorSet,
    place: Option<u64>,
    opened: u64,
    batches: BTreeMap<Digest, Batch>,
    by_age: BTreeMap<u64, Digest>,
    acknowledged: BTreeMap<TransactionId, Arc<Batch>>,
}

struct Batch {
    age: u64,
    entries: Vec<Entry>,
    statements: BTreeMap<u64, Signature>,
}

impl Acknowledgements {
    /// None yet; `place` is this node's in the validator set, if it is one of them.
    pub fn new(
        network: NetworkId,
        validators: &ValidatorSet,
        place: Option<u64>,
    ) -> Acknowledgements {
        Acknowledgements {
            network,
            validators: validators.clone(),
            place,
            opened: 0,
            batches: BTreeMap::new(),
            by_age: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
        }
    }

    /// Begins anew under another set: what the one before acknowledged is offered to this one.
    pub fn enter(&mut self, validators: &ValidatorSet, place: Option<u64>) {
        if self.validators != *validators {
            *self = Acknowledgements::new(self.network, validators, place);
        }
    }

    /// What a validator signs for a batch.
    pub fn message(&self, entries: &[Entry]) -> (Digest, Digest) {
        let root = batch_root(entries);
        (root, statement(&self.network, &root))
    }

    /// Opens a batch with this node's own statement.
    pub fn open(&mut self, entries: Vec<Entry>, own: Signature) {
        let root = batch_root(&entries);
        if self.batches.contains_key(&root) {
            return;
        }
        if self.batches.len() >= BATCHES_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.batches.remove(&oldest);
        }
        self.opened += 1;
        let statements = self.place.map(|place| (place, own)).into_iter().collect();
        self.by_age.insert(self.opened, root);
        self.batches.insert(root, Batch { age: self.opened, entries, statements });
        self.close_if_quorum(&root);
    }

    /// Counts a statement; gives whether it completed a quorum.
    ///
    /// Returns [`Reason::SignerUnknown`] and [`Reason::SignatureInvalid`]; a batch that is not (or
    /// no longer) open is no error.
    pub fn state(
        &mut self,
        signer: u64,
        root: &Digest,
        signature: Signature,
    ) -> Result<bool, Reason> {
        let Some(batch) = self.batches.get_mut(root) else { return Ok(false) };
        let place = usize::try_from(signer).map_err(|_| Reason::SignerUnknown)?;
        let key = self.validators.keys().get(place).ok_or(Reason::SignerUnknown)?;
        key.verify(&statement(&self.network, root), &signature)?;
        batch.statements.insert(signer, signature);
        Ok(self.close_if_quorum(root))
    }

    /// Whether a quorum has stored the transaction.
    pub fn is_acknowledged(&self, id: &TransactionId) -> bool {
        self.acknowledged.contains_key(id)
    }

    /// The certificate of a transaction that still waits.
    pub fn certificate(&self, id: &TransactionId) -> Option<AcknowledgementCertificate> {
        let batch = self.acknowledged.get(id)?;
        let index = batch.entries.iter().position(|entry| entry.id == *id)?;
        let leaves: Vec<Vec<u8>> = batch.entries.iter().map(Codec::to_bytes).collect();
        Some(AcknowledgementCertificate {
            entry: batch.entries[index],
            path: merkle::path(&leaves, index)?,
            signers: batch.statements.keys().copied().collect(),
            signatures: batch.statements.values().copied().collect(),
        })
    }

    /// Forgets a transaction that has ended.
    pub fn forget(&mut self, id: &TransactionId) {
        self.acknowledged.remove(id);
    }

    fn close_if_quorum(&mut self, root: &Digest) -> bool {
        let quorum = self.validators.quorum();
        if self.batches.get(root).is_none_or(|batch| batch.statements.len() < quorum) {
            return false;
        }
        let Some(batch) = self.batches.remove(root) else { return false };
        self.by_age.remove(&batch.age);
        let batch = Arc::new(batch);
        for entry in &batch.entries {
            self.acknowledged.insert(entry.id, Arc::clone(&batch));
        }
        true
    }
}
