//! The writes of one transaction, staged beside the state: kept as a whole or dropped as a whole.
//!
//! Invariant: nothing here changes the state before [`Stage::finish`], and [`State::commit`] has
//! no step that can fail.

use std::collections::BTreeMap;

use tallystick_kernel::{
    AccountId, Amount, Codec, CurrencyCode, Reason, Reference, ReserveId, TimeMs, TransactionId,
};

use crate::checkpoint::Place;
use crate::conservation::Totals;
use crate::entry::{Account, Currency, Reserve};
use crate::governance::{DecidedSet, Governance};
use crate::lookup::Lookup;
use crate::state::{Chain, State};
use crate::state_key;

/// Changed keys and their values of a whole block; the last write to a key stands.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A state with the writes of one transaction on top.
pub(crate) struct Stage<'s> {
    state: &'s State,
    /// What transactions before this one wrote that the state does not have yet.
    before: Option<&'s Lane>,
    id: TransactionId,
    height: u64,
    time: TimeMs,
    writes: Writes,
}

/// What a transaction that succeeded writes, in the order of its writes: few things, of which the
/// last write stands.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    accounts: Vec<(AccountId, Account)>,
    /// Each once.
    balances: Vec<((AccountId, CurrencyCode), Amount)>,
    supplies: Vec<(CurrencyCode, Amount)>,
    reserves: Vec<(ReserveId, Option<Reserve>)>,
    references: Vec<(AccountId, Reference, TransactionId)>,
    set: Option<(u64, DecidedSet)>,
    rules: Option<(u64, u64)>,
}

/// What transactions wrote one after another.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    accounts: BTreeMap<AccountId, Account>,
    balances: Lookup<(AccountId, CurrencyCode), Amount>,
    supplies: BTreeMap<CurrencyCode, Amount>,
    reserves: Lookup<ReserveId, Option<Reserve>>,
    references: Vec<(AccountId, Reference, TransactionId)>,
    set: Option<(u64, DecidedSet)>,
    rules: Option<(u64, u64)>,
}

impl<'s> Stage<'s> {
    /// A stage for a transaction of the block at `height` with this time.
    pub(crate) fn new(state: &'s State, id: TransactionId, height: u64, time: TimeMs) -> Stage<'s> {
        Stage { state, before: None, id, height, time, writes: Writes::default() }
    }

    /// The same, on top of what transactions before it wrote.
    pub(crate) fn after(self, before: &'s Lane) -> Stage<'s> {
        Stage { before: Some(before), ..self }
    }

    pub(crate) fn height(&self) -> u64 {
        self.height
    }

    pub(crate) fn time(&self) -> TimeMs {
        self.time
    }

    /// What the genesis file fixes.
    pub(crate) fn chain(&self) -> &'s Chain {
        self.state.chain()
    }

    /// What the operators have decided before this transaction.
    pub(crate) fn governance(&self) -> &'s Governance {
        self.state.governance()
    }

    /// Decides the validator set from an epoch on.
    pub(crate) fn decide_set(&mut self, epoch: u64, set: DecidedSet) {
        self.writes.set = Some((epoch, set));
    }

    /// Decides the version of the rules from a height on.
    pub(crate) fn decide_rules(&mut self, height: u64, version: u64) {
        self.writes.rules = Some((height, version));
    }

