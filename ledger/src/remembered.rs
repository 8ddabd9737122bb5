//! Executed transactions that are remembered, so that none is executed twice: each until ten minutes
//! of block time past its `valid_until`.
//!
//! Invariants: the first result of an id stands; both indices hold exactly the entries, and the
//! counts are those of the entries; one record for each height is persisted, beside the results of
//! that height, and goes when the last of its transactions is forgotten.

use std::collections::BTreeMap;

use tallystick_kernel::limits::{BLOCK_ENTRIES_MAX, REMEMBERED};
use tallystick_kernel::{Codec, Reader, Reason, TimeMs, TransactionId, Writer};
use tallystick_proofs::result::TransactionResult;

use crate::deadlines::Deadlines;
use crate::entry::Executed;
use crate::lookup::Lookup;
use crate::receipts::results_at;
use crate::state_key::{self, StateStore};

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    by_id: Lookup<TransactionId, Executed>,
    by_time: Deadlines<TransactionId>,
    /// How many transactions of each height.
    by_height: BTreeMap<u64, usize>,
}

/// A transaction in the record of its height: its place in the block, and its `valid_until`.
pub(crate) struct Place(u64, TimeMs);

impl Remembered {
    pub(crate) fn contains(&self, id: &TransactionId) -> bool {
        self.by_id.contains(id)
    }

    pub(crate) fn get(&self, id: &TransactionId) -> Option<&Executed> {
        self.by_id.get(id)
    }

    /// Takes up a result and gives its place in the record of its height; none when its id has a
    /// result already.
    pub(crate) fn take(&mut self, executed: Executed) -> Option<Place> {
        let TransactionResult { id, height, index, .. } = executed.result;
        if self.contains(&id) {
            return None;
        }
        let place = Place(index, executed.valid_until);
        self.by_time.insert(executed.valid_until, id);
        *self.by_height.entry(height).or_default() += 1;
        self.by_id.insert(id, executed);
        Some(place)
    }

    /// Drops what no block of this time or later can hold; gives the heights of which nothing is
    /// left.
    pub(crate) fn forget(&mut self, time: TimeMs) -> Vec<u64> {
        let mut emptied = Vec::new();
        let Some(last) = time.0.checked_sub(REMEMBERED.0 + 1) else { return emptied };
        for id in self.by_time.due(TimeMs(last)) {
            let Some(executed) = self.by_id.remove(&id) else { continue };
            self.by_time.remove(executed.valid_until, &id);
            let height = executed.result.height;
            let left = self.by_height.get_mut(&height).map(|count| {
                *count -= 1;
                *count
            });
            if left == Some(0) {
                self.by_height.remove(&height);
                emptied.push(height);
            }
        }
        emptied
    }

    /// All records, in the order of the heights.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u64, Vec<u8>)> {
        let mut by_height: BTreeMap<u64, BTreeMap<u64, TimeMs>> = BTreeMap::new();
        for Executed { result, valid_until } in self.by_id.sorted().into_iter().map(|(_, one)| one)
        {
            by_height.entry(result.height).or_default().insert(result.index, *valid_until);
        }
        by_height.into_iter().map(|(height, places)| {
            let places: Vec<Place> =
                places.into_iter().map(|(index, until)| Place(index, until)).collect();
            (height, encode(&places))
        })
    }

    /// Reads what is remembered when the head is at `time`; [`Reason::StorageCorrupt`] for a record
    /// that cannot be read or whose results are not there.
    pub(crate) fn load(store: &dyn StateStore, time: TimeMs) -> Result<Remembered, Reason> {
        let mut remembered = Remembered::default();
        store.scan(state_key::REMEMBERED, &mut |key, record| {
            let height = state_key::height_after(state_key::REMEMBERED, key)?;
            let places: Vec<Place> =
                Reader::new(record).list(BLOCK_ENTRIES_MAX).map_err(|_| Reason::StorageCorrupt)?;
            let results = results_at(store, height)?;
            for Place(index, valid_until) in places {
                let place = usize::try_from(index).map_err(|_| Reason::StorageCorrupt)?;
                let result = *results.get(place).ok_or(Reason::StorageCorrupt)?;
                if !is_past(valid_until, time) {
                    remembered.take(Executed { result, valid_until });
                }
            }
            Ok(())
        })?;
        Ok(remembered)
    }
}

/// Whether a transaction is forgotten once a block of this time is executed.
pub(crate) fn is_past(valid_until: TimeMs, time: TimeMs) -> bool {
    valid_until.after(REMEMBERED) < time
}

/// The record of a height.
pub(crate) fn encode(places: &[Place]) -> Vec<u8> {
    let mut out = Writer::new();
    out.list(places);
    out.finish()
}

impl Codec for Place {
    fn encode(&self, out: &mut Writer) {
        out.array(2).u64(self.0).value(&self.1);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(2)?;
        Ok(Place(input.u64()?, TimeMs::decode(input)?))
    }
}
