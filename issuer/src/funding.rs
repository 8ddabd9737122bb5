//! Fundings: the operator gives a holder money, which waits until there is an account for it.

use tallystick_kernel::{
    AccountId, Amount, Codec, CurrencyCode, Digest, HolderId, Reader, Reason, TimeMs, Writer,
};

use crate::holder::Holder;
use crate::settlement::Progress;

/// Bytes of a stored funding at most.
pub const FUNDING_BYTES_MAX: usize = 512;

/// A funding. The record's key is the id; the holder is an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Funding {
    /// Follows from the request, so that a request that is sent again makes no second one.
    pub id: Digest,
    /// For whom, when it was asked for by name.
    pub holder: Option<HolderId>,
    /// The account to credit, once it is known.
    pub account: Option<AccountId>,
    /// The currency.
    pub currency: CurrencyCode,
    /// How much.
    pub amount: Amount,
    /// How far it is.
    pub progress: Progress,
    /// When it was asked for.
    pub created: TimeMs,
}

impl Funding {
    /// A funding of a holder, whose account may come later.
    ///
    /// Returns [`Reason::AmountZero`].
    pub fn of_holder(
        id: Digest,
        holder: &Holder,
        currency: CurrencyCode,
        amount: Amount,
        now: TimeMs,
    ) -> Result<Funding, Reason> {
        let account = holder.link.as_ref().map(|link| link.account);
        Funding { holder: Some(holder.id), ..made(id, account, currency, amount, now) }.checked()
    }

    /// A funding of an account. Returns [`Reason::AmountZero`].
    pub fn of_account(
        id: Digest,
        account: AccountId,
        currency: CurrencyCode,
        amount: Amount,
        now: TimeMs,
    ) -> Result<Funding, Reason> {
        made(id, Some(account), currency, amount, now).checked()
    }

    fn checked(self) -> Result<Funding, Reason> {
        if self.amount.is_zero() { Err(Reason::AmountZero) } else { Ok(self) }
    }
}

fn made(
    id: Digest,
    account: Option<AccountId>,
    currency: CurrencyCode,
    amount: Amount,
    created: TimeMs,
) -> Funding {
    Funding { id, holder: None, account, currency, amount, progress: Progress::Accepted, created }
}

impl Codec for Funding {
    fn encode(&self, out: &mut Writer) {
        out.array(8).u64(VERSION).bytes(&self.id).option(self.holder.as_ref());
        out.option(self.account.as_ref()).value(&self.currency).value(&self.amount);
        out.value(&self.progress).value(&self.created);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(8)?;
        if input.u64()? != VERSION {
            return Err(Reason::VersionUnknown);
        }
        Ok(Funding {
            id: input.byte_array()?,
            holder: input.option()?,
            account: input.option()?,
            currency: CurrencyCode::decode(input)?,
            amount: Amount::decode(input)?,
            progress: Progress::decode(input)?,
            created: TimeMs::decode(input)?,
        })
    }
}

const VERSION: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_funding_is_read_back_and_never_empty() {
        let euro = CurrencyCode::new("EUR").unwrap();
        let funding = Funding::of_account(
            [1; 32],
            AccountId([2; 32]),
            euro,
            Amount::new(5).unwrap(),
            TimeMs(1),
        );
        let funding = funding.unwrap();
        assert_eq!(Funding::from_bytes(&funding.to_bytes(), FUNDING_BYTES_MAX), Ok(funding));
        let none = Funding::of_account([1; 32], AccountId([2; 32]), euro, Amount::ZERO, TimeMs(1));
        assert_eq!(none.err(), Some(Reason::AmountZero));
    }
}
