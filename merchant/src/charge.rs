//! Charges: an order, the code that is to pay it, and how far that is.

use tallystick_kernel::limits::PAYMENT_CODE_CHARS_MAX;
use tallystick_kernel::{
    AccountId, Amount, Codec, CurrencyCode, Digest, LabelledHash, Reader, Reason, Reference,
    TimeMs, TransactionId, Writer,
};
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::receipt::VerifiedReceipt;

/// Bytes of an order's text at most.
pub const ORDER_BYTES_MAX: usize = 256;
/// Bytes of a stored charge at most.
pub const CHARGE_BYTES_MAX: usize = PAYMENT_CODE_CHARS_MAX + 4096;

/// How far a charge is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeState {
    /// Stored; the issuer has not answered.
    Accepted,
    /// The issuer has authorised it, under this id.
    Authorized(String),
    /// A verified receipt pays it.
    Settled(TransactionId),
    /// It will not be paid.
    Failed(Reason),
}

/// A charge. The record's key is the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Follows from the request, so that a request that is sent again makes no second one.
    pub id: Digest,
    /// The merchant's own text; it never leaves the merchant.
    pub order: String,
    /// Random; hides the order behind the reference.
    pub salt: [u8; 16],
    /// The code as it was read.
    pub code: String,
    /// The currency.
    pub currency: CurrencyCode,
    /// How much.
    pub amount: Amount,
    /// When it was made.
    pub created: TimeMs,
    /// How far it is.
    pub state: ChargeState,
}

impl Charge {
    /// A new charge. Returns [`Reason::FieldInvalid`] for an order that is too long,
    /// [`Reason::TooLarge`] for a code that is, and [`Reason::AmountZero`].
    pub fn new(
        id: Digest,
        order: &str,
        salt: [u8; 16],
        code: &str,
        price: (CurrencyCode, Amount),
        now: TimeMs,
    ) -> Result<Charge, Reason> {
        let (currency, amount) = price;
        if order.len() > ORDER_BYTES_MAX {
            return Err(Reason::FieldInvalid);
        }
        if code.len() > PAYMENT_CODE_CHARS_MAX {
            return Err(Reason::TooLarge);
        }
        if amount.is_zero() {
            return Err(Reason::AmountZero);
        }
        let (order, code) = (order.to_owned(), code.to_owned());
        let state = ChargeState::Accepted;
        Ok(Charge { id, order, salt, code, currency, amount, created: now, state })
    }

    /// By what the payment is found on the ledger: a salted hash, so that the order stays with the
    /// merchant.
    pub fn reference(&self) -> Reference {
        let hash = LabelledHash::new("tallystick/order-reference/1");
        Reference(hash.part(&self.salt).part(&self.id).part(self.order.as_bytes()).finish())
    }

    /// Whether a verified receipt pays this charge to `payee`.
    ///
    /// Returns [`Reason::NotPaid`] for the receipt of a failure, and [`Reason::ReceiptMismatch`]
    /// when no line of it pays this account this amount under this reference.
    pub fn check_receipt(
        &self,
        receipt: &VerifiedReceipt,
        payee: AccountId,
    ) -> Result<TransactionId, Reason> {
        receipt.require_payment()?;
        let (currency, lines) = match &receipt.body.action {
            Action::Remit { currency, lines, .. } | Action::Transfer { currency, lines } => {
                (currency, lines)
            }
            _ => return Err(Reason::ReceiptMismatch),
        };
        let wanted = Line { payee, amount: self.amount, reference: Some(self.reference()) };
        if *currency == self.currency && lines.contains(&wanted) {
            Ok(receipt.id)
        } else {
            Err(Reason::ReceiptMismatch)
        }
    }

    /// Whether nothing more will happen.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, ChargeState::Settled(_) | ChargeState::Failed(_))
    }
}

