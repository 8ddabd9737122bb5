//! The tree over the state's entries in memory: changed entries are folded in, many at a time.
//!
//! What is hashed is defined in [`tallystick_proofs::state_proof`]. Invariants: a part of the tree
//! with at most [`BUCKET`] entries is a bucket and any other a branch, so that the shape, like the
//! root, follows from the entries alone; every hash is that of what stands below it.

use tallystick_kernel::Digest;
use tallystick_proofs::state_proof::{
    EMPTY, Found, entry_hash, goes_right, node_hash, path_of, seal, value_digest,
};

/// Entries that stand together without nodes between them: nodes would cost more memory than
/// hashing such a bucket anew costs time.
const BUCKET: usize = 8;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    path: Digest,
    value: Digest,
}

/// What a path's entry becomes: a digest of its value, or none for an entry removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    path: Digest,
    value: Option<Digest>,
}

/// The whole tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTree(Node);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    hash: Digest,
    count: u64,
    inner: Inner,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Inner {
    /// In the order of the paths.
    Bucket(Box<[Leaf]>),
    /// Left and right.
    Branch(Box<[Node; 2]>),
}

impl Leaf {
    /// The entry with this key and value.
    pub fn new(key: &[u8], value: &[u8]) -> Leaf {
        Leaf { path: path_of(key), value: value_digest(value) }
    }
}

impl Write {
    /// The entry under `key` gets this value, or goes.
    pub fn new(key: &[u8], value: Option<&[u8]>) -> Write {
        Write { path: path_of(key), value: value.map(value_digest) }
    }
}

impl StateTree {
    /// The tree of these entries; each key stands once among them.
    pub fn of(mut leaves: Vec<Leaf>) -> StateTree {
        leaves.sort_unstable_by_key(|leaf| leaf.path);
        StateTree(Node::of(&leaves, 0))
    }

    /// Takes over all writes; each key stands once among them.
    pub fn apply(&mut self, mut writes: Vec<Write>) {
        writes.sort_unstable();
        self.0.apply(&writes, 0);
    }

    /// The root: of the entries, whatever was written before.
    pub fn root(&self) -> Digest {
        seal(self.0.count, &self.0.hash)
    }

    /// How many entries there are.
    pub fn count(&self) -> u64 {
        self.0.count
    }

    /// Where the way of the key's path ends, given its value if it has one, and the other halves
    /// from there upwards.
    pub fn way(&self, key: &[u8], value: Option<Vec<u8>>) -> (Found, Vec<Digest>) {
        let path = path_of(key);
        let (mut node, mut depth, mut siblings) = (&self.0, 0, Vec::new());
        while let Inner::Branch(halves) = &node.inner {
            let right = goes_right(&path, depth);
            siblings.push(halves[usize::from(!right)].hash);
            node = &halves[usize::from(right)];
            depth += 1;
        }
        let Inner::Bucket(bucket) = &node.inner else { unreachable!("the way ended at a bucket") };
        let mut leaves = &bucket[..];
        while leaves.len() > 1 {
            let (left, right) = halves(leaves, depth);
            let (here, other) = match goes_right(&path, depth) {
                true => (right, left),
                false => (left, right),
            };
            siblings.push(hash_of(other, depth + 1));
            (leaves, depth) = (here, depth + 1);
        }
        siblings.reverse();
        let found = match (leaves, value) {
            ([], _) => Found::Nothing,
            ([leaf], Some(value)) if leaf.path == path => Found::Value(value),
            ([leaf, ..], _) => Found::Other { path: leaf.path, value: leaf.value },
        };
        (found, siblings)
    }
}

impl Node {
    fn of(leaves: &[Leaf], depth: usize) -> Node {
        if leaves.len() <= BUCKET {
            let hash = hash_of(leaves, depth);
            return Node { hash, count: leaves.len() as u64, inner: Inner::Bucket(leaves.into()) };
        }
        let (left, right) = halves(leaves, depth);
        Node::branch([Node::of(left, depth + 1), Node::of(right, depth + 1)])
    }

    fn branch(halves: [Node; 2]) -> Node {
        let hash = node_hash(&halves[0].hash, &halves[1].hash);
        let count = halves[0].count + halves[1].count;
        Node { hash, count, inner: Inner::Branch(Box::new(halves)) }
    }

