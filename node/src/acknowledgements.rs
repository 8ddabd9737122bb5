//! Collecting storage statements until a quorum has acknowledged a transaction.
//!
//! Invariants: a statement is counted only after its signature verified, once for each validator;
//! every entry that was ever opened is acknowledged, in an open batch, or loose, until it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tallystick_crypto::Signature;
use tallystick_kernel::{Codec, Digest, DurationMs, NetworkId, Reason, TimeMs, TransactionId};
use tallystick_ledger::lookup::Lookup;
use tallystick_proofs::acknowledgement::{AcknowledgementCertificate, batch_root, statement};
use tallystick_proofs::genesis::ValidatorSet;
use tallystick_proofs::header::Entry;
use tallystick_proofs::merkle;

/// Batches that wait for statements at most; the oldest give way and are offered again.
const BATCHES_MAX: usize = 1024;

/// Transactions of loose entries that are offered at a time.
const LOOSE_AT_ONCE: usize = 256;
/// Batches that are offered again at a time.
const AGAIN_AT_ONCE: usize = 16;
/// Into how many parts a batch is cut of which somebody did not store everything: what is wrong with
/// one transaction must not keep the others from being acknowledged.
const PARTS: usize = 16;
/// How long a batch waits for its quorum before it is offered again; twice as long each time.
const AGAIN_AFTER: DurationMs = DurationMs::seconds(1);
const AGAIN_AFTER_MAX: DurationMs = DurationMs::seconds(16);

/// Batches that this node sent out, and what others said of them.
pub struct Acknowledgements {
    validators: ValidatorSet,
    place: Option<u64>,
    opened: u64,
    batches: BTreeMap<Digest, Batch>,
    by_age: BTreeMap<u64, Digest>,
    /// Entries that are in no batch, and shall be.
    loose: BTreeSet<Entry>,
    acknowledged: Lookup<TransactionId, Arc<Batch>>,
}

struct Batch {
    age: u64,
    entries: Vec<Entry>,
    statements: BTreeMap<u64, Signature>,
    again_at: TimeMs,
    pause: DurationMs,
    declined: bool,
}

/// What is offered again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The entries, in the order of their batch.
    pub entries: Vec<Entry>,
    /// The validators that have not stated that they stored them; none when the batch is new, and
    /// is to be opened and offered to everyone.
    pub unheard: Option<Vec<u64>>,
}

impl Acknowledgements {
    /// None yet; `place` is this node's in the validator set, if it is one of them.
    pub fn new(validators: &ValidatorSet, place: Option<u64>) -> Acknowledgements {
        Acknowledgements {
            validators: validators.clone(),
            place,
            opened: 0,
            batches: BTreeMap::new(),
            by_age: BTreeMap::new(),
            loose: BTreeSet::new(),
            acknowledged: Lookup::default(),
        }
    }

    /// Begins anew under another set: what the one before acknowledged is offered to this one.
    pub fn enter(&mut self, validators: &ValidatorSet, place: Option<u64>) {
        if self.validators == *validators {
            return;
        }
        let before = std::mem::replace(self, Acknowledgements::new(validators, place));
        self.loosen(before.loose);
        self.loosen(before.batches.into_values().flat_map(|batch| batch.entries));
        for batch in before.acknowledged.sorted().into_iter().map(|(_, batch)| batch) {
            self.loosen(batch.entries.iter().copied());
        }
    }

    /// Opens a batch with this node's own statement, offered at `now`.
    pub fn open(
        &mut self,
        entries: Vec<Entry>,
        own: Signature,
        now: TimeMs,
        waits: impl Fn(&Entry) -> bool,
    ) {
        let root = batch_root(&entries);
        if self.batches.contains_key(&root) {
            return;
        }
        if self.batches.len() >= BATCHES_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
            && let Some(oldest) = self.batches.remove(&oldest)
        {
            self.loosen(oldest.entries);
        }
        self.opened += 1;
        let statements = self.place.map(|place| (place, own)).into_iter().collect();
        let (again_at, pause) = (now.after(AGAIN_AFTER), AGAIN_AFTER);
        self.by_age.insert(self.opened, root);
        let declined = false;
        let batch = Batch { age: self.opened, entries, statements, again_at, pause, declined };
        self.batches.insert(root, batch);
        self.close_if_quorum(&root, waits);
    }

    /// Takes up entries that are stored here and in no batch.
    pub fn loosen(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.loose.extend(entries);
    }

    /// Whether a batch with this root waits for statements.
    pub fn is_open(&self, root: &Digest) -> bool {
        self.batches.contains_key(root)
    }

    /// Counts a statement; gives whether it completed a quorum. The caller MUST have verified the
    /// signature ([`check_statement`]). A batch that is not (or no longer) open is no error.
    pub fn state(
        &mut self,
        signer: u64,
        root: &Digest,
        signature: Signature,
        waits: impl Fn(&Entry) -> bool,
    ) -> bool {
        let Some(batch) = self.batches.get_mut(root) else { return false };
        batch.statements.insert(signer, signature);
        self.close_if_quorum(root, waits)
    }

