//! Bringing something that was decided onto the ledger, exactly once.
//!
//! The order lies in the outbox with its signed transaction before that is sent. What to do next
//! follows from what one node says. Invariant: a transaction is replaced by a new one only when a
//! node has executed all blocks in which the former could have been: its time is read before the
//! status, at the same node.

use tallystick_kernel::limits::TRANSACTION_BYTES_MAX;
use tallystick_kernel::{
    Codec, CurrencyCode, Digest, DurationMs, NetworkId, Reader, Reason, Salt, TimeMs,
    TransactionId, Writer,
};
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::transaction::{Body, Transaction};

use crate::authorization::Authorization;
use crate::funding::Funding;

/// How long a settlement may wait for a block before it is signed anew.
pub const SETTLEMENT_LIFE: DurationMs = DurationMs::minutes(2);
/// Bytes of a stored order at most.
pub const ORDER_BYTES_MAX: usize = TRANSACTION_BYTES_MAX + 128;

/// How far something is that ends on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Decided; not sent yet.
    Accepted,
    /// Its transaction is stored and on its way.
    Submitted(TransactionId),
    /// Final and successful.
    Settled(TransactionId),
    /// Final and failed.
    Failed(TransactionId, Reason),
}

/// What an order is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A funding, by its id.
    Funding(Digest),
    /// An authorization, by its id.
    Authorization(Digest),
}

/// An entry of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What it settles.
    pub subject: Subject,
    /// The signed transaction that settles it; none while something is still missing for it.
    pub transaction: Option<Transaction>,
}

/// What a node says about a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Unknown,
    /// It waits for a block.
    Pending,
    /// It was executed and reported; with the reason if it failed.
    Final(Option<Reason>),
    /// It can no longer be included.
    Expired,
}

/// What to do about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send the stored transaction (again: a second copy changes nothing).
    Submit,
    /// Ask again later.
    Wait,
    /// Sign and store a new transaction, then send that.
    SignAnew,
    /// It is done.
    Settled,
    /// It failed for good.
    Failed(Reason),
}

impl Order {
    /// What follows from what a node says. `ledger_time` is the time of the last header that this
    /// node had executed **before** it was asked for the status.
    pub fn next(&self, ledger_time: TimeMs, seen: Seen) -> Next {
        let Some(transaction) = &self.transaction else { return Next::SignAnew };
        let over = ledger_time >= transaction.body.valid_until;
        match seen {
            Seen::Final(None) => Next::Settled,
            Seen::Final(Some(reason)) => Next::Failed(reason),
            Seen::Pending => Next::Wait,
            Seen::Unknown | Seen::Expired if over => Next::SignAnew,
            Seen::Unknown => Next::Submit,
            Seen::Expired => Next::Wait,
        }
    }
}

/// The body of a remittance that settles an authorization, under the mandate.
pub fn remittance(
    authorization: &Authorization,
    network: NetworkId,
    salt: Salt,
    now: TimeMs,
) -> Body {
    let Authorization { payee, amount, reference, .. } = authorization;
    let line = Line { payee: *payee, amount: *amount, reference: Some(*reference) };
    Body {
        network,
        account: authorization.account,
        salt,
        valid_until: now.after(SETTLEMENT_LIFE),
        action: Action::Remit {
            currency: authorization.currency,
            lines: vec![line],
            reserves: authorization.reserves.clone(),
            reopen: authorization.change.into_iter().collect(),
        },
    }
}

/// The body of a mint that settles a funding, by the currency's authority. Returns
/// [`Reason::AccountNotLinked`] while there is no account to credit.
pub fn mint(
    funding: &Funding,
    network: NetworkId,
    authority: tallystick_kernel::AccountId,
    salt: Salt,
    now: TimeMs,
) -> Result<Body, Reason> {
    let payee = funding.account.ok_or(Reason::AccountNotLinked)?;
    let currency: CurrencyCode = funding.currency;
    Ok(Body {
        network,
        account: authority,
        salt,
        valid_until: now.after(SETTLEMENT_LIFE),
        action: Action::Mint { currency, payee, amount: funding.amount, reference: None },
    })
}

impl Progress {
    /// The transaction, once there is one.
    pub fn transaction(&self) -> Option<TransactionId> {
        match self {
            Progress::Accepted => None,
            Progress::Submitted(id) | Progress::Settled(id) | Progress::Failed(id, _) => Some(*id),
        }
    }

