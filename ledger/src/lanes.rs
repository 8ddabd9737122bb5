//! Which transactions of a block must run after one another, read from what they touch.
//!
//! Two transactions share a lane when one names what the other makes, when they share a claim or
//! the supply of a currency, or when both move a **tight** balance: one from which the block might
//! take more than it held before the block, so that the order decides who gets it. A balance that
//! covers all that the block can take from it is never short, whatever the order, and credits
//! commute; such a balance ties nothing together.
//!
//! Invariant: a lane, run alone in block order on the state before the block, gives each of its
//! transactions the result that it has in the block.

use std::collections::{BTreeMap, BTreeSet};

use tallystick_kernel::{AccountId, Amount, CurrencyCode, ReserveId};
use tallystick_proofs::action::Action;
use tallystick_proofs::header::Entry;
use tallystick_proofs::transaction::Transaction;

use crate::claims::{Cell, Claim, Touches, made, touches};
use crate::state::{State, first_currency};

/// A balance of an account in one currency.
type Balance = (AccountId, CurrencyCode);

/// Transactions that may be tied together: each points to another of its lane, or to itself.
struct Ties(Vec<usize>);

impl Ties {
    fn first(&mut self, mut place: usize) -> usize {
        while self.0[place] != place {
            self.0[place] = self.0[self.0[place]];
            place = self.0[place];
        }
        place
    }

    /// The earlier transaction stands for both.
    fn tie(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        self.0[one.max(other)] = one.min(other);
    }

    /// Ties together all that give the same thing.
    fn tie_equal<T: Ord>(&mut self, mut things: Vec<(T, usize)>) {
        things.sort_unstable();
        for pair in things.windows(2) {
            if pair[0].0 == pair[1].0 {
                self.tie(pair[0].1, pair[1].1);
            }
        }
    }
}

/// Splits the transactions at `places` of the block into at most `count` groups of whole lanes,
/// about equally large, each in block order.
pub(crate) fn split(
    state: &State,
    listed: &[(Entry, &Transaction)],
    places: &[usize],
    count: usize,
) -> Vec<Vec<usize>> {
    let touched: Vec<Touches> =
        places.iter().map(|place| touches(&listed[*place].1.body)).collect();
    let transactions: Vec<&(Entry, &Transaction)> =
        places.iter().map(|place| &listed[*place]).collect();
    let mut ties = Ties((0..places.len()).collect());
    tie_claims(&mut ties, state, &transactions, &touched);
    tie_accounts(&mut ties, &transactions, &touched);
    tie_money(&mut ties, state, &transactions, &touched);
    let mut groups = vec![Vec::new(); count.max(1)];
    let mut group_of = vec![usize::MAX; places.len()];
    let mut sizes = vec![0_usize; places.len()];
    (0..places.len()).for_each(|place| sizes[ties.first(place)] += 1);
    let mut loads = vec![0_usize; groups.len()];
    for (place, in_block) in places.iter().enumerate() {
        let lane = ties.first(place);
        if group_of[lane] == usize::MAX {
            let lightest = (0..loads.len()).min_by_key(|group| loads[*group]).unwrap_or(0);
            group_of[lane] = lightest;
            loads[lightest] += sizes[lane];
        }
        groups[group_of[lane]].push(*in_block);
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// Reserves that several name, and reserves that are made in the block and named in it.
fn tie_claims(
    ties: &mut Ties,
    state: &State,
    transactions: &[&(Entry, &Transaction)],
    touched: &[Touches],
) {
    let mut named: Vec<(ReserveId, usize)> = Vec::new();
    for (place, touches) in touched.iter().enumerate() {
        named.extend(touches.claims.iter().map(|Claim::Reserve(id)| (*id, place)));
    }
    if named.iter().any(|(id, _)| state.reserve(id).is_none()) {
        for (place, (entry, transaction)) in transactions.iter().enumerate() {
            let made = made(&entry.id, &transaction.body.action);
            named.extend(made.reserves.into_iter().map(|id| (id, place)));
        }
    }
    ties.tie_equal(named);
}

/// Accounts that are opened in the block and named in it.
fn tie_accounts(ties: &mut Ties, transactions: &[&(Entry, &Transaction)], touched: &[Touches]) {
    let mut opened = BTreeMap::new();
    for (place, (entry, transaction)) in transactions.iter().enumerate() {
        if matches!(transaction.body.action, Action::AccountOpen { .. }) {
            let account = made(&entry.id, &transaction.body.action).account;
            opened.extend(account.map(|account| (account, place)));
        }
    }
    if opened.is_empty() {
        return;
    }
    for (place, touches) in touched.iter().enumerate() {
        let payees = touches.credits.iter().map(|credit| &credit.account);
        for account in payees.chain([&transactions[place].1.body.account]) {
            if let Some(opener) = opened.get(account) {
                ties.tie(*opener, place);
            }
        }
    }
}

/// Supplies, and balances that might not suffice.
fn tie_money(
    ties: &mut Ties,
    state: &State,
    transactions: &[&(Entry, &Transaction)],
    touched: &[Touches],
) {
    let mut taken: BTreeMap<Balance, Option<u128>> = BTreeMap::new();
    let mut supplies: Vec<(CurrencyCode, usize)> = Vec::new();
    for (place, touches) in touched.iter().enumerate() {
        for cell in &touches.cells {
            match cell {
                Cell::Supply(currency) => supplies.push((*currency, place)),
                // A block with such an action has no lanes.
                Cell::Governance => {}
                Cell::FreeBalance(account, currency) => {
                    let most = takes_at_most(&transactions[place].1.body.action);
                    let sum = taken.entry((*account, *currency)).or_insert(Some(0));
                    *sum = sum.zip(most).and_then(|(sum, most)| sum.checked_add(most));
                }
            }
        }
    }
    ties.tie_equal(supplies);
    taken.retain(|(account, currency), sum| {
        let held = u128::from(state.free(account, currency).minor());
        sum.is_none_or(|sum| sum > held)
    });
    if taken.is_empty() {
        return;
    }
    let tight: BTreeSet<Balance> = taken.into_keys().collect();
    let mut moved: Vec<(Balance, usize)> = Vec::new();
    for (place, touches) in touched.iter().enumerate() {
        for cell in &touches.cells {
            if let Cell::FreeBalance(account, currency) = cell {
                moved.push(((*account, *currency), place));
            }
        }
        for credit in &touches.credits {
            match credit.currency {
                Some(currency) => moved.push(((credit.account, currency), place)),
                None => {
                    let of_account = tight
                        .range((credit.account, first_currency())..)
                        .take_while(|(account, _)| *account == credit.account);
                    moved.extend(of_account.map(|balance| (*balance, place)));
                }
            }
        }
    }
    moved.retain(|(balance, _)| tight.contains(balance));
    ties.tie_equal(moved);
}

/// What the action takes from the free balance that it names, if it succeeds; none for an action
/// of which that is not known, so that its balance counts as tight.
fn takes_at_most(action: &Action) -> Option<u128> {
    let minor = |amount: &Amount| u128::from(amount.minor());
    match action {
        Action::Burn { amount, .. } => Some(minor(amount)),
        Action::Transfer { lines, .. } => Some(lines.iter().map(|line| minor(&line.amount)).sum()),
        Action::ReserveOpen { amounts, .. } => Some(amounts.iter().map(minor).sum()),
        _ => None,
    }
}
