//! What the state holds: accounts, currencies, reserves and remembered results, with their bytes.

use tallystick_kernel::{AccountId, Amount, Codec, CurrencyCode, Reader, Reason, TimeMs, Writer};
use tallystick_proofs::action::Lock;
use tallystick_proofs::owners::Owners;
use tallystick_proofs::result::TransactionResult;

/// An account; its free balances are entries of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Who controls it; never changes in this version.
    pub owners: Owners,
    /// The height of the block that opened it, zero for the genesis file's.
    pub created_height: u64,
}

/// A currency and how much of it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency {
    /// How many decimals a major unit has.
    pub exponent: u8,
    /// The only account that mints and burns.
    pub authority: AccountId,
    /// All money of the currency: free balances and reserves.
    pub supply: Amount,
}

/// Money set aside under an id, spent as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Whose it is.
    pub account: AccountId,
    /// The currency.
    pub currency: CurrencyCode,
    /// How much, above zero.
    pub amount: Amount,
    /// The key that may spend it for the owner, and the terms.
    pub lock: Option<Lock>,
    /// From this block time on it can only be closed.
    pub expiry: Option<TimeMs>,
    /// The height of the block that opened it.
    pub created_height: u64,
    /// From this block time on the owners may spend it although it is locked; none while no
    /// unlock was requested.
    pub unlock_at: Option<TimeMs>,
}

/// A transaction that was executed and is remembered so that it is not executed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// What became of it.
    pub result: TransactionResult,
    /// Its `valid_until`; it is forgotten 10 minutes of block time later.
    pub valid_until: TimeMs,
}

impl Codec for Account {
    fn encode(&self, out: &mut Writer) {
        out.array(2).value(&self.owners).u64(self.created_height);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(2)?;
        Ok(Account { owners: Owners::decode(input)?, created_height: input.u64()? })
    }
}

impl Codec for Currency {
    fn encode(&self, out: &mut Writer) {
        out.array(3).u64(u64::from(self.exponent)).value(&self.authority).value(&self.supply);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(3)?;
        Ok(Currency {
            exponent: input.u8()?,
            authority: AccountId::decode(input)?,
            supply: Amount::decode(input)?,
        })
    }
}

impl Codec for Reserve {
    fn encode(&self, out: &mut Writer) {
        out.array(7).value(&self.account).value(&self.currency).value(&self.amount);
        out.option(self.lock.as_ref()).option(self.expiry.as_ref());
        out.u64(self.created_height).option(self.unlock_at.as_ref());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(7)?;
        Ok(Reserve {
            account: AccountId::decode(input)?,
            currency: CurrencyCode::decode(input)?,
            amount: Amount::decode(input)?,
            lock: input.option()?,
            expiry: input.option()?,
            created_height: input.u64()?,
            unlock_at: input.option()?,
        })
    }
}
