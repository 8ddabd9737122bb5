//! Binary Merkle trees in the shape of RFC 9162 section 2.1, over labelled hashes.
//!
//! Leaves and nodes are hashed under different labels, and the number of leaves is bound into the
//! root, so that neither a node nor a tree of another size passes for a leaf.

use tallystick_kernel::{Codec, Digest, LabelledHash, Reader, Reason, Writer};

const LABEL_LEAF: &str = "tallystick/merkle-leaf/1";
const LABEL_NODE: &str = "tallystick/merkle-node/1";
const LABEL_ROOT: &str = "tallystick/merkle-root/1";
/// A path is never longer: a tree has at most 2^32 leaves.
const PATH_MAX: usize = 32;

/// The way from one leaf to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerklePath {
    /// The leaf's place, from zero.
    pub index: u64,
    /// How many leaves the tree has.
    pub leaf_count: u64,
    /// The siblings from the leaf upwards.
    pub siblings: Vec<Digest>,
}

/// The root over the leaves' bytes; a tree without leaves has a root of its own.
pub fn root<T: AsRef<[u8]>>(leaves: &[T]) -> Digest {
    let hashes: Vec<Digest> = leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect();
    seal(hashes.len() as u64, &subtree(&hashes))
}

/// The path of the leaf at `index`, or none if there is no such leaf.
pub fn path<T: AsRef<[u8]>>(leaves: &[T], index: usize) -> Option<MerklePath> {
    if index >= leaves.len() {
        return None;
    }
    let hashes: Vec<Digest> = leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect();
    let mut siblings = Vec::new();
    collect_siblings(&hashes, index, &mut siblings);
    Some(MerklePath { index: index as u64, leaf_count: leaves.len() as u64, siblings })
}

impl MerklePath {
    /// The root to which the path leads from `leaf`; [`Reason::PathInvalid`] when the path does
    /// not fit a tree of its size.
    pub fn root(&self, leaf: &[u8]) -> Result<Digest, Reason> {
        if self.index >= self.leaf_count || self.siblings.len() > PATH_MAX {
            return Err(Reason::PathInvalid);
        }
        let top = climb(leaf_hash(leaf), self.index, self.leaf_count, &self.siblings)?;
        Ok(seal(self.leaf_count, &top))
    }
}

/// Follows the siblings as RFC 9162 section 2.1.3.2 does.
fn climb(leaf: Digest, index: u64, count: u64, siblings: &[Digest]) -> Result<Digest, Reason> {
    let (mut place, mut last, mut hash) = (index, count - 1, leaf);
    for sibling in siblings {
        if last == 0 {
            return Err(Reason::PathInvalid);
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(hash) } else { Err(Reason::PathInvalid) }
}

fn leaf_hash(leaf: &[u8]) -> Digest {
    LabelledHash::new(LABEL_LEAF).part(leaf).finish()
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    LabelledHash::new(LABEL_NODE).part(left).part(right).finish()
}

fn seal(count: u64, top: &Digest) -> Digest {
    LabelledHash::new(LABEL_ROOT).number(count).part(top).finish()
}

/// The largest power of two that is smaller than `length`.
fn split(length: usize) -> usize {
    length.next_power_of_two() / 2
}

fn subtree(hashes: &[Digest]) -> Digest {
    match hashes {
        [] => [0; 32],
        [only] => *only,
        _ => {
            let (left, right) = hashes.split_at(split(hashes.len()));
            node_hash(&subtree(left), &subtree(right))
        }
    }
}

fn collect_siblings(hashes: &[Digest], index: usize, siblings: &mut Vec<Digest>) {
    if hashes.len() <= 1 {
        return;
    }
    let middle = split(hashes.len());
    let (left, right) = hashes.split_at(middle);
    if index < middle {
        collect_siblings(left, index, siblings);
        siblings.push(subtree(right));
    } else {
        collect_siblings(right, index - middle, siblings);
        siblings.push(subtree(left));
    }
}

impl Codec for MerklePath {
    fn encode(&self, out: &mut Writer) {
        out.array(3).u64(self.index).u64(self.leaf_count).list(&self.siblings);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Reason> {
        input.tuple(3)?;
        Ok(MerklePath {
            index: input.u64()?,
            leaf_count: input.u64()?,
            siblings: input.list(PATH_MAX)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_of_every_small_tree_has_a_path_and_no_other_leaf_has_it() {
        for count in 1..40_usize {
            let leaves: Vec<[u8; 1]> = (0..count).map(|leaf| [leaf as u8]).collect();
            let top = root(&leaves);
            for index in 0..count {
                let path = path(&leaves, index).unwrap();
                assert_eq!(path.root(&leaves[index]), Ok(top));
                assert_ne!(path.root(&[200]), Ok(top));
                let moved = MerklePath { index: (index as u64 + 1) % count as u64, ..path.clone() };
                assert!(count == 1 || moved.root(&leaves[index]) != Ok(top));
                let longer =
                    MerklePath { siblings: [path.siblings.clone(), vec![top]].concat(), ..path };
                assert_ne!(longer.root(&leaves[index]), Ok(top));
            }
        }
    }

    #[test]
    fn trees_of_other_sizes_have_other_roots() {
        let empty: [[u8; 1]; 0] = [];
        assert_ne!(root(&empty), root(&[[0]]));
        assert_ne!(root(&[[0], [0]]), root(&[[0], [0], [0]]));
    }
}