    /// Notes that somebody has not stored all of a batch.
    pub fn decline(&mut self, root: &Digest) {
        if let Some(batch) = self.batches.get_mut(root) {
            batch.declined = true;
        }
    }

    /// What is to be offered again at `now`; `waits` says what is still stored and not executed.
    ///
    /// Everything that is given as new ([`Due::unheard`]) MUST be opened by the caller.
    pub fn due(&mut self, now: TimeMs, waits: impl Fn(&Entry) -> bool) -> Vec<Due> {
        let late = self.batches.iter().filter(|(_, batch)| batch.again_at <= now);
        let late: Vec<Digest> = late.map(|(root, _)| *root).take(AGAIN_AT_ONCE).collect();
        let mut due = Vec::new();
        for root in late {
            let Some(batch) = self.batches.get_mut(&root) else { continue };
            let is_cut = batch.declined && batch.entries.len() > 1;
            if !is_cut && batch.entries.iter().all(&waits) {
                batch.pause = DurationMs((batch.pause.0 * 2).min(AGAIN_AFTER_MAX.0));
                batch.again_at = now.after(batch.pause);
                let places = 0..self.validators.count() as u64;
                let unheard = places.filter(|place| !batch.statements.contains_key(place));
                let unheard = Some(unheard.collect());
                due.push(Due { entries: batch.entries.clone(), unheard });
            } else if let Some(batch) = self.batches.remove(&root) {
                // Part of it has ended, or is not wanted; the rest needs batches of its own.
                self.by_age.remove(&batch.age);
                if is_cut {
                    due.extend(parts(&batch.entries, &waits));
                } else {
                    self.loosen(batch.entries);
                }
            }
        }
        let acknowledged = &self.acknowledged;
        self.loose.retain(|entry| waits(entry) && !acknowledged.contains(&entry.id));
        let entries: Vec<Entry> = self.loose.iter().take(LOOSE_AT_ONCE).copied().collect();
        for entry in &entries {
            self.loose.remove(entry);
        }
        if !entries.is_empty() {
            due.push(Due { entries, unheard: None });
        }
        due
    }

    /// Whether a quorum has stored the transaction.
    pub fn is_acknowledged(&self, id: &TransactionId) -> bool {
        self.acknowledged.contains(id)
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

    /// What ended before its quorum came is not remembered.
    fn close_if_quorum(&mut self, root: &Digest, waits: impl Fn(&Entry) -> bool) -> bool {
        let quorum = self.validators.quorum();
        if self.batches.get(root).is_none_or(|batch| batch.statements.len() < quorum) {
            return false;
        }
        let Some(batch) = self.batches.remove(root) else { return false };
        self.by_age.remove(&batch.age);
        let batch = Arc::new(batch);
        for entry in batch.entries.iter().filter(|entry| waits(entry)) {
            self.acknowledged.insert(entry.id, Arc::clone(&batch));
        }
        true
    }
}

/// What still waits of these, as new batches.
fn parts<'e>(
    entries: &'e [Entry],
    waits: &'e impl Fn(&Entry) -> bool,
) -> impl Iterator<Item = Due> + 'e {
    let parts = entries.chunks(entries.len().div_ceil(PARTS).max(1));
    let parts = parts.map(|part| part.iter().filter(|entry| waits(entry)).copied().collect());
    let parts = parts.filter(|entries: &Vec<Entry>| !entries.is_empty());
    parts.map(|entries| Due { entries, unheard: None })
}

/// What a validator signs when it has stored a batch: the batch's root, and the message.
pub fn message(network: &NetworkId, entries: &[Entry]) -> (Digest, Digest) {
    let root = batch_root(entries);
    (root, statement(network, &root))
}

/// Verifies a storage statement of the validator at `signer`: [`Reason::SignerUnknown`],
/// [`Reason::SignatureInvalid`].
pub fn check_statement(
    network: &NetworkId,
    validators: &ValidatorSet,
    signer: u64,
    root: &Digest,
    signature: &Signature,
) -> Result<(), Reason> {
    let place = usize::try_from(signer).map_err(|_| Reason::SignerUnknown)?;
    let key = validators.keys().get(place).ok_or(Reason::SignerUnknown)?;
    key.verify(&statement(network, root), signature)
}

#[cfg(test)]
mod tests {
    use tallystick_crypto::SigningKey;

    use super::*;

    const NOW: TimeMs = TimeMs(1_000_000);
    const NETWORK: NetworkId = NetworkId([1; 32]);

    fn keys() -> Vec<SigningKey> {
        let mut keys: Vec<_> =
            (0..4).map(|seed| SigningKey::ed25519_from_seed(&[seed; 32])).collect();
        keys.sort_by_key(SigningKey::public_key);
        keys
    }

