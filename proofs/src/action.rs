//! What a transaction does: the closed list of actions and their bytes.
//!
//! Encoding: `[number, field, ...]`. Numbers never change their meaning.

use tallystick_crypto::PublicKey;
use tallystick_kernel::limits::{
    LINES_MAX, LOCK_PAYEES_MAX, RESERVES_IN_MAX, RESERVES_OUT_MAX, UNLOCK_DELAY_MAX,
    UNLOCK_DELAY_MIN,
};
use tallystick_kernel::{
    AccountId, Amount, Codec, CurrencyCode, DurationMs, Reader, Reason, Reference, ReserveId,
    TimeMs, Writer,
};

use crate::genesis::ValidatorSet;
use crate::owners::Owners;

/// One payment of a `transfer` or `remit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who is paid; credited on the free balance.
    pub payee: AccountId,
    /// How much, above zero.
    pub amount: Amount,
    /// By what the payee finds the order; not unique.
    pub reference: Option<Reference>,
}

/// The terms under which another key may spend a reserve for its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The key that may spend: the issuer's.
    pub mandate: PublicKey,
    /// The most that one remit under the mandate may pay, all lines together.
    pub payment_max: Option<Amount>,
    /// The only payees allowed; empty means any. Strictly rising, at most 16.
    pub payees: Vec<AccountId>,
    /// How long after `unlock_request` the owner may spend again; 60 minutes to 30 days.
    pub unlock_delay: DurationMs,
}

/// An action. Field meanings and refusals are in `docs/capabilities/remittance.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Opens an account owned by these keys. The body's account is [`AccountId::NONE`]; the new
    /// account's id is [`crate::transaction::account_id`] of the transaction.
    AccountOpen {
        /// Who will control it; the witness must be exactly a threshold of these.
        owners: Owners,
    },
    /// Makes money: only the currency's authority account.
    Mint {
        /// The currency.
        currency: CurrencyCode,
        /// Credited on the free balance.
        payee: AccountId,
        /// Above zero.
        amount: Amount,
        /// By what the payee finds the reason.
        reference: Option<Reference>,
    },
    /// Takes money out of the authority account's own free balance.
    Burn {
        /// The currency.
        currency: CurrencyCode,
        /// Above zero.
        amount: Amount,
    },
    /// Pays from the free balance.
    Transfer {
        /// The currency.
        currency: CurrencyCode,
        /// 1 to 64 payments, all or nothing.
        lines: Vec<Line>,
    },
    /// Moves free balance into new reserves; reserve `i` has the id
    /// [`crate::transaction::reserve_id`]`(id, i)`.
    ReserveOpen {
        /// The currency.
        currency: CurrencyCode,
        /// One reserve each, above zero, 1 to 64.
        amounts: Vec<Amount>,
        /// To whom they are locked.
        lock: Option<Lock>,
        /// From when on they can only be closed.
        expiry: Option<TimeMs>,
    },
    /// Puts reserves back into the owner's free balance.
    ReserveClose {
        /// 1 to 64, none named twice.
        reserves: Vec<ReserveId>,
    },
    /// Starts the delay after which the owner may spend locked reserves.
    UnlockRequest {
        /// 1 to 64, none named twice.
        reserves: Vec<ReserveId>,
    },
    /// Pays from named reserves of the body's account. What is left goes to its free balance,
    /// or first into reserves opened anew under the lock and expiry of the reserves consumed
    /// (which then must all be the same).
    ///
    /// Signed by the owners, or by the one mandate key that all the reserves are locked to.
    Remit {
        /// The currency of the lines and of every reserve.
        currency: CurrencyCode,
        /// 1 to 64 payments, all or nothing.
        lines: Vec<Line>,
        /// 1 to 64 reserves, none named twice.
        reserves: Vec<ReserveId>,
        /// Amounts to re-open from the change, at most 64; reserve `i` has the id
        /// [`crate::transaction::reserve_id`]`(id, i)`.
        reopen: Vec<Amount>,
    },
    /// Decides who the validators are from the second epoch on after the one of its block: only
    /// the operators' account.
    ValidatorsChange {
        /// All of them, those that stay too.
        validators: ValidatorSet,
    },
    /// Decides from which height on the next version of the rules is in force: only the operators'
    /// account.
    RulesActivate {
        /// The version after the last one decided.
        version: u64,
        /// The first block that follows it, not before the second epoch after the one of this
        /// action's block.
        height: u64,
    },
}