    /// An account that stood before this transaction, or [`Reason::AccountUnknown`].
    pub(crate) fn account(&self, id: &AccountId) -> Result<&'s Account, Reason> {
        self.find_account(id).ok_or(Reason::AccountUnknown)
    }

    /// [`Reason::PayeeUnknown`] unless there is such an account.
    pub(crate) fn check_payee(&self, id: &AccountId) -> Result<(), Reason> {
        self.find_account(id).map(drop).ok_or(Reason::PayeeUnknown)
    }

    /// A currency, or [`Reason::CurrencyUnknown`].
    pub(crate) fn currency(&self, code: &CurrencyCode) -> Result<Currency, Reason> {
        let currency = *self.state.currency(code).ok_or(Reason::CurrencyUnknown)?;
        let supply = self.before.and_then(|before| before.supplies.get(code));
        Ok(Currency { supply: supply.copied().unwrap_or(currency.supply), ..currency })
    }

    /// A reserve that stood before this transaction, or [`Reason::ReserveUnknown`].
    pub(crate) fn reserve(&self, id: &ReserveId) -> Result<&'s Reserve, Reason> {
        let before = self.before.and_then(|before| before.reserves.get(id));
        let found = match before {
            Some(written) => written.as_ref(),
            None => self.state.reserve(id),
        };
        found.ok_or(Reason::ReserveUnknown)
    }

    /// Adds to a free balance; [`Reason::AmountOverflow`].
    pub(crate) fn credit(
        &mut self,
        account: &AccountId,
        currency: &CurrencyCode,
        amount: Amount,
    ) -> Result<(), Reason> {
        let after = self.free(account, currency).plus(amount)?;
        self.set_free((*account, *currency), after);
        Ok(())
    }

    /// Takes from a free balance; [`Reason::InsufficientFunds`].
    pub(crate) fn debit(
        &mut self,
        account: &AccountId,
        currency: &CurrencyCode,
        amount: Amount,
    ) -> Result<(), Reason> {
        let after = self.free(account, currency).minus(amount)?;
        self.set_free((*account, *currency), after);
        Ok(())
    }

    /// Sets how much of the currency exists.
    pub(crate) fn set_supply(&mut self, currency: &CurrencyCode, supply: Amount) {
        self.writes.supplies.push((*currency, supply));
    }

    /// Opens an account; the id cannot be taken, for it comes from the transaction's.
    pub(crate) fn open_account(&mut self, id: AccountId, account: Account) {
        self.writes.accounts.push((id, account));
    }

    /// Writes a reserve: a new one, or one whose terms changed.
    pub(crate) fn put_reserve(&mut self, id: ReserveId, reserve: Reserve) {
        self.writes.reserves.push((id, Some(reserve)));
    }

    /// Uses a reserve up.
    pub(crate) fn consume(&mut self, id: ReserveId) {
        self.writes.reserves.push((id, None));
    }

    /// Lets the payee find the transaction by the reference.
    pub(crate) fn index(&mut self, payee: AccountId, reference: Option<Reference>) {
        let id = self.id;
        self.writes.references.extend(reference.map(|reference| (payee, reference, id)));
    }

    /// All that was staged.
    pub(crate) fn finish(self) -> Writes {
        self.writes
    }

    fn free(&self, account: &AccountId, currency: &CurrencyCode) -> Amount {
        let place = (*account, *currency);
        let before = || self.before.and_then(|before| before.balances.get(&place).copied());
        let mut own = self.writes.balances.iter();
        let written = own.find(|(written, _)| *written == place).map(|(_, amount)| *amount);
        written.or_else(before).unwrap_or_else(|| self.state.free(account, currency))
    }

    fn set_free(&mut self, place: (AccountId, CurrencyCode), after: Amount) {
        let mut own = self.writes.balances.iter_mut();
        match own.find(|(written, _)| *written == place) {
            Some((_, amount)) => *amount = after,
            None => self.writes.balances.push((place, after)),
        }
    }

    fn find_account(&self, id: &AccountId) -> Option<&'s Account> {
        let before = self.before.and_then(|before| before.accounts.get(id));
        before.or_else(|| self.state.account(id))
    }
}

impl Lane {
    /// Takes over what the transaction after these wrote.
    pub(crate) fn append(&mut self, later: Writes) {
        self.accounts.extend(later.accounts);
        for (place, amount) in later.balances {
            self.balances.insert(place, amount);
        }
        self.supplies.extend(later.supplies);
        for (id, reserve) in later.reserves {
            self.reserves.insert(id, reserve);
        }
        self.references.extend(later.references);
        self.set = later.set.or(self.set.take());
        self.rules = later.rules.or(self.rules);
    }

