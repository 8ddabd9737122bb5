//! What became of a transaction: the leaf under a header's results root.

use tallystick_kernel::{Codec, Digest, Reader, Reason, TransactionId, Writer};

/// The final result of one transaction. All lines share it: a payment is all or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionResult {
    /// The transaction.
    pub id: TransactionId,
    /// The witness that was executed.
    pub witness_hash: Digest,
    /// The height of the block that held it.
    pub height: u64,
    /// Its place in that block, from zero.
    pub index: u64,
    /// None for success, else why it failed; a failed transaction changed nothing.
    pub failure: Option<Reason>,
}

impl TransactionResult {
    /// Whether it succeeded.
    pub const fn is_success(&self) -> bool {
        self.failure.is_none()
    }
}

impl Codec for TransactionResult {
    fn encode(&self, out: &mut Writer) {
        out.array(5).value(&self.id).bytes(&self.witness_hash).u64(self.height).u64(self.index);
        out.u64(self.failure.map_or(0, |reason| u64::from(reason.number())));
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(5)?;
        Ok(TransactionResult {
            id: TransactionId::decode(input)?,
            witness_hash: input.byte_array()?,
            height: input.u64()?,
            index: input.u64()?,
            failure: match input.u16()? {
                0 => None,
                number => Some(Reason::from_number(number).ok_or(Reason::Malformed)?),
            },
        })
    }
}
