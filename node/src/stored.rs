//! Transactions that are durable here and not executed yet, with what each sender takes of them.
//!
//! Invariants: the indices hold exactly the entries; counts and bytes are those of the entries; a
//! transaction that could not be admitted is counted for the validator that sent it; a group is
//! here exactly as long as one of its transactions is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use tallystick_crypto::PublicKey;
use tallystick_kernel::{AccountId, Digest, TimeMs, TransactionId};
use tallystick_ledger::claims::{Claim, claims};
use tallystick_ledger::deadlines::Deadlines;
use tallystick_ledger::lookup::Lookup;
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::Transaction;

use crate::for_votes::ForVotes;

/// Stored transactions that are not executed, in all.
pub const STORED_MAX: usize = 131_072;
/// Their bytes, in all.
pub const STORED_BYTES_MAX: usize = 256 << 20;
/// Of them, those of one validator that could not be admitted here.
pub const UNPOOLED_PER_PEER_MAX: usize = 16_384;
/// Their bytes.
pub const UNPOOLED_BYTES_PER_PEER_MAX: usize = 16 << 20;
/// Of them, those whose body names the same account.
pub const UNPOOLED_PER_ACCOUNT_MAX: usize = 2048;

/// Before every other entry.
const LOWEST: Entry = Entry { id: TransactionId([0; 32]), witness_hash: [0; 32] };

struct One {
    witness_hash: Digest,
    transaction: Arc<Transaction>,
    bytes: usize,
    /// Those that one commit wrote.
    group: u64,
    /// The validator that is accountable for it while it is not admitted.
    unpooled_for: Option<PublicKey>,
}

/// What is stored.
#[derive(Default)]
pub struct Stored {
    /// All witnesses of each id.
    all: Lookup<TransactionId, Vec<One>>,
    count: usize,
    by_time: Deadlines<Entry>,
    bytes: usize,
    /// How many of each group are here.
    groups: BTreeMap<u64, usize>,
    unpooled: BTreeSet<Entry>,
    by_peer: BTreeMap<PublicKey, (usize, usize)>,
    by_account: BTreeMap<AccountId, usize>,
    /// Of those that were not admitted: who waits for a claim.
    by_claim: BTreeSet<(Claim, Entry)>,
    /// What is here only because a block lists it.
    pub for_votes: ForVotes,
    /// Where the next round of another try begins.
    retried: Option<Entry>,
}

impl Stored {
    /// Whether it is here.
    pub fn contains(&self, entry: &Entry) -> bool {
        self.find(entry).is_some()
    }

    /// The transaction, if it is here.
    pub fn get(&self, entry: &Entry) -> Option<&Arc<Transaction>> {
        self.find(entry).map(|one| &one.transaction)
    }

    fn find(&self, entry: &Entry) -> Option<&One> {
        let witnesses = self.all.get(&entry.id)?;
        witnesses.iter().find(|one| one.witness_hash == entry.witness_hash)
    }

    /// The transaction and the length of its canonical bytes, if it is here.
    pub fn sized(&self, entry: &Entry) -> Option<(&Arc<Transaction>, usize)> {
        self.find(entry).map(|one| (&one.transaction, one.bytes))
    }

    /// Whether so many more with so many bytes have room.
    pub fn has_room(&self, more: usize, bytes: usize) -> bool {
        self.count.saturating_add(more) <= STORED_MAX
            && self.bytes.saturating_add(bytes) <= STORED_BYTES_MAX
    }

    /// Whether a validator may have another one of this account stored here that cannot be
    /// admitted.
    pub fn has_room_for(&self, peer: &PublicKey, account: &AccountId, bytes: usize) -> bool {
        let (count, held) = self.by_peer.get(peer).copied().unwrap_or_default();
        let of_account = self.by_account.get(account).copied().unwrap_or_default();
        count < UNPOOLED_PER_PEER_MAX
            && of_account < UNPOOLED_PER_ACCOUNT_MAX
            && held.saturating_add(bytes) <= UNPOOLED_BYTES_PER_PEER_MAX
    }

