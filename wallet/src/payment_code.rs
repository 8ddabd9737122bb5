//! Payment codes as the wallet shows them.

use tallystick_kernel::limits::PAYMENT_CODE_LIFE_MAX;
use tallystick_kernel::{Amount, CurrencyCode, DurationMs, Reason, TimeMs};
use tallystick_proofs::payment_code::PaymentClaims;

use crate::state::WalletState;

/// The claims of the next code, and the state that MUST be stored before the code is shown.
/// `code_id` is random; `life` is cut to whole seconds.
///
/// Returns [`Reason::KeyUnknown`] before the device is certified, and the reasons of
/// [`PaymentClaims::check`].
pub fn next(
    state: &WalletState,
    code_id: [u8; 16],
    amount: Option<(CurrencyCode, Amount)>,
    life: DurationMs,
    now: TimeMs,
) -> Result<(WalletState, PaymentClaims), Reason> {
    let token = state.token.as_ref().filter(|_| !state.chain.is_empty());
    let token = token.ok_or(Reason::KeyUnknown)?;
    let issued = TimeMs(now.unix_seconds() * 1000);
    let life = DurationMs::seconds(life.min(PAYMENT_CODE_LIFE_MAX).0 / 1000);
    let counter = state.counter.checked_add(1).ok_or(Reason::TooLarge)?;
    let claims = PaymentClaims {
        account_token: token.clone(),
        issued,
        expires: issued.after(life),
        code_id,
        counter,
        amount,
    };
    claims.check()?;
    Ok((WalletState { counter, ..state.clone() }, claims))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_rise_and_nothing_is_shown_before_the_device_is_certified() {
        let (now, life) = (TimeMs(1_800_000_000_999), DurationMs::seconds(60));
        let made = |state: &WalletState, amount| next(state, [1; 16], amount, life, now);
        let fresh = WalletState { token: Some("token".to_owned()), ..WalletState::default() };
        assert_eq!(made(&fresh, None).err(), Some(Reason::KeyUnknown));
        let certified = WalletState { chain: vec![vec![1]], ..fresh };
        let (after, claims) = made(&certified, None).unwrap();
        assert_eq!((after.counter, claims.counter), (1, 1));
        assert_eq!(claims.expires.0 - claims.issued.0, 60_000);
        assert!(claims.issued <= now);
        assert_eq!(made(&after, None).unwrap().1.counter, 2);
        let euro = CurrencyCode::new("EUR").unwrap();
        let zero = made(&certified, Some((euro, Amount::ZERO)));
        assert_eq!(zero.err(), Some(Reason::AmountZero));
    }
}
