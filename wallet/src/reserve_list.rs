//! Dividing the free balance into reserves that the issuer may spend for the holder.

use tallystick_crypto::PublicKey;
use tallystick_kernel::limits::RESERVES_OUT_MAX;
use tallystick_kernel::{Amount, CurrencyCode, DurationMs, Reason};
use tallystick_proofs::action::{Action, Lock};

/// The action that opens reserves locked to the issuer's mandate.
///
/// Returns [`Reason::ListEmpty`], [`Reason::TooLarge`] for more than 64, [`Reason::AmountZero`],
/// and [`Reason::InsufficientFunds`] when they add up to more than is `free`.
pub fn open(
    currency: CurrencyCode,
    amounts: &[Amount],
    mandate: PublicKey,
    unlock_delay: DurationMs,
    free: Amount,
) -> Result<Action, Reason> {
    if amounts.is_empty() {
        return Err(Reason::ListEmpty);
    }
    if amounts.len() > RESERVES_OUT_MAX {
        return Err(Reason::TooLarge);
    }
    if amounts.iter().any(|amount| amount.is_zero()) {
        return Err(Reason::AmountZero);
    }
    if Amount::sum(amounts.iter().copied())? > free {
        return Err(Reason::InsufficientFunds);
    }
    let lock = Lock { mandate, payment_max: None, payees: Vec::new(), unlock_delay };
    Ok(Action::ReserveOpen { currency, amounts: amounts.to_vec(), lock: Some(lock), expiry: None })
}

#[cfg(test)]
mod tests {
    use tallystick_crypto::SigningKey;

    use super::*;

    #[test]
    fn reserves_are_opened_within_what_is_free() {
        let amount = |minor| Amount::new(minor).unwrap();
        let mandate = SigningKey::ed25519_from_seed(&[1; 32]).public_key();
        let opened = |minors: &[u64]| {
            let amounts: Vec<Amount> = minors.iter().copied().map(amount).collect();
            let euro = CurrencyCode::new("EUR").unwrap();
            open(euro, &amounts, mandate, DurationMs::minutes(60), amount(100))
        };
        assert_eq!(opened(&[60, 40]).unwrap().check(), Ok(()));
        assert_eq!(opened(&[60, 41]), Err(Reason::InsufficientFunds));
        assert_eq!(opened(&[]), Err(Reason::ListEmpty));
        assert_eq!(opened(&[0]), Err(Reason::AmountZero));
        assert_eq!(opened(&[1; 65]), Err(Reason::TooLarge));
        assert_eq!(opened(&[u64::MAX >> 1, 1]), Err(Reason::AmountOverflow));
    }
}