impl Lock {
    /// Whether the terms are usable; [`Reason::LockMalformed`], or what the key's check says.
    pub fn check(&self) -> Result<(), Reason> {
        let rising = self.payees.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range = (UNLOCK_DELAY_MIN..=UNLOCK_DELAY_MAX).contains(&self.unlock_delay);
        let capped_at_zero = self.payment_max.is_some_and(Amount::is_zero);
        if !rising || !in_range || capped_at_zero {
            return Err(Reason::LockMalformed);
        }
        self.mandate.check()
    }
}

impl Action {
    /// The action's name in snake case, as the CLI and the API show it.
    pub const fn name(&self) -> &'static str {
        match self {
            Action::AccountOpen { .. } => "account_open",
            Action::Mint { .. } => "mint",
            Action::Burn { .. } => "burn",
            Action::Transfer { .. } => "transfer",
            Action::ReserveOpen { .. } => "reserve_open",
            Action::ReserveClose { .. } => "reserve_close",
            Action::UnlockRequest { .. } => "unlock_request",
            Action::Remit { .. } => "remit",
            Action::ValidatorsChange { .. } => "validators_change",
            Action::RulesActivate { .. } => "rules_activate",
        }
    }

    /// Checks all that the bytes alone decide: lists not empty, amounts above zero, sums in range,
    /// nothing named twice, keys and locks usable.
    ///
    /// Returns, in this order of precedence within each field from left to right:
    /// [`Reason::ListEmpty`], [`Reason::AmountZero`], [`Reason::AmountOverflow`],
    /// [`Reason::NamedTwice`], [`Reason::OwnersMalformed`], [`Reason::LockMalformed`] and the
    /// reasons of [`PublicKey::check`].
    pub fn check(&self) -> Result<(), Reason> {
        match self {
            Action::AccountOpen { owners } => owners.check(),
            Action::Mint { amount, .. } | Action::Burn { amount, .. } => above_zero(*amount),
            Action::Transfer { lines, .. } => check_lines(lines),
            Action::ReserveOpen { amounts, lock, .. } => {
                check_amounts(amounts)?;
                if amounts.is_empty() {
                    return Err(Reason::ListEmpty);
                }
                lock.as_ref().map_or(Ok(()), Lock::check)
            }
            Action::ReserveClose { reserves } | Action::UnlockRequest { reserves } => {
                check_reserves(reserves)
            }
            Action::Remit { lines, reserves, reopen, .. } => {
                check_lines(lines)?;
                check_reserves(reserves)?;
                check_amounts(reopen)
            }
            Action::ValidatorsChange { validators } => {
                validators.keys().iter().try_for_each(PublicKey::check)
            }
            Action::RulesActivate { .. } => Ok(()),
        }
    }
}

fn above_zero(amount: Amount) -> Result<(), Reason> {
    if amount.is_zero() { Err(Reason::AmountZero) } else { Ok(()) }
}

fn check_amounts(amounts: &[Amount]) -> Result<(), Reason> {
    amounts.iter().copied().try_for_each(above_zero)?;
    Amount::sum(amounts.iter().copied()).map(drop)
}

fn check_lines(lines: &[Line]) -> Result<(), Reason> {
    if lines.is_empty() {
        return Err(Reason::ListEmpty);
    }
    lines.iter().try_for_each(|line| above_zero(line.amount))?;
    Amount::sum(lines.iter().map(|line| line.amount)).map(drop)
}

fn check_reserves(reserves: &[ReserveId]) -> Result<(), Reason> {
    if reserves.is_empty() {
        return Err(Reason::ListEmpty);
    }
    let mut sorted: Vec<&ReserveId> = reserves.iter().collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Reason::NamedTwice);
    }
    Ok(())
}

