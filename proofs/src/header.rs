//! A block's header and its entries: what consensus agrees on.

use tallystick_kernel::{
    BlockId, Codec, Digest, LabelledHash, Reader, Reason, TimeMs, TransactionId, Writer,
};

use crate::merkle;

/// The first version of the ledger's rules, and of the header's encoding.
pub const RULES_VERSION_FIRST: u64 = 1;
/// The newest version of the ledger's rules that this program knows.
///
/// 2: who may sign for an account is judged before a block is voted for, for every action.
/// 3: the bytes of a block's transactions are bounded.
pub const RULES_VERSION_MAX: u64 = 3;

/// One transaction of a block: its id, and the hash of the witness that is executed with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The transaction.
    pub id: TransactionId,
    /// [`crate::transaction::Witness::hash`] of the listed witness.
    pub witness_hash: Digest,
}

/// `[version, epoch, height, previous, time_ms, proposer, tx_root, count, executed_height,
/// results_root, checkpoint_root, validator_set_hash, parameters_hash]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of the rules that the block follows; all known ones have one encoding.
    pub version: u64,
    /// The epoch of the validator set.
    pub epoch: u64,
    /// The block's height; block zero is made from the genesis file.
    pub height: u64,
    /// The header before this one.
    pub previous: BlockId,
    /// The proposer's clock, not before the parent's.
    pub time: TimeMs,
    /// The proposer's place in the validator set.
    pub proposer: u64,
    /// Root over the entries, see [`entries_root`].
    pub transactions_root: Digest,
    /// How many entries there are.
    pub count: u64,
    /// Up to which height the proposer had executed.
    pub executed_height: u64,
    /// Root over the results of the heights in `(parent.executed_height, executed_height]`, in
    /// the order of execution.
    pub results_root: Digest,
    /// The state at the last checkpoint that is not above `executed_height`.
    pub checkpoint_root: Digest,
    /// [`crate::genesis::ValidatorSet::hash`] of the set that votes on this block.
    pub validator_set_hash: Digest,
    /// [`crate::genesis::Parameters::hash`] of the parameters in force.
    pub parameters_hash: Digest,
}

impl Header {
    /// The block's id: a labelled hash of the canonical header. This is the payload that the
    /// engine signs.
    pub fn id(&self) -> BlockId {
        BlockId(LabelledHash::new("tallystick/header/1").part(&self.to_bytes()).finish())
    }
}

/// The root over a block's entries.
pub fn entries_root(entries: &[Entry]) -> Digest {
    let leaves: Vec<Vec<u8>> = entries.iter().map(Codec::to_bytes).collect();
    merkle::root(&leaves)
}

impl Codec for Entry {
    fn encode(&self, out: &mut Writer) {
        out.array(2).value(&self.id).bytes(&self.witness_hash);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(2)?;
        Ok(Entry { id: TransactionId::decode(input)?, witness_hash: input.byte_array()? })
    }
}

impl Codec for Header {
    fn encode(&self, out: &mut Writer) {
        out.array(13).u64(self.version).u64(self.epoch).u64(self.height);
        out.value(&self.previous).value(&self.time).u64(self.proposer);
        out.bytes(&self.transactions_root).u64(self.count).u64(self.executed_height);
        out.bytes(&self.results_root).bytes(&self.checkpoint_root);
        out.bytes(&self.validator_set_hash).bytes(&self.parameters_hash);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(13)?;
        let version = input.u64()?;
        if !(RULES_VERSION_FIRST..=RULES_VERSION_MAX).contains(&version) {
            return Err(Reason::VersionUnknown);
        }
        Ok(Header {
            version,
            epoch: input.u64()?,
            height: input.u64()?,
            previous: BlockId::decode(input)?,
            time: TimeMs::decode(input)?,
            proposer: input.u64()?,
            transactions_root: input.byte_array()?,
            count: input.u64()?,
            executed_height: input.u64()?,
            results_root: input.byte_array()?,
            checkpoint_root: input.byte_array()?,
            validator_set_hash: input.byte_array()?,
            parameters_hash: input.byte_array()?,
        })
    }
}