    /// Why it failed.
    pub fn failure(&self) -> Option<Reason> {
        if let Progress::Failed(_, reason) = self { Some(*reason) } else { None }
    }

    /// Whether nothing more will happen.
    pub fn has_ended(&self) -> bool {
        matches!(self, Progress::Settled(_) | Progress::Failed(..))
    }
}

impl Codec for Progress {
    fn encode(&self, out: &mut Writer) {
        match self {
            Progress::Accepted => out.array(1).u64(0),
            Progress::Submitted(id) => out.array(2).u64(1).value(id),
            Progress::Settled(id) => out.array(2).u64(2).value(id),
            Progress::Failed(id, reason) => {
                out.array(3).u64(3).value(id).u64(u64::from(reason.number()))
            }
        };
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        let length = input.array(3)?;
        match (length, input.u64()?) {
            (1, 0) => Ok(Progress::Accepted),
            (2, 1) => Ok(Progress::Submitted(TransactionId::decode(input)?)),
            (2, 2) => Ok(Progress::Settled(TransactionId::decode(input)?)),
            (3, 3) => {
                let id = TransactionId::decode(input)?;
                let reason = Reason::from_number(input.u16()?).ok_or(Reason::Malformed)?;
                Ok(Progress::Failed(id, reason))
            }
            _ => Err(Reason::Malformed),
        }
    }
}

impl Codec for Order {
    fn encode(&self, out: &mut Writer) {
        let (kind, id) = match &self.subject {
            Subject::Funding(id) => (0, id),
            Subject::Authorization(id) => (1, id),
        };
        out.array(4).u64(VERSION).u64(kind).bytes(id).option(self.transaction.as_ref());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(4)?;
        if input.u64()? != VERSION {
            return Err(Reason::VersionUnknown);
        }
        let subject = match (input.u64()?, input.byte_array()?) {
            (0, id) => Subject::Funding(id),
            (1, id) => Subject::Authorization(id),
            _ => return Err(Reason::Malformed),
        };
        Ok(Order { subject, transaction: input.option()? })
    }
}

const VERSION: u64 = 1;

#[cfg(test)]
mod tests {
    use tallystick_crypto::SigningKey;
    use tallystick_kernel::{AccountId, Amount};

    use super::*;

    fn order() -> Order {
        let body = Body {
            network: NetworkId([1; 32]),
            account: AccountId([2; 32]),
            salt: Salt([3; 16]),
            valid_until: TimeMs(1000),
            action: Action::Burn {
                currency: CurrencyCode::new("EUR").unwrap(),
                amount: Amount::new(5).unwrap(),
            },
        };
        let transaction = body.sign(&[&SigningKey::ed25519_from_seed(&[4; 32])]);
        Order { subject: Subject::Authorization([5; 32]), transaction: Some(transaction) }
    }

    #[test]
    fn a_new_transaction_is_signed_only_when_the_former_can_no_longer_be_included() {
        let order = order();
        let (before, after) = (TimeMs(999), TimeMs(1000));
        for (time, seen, next) in [
            (before, Seen::Unknown, Next::Submit),
            (before, Seen::Pending, Next::Wait),
            (before, Seen::Expired, Next::Wait),
            (after, Seen::Pending, Next::Wait),
            (after, Seen::Unknown, Next::SignAnew),
            (after, Seen::Expired, Next::SignAnew),
            (after, Seen::Final(None), Next::Settled),
            (before, Seen::Final(None), Next::Settled),
            (
                before,
                Seen::Final(Some(Reason::ReserveUnknown)),
                Next::Failed(Reason::ReserveUnknown),
            ),
        ] {
            assert_eq!(order.next(time, seen), next, "{time:?} {seen:?}");
        }
        let unsigned = Order { transaction: None, ..order };
        assert_eq!(unsigned.next(before, Seen::Unknown), Next::SignAnew);
    }

    #[test]
    fn orders_and_progress_are_read_back() {
        let order = order();
        assert_eq!(Order::from_bytes(&order.to_bytes(), ORDER_BYTES_MAX), Ok(order.clone()));
        let id = order.transaction.as_ref().unwrap().id();
        for progress in [
            Progress::Accepted,
            Progress::Submitted(id),
            Progress::Settled(id),
            Progress::Failed(id, Reason::ReserveUnknown),
        ] {
            assert_eq!(Progress::from_bytes(&progress.to_bytes(), 100), Ok(progress));
            assert_eq!(
                progress.has_ended(),
                progress.failure().is_some() || progress == Progress::Settled(id)
            );
        }
    }
}
