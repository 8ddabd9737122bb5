//! What nodes say to each other beside consensus: transactions, storage statements, requests.

use tallystick_crypto::Signature;
use tallystick_kernel::limits::{BLOCK_ENTRIES_MAX, TRANSACTION_BYTES_MAX};
use tallystick_kernel::{Codec, Digest, Reader, Reason, Writer};
use tallystick_proofs::header::Entry;

/// Transactions in one message at most.
pub const BATCH_MAX: usize = 256;
/// Bytes of transactions in one message at most, beyond the first.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a message at most.
pub const MESSAGE_BYTES_MAX: usize = BATCH_BYTES_MAX + TRANSACTION_BYTES_MAX + 4096;
const _: () = assert!(BLOCK_ENTRIES_MAX * 69 + 64 <= MESSAGE_BYTES_MAX);

/// A message: `[number, field]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// New transactions (canonical bytes); the receiver verifies, stores and states so.
    Offer(Vec<Vec<u8>>),
    /// "I have durably stored the batch with this root."
    Stored {
        /// The root over the batch's entries.
        root: Digest,
        /// Over [`tallystick_proofs::acknowledgement::statement`].
        signature: Signature,
    },
    /// "I have not stored all of the batch with this root, and will not."
    Declined {
        /// The root over the batch's entries.
        root: Digest,
    },
    /// "Send me these."
    Want(Vec<Entry>),
    /// The answer to `Want`: transactions in their canonical bytes.
    Have(Vec<Vec<u8>>),
    /// "I am here."
    Alive {
        /// What the sender has executed.
        height: u64,
        /// How many other validators it has heard lately.
        heard: u64,
    },
}

struct Bytes(Vec<u8>);

impl Codec for Bytes {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        Ok(Bytes(input.bytes(TRANSACTION_BYTES_MAX)?.to_vec()))
    }
}

fn read_batch(input: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, Reason> {
    let batch: Vec<Bytes> = input.list(BATCH_MAX)?;
    Ok(batch.into_iter().map(|bytes| bytes.0).collect())
}

fn write_batch(out: &mut Writer, number: u64, batch: &[Vec<u8>]) {
    out.array(2).u64(number).array(batch.len());
    for bytes in batch {
        out.bytes(bytes);
    }
}

impl Codec for Message {
    fn encode(&self, out: &mut Writer) {
        match self {
            Message::Offer(batch) => write_batch(out, 1, batch),
            Message::Stored { root, signature } => {
                out.array(3).u64(2).bytes(root).value(signature);
            }
            Message::Declined { root } => {
                out.array(2).u64(6).bytes(root);
            }
            Message::Want(entries) => {
                out.array(2).u64(3).list(entries);
            }
            Message::Have(batch) => write_batch(out, 4, batch),
            Message::Alive { height, heard } => {
                out.array(3).u64(5).u64(*height).u64(*heard);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        let fields = input.array(3)?;
        match (input.u64()?, fields) {
            (1, 2) => read_batch(input).map(Message::Offer),
            (2, 3) => Ok(Message::Stored {
                root: input.byte_array()?,
                signature: Signature::decode(input)?,
            }),
            (3, 2) => input.list(BLOCK_ENTRIES_MAX).map(Message::Want),
            (4, 2) => read_batch(input).map(Message::Have),
            (6, 2) => Ok(Message::Declined { root: input.byte_array()? }),
            (5, 3) => Ok(Message::Alive { height: input.u64()?, heard: input.u64()? }),
            _ => Err(Reason::Malformed),
        }
    }
}

/// Whether the bytes are those of a message that offers.
pub(crate) fn is_offer(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x82, 1])
}

/// Whether the bytes are those of a message that asks for bodies.
pub(crate) fn is_want(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x82, 3])
}

/// Cuts transactions into batches that fit a message.
pub fn batches<T: AsRef<[u8]>>(transactions: &[T]) -> Vec<&[T]> {
    let (mut cut, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (place, transaction) in transactions.iter().enumerate() {
        let length = transaction.as_ref().len();
        let full = place - start >= BATCH_MAX || bytes + length > BATCH_BYTES_MAX;
        if full && place > start {
            cut.push(&transactions[start..place]);
            (start, bytes) = (place, 0);
        }
        bytes += length;
    }
    if start < transactions.len() {
        cut.push(&transactions[start..]);
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_read_back_and_batches_keep_order_and_size() {
        let entry = Entry { id: tallystick_kernel::TransactionId([1; 32]), witness_hash: [2; 32] };
        for message in [
            Message::Offer(vec![vec![1, 2], vec![3]]),
            Message::Stored { root: [4; 32], signature: Signature([5; 64]) },
            Message::Declined { root: [6; 32] },
            Message::Want(vec![entry]),
            Message::Have(vec![]),
            Message::Alive { height: 7, heard: 3 },
        ] {
            let bytes = message.to_bytes();
            assert_eq!(is_offer(&bytes), matches!(message, Message::Offer(_)));
            assert_eq!(is_want(&bytes), matches!(message, Message::Want(_)));
            assert_eq!(Message::from_bytes(&bytes, MESSAGE_BYTES_MAX), Ok(message));
        }
        let many: Vec<Vec<u8>> = (0..1000).map(|_| vec![0; 1000]).collect();
        let cut = batches(&many);
        assert_eq!(cut.iter().map(|batch| batch.len()).sum::<usize>(), 1000);
        assert!(cut.iter().all(|batch| batch.len() <= BATCH_MAX));
        assert!(cut.iter().all(|batch| batch.len() * 1000 <= BATCH_BYTES_MAX));
    }
}
