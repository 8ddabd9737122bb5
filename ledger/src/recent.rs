//! What is kept of each recent height so that blocks above it can be judged.

use tallystick_kernel::limits::{BLOCK_ENTRIES_MAX, RESERVES_IN_MAX};
use tallystick_kernel::{BlockId, Codec, Digest, Reader, Reason, TimeMs, Writer};
use tallystick_proofs::result::TransactionResult;

use crate::claims::Claim;

/// Heights for which a record is kept at least, so that blocks that are final here are known
/// again by their id.
pub const RECENT_HEIGHTS_MIN: u64 = 64;
/// Claims of one block at most.
pub(crate) const BLOCK_CLAIMS_MAX: usize = BLOCK_ENTRIES_MAX * RESERVES_IN_MAX;

/// The record of one executed height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// The block.
    pub block: BlockId,
    /// Its time.
    pub time: TimeMs,
    /// The height up to which this block reports results; blocks above it report no less.
    pub executed_height: u64,
    /// The root of the last checkpoint that is not above this height.
    pub checkpoint_root: Digest,
    /// Every claim that the block's transactions took, failed ones included.
    pub claims: Vec<Claim>,
    /// The results of the block's transactions, in order; persisted under a key of their own.
    pub results: Vec<TransactionResult>,
}

impl Recent {
    /// The persisted part: everything but the results.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.array(5).value(&self.block).value(&self.time).u64(self.executed_height);
        out.bytes(&self.checkpoint_root).list(&self.claims);
        out.finish()
    }

    /// Reads what [`Recent::encode`] wrote and puts the results to it.
    pub(crate) fn decode(bytes: &[u8], results: Vec<TransactionResult>) -> Result<Recent, Reason> {
        let mut input = Reader::new(bytes);
        input.tuple(5)?;
        Ok(Recent {
            block: BlockId::decode(&mut input)?,
            time: TimeMs::decode(&mut input)?,
            executed_height: input.u64()?,
            checkpoint_root: input.byte_array()?,
            claims: input.list(BLOCK_CLAIMS_MAX)?,
            results,
        })
    }
}