    /// Puts together what lanes wrote, each on `state`: nothing but balances is written by two,
    /// and on those both have their effect.
    pub(crate) fn join(state: &State, mut lanes: Vec<Lane>) -> Lane {
        if lanes.len() == 1
            && let Some(only) = lanes.pop()
        {
            return only;
        }
        let mut joined = Lane::default();
        let mut balances = Vec::new();
        for lane in lanes {
            balances.extend(lane.balances.into_sorted());
            joined.accounts.extend(lane.accounts);
            joined.supplies.extend(lane.supplies);
            for (id, reserve) in lane.reserves.into_sorted() {
                joined.reserves.insert(id, reserve);
            }
            joined.references.extend(lane.references);
            joined.set = lane.set.or(joined.set);
            joined.rules = lane.rules.or(joined.rules);
        }
        balances.sort_unstable();
        for same in balances.chunk_by(|one, other| one.0 == other.0) {
            let (place, after) = match same {
                [only] => *only,
                _ => (same[0].0, sum_of_moves(state.free(&same[0].0.0, &same[0].0.1), same)),
            };
            joined.balances.insert(place, after);
        }
        joined
    }
}

/// The balance after all that lanes did with it, each beginning from `before`.
fn sum_of_moves(before: Amount, lanes: &[((AccountId, CurrencyCode), Amount)]) -> Amount {
    let signed = |amount: Amount| i128::from(amount.minor());
    let moves: i128 = lanes.iter().map(|(_, after)| signed(*after) - signed(before)).sum();
    let after = u64::try_from(signed(before) + moves).ok();
    let Some(after) = after.and_then(|minor| Amount::new(minor).ok()) else {
        unreachable!("lanes share no balance that might be short, and supplies are bounded")
    };
    after
}

impl State {
    /// Takes over what successful transactions wrote.
    pub(crate) fn commit(&mut self, lane: Lane, changes: &mut Changes) {
        for (account, entry) in lane.accounts {
            changes.insert(state_key::account(&account), Some(entry.to_bytes()));
            let before = self.accounts.insert(account, entry);
            assert!(before.is_none(), "an account id is made once");
            self.note_change(Place::Account(account), before.as_ref());
        }
        for ((account, currency), amount) in lane.balances.into_sorted() {
            self.write_balance(account, currency, amount, changes);
        }
        for (code, supply) in lane.supplies {
            let Some(before) = self.currencies.get(&code).copied() else { continue };
            let after = Currency { supply, ..before };
            changes.insert(state_key::currency(&code), Some(after.to_bytes()));
            self.currencies.insert(code, after);
            self.note_change(Place::Currency(code), Some(&before));
        }
        for (reserve, entry) in lane.reserves.into_sorted() {
            self.write_reserve(reserve, entry, changes);
        }
        for (payee, reference, id) in lane.references {
            changes.insert(state_key::reference(&payee, &reference, &id), Some(Vec::new()));
        }
        if let Some((epoch, set)) = lane.set {
            changes.insert(state_key::validators(epoch), Some(set.to_bytes()));
            let before = self.governance.sets.insert(epoch, set);
            self.note_change(Place::Validators(epoch), before.as_ref());
        }
        if let Some((height, version)) = lane.rules {
            changes.insert(state_key::rules(height), Some(version.to_bytes()));
            let before = self.governance.rules.insert(height, version);
            self.note_change(Place::Rules(height), before.as_ref());
        }
    }

    fn write_balance(
        &mut self,
        account: AccountId,
        currency: CurrencyCode,
        amount: Amount,
        changes: &mut Changes,
    ) {
        let key = state_key::balance(&account, &currency);
        let before = if amount.is_zero() {
            changes.insert(key, None);
            self.balances.remove(&(account, currency))
        } else {
            changes.insert(key, Some(amount.to_bytes()));
            self.balances.insert((account, currency), amount)
        };
        self.note_change(Place::Balance(account, currency), before.as_ref());
        let totals = self.totals_mut(currency);
        totals.free = moved(totals.free, before.unwrap_or_default(), amount);
    }

    fn write_reserve(&mut self, id: ReserveId, entry: Option<Reserve>, changes: &mut Changes) {
        let key = state_key::reserve(&id);
        let (mut currency, mut after) = (None, Amount::ZERO);
        let before = match entry {
            Some(reserve) => {
                changes.insert(key, Some(reserve.to_bytes()));
                self.reserves_by_account.insert((reserve.account, id));
                (currency, after) = (Some(reserve.currency), reserve.amount);
                self.reserves.insert(id, reserve)
            }
            None => {
                changes.insert(key, None);
                // Nothing is there when it was opened by the same writes.
                self.reserves.remove(&id)
            }
        };
        self.note_change(Place::Reserve(id), before.as_ref());
        if let Some(before) = &before {
            self.sum_reserved(before.account, before.currency, before.amount, Amount::ZERO);
        }
        if let Some(after) = self.reserves.get(&id) {
            let Reserve { account, currency, amount, .. } = *after;
            self.sum_reserved(account, currency, Amount::ZERO, amount);
        }
        if let Some(before) = &before {
            if currency.is_none() {
                self.reserves_by_account.remove(&(before.account, id));
            }
            currency = Some(before.currency);
        }
        if let Some(currency) = currency {
            let totals = self.totals_mut(currency);
            let before = before.map_or(Amount::ZERO, |reserve| reserve.amount);
            totals.reserved = moved(totals.reserved, before, after);
        }
    }

