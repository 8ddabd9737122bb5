//! Several things done at once, by whoever has threads; this crate has none.

/// Does the parts of a work, in any order or at once.
pub trait Workers {
    /// Into how many parts a work on `things` is split, where that is worth while; one for a work
    /// that is done faster than it is handed out.
    fn parts(&self, things: usize) -> usize;

    /// Calls `part` with each number below `parts` once, and returns when all are done.
    fn each(&self, parts: usize, part: &(dyn Fn(usize) + Sync));
}

/// Does everything in one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InOrder;

impl Workers for InOrder {
    fn parts(&self, _: usize) -> usize {
        1
    }

    fn each(&self, parts: usize, part: &(dyn Fn(usize) + Sync)) {
        (0..parts).for_each(part);
    }
}