    /// Those that were not admitted and wait for one of these claims.
    pub fn rivals<'c>(
        &self,
        claims: impl IntoIterator<Item = &'c Claim>,
    ) -> Vec<(Entry, Arc<Transaction>)> {
        let mut rivals = BTreeSet::new();
        for claim in claims {
            let from = (*claim, LOWEST);
            let same = self.by_claim.range(from..).take_while(|(other, _)| other == claim);
            rivals.extend(same.map(|(_, entry)| *entry));
        }
        let found = rivals.into_iter();
        found.filter_map(|entry| Some((entry, Arc::clone(self.get(&entry)?)))).collect()
    }

    /// Takes one up that is not here, written with others of its group. `unpooled_for` is set when
    /// it could not be admitted: the validator that sent it, or this one.
    pub fn insert(
        &mut self,
        entry: Entry,
        transaction: Arc<Transaction>,
        bytes: usize,
        group: u64,
        unpooled_for: Option<PublicKey>,
    ) {
        debug_assert!(!self.contains(&entry), "what is here is not stored again");
        self.by_time.insert(transaction.body.valid_until, entry);
        self.bytes += bytes;
        *self.groups.entry(group).or_default() += 1;
        let witness_hash = entry.witness_hash;
        let one = One { witness_hash, transaction, bytes, group, unpooled_for: None };
        match self.all.get_mut(&entry.id) {
            Some(witnesses) => witnesses.push(one),
            None => drop(self.all.insert(entry.id, vec![one])),
        }
        self.count += 1;
        if let Some(peer) = unpooled_for {
            self.unadmitted(&entry, peer);
        }
    }

    /// Lets one go; gives its group when nothing of that is here any more.
    pub fn remove(&mut self, entry: &Entry) -> Option<u64> {
        self.admitted(entry);
        let witnesses = self.all.get_mut(&entry.id)?;
        let place = witnesses.iter().position(|one| one.witness_hash == entry.witness_hash)?;
        let one = witnesses.swap_remove(place);
        if witnesses.is_empty() {
            self.all.remove(&entry.id);
        }
        self.count -= 1;
        self.by_time.remove(one.transaction.body.valid_until, entry);
        self.bytes -= one.bytes;
        let left = self.groups.get_mut(&one.group)?;
        *left -= 1;
        let is_empty = *left == 0;
        is_empty.then(|| self.groups.remove(&one.group)).flatten().map(|_| one.group)
    }

    /// Notes that one is not admitted (any more): the validator that sent it, or this one, is
    /// accountable for it.
    pub fn unadmitted(&mut self, entry: &Entry, peer: PublicKey) {
        let Some(one) = find_mut(&mut self.all, entry) else { return };
        if one.unpooled_for.is_some() {
            return;
        }
        one.unpooled_for = Some(peer);
        let (bytes, body) = (one.bytes, &one.transaction.body);
        let (count, held) = self.by_peer.entry(peer).or_default();
        (*count, *held) = (*count + 1, *held + bytes);
        *self.by_account.entry(body.account).or_default() += 1;
        self.by_claim.extend(claims(body).map(|claim| (claim, *entry)));
        self.unpooled.insert(*entry);
    }

    /// Notes that one was admitted after all.
    pub fn admitted(&mut self, entry: &Entry) {
        self.for_votes.remove(entry);
        let Some(one) = find_mut(&mut self.all, entry) else { return };
        let Some(peer) = one.unpooled_for.take() else { return };
        let (bytes, body) = (one.bytes, &one.transaction.body);
        self.unpooled.remove(entry);
        for claim in claims(body) {
            self.by_claim.remove(&(claim, *entry));
        }
        if let Some(count) = self.by_account.get_mut(&body.account) {
            *count -= 1;
            if *count == 0 {
                self.by_account.remove(&body.account);
            }
        }
        if let Some((count, held)) = self.by_peer.get_mut(&peer) {
            (*count, *held) = (*count - 1, *held - bytes);
            if *count == 0 {
                self.by_peer.remove(&peer);
            }
        }
    }

    /// Up to `count_max` of those that were not admitted, others each time until all had their turn.
    pub fn next_unpooled(&mut self, count_max: usize) -> Vec<(Entry, Arc<Transaction>, usize)> {
        let from = self.retried.map_or(Bound::Unbounded, Bound::Excluded);
        let entries: Vec<Entry> =
            self.unpooled.range((from, Bound::Unbounded)).take(count_max).copied().collect();
        self.retried = (entries.len() == count_max).then(|| entries.last().copied()).flatten();
        let found = entries.into_iter();
        let sized = found.filter_map(|entry| {
            let (transaction, bytes) = self.sized(&entry)?;
            Some((entry, Arc::clone(transaction), bytes))
        });
        sized.collect()
    }

    /// All witnesses under which an id is here, in order.
    pub fn of_id(&self, id: &TransactionId) -> Vec<Entry> {
        let witnesses = self.all.get(id).into_iter().flatten();
        let mut entries: Vec<Entry> =
            witnesses.map(|one| Entry { id: *id, witness_hash: one.witness_hash }).collect();
        entries.sort_unstable();
        entries
    }

    /// What no block of this time or later can hold.
    pub fn past(&self, block_time: TimeMs) -> Vec<Entry> {
        self.by_time.due(block_time)
    }
}