    fn apply(&mut self, writes: &[Write], depth: usize) {
        if writes.is_empty() {
            return;
        }
        let halves = match &mut self.inner {
            Inner::Bucket(leaves) => {
                *self = Node::of(&merged(leaves, writes), depth);
                return;
            }
            Inner::Branch(halves) => halves,
        };
        let middle = writes.partition_point(|write| !goes_right(&write.path, depth));
        halves[0].apply(&writes[..middle], depth + 1);
        halves[1].apply(&writes[middle..], depth + 1);
        self.count = halves[0].count + halves[1].count;
        if self.count > BUCKET as u64 {
            self.hash = node_hash(&halves[0].hash, &halves[1].hash);
            return;
        }
        let mut leaves = Vec::with_capacity(BUCKET);
        halves.iter().for_each(|half| half.collect(&mut leaves));
        *self = Node::of(&leaves, depth);
    }

    fn collect(&self, leaves: &mut Vec<Leaf>) {
        match &self.inner {
            Inner::Bucket(bucket) => leaves.extend_from_slice(bucket),
            Inner::Branch(halves) => halves.iter().for_each(|half| half.collect(leaves)),
        }
    }
}

/// The leaves with the writes taken over, in the order of the paths as both are.
fn merged(leaves: &[Leaf], writes: &[Write]) -> Vec<Leaf> {
    let mut merged = Vec::with_capacity(leaves.len() + writes.len());
    let mut rest = leaves;
    for write in writes {
        let before = rest.partition_point(|leaf| leaf.path < write.path);
        merged.extend_from_slice(&rest[..before]);
        rest = &rest[before..];
        if rest.first().is_some_and(|leaf| leaf.path == write.path) {
            rest = &rest[1..];
        }
        merged.extend(write.value.map(|value| Leaf { path: write.path, value }));
    }
    merged.extend_from_slice(rest);
    merged
}

fn halves(leaves: &[Leaf], depth: usize) -> (&[Leaf], &[Leaf]) {
    leaves.split_at(leaves.partition_point(|leaf| !goes_right(&leaf.path, depth)))
}

fn hash_of(leaves: &[Leaf], depth: usize) -> Digest {
    match leaves {
        [] => EMPTY,
        [leaf] => entry_hash(&leaf.path, &leaf.value),
        _ => {
            let (left, right) = halves(leaves, depth);
            node_hash(&hash_of(left, depth + 1), &hash_of(right, depth + 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use tallystick_proofs::state_proof::StateProof;

    use super::*;

    type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

    fn anew(entries: &Entries) -> StateTree {
        StateTree::of(entries.iter().map(|(key, value)| Leaf::new(key, value)).collect())
    }

    fn proof(tree: &StateTree, entries: &Entries, key: &[u8]) -> StateProof {
        let (found, siblings) = tree.way(key, entries.get(key).cloned());
        StateProof { key: key.to_vec(), found, count: tree.count(), siblings }
    }

    /// Rounds of writes to few keys, so that many are overwritten, removed and written again.
    fn rounds() -> impl Strategy<Value = Vec<BTreeMap<u16, Option<u8>>>> {
        let round = proptest::collection::btree_map(0..400_u16, any::<Option<u8>>(), 0..120);
        vec(round, 1..12)
    }

    proptest! {
        #[test]
        fn folded_in_or_made_anew_the_tree_is_the_same_and_proves_every_key(rounds in rounds()) {
            let (mut entries, mut tree) = (Entries::new(), StateTree::of(Vec::new()));
            for round in rounds {
                let mut writes = Vec::new();
                for (key, value) in round {
                    let (key, value) = (key.to_be_bytes().to_vec(), value.map(|value| vec![value]));
                    writes.push(Write::new(&key, value.as_deref()));
                    match value {
                        Some(value) => entries.insert(key, value),
                        None => entries.remove(&key),
                    };
                }
                tree.apply(writes);
                prop_assert_eq!(&tree, &anew(&entries));
                prop_assert_eq!(tree.count(), entries.len() as u64);
            }
            for key in 0..400_u16 {
                let key = key.to_be_bytes();
                let proof = proof(&tree, &entries, &key);
                prop_assert_eq!(proof.value(), entries.get(&key[..]).map(Vec::as_slice));
                prop_assert_eq!(proof.verify(&tree.root()), Ok(()));
            }
        }
    }

    #[test]
    fn another_value_key_or_number_of_entries_has_another_root() {
        let one: Entries = [(vec![1], vec![1]), (vec![2], vec![2])].into();
        let root = anew(&one).root();
        let others: [Entries; 4] = [
            Entries::new(),
            [(vec![1], vec![1])].into(),
            [(vec![1], vec![2]), (vec![2], vec![1])].into(),
            [(vec![1], vec![1]), (vec![3], vec![2])].into(),
        ];
        for other in others {
            assert_ne!(anew(&other).root(), root);
        }
    }
}