impl Codec for Charge {
    fn encode(&self, out: &mut Writer) {
        out.array(9).u64(VERSION).bytes(&self.id).text(&self.order).bytes(&self.salt);
        out.text(&self.code).value(&self.currency).value(&self.amount).value(&self.created);
        match &self.state {
            ChargeState::Accepted => out.array(1).u64(0),
            ChargeState::Authorized(id) => out.array(2).u64(1).text(id),
            ChargeState::Settled(id) => out.array(2).u64(2).value(id),
            ChargeState::Failed(reason) => out.array(2).u64(3).u64(u64::from(reason.number())),
        };
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(9)?;
        if input.u64()? != VERSION {
            return Err(Reason::VersionUnknown);
        }
        Ok(Charge {
            id: input.byte_array()?,
            order: input.text(ORDER_BYTES_MAX)?.to_owned(),
            salt: input.byte_array()?,
            code: input.text(PAYMENT_CODE_CHARS_MAX)?.to_owned(),
            currency: CurrencyCode::decode(input)?,
            amount: Amount::decode(input)?,
            created: TimeMs::decode(input)?,
            state: match (input.array(2)?, input.u64()?) {
                (1, 0) => ChargeState::Accepted,
                (2, 1) => ChargeState::Authorized(input.text(128)?.to_owned()),
                (2, 2) => ChargeState::Settled(TransactionId::decode(input)?),
                (2, 3) => {
                    let reason = Reason::from_number(input.u16()?);
                    ChargeState::Failed(reason.ok_or(Reason::Malformed)?)
                }
                _ => return Err(Reason::Malformed),
            },
        })
    }
}

const VERSION: u64 = 1;

#[cfg(test)]
mod tests {
    use tallystick_kernel::{NetworkId, Salt};
    use tallystick_proofs::result::TransactionResult;
    use tallystick_proofs::transaction::Body;

    use super::*;

    const SHOP: AccountId = AccountId([1; 32]);

    fn charge() -> Charge {
        let price = (CurrencyCode::new("EUR").unwrap(), Amount::new(1230).unwrap());
        Charge::new([2; 32], "table 4", [3; 16], "TLY1:", price, TimeMs(5)).unwrap()
    }

    fn receipt(change: impl Fn(&mut Line, &mut Option<Reason>)) -> VerifiedReceipt {
        let charge = charge();
        let mut line =
            Line { payee: SHOP, amount: charge.amount, reference: Some(charge.reference()) };
        let mut failure = None;
        change(&mut line, &mut failure);
        let body = Body {
            network: NetworkId([0; 32]),
            account: AccountId([4; 32]),
            salt: Salt([0; 16]),
            valid_until: TimeMs(9),
            action: Action::Transfer { currency: charge.currency, lines: vec![line] },
        };
        let id = body.id();
        let result = TransactionResult { id, witness_hash: [0; 32], height: 1, index: 0, failure };
        VerifiedReceipt { id, body, result, reported: TimeMs(9) }
    }

    #[test]
    fn only_a_receipt_that_pays_this_order_to_this_account_settles_it() {
        let judged = |receipt: VerifiedReceipt| charge().check_receipt(&receipt, SHOP).map(|_| ());
        let mismatch = Err(Reason::ReceiptMismatch);
        assert_eq!(judged(receipt(|_, _| {})), Ok(()));
        assert_eq!(judged(receipt(|line, _| line.payee = AccountId([9; 32]))), mismatch);
        assert_eq!(judged(receipt(|line, _| line.amount = Amount::new(1229).unwrap())), mismatch);
        assert_eq!(judged(receipt(|line, _| line.reference = None)), mismatch);
        assert_eq!(judged(receipt(|line, _| line.reference = Some(Reference([0; 32])))), mismatch);
        let failed = receipt(|_, failure| *failure = Some(Reason::ReserveUnknown));
        assert_eq!(judged(failed), Err(Reason::NotPaid));
    }

    #[test]
    fn a_charge_is_read_back_in_every_state() {
        for state in [
            ChargeState::Accepted,
            ChargeState::Authorized("7".to_owned()),
            ChargeState::Settled(TransactionId([1; 32])),
            ChargeState::Failed(Reason::CodeReplayed),
        ] {
            let charge = Charge { state, ..charge() };
            assert_eq!(Charge::from_bytes(&charge.to_bytes(), CHARGE_BYTES_MAX), Ok(charge));
        }
    }

    #[test]
    fn references_of_equal_orders_differ() {
        let other = Charge { salt: [4; 16], ..charge() };
        assert_ne!(other.reference(), charge().reference());
    }
}