fn find_mut<'a>(
    all: &'a mut Lookup<TransactionId, Vec<One>>,
    entry: &Entry,
) -> Option<&'a mut One> {
    let witnesses = all.get_mut(&entry.id)?;
    witnesses.iter_mut().find(|one| one.witness_hash == entry.witness_hash)
}

#[cfg(test)]
mod tests {
    use tallystick_kernel::{NetworkId, ReserveId, Salt};
    use tallystick_proofs::action::Action;
    use tallystick_proofs::transaction::{Body, Witness};

    use super::*;

    fn entry(id: u8) -> Entry {
        Entry { id: TransactionId([id; 32]), witness_hash: [id; 32] }
    }

    const ACCOUNT: AccountId = AccountId([4; 32]);

    fn peer(number: u8) -> PublicKey {
        PublicKey::Ed25519([number; 32])
    }

    fn transaction(valid_until: u64) -> Arc<Transaction> {
        let body = Body {
            network: NetworkId([0; 32]),
            account: ACCOUNT,
            salt: Salt([0; 16]),
            valid_until: TimeMs(valid_until),
            action: Action::ReserveClose { reserves: vec![ReserveId([3; 32])] },
        };
        Arc::new(Transaction { body, witness: Witness(Vec::new()) })
    }

    #[test]
    fn a_validator_has_so_much_room_for_what_cannot_be_admitted_and_gets_it_back() {
        let mut stored = Stored::default();
        let half = UNPOOLED_BYTES_PER_PEER_MAX / 2;
        stored.insert(entry(1), transaction(5), half, 0, Some(peer(2)));
        let room =
            |stored: &Stored, number, bytes| stored.has_room_for(&peer(number), &ACCOUNT, bytes);
        assert!(room(&stored, 2, half) && !room(&stored, 2, half + 1));
        stored.insert(entry(2), transaction(6), half, 0, Some(peer(2)));
        assert!(!room(&stored, 2, 1) && room(&stored, 3, half));
        stored.admitted(&entry(1));
        assert!(room(&stored, 2, half));
        assert_eq!(stored.remove(&entry(2)), None, "the other one is here");
        assert!(stored.by_peer.is_empty() && stored.bytes == half);
        assert!(stored.by_account.is_empty() && stored.by_claim.is_empty());
        assert_eq!(stored.past(TimeMs(5)), [entry(1)]);
        assert_eq!(stored.remove(&entry(1)), Some(0));
        assert_eq!(stored.remove(&entry(1)), None);
        assert!(
            stored.bytes == 0
                && stored.groups.is_empty()
                && stored.by_time.is_empty()
                && stored.unpooled.is_empty()
        );
    }

    #[test]
    fn an_account_has_so_much_room_and_rivals_for_a_claim_are_found() {
        let mut stored = Stored::default();
        for id in 0..UNPOOLED_PER_ACCOUNT_MAX {
            let mut one = entry(0);
            one.id.0[..8].copy_from_slice(&id.to_be_bytes());
            stored.insert(one, transaction(5), 1, 0, Some(peer((id % 3) as u8)));
        }
        assert!(!stored.has_room_for(&peer(1), &ACCOUNT, 1));
        assert!(stored.has_room_for(&peer(1), &AccountId([5; 32]), 1));
        let rivals = stored.rivals(&[Claim::Reserve(ReserveId([3; 32]))]);
        assert_eq!(rivals.len(), UNPOOLED_PER_ACCOUNT_MAX);
        assert!(stored.rivals(&[Claim::Reserve(ReserveId([2; 32]))]).is_empty());
        stored.admitted(&rivals[0].0);
        assert!(stored.has_room_for(&peer(1), &ACCOUNT, 1));
        let left = stored.rivals(&[Claim::Reserve(ReserveId([3; 32]))]);
        assert_eq!(left.len(), UNPOOLED_PER_ACCOUNT_MAX - 1);
    }

    #[test]
    fn the_whole_is_bounded_in_bytes() {
        let mut stored = Stored::default();
        stored.insert(entry(1), transaction(5), STORED_BYTES_MAX - 10, 0, None);
        assert!(
            stored.has_room(1, 10) && !stored.has_room(1, 11) && !stored.has_room(STORED_MAX, 0)
        );
    }

    #[test]
    fn what_was_not_admitted_has_its_turn_again_a_few_at_a_time() {
        let mut stored = Stored::default();
        for id in 1..=5 {
            stored.insert(entry(id), transaction(5), 1, 0, Some(peer(0)));
        }
        let mut turns = |count| -> Vec<u8> {
            stored.next_unpooled(count).iter().map(|(entry, ..)| entry.id.0[0]).collect()
        };
        assert_eq!((turns(2), turns(2), turns(2)), (vec![1, 2], vec![3, 4], vec![5]));
        assert_eq!(turns(9), [1, 2, 3, 4, 5]);
    }
}
