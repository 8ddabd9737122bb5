//! A snapshot: what a node needs to go on from a checkpoint, in chunks under one manifest.
//!
//! It holds, as keys and values of a node's own storage, first the blocks of the checkpoint's
//! window up to one with a certificate of its own, with bodies, certificates and results, and then
//! the entries that are under the checkpoint's root. See `docs/adr/0008-snapshots.md`.

use tallystick_kernel::limits::RECEIPT_BYTES_MAX;
use tallystick_kernel::{Codec, Digest, LabelledHash, NetworkId, Reader, Reason, Writer};
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::header::Header;
use tallystick_proofs::receipt::{CHANGES_MAX, SetChange};

use crate::block::BLOCK_BYTES_MAX;

/// The version of the format.
pub const SNAPSHOT_VERSION: u64 = 1;
/// Bytes beyond which a chunk takes no further pair.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes of a chunk at most: a block may be larger than the usual chunk.
pub const CHUNK_BYTES_MAX: usize = BLOCK_BYTES_MAX + 4096;
/// Chunks of one snapshot at most.
pub const CHUNKS_MAX: usize = 8192;
/// Bytes of a manifest at most.
pub const MANIFEST_BYTES_MAX: usize = CHUNKS_MAX * 34 + 16 * 1024 + RECEIPT_BYTES_MAX;
/// Bytes of a key at most.
const KEY_BYTES_MAX: usize = 128;
/// Pairs of one chunk at most.
const PAIRS_MAX: usize = CHUNK_BYTES_MAX / 3;

const _: () = assert!(CHUNK_BYTES < CHUNK_BYTES_MAX);

/// What a snapshot claims to be: `[version, network, checkpoint, certified, finality, changes,
/// chunks]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The network.
    pub network: NetworkId,
    /// The height of the checkpoint.
    pub checkpoint: u64,
    /// The last header: the checkpoint's root is reported by it or by one before it.
    pub certified: Header,
    /// The proof that it is final.
    pub finality: FinalityCertificate,
    /// Every change of the validator set up to that header's epoch, in order.
    pub changes: Vec<SetChange>,
    /// The hash of each chunk.
    pub chunks: Vec<Digest>,
}

/// A key of a node's storage and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

impl Manifest {
    /// By what peers name the snapshot.
    pub fn hash(&self) -> Digest {
        LabelledHash::new("tallystick/snapshot/1").part(&self.to_bytes()).finish()
    }
}

/// The hash of a chunk, as it stands in the manifest.
pub fn chunk_hash(chunk: &[u8]) -> Digest {
    LabelledHash::new("tallystick/snapshot-chunk/1").part(chunk).finish()
}

/// The bytes of a chunk: `[key, value, key, value, ...]`.
pub fn encode_chunk(pairs: &[Pair]) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(pairs.len() * 2);
    for (key, value) in pairs {
        out.bytes(key).bytes(value);
    }
    out.finish()
}

/// Reads a chunk of at most [`CHUNK_BYTES_MAX`]; the reasons of decoding.
pub fn decode_chunk(bytes: &[u8]) -> Result<Vec<Pair>, Reason> {
    if bytes.len() > CHUNK_BYTES_MAX {
        return Err(Reason::TooLarge);
    }
    let mut input = Reader::new(bytes);
    let count = input.array(PAIRS_MAX)?;
    if count % 2 != 0 {
        return Err(Reason::Malformed);
    }
    let mut pairs = Vec::new();
    for _ in 0..count / 2 {
        let key = input.bytes(KEY_BYTES_MAX)?.to_vec();
        pairs.push((key, input.bytes(CHUNK_BYTES_MAX)?.to_vec()));
    }
    if input.is_empty() { Ok(pairs) } else { Err(Reason::TrailingBytes) }
}

struct Hash(Digest);

impl Codec for Hash {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        Ok(Hash(input.byte_array()?))
    }
}

impl Codec for Manifest {
    fn encode(&self, out: &mut Writer) {
        out.array(7).u64(SNAPSHOT_VERSION).value(&self.network).u64(self.checkpoint);
        out.value(&self.certified).value(&self.finality).list(&self.changes);
        out.array(self.chunks.len());
        for chunk in &self.chunks {
            out.bytes(chunk);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(7)?;
        if input.u64()? != SNAPSHOT_VERSION {
            return Err(Reason::VersionUnknown);
        }
        Ok(Manifest {
            network: NetworkId::decode(input)?,
            checkpoint: input.u64()?,
            certified: Header::decode(input)?,
            finality: FinalityCertificate::decode(input)?,
            changes: input.list(CHANGES_MAX)?,
            chunks: input.list::<Hash>(CHUNKS_MAX)?.into_iter().map(|hash| hash.0).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_read_back_and_one_with_bytes_left_over_or_half_a_pair_is_refused() {
        let pairs = vec![(vec![1], vec![2; 300]), (vec![3; 64], Vec::new())];
        let bytes = encode_chunk(&pairs);
        assert_eq!(decode_chunk(&bytes), Ok(pairs));
        assert_eq!(decode_chunk(&[&bytes[..], &[0]].concat()), Err(Reason::TrailingBytes));
        let mut half = Writer::new();
        half.array(1).bytes(&[1]);
        assert_eq!(decode_chunk(&half.finish()), Err(Reason::Malformed));
        assert_eq!(decode_chunk(&vec![0; CHUNK_BYTES_MAX + 1]), Err(Reason::TooLarge));
        assert!(decode_chunk(&bytes[..bytes.len() - 1]).is_err());
    }
}
