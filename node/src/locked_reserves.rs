//! Finding reserves that are locked to a mandate among all of an account.

use tallystick_crypto::PublicKey;
use tallystick_kernel::ReserveId;
use tallystick_ledger::Reserve;

/// Reserves that one call looks at, at most.
pub const LOOKED_AT_MAX: usize = 1024;

/// No reserve has it, because no hash is all zero.
pub const BEFORE_ALL: ReserveId = ReserveId([0; 32]);

/// The first of the reserves that are locked to a mandate, and after which one to go on.
pub fn find<'r>(
    reserves: impl Iterator<Item = (ReserveId, &'r Reserve)>,
    mandate: &PublicKey,
    count_max: usize,
) -> (Vec<(ReserveId, Reserve)>, Option<ReserveId>) {
    let mut found = Vec::new();
    let mut reserves = reserves.peekable();
    let mut last = None;
    for (id, reserve) in reserves.by_ref().take(LOOKED_AT_MAX) {
        last = Some(id);
        if reserve.lock.as_ref().is_some_and(|lock| lock.mandate == *mandate) {
            found.push((id, reserve.clone()));
            if found.len() == count_max {
                break;
            }
        }
    }
    let is_more = reserves.peek().is_some();
    (found, last.filter(|_| is_more))
}

#[cfg(test)]
mod tests {
    use tallystick_kernel::{AccountId, Amount, CurrencyCode, DurationMs};
    use tallystick_proofs::action::Lock;

    use super::*;

    #[test]
    fn who_looks_for_locked_reserves_is_led_on_after_so_many_and_misses_none() {
        let mandate = |number| PublicKey::Ed25519([number; 32]);
        let reserve = |number| Reserve {
            account: AccountId([1; 32]),
            currency: CurrencyCode::new("EUR").unwrap(),
            amount: Amount::new(1).unwrap(),
            lock: Some(Lock {
                mandate: mandate(number),
                payment_max: None,
                payees: Vec::new(),
                unlock_delay: DurationMs(0),
            }),
            expiry: None,
            created_height: 1,
            unlock_at: None,
        };
        let (sought, other) = (reserve(1), reserve(2));
        let id = |place: usize| {
            let mut id = [0; 32];
            id[24..].copy_from_slice(&(place as u64 + 1).to_be_bytes());
            ReserveId(id)
        };
        // Two are sought: the last of the first look, and the last of all.
        let places = [LOOKED_AT_MAX - 1, 2 * LOOKED_AT_MAX + 4];
        let all: Vec<_> = (0..=places[1])
            .map(|place| (id(place), if places.contains(&place) { &sought } else { &other }))
            .collect();
        let look = |from: usize, key: u8, count_max| {
            let (found, next) = find(all[from..].iter().copied(), &mandate(key), count_max);
            (found.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), next)
        };
        assert_eq!(look(0, 1, 9), (vec![id(places[0])], Some(id(LOOKED_AT_MAX - 1))));
        assert_eq!(look(LOOKED_AT_MAX, 1, 9), (vec![], Some(id(2 * LOOKED_AT_MAX - 1))));
        assert_eq!(look(2 * LOOKED_AT_MAX, 1, 9), (vec![id(places[1])], None));
        // Nothing is looked at beyond what was asked for.
        assert_eq!(look(0, 2, 3), ((0..3).map(id).collect(), Some(id(2))));
        assert_eq!(look(0, 3, 3), (vec![], Some(id(LOOKED_AT_MAX - 1))));
    }
}
