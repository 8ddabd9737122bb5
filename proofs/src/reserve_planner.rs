//! Which reserves pay an amount: least over it, then fewest ids.
//!
//! Finding the best is a subset sum, so the work is bounded: a first solution by size, improved by
//! a search that stops after [`STEPS_MAX`] steps. Within the bound the best is found; beyond it a
//! good one. The same input always gives the same answer.

use tallystick_kernel::limits::RESERVES_IN_MAX;
use tallystick_kernel::{Amount, Reason, ReserveId};

/// Steps of the search at most.
pub const STEPS_MAX: usize = 20_000;

/// Chooses reserves that cover `amount`; at most [`RESERVES_IN_MAX`] of them.
///
/// Returns [`Reason::AmountZero`], and [`Reason::NoReserveFits`] when no such choice was found.
///
/// ```
/// use tallystick_kernel::{Amount, ReserveId};
/// use tallystick_proofs::reserve_planner::choose;
///
/// let reserve = |place: u8, minor| (ReserveId([place; 32]), Amount::new(minor).unwrap());
/// let available = [reserve(1, 2000), reserve(2, 1000), reserve(3, 500)];
/// let chosen = choose(&available, Amount::new(1230).unwrap()).unwrap();
/// assert_eq!(chosen, [ReserveId([2; 32]), ReserveId([3; 32])]);
/// ```
pub fn choose(available: &[(ReserveId, Amount)], amount: Amount) -> Result<Vec<ReserveId>, Reason> {
    if amount.is_zero() {
        return Err(Reason::AmountZero);
    }
    let mut sorted: Vec<(ReserveId, u64)> =
        available.iter().map(|(id, size)| (*id, size.minor())).collect();
    sorted.sort_by(|one, two| two.1.cmp(&one.1).then(one.0.cmp(&two.0)));
    let mut rests: Vec<u128> = vec![0; sorted.len() + 1];
    for at in (0..sorted.len()).rev() {
        rests[at] = rests[at + 1] + u128::from(sorted[at].1);
    }
    let mut search = Search {
        sorted: &sorted,
        rests: &rests,
        amount: u128::from(amount.minor()),
        chosen: Vec::new(),
        best: None,
        steps: 0,
    };
    search.from(0, 0);
    let (_, _, chosen) = search.best.ok_or(Reason::NoReserveFits)?;
    Ok(chosen.into_iter().map(|at| sorted[at].0).collect())
}

struct Search<'a> {
    sorted: &'a [(ReserveId, u64)],
    /// The sums of all from a place on.
    rests: &'a [u128],
    amount: u128,
    chosen: Vec<usize>,
    /// Over by how much, with how many, and which.
    best: Option<(u128, usize, Vec<usize>)>,
    steps: usize,
}

impl Search<'_> {
    /// Depth first, the largest first: the first solution is that of taking the largest in turn.
    fn from(&mut self, at: usize, sum: u128) {
        self.steps += 1;
        if sum >= self.amount {
            let found = (sum - self.amount, self.chosen.len());
            if self.best.as_ref().is_none_or(|(over, count, _)| found < (*over, *count)) {
                self.best = Some((found.0, found.1, self.chosen.clone()));
            }
            return;
        }
        let perfect = |best: &(u128, usize, Vec<usize>)| best.0 == 0 && best.1 <= self.chosen.len();
        let out_of_reach = sum + self.rests[at] < self.amount;
        if out_of_reach || self.steps > STEPS_MAX || self.best.as_ref().is_some_and(perfect) {
            return;
        }
        if self.chosen.len() < RESERVES_IN_MAX {
            self.chosen.push(at);
            self.from(at + 1, sum + u128::from(self.sorted[at].1));
            self.chosen.pop();
        }
        // Leaving out one of several equal ones means to leave out all of them.
        let size = self.sorted[at].1;
        let next = self.sorted[at..].iter().position(|(_, other)| *other != size);
        if let Some(next) = next {
            self.from(at + next, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reserves(sizes: &[u64]) -> Vec<(ReserveId, Amount)> {
        let one =
            |(at, size): (usize, &u64)| (ReserveId([at as u8; 32]), Amount::new(*size).unwrap());
        sizes.iter().enumerate().map(one).collect()
    }

    fn chosen(sizes: &[u64], amount: u64) -> Result<Vec<u64>, Reason> {
        let ids = choose(&reserves(sizes), Amount::new(amount).unwrap())?;
        let mut found: Vec<u64> = ids.iter().map(|id| sizes[usize::from(id.0[0])]).collect();
        found.sort_unstable();
        Ok(found)
    }

    #[test]
    fn the_least_over_reservation_wins_and_then_the_fewest_ids() {
        assert_eq!(chosen(&[2000, 1000, 500], 1230), Ok(vec![500, 1000]));
        assert_eq!(chosen(&[500, 500, 1000], 1000), Ok(vec![1000]));
        assert_eq!(chosen(&[2000, 1000, 500], 1800), Ok(vec![2000]));
        assert_eq!(chosen(&[2000, 1000, 500], 3501), Err(Reason::NoReserveFits));
        assert_eq!(chosen(&[], 1), Err(Reason::NoReserveFits));
        assert_eq!(chosen(&[5], 0), Err(Reason::AmountZero));
    }

    #[test]
    fn hundreds_of_equal_reserves_take_no_time_and_too_many_do_not_fit() {
        let many = vec![100; 200];
        assert_eq!(chosen(&many, 6400).unwrap().len(), RESERVES_IN_MAX);
        assert_eq!(chosen(&many, 6401), Err(Reason::NoReserveFits));
    }

    fn best_by_trying_all(sizes: &[u64], amount: u64) -> Option<(u64, u32)> {
        (1_u32..1 << sizes.len())
            .filter_map(|set| {
                let taken = sizes.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
                let sum: u64 = taken.map(|(_, size)| size).sum();
                (sum >= amount).then(|| (sum - amount, set.count_ones()))
            })
            .min()
    }

    proptest! {
        #[test]
        fn the_choice_is_the_best_of_all(
            sizes in proptest::collection::vec(1_u64..60, 0..11),
            amount in 1_u64..200,
        ) {
            let found = chosen(&sizes, amount).ok();
            let found = found.map(|ids| (ids.iter().sum::<u64>() - amount, ids.len() as u32));
            prop_assert_eq!(found, best_by_trying_all(&sizes, amount));
        }

        #[test]
        fn what_is_chosen_covers_the_amount_with_different_reserves(
            sizes in proptest::collection::vec(1_u64..100_000, 1..300),
            share in 1_u64..100,
        ) {
            let amount = (sizes.iter().sum::<u64>() * share / 400).max(1);
            let available: Vec<_> = sizes
                .iter()
                .enumerate()
                .map(|(at, size)| {
                    let mut id = [0; 32];
                    id[..8].copy_from_slice(&(at as u64).to_be_bytes());
                    (ReserveId(id), Amount::new(*size).unwrap())
                })
                .collect();
            if let Ok(ids) = choose(&available, Amount::new(amount).unwrap()) {
                let unique: std::collections::BTreeSet<_> = ids.iter().collect();
                prop_assert_eq!(unique.len(), ids.len());
                let sum: u64 = available
                    .iter()
                    .filter(|(id, _)| unique.contains(id))
                    .map(|(_, size)| size.minor())
                    .sum();
                prop_assert!(sum >= amount && ids.len() <= RESERVES_IN_MAX);
            }
        }
    }
}
