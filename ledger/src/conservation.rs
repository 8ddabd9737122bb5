//! Conservation of money: in each currency, supply = free balances + reserves.
//!
//! The totals are kept incrementally from what each write changes, the supply only by mint and
//! burn, so the two sides do not follow from each other.

use std::collections::BTreeMap;

use tallystick_kernel::{CurrencyCode, Reason};

use crate::state::State;

/// Where the money of one currency is. Wider than an amount, so that a sum of wrong entries shows
/// as a difference and not as an overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The sum of all free balances.
    pub free: u128,
    /// The sum of all reserves.
    pub reserved: u128,
}

impl State {
    /// The totals of a currency as they are kept; zero for a currency that is not there.
    pub fn totals(&self, currency: &CurrencyCode) -> Totals {
        self.totals.get(currency).copied().unwrap_or_default()
    }

    /// Whether the kept totals agree with the supplies; [`Reason::NotConserved`].
    pub fn check_totals(&self) -> Result<(), Reason> {
        let conserved = self.currencies.iter().all(|(code, currency)| {
            let totals = self.totals(code);
            totals.free.checked_add(totals.reserved) == Some(u128::from(currency.supply.minor()))
        });
        if conserved { Ok(()) } else { Err(Reason::NotConserved) }
    }

    /// Counts every balance and reserve again, and compares with the kept totals and the supplies.
    ///
    /// [`Reason::NotConserved`] when they differ or when money is of an unknown currency. A node
    /// does this when it starts.
    pub fn recount(&self) -> Result<(), Reason> {
        let counted = count(self)?;
        if counted != self.totals {
            return Err(Reason::NotConserved);
        }
        self.check_totals()
    }
}

/// The totals as the entries themselves give them.
pub(crate) fn count(state: &State) -> Result<BTreeMap<CurrencyCode, Totals>, Reason> {
    let codes = state.currencies.keys();
    let mut totals: BTreeMap<_, _> = codes.map(|code| (*code, Totals::default())).collect();
    for ((_, currency), amount) in &state.balances {
        let total = totals.get_mut(currency).ok_or(Reason::NotConserved)?;
        total.free = add(total.free, amount.minor())?;
    }
    for reserve in state.reserves.sorted().into_iter().map(|(_, reserve)| reserve) {
        let total = totals.get_mut(&reserve.currency).ok_or(Reason::NotConserved)?;
        total.reserved = add(total.reserved, reserve.amount.minor())?;
    }
    Ok(totals)
}

fn add(total: u128, amount: u64) -> Result<u128, Reason> {
    total.checked_add(u128::from(amount)).ok_or(Reason::NotConserved)
}