    /// Keeps the sum of an account's reserves, of which one part went from `before` to `after`.
    pub(crate) fn sum_reserved(
        &mut self,
        account: AccountId,
        currency: CurrencyCode,
        before: Amount,
        after: Amount,
    ) {
        let sum = self.reserved.entry((account, currency)).or_default();
        let Ok(moved) = sum.minus(before).and_then(|rest| rest.plus(after)) else {
            unreachable!("conservation keeps every such sum within the supply")
        };
        *sum = moved;
        if moved.is_zero() {
            self.reserved.remove(&(account, currency));
        }
    }

    fn totals_mut(&mut self, currency: CurrencyCode) -> &mut Totals {
        self.totals.entry(currency).or_default()
    }
}

/// The total after one of its parts went from `before` to `after`.
fn moved(total: u128, before: Amount, after: Amount) -> u128 {
    let without = total.checked_sub(u128::from(before.minor()));
    let Some(total) = without.and_then(|rest| rest.checked_add(u128::from(after.minor()))) else {
        unreachable!("a part is never greater than its total, and totals are wide")
    };
    total
}

#[cfg(test)]
mod tests {
    use tallystick_crypto::SigningKey;
    use tallystick_kernel::DurationMs;
    use tallystick_proofs::genesis::{Genesis, GenesisCurrency, Parameters, ValidatorSet};
    use tallystick_proofs::owners::Owners;

    use super::*;

    fn state() -> (State, AccountId, CurrencyCode) {
        let key = SigningKey::ed25519_from_seed(&[1; 32]).public_key();
        let currency = CurrencyCode::new("EUR").unwrap();
        let genesis = Genesis {
            name: "stage".to_owned(),
            time: TimeMs(1),
            validators: ValidatorSet::new(vec![key]).unwrap(),
            accounts: vec![Owners::single(key)],
            currencies: vec![GenesisCurrency { code: currency, exponent: 2, authority: 0 }],
            parameters: Parameters {
                block_entries_max: 1,
                idle_interval: DurationMs(100),
                checkpoint_interval: 1,
                governance: None,
            },
        };
        (State::genesis(&genesis), Genesis::account_id(0, &genesis.accounts[0]), currency)
    }

    /// The bound on supplies keeps any balance from coming so far; it is checked all the same.
    #[test]
    fn a_credit_beyond_the_greatest_amount_is_refused_and_changes_nothing() {
        let (mut state, account, currency) = state();
        state.balances.insert((account, currency), Amount::MAX);
        let before = state.clone();
        let mut stage = Stage::new(&state, TransactionId([1; 32]), 1, TimeMs(1));
        let one = Amount::new(1).unwrap();
        assert_eq!(stage.credit(&account, &currency, one), Err(Reason::AmountOverflow));
        assert_eq!(stage.debit(&account, &currency, Amount::MAX), Ok(()));
        assert_eq!(stage.debit(&account, &currency, one), Err(Reason::InsufficientFunds));
        drop(stage);
        assert_eq!(state, before);
    }

    #[test]
    fn money_from_nowhere_shows_in_both_counts() {
        let (mut state, account, currency) = state();
        let mut stage = Stage::new(&state, TransactionId([1; 32]), 1, TimeMs(1));
        stage.credit(&account, &currency, Amount::new(5).unwrap()).unwrap();
        let mut lane = Lane::default();
        lane.append(stage.finish());
        state.commit(lane, &mut Changes::new());
        assert_eq!(state.check_totals(), Err(Reason::NotConserved));
        assert_eq!(state.recount(), Err(Reason::NotConserved));
    }
}
