//! A block as the engine carries it: a header and its entries.

use bytes::{BufMut, Bytes};
use commonware_codec::{
    Buf, DecodeExt, Encode, EncodeSize, Error, FixedSize, RangeCfg, Read, Write,
};
use commonware_consensus::types::Height;
use commonware_consensus::{Block as ConsensusBlock, BoundedBlock, Heightable};
use commonware_cryptography::Digestible;
use commonware_cryptography::sha256::Digest;
use tallystick_kernel::limits::BLOCK_ENTRIES_MAX;
use tallystick_kernel::{Codec, Reader, Reason, Writer};
use tallystick_proofs::header::{Entry, Header, entries_root};

/// Bytes of an encoded entry: an array of two 32-byte strings.
const ENTRY_BYTES: usize = 1 + 2 * 34;
/// Bytes of an encoded header at most.
const HEADER_BYTES_MAX: usize = 512;
/// Bytes of an encoded block at most.
pub const BLOCK_BYTES_MAX: usize = HEADER_BYTES_MAX + BLOCK_ENTRIES_MAX * ENTRY_BYTES + 16;

/// A header with the entries under its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The header; its id is what the engine signs.
    pub header: Header,
    /// What it orders.
    pub entries: Vec<Entry>,
}

impl Block {
    /// Reads a block as the engine stores and sends it, and nothing beside it; [`Reason::Malformed`].
    pub fn from_engine(bytes: &[u8]) -> Result<Block, Reason> {
        let read = <Block as DecodeExt<()>>::decode(Bytes::copy_from_slice(bytes));
        read.map_err(|_| Reason::Malformed)
    }

    /// The bytes as which the engine stores and sends a block.
    pub fn to_engine(&self) -> Vec<u8> {
        Encode::encode(self).to_vec()
    }
}

impl Codec for Block {
    fn encode(&self, out: &mut Writer) {
        out.array(2).value(&self.header).list(&self.entries);
    }

    /// Reads a block whose entries are under its root; [`Reason::RootMismatch`] otherwise.
    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(2)?;
        let header = Header::decode(input)?;
        let entries: Vec<Entry> = input.list(BLOCK_ENTRIES_MAX)?;
        let counted = header.count == entries.len() as u64;
        if !counted || header.transactions_root != entries_root(&entries) {
            return Err(Reason::RootMismatch);
        }
        Ok(Block { header, entries })
    }
}

impl Write for Block {
    fn write(&self, out: &mut impl BufMut) {
        self.to_bytes().as_slice().write(out);
    }
}

impl EncodeSize for Block {
    fn encode_size(&self) -> usize {
        self.to_bytes().as_slice().encode_size()
    }
}

impl Read for Block {
    type Cfg = ();

    fn read_cfg(input: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let bytes = Vec::<u8>::read_cfg(input, &(RangeCfg::from(..=BLOCK_BYTES_MAX), ()))?;
        Block::from_bytes(&bytes, BLOCK_BYTES_MAX)
            .map_err(|_| Error::Invalid("tallystick::Block", "not a canonical block"))
    }
}

impl Digestible for Block {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        Digest::from(self.header.id().0)
    }
}

impl Heightable for Block {
    fn height(&self) -> Height {
        Height::new(self.header.height)
    }
}

impl ConsensusBlock for Block {
    fn parent(&self) -> Digest {
        Digest::from(self.header.previous.0)
    }
}

impl BoundedBlock for Block {
    fn max_encode_size((): &()) -> usize {
        BLOCK_BYTES_MAX + u32::SIZE + 1
    }
}