    fn own(keys: &[SigningKey], entries: &[Entry], place: usize) -> Signature {
        keys[place].sign(&message(&NETWORK, entries).1)
    }

    fn entry(id: u8) -> Entry {
        Entry { id: TransactionId([id; 32]), witness_hash: [0; 32] }
    }

    fn opened(entries: &[Entry]) -> (Acknowledgements, Vec<SigningKey>, ValidatorSet) {
        let keys = keys();
        let public = keys.iter().map(SigningKey::public_key).collect();
        let validators = ValidatorSet::new(public).unwrap();
        let mut acknowledgements = Acknowledgements::new(&validators, Some(0));
        acknowledgements.open(entries.to_vec(), own(&keys, entries, 0), NOW, |_| true);
        (acknowledgements, keys, validators)
    }

    #[test]
    fn a_quorum_of_statements_acknowledges_what_still_waits_and_only_that() {
        let entries = [entry(1), entry(2)];
        let (mut all, keys, validators) = opened(&entries);
        let (root, _) = message(&NETWORK, &entries);
        let by = own(&keys, &entries, 2);
        assert_eq!(check_statement(&NETWORK, &validators, 2, &root, &by), Ok(()));
        let wrong = check_statement(&NETWORK, &validators, 1, &root, &by);
        assert_eq!(wrong, Err(Reason::SignatureInvalid));
        let nobody = check_statement(&NETWORK, &validators, 4, &root, &by);
        assert_eq!(nobody, Err(Reason::SignerUnknown));
        let waits = |one: &Entry| *one == entry(1);
        assert!(!all.state(2, &root, by, waits) && !all.state(2, &root, by, waits));
        assert!(all.state(3, &root, own(&keys, &entries, 3), waits));
        assert!(all.is_acknowledged(&entry(1).id) && !all.is_acknowledged(&entry(2).id));
        assert!(!all.is_open(&root) && all.certificate(&entry(1).id).is_some());
        assert_eq!(all.acknowledged.len(), 1, "what ended is not kept");
    }

    #[test]
    fn a_batch_is_offered_again_later_each_time_and_to_those_alone_who_have_not_answered() {
        let entries = [entry(1), entry(2)];
        let (mut all, keys, _) = opened(&entries);
        let (root, _) = message(&NETWORK, &entries);
        all.state(2, &root, own(&keys, &entries, 2), |_| true);
        assert_eq!(all.due(NOW, |_| true), []);
        let again = Due { entries: entries.to_vec(), unheard: Some(vec![1, 3]) };
        assert_eq!(all.due(NOW.after(AGAIN_AFTER), |_| true), std::slice::from_ref(&again));
        assert_eq!(all.due(NOW.after(DurationMs(2999)), |_| true), []);
        assert_eq!(all.due(NOW.after(DurationMs(3000)), |_| true), [again]);
    }

    #[test]
    fn a_batch_that_somebody_did_not_store_whole_is_cut_until_each_is_alone() {
        let entries: Vec<Entry> = (0..40).map(entry).collect();
        let (mut all, keys, _) = opened(&entries);
        let (root, _) = message(&NETWORK, &entries);
        all.decline(&root);
        let due = all.due(NOW.after(AGAIN_AFTER), |one| *one != entry(7));
        assert!(due.iter().all(|due| due.unheard.is_none() && due.entries.len() <= 3));
        let again: Vec<Entry> = due.into_iter().flat_map(|due| due.entries).collect();
        assert_eq!(again.len(), 39, "what has ended is left out");
        let alone = [entry(1)];
        all.open(alone.to_vec(), own(&keys, &alone, 0), NOW, |_| true);
        all.decline(&message(&NETWORK, &alone).0);
        let again = Due { entries: alone.to_vec(), unheard: Some(vec![1, 2, 3]) };
        assert_eq!(all.due(NOW.after(AGAIN_AFTER), |_| true), [again]);
    }

    #[test]
    fn what_is_left_of_a_batch_is_offered_as_a_new_one_and_what_gave_way_is_not_lost() {
        let (mut all, keys, _) = opened(&[entry(1), entry(2)]);
        let rest = Due { entries: vec![entry(2)], unheard: None };
        assert_eq!(all.due(NOW.after(AGAIN_AFTER), |one| *one == entry(2)), [rest]);
        for id in 0..=BATCHES_MAX {
            let one = Entry { witness_hash: [9; 32], id: TransactionId([0; 32]) };
            let mut one = [one];
            one[0].id.0[..8].copy_from_slice(&id.to_be_bytes());
            all.open(one.to_vec(), own(&keys, &one, 0), NOW, |_| true);
        }
        assert_eq!(all.batches.len(), BATCHES_MAX);
        let due = all.due(NOW, |_| true);
        assert_eq!(due.len(), 1);
        assert_eq!((due[0].entries.len(), &due[0].unheard), (1, &None));
    }
}
