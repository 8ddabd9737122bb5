//! The tree over the ledger's state at a checkpoint, and proofs of what stands in it.
//!
//! Each entry, a key and its value as they are persisted, has a path of 256 bits, a labelled hash of
//! its key. The path leads from the top, left for a zero, until the entry is alone. Invariants: a
//! part of the tree without entries is all zeros, one with a single entry is that entry's hash, any
//! other is the hash of its halves; so the root follows from the entries alone, whatever was
//! written before. What else was weighed: `docs/adr/0009-checkpoint-tree.md`.

use tallystick_kernel::{Codec, Digest, LabelledHash, Reader, Reason, Writer};

const LABEL_PATH: &str = "tallystick/state-path/1";
const LABEL_VALUE: &str = "tallystick/state-value/1";
const LABEL_ENTRY: &str = "tallystick/state-entry/1";
const LABEL_NODE: &str = "tallystick/state-node/1";
const LABEL_ROOT: &str = "tallystick/state-root/1";

/// What a part of the tree without entries hashes to.
pub const EMPTY: Digest = [0; 32];
/// Halves between the root and an entry at most: the bits of a path.
pub const DEPTH_MAX: usize = 256;
/// Bytes of a key or of a value in a proof at most.
const ENTRY_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a proof at most.
const PROOF_BYTES_MAX: usize = 32 * 1024;

/// Where the entry under `key` stands in the tree.
pub fn path_of(key: &[u8]) -> Digest {
    LabelledHash::new(LABEL_PATH).part(key).finish()
}

/// The digest by which an entry holds its value.
pub fn value_digest(value: &[u8]) -> Digest {
    LabelledHash::new(LABEL_VALUE).part(value).finish()
}

/// The hash of the entry with this path and this digest of its value.
pub fn entry_hash(path: &Digest, value: &Digest) -> Digest {
    LabelledHash::new(LABEL_ENTRY).part(path).part(value).finish()
}

/// The hash of a part of the tree with more than one entry, from its halves.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    LabelledHash::new(LABEL_NODE).part(left).part(right).finish()
}

/// The root: the number of entries and the hash of the whole tree.
pub fn seal(count: u64, top: &Digest) -> Digest {
    LabelledHash::new(LABEL_ROOT).number(count).part(top).finish()
}

/// Whether the path goes right below `depth` halves; `depth` is less than [`DEPTH_MAX`].
pub fn goes_right(path: &Digest, depth: usize) -> bool {
    path[depth / 8] >> (7 - depth % 8) & 1 == 1
}

/// What stands where the way of a path ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: there is no entry under the key.
    Nothing,
    /// The entry itself, with this value.
    Value(Vec<u8>),
    /// Another entry, alone on this way: there is none under the key.
    Other {
        /// Its path.
        path: Digest,
        /// The digest of its value.
        value: Digest,
    },
}

/// What stands under a key at a checkpoint, or that nothing does: `[key, found, count, siblings]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateProof {
    /// The key, one of the ledger's.
    pub key: Vec<u8>,
    /// What the way of its path leads to.
    pub found: Found,
    /// How many entries the state has.
    pub count: u64,
    /// The other halves, from the entry upwards.
    pub siblings: Vec<Digest>,
}

impl StateProof {
    /// Reads a proof of at most 32 KiB.
    pub fn read(bytes: &[u8]) -> Result<StateProof, Reason> {
        StateProof::from_bytes(bytes, PROOF_BYTES_MAX)
    }

    /// The value under the key as the proof says it, none when it says that there is none.
    pub fn value(&self) -> Option<&[u8]> {
        match &self.found {
            Found::Value(value) => Some(value),
            Found::Nothing | Found::Other { .. } => None,
        }
    }

    /// The root to which the proof leads; it says something only of a state whose root that is.
    ///
    /// [`Reason::PathInvalid`] when the other entry that it shows does not stand on the key's way,
    /// or the way is longer than a path.
    pub fn root(&self) -> Result<Digest, Reason> {
        let depth = self.siblings.len();
        if depth > DEPTH_MAX {
            return Err(Reason::PathInvalid);
        }
        let path = path_of(&self.key);
        let mut hash = match &self.found {
            Found::Nothing => EMPTY,
            Found::Value(value) => entry_hash(&path, &value_digest(value)),
            Found::Other { path: other, .. } if *other == path || !meet(other, &path, depth) => {
                return Err(Reason::PathInvalid);
            }
            Found::Other { path: other, value } => entry_hash(other, value),
        };
        for (depth, sibling) in (0..depth).rev().zip(&self.siblings) {
            hash = match goes_right(&path, depth) {
                true => node_hash(sibling, &hash),
                false => node_hash(&hash, sibling),
            };
        }
        Ok(seal(self.count, &hash))
    }

    /// Whether the proof leads to `root`: the `checkpoint_root` of a header that the caller knows
    /// to be final. [`Reason::PathInvalid`], [`Reason::RootMismatch`].
    pub fn verify(&self, root: &Digest) -> Result<(), Reason> {
        if self.root()? == *root { Ok(()) } else { Err(Reason::RootMismatch) }
    }
}

/// Whether two paths have their first `depth` bits in common.
fn meet(one: &Digest, other: &Digest, depth: usize) -> bool {
    (0..depth).all(|place| goes_right(one, place) == goes_right(other, place))
}

impl Codec for Found {
    fn encode(&self, out: &mut Writer) {
        match self {
            Found::Nothing => out.array(1).u64(0),
            Found::Value(value) => out.array(2).u64(1).bytes(value),
            Found::Other { path, value } => out.array(3).u64(2).bytes(path).bytes(value),
        };
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        let length = input.array(3)?;
        match (input.u64()?, length) {
            (0, 1) => Ok(Found::Nothing),
            (1, 2) => Ok(Found::Value(input.bytes(ENTRY_BYTES_MAX)?.to_vec())),
            (2, 3) => Ok(Found::Other { path: input.byte_array()?, value: input.byte_array()? }),
            _ => Err(Reason::Malformed),
        }
    }
}

impl Codec for StateProof {
    fn encode(&self, out: &mut Writer) {
        out.array(4).bytes(&self.key).value(&self.found).u64(self.count).list(&self.siblings);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(4)?;
        Ok(StateProof {
            key: input.bytes(ENTRY_BYTES_MAX)?.to_vec(),
            found: Found::decode(input)?,
            count: input.u64()?,
            siblings: input.list(DEPTH_MAX)?,
        })
    }
}
