//! Labelled SHA-256 with length prefixes, the only way in which this project hashes structure.

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// A hash over a label and any number of parts, each preceded by its length, so that no two
/// different sequences of parts and no two uses share an input.
///
/// The input is `len(label) as u8 || label || (len(part) as u64 big-endian || part)*`.
#[derive(Clone)]
pub struct LabelledHash(Sha256);

impl LabelledHash {
    /// Begins a hash of the use named `label`, such as `tallystick/leaf/1` (at most 255 bytes).
    pub fn new(label: &str) -> LabelledHash {
        assert!(label.len() <= 255, "a label is at most 255 bytes");
        let mut state = Sha256::new();
        state.update([label.len() as u8]);
        state.update(label.as_bytes());
        LabelledHash(state)
    }

    /// Adds one part.
    #[must_use]
    pub fn part(mut self, bytes: &[u8]) -> LabelledHash {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a number as its eight big-endian bytes.
    #[must_use]
    pub fn number(self, number: u64) -> LabelledHash {
        self.part(&number.to_be_bytes())
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        self.0.finalize().into()
    }
}

/// Plain SHA-256, for formats that others define.
pub fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_be_moved_across_their_border() {
        let one = LabelledHash::new("a").part(b"bc").part(b"d").finish();
        let two = LabelledHash::new("a").part(b"b").part(b"cd").finish();
        let three = LabelledHash::new("ab").part(b"c").part(b"d").finish();
        assert!(one != two && two != three && one != three);
    }
}