impl Codec for Line {
    fn encode(&self, out: &mut Writer) {
        out.array(3).value(&self.payee).value(&self.amount).option(self.reference.as_ref());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(3)?;
        Ok(Line {
            payee: AccountId::decode(input)?,
            amount: Amount::decode(input)?,
            reference: input.option()?,
        })
    }
}

impl Codec for Lock {
    fn encode(&self, out: &mut Writer) {
        out.array(4).value(&self.mandate).option(self.payment_max.as_ref());
        out.list(&self.payees).value(&self.unlock_delay);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(4)?;
        Ok(Lock {
            mandate: PublicKey::decode(input)?,
            payment_max: input.option()?,
            payees: input.list(LOCK_PAYEES_MAX)?,
            unlock_delay: DurationMs::decode(input)?,
        })
    }
}

impl Codec for Action {
    fn encode(&self, out: &mut Writer) {
        match self {
            Action::AccountOpen { owners } => {
                out.array(2).u64(1).value(owners);
            }
            Action::Mint { currency, payee, amount, reference } => {
                out.array(5).u64(2).value(currency).value(payee).value(amount);
                out.option(reference.as_ref());
            }
            Action::Burn { currency, amount } => {
                out.array(3).u64(3).value(currency).value(amount);
            }
            Action::Transfer { currency, lines } => {
                out.array(3).u64(4).value(currency).list(lines);
            }
            Action::ReserveOpen { currency, amounts, lock, expiry } => {
                out.array(5).u64(5).value(currency).list(amounts);
                out.option(lock.as_ref()).option(expiry.as_ref());
            }
            Action::ReserveClose { reserves } => {
                out.array(2).u64(6).list(reserves);
            }
            Action::UnlockRequest { reserves } => {
                out.array(2).u64(7).list(reserves);
            }
            Action::Remit { currency, lines, reserves, reopen } => {
                out.array(5).u64(8).value(currency).list(lines).list(reserves).list(reopen);
            }
            Action::ValidatorsChange { validators } => {
                out.array(2).u64(9).value(validators);
            }
            Action::RulesActivate { version, height } => {
                out.array(3).u64(10).u64(*version).u64(*height);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        let fields = input.array(usize::MAX)?;
        let action = match (input.u64()?, fields) {
            (1, 2) => Action::AccountOpen { owners: Owners::decode(input)? },
            (2, 5) => Action::Mint {
                currency: CurrencyCode::decode(input)?,
                payee: AccountId::decode(input)?,
                amount: Amount::decode(input)?,
                reference: input.option()?,
            },
            (3, 3) => Action::Burn {
                currency: CurrencyCode::decode(input)?,
                amount: Amount::decode(input)?,
            },
            (4, 3) => Action::Transfer {
                currency: CurrencyCode::decode(input)?,
                lines: input.list(LINES_MAX)?,
            },
            (5, 5) => Action::ReserveOpen {
                currency: CurrencyCode::decode(input)?,
                amounts: input.list(RESERVES_OUT_MAX)?,
                lock: input.option()?,
                expiry: input.option()?,
            },
            (6, 2) => Action::ReserveClose { reserves: input.list(RESERVES_IN_MAX)? },
            (7, 2) => Action::UnlockRequest { reserves: input.list(RESERVES_IN_MAX)? },
            (8, 5) => Action::Remit {
                currency: CurrencyCode::decode(input)?,
                lines: input.list(LINES_MAX)?,
                reserves: input.list(RESERVES_IN_MAX)?,
                reopen: input.list(RESERVES_OUT_MAX)?,
            },
            (9, 2) => Action::ValidatorsChange { validators: ValidatorSet::decode(input)? },
            (10, 3) => Action::RulesActivate { version: input.u64()?, height: input.u64()? },
            (1..=10, _) => return Err(Reason::Malformed),
            _ => return Err(Reason::ActionUnknown),
        };
        Ok(action)
    }
}
