//! Bytes that were right, altered in the ways in which decoders go wrong.

/// Numbers from a seed (SplitMix64): the same seed gives the same inputs everywhere.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Begins anew under `seed`.
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; zero when there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.draw() % limit as u64) as usize }
    }
}

/// Heads of CBOR items that claim far more than follows, and other bytes that decoders treat apart.
const BOMBS: [&[u8]; 12] = [
    &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x9a, 0x7f, 0xff, 0xff, 0xff],
    &[0xbb, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00],
    &[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x5a, 0xff, 0xff, 0xff, 0xff],
    &[0x7a, 0x40, 0x00, 0x00, 0x00],
    &[0x9f],
    &[0x5f],
    &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x1b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xfb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
    &[0xd8, 0x18],
];
/// Pieces of text that readers of JSON, URLs and numbers treat apart.
const TEXTS: [&str; 12] = [
    "null",
    "-1",
    "1e999",
    "18446744073709551616",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[[[[[[[[",
    "{\"a\":",
    "\u{feff}",
    "=",
    "..",
    "%00",
];
/// How deep things are nested by one alteration at most.
const NESTED_MAX: usize = 2_000;

/// One of the seeds, or something made of two, altered one to eight times.
pub fn damaged(numbers: &mut Numbers, seeds: &[Vec<u8>], length_max: usize) -> Vec<u8> {
    let mut bytes = seeds.get(numbers.below(seeds.len())).cloned().unwrap_or_default();
    for _ in 0..=numbers.below(8) {
        alter(numbers, &mut bytes, seeds);
    }
    bytes.truncate(length_max);
    bytes
}

fn alter(numbers: &mut Numbers, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let place = numbers.below(bytes.len());
    match numbers.below(12) {
        0 | 1 => flip(numbers, bytes, place),
        2 => replace(bytes, place, &[numbers.draw() as u8]),
        3 => replace(bytes, place, &[[0x00, 0x17, 0x18, 0x7f, 0x80, 0xf6, 0xff][numbers.below(7)]]),
        4 => bytes.truncate(place),
        5 => bytes.extend((0..=numbers.below(40)).map(|_| 0)),
        6 => drop(bytes.drain(place..(place + 1 + numbers.below(8)).min(bytes.len()))),
        7 => {
            let end = (place + 1 + numbers.below(64)).min(bytes.len());
            let piece = bytes[place..end].to_vec();
            insert(bytes, place, &piece);
        }
        8 => replace(bytes, place, BOMBS[numbers.below(BOMBS.len())]),
        9 => insert(bytes, place, TEXTS[numbers.below(TEXTS.len())].as_bytes()),
        10 => {
            let opening = [0x81, 0xa1, b'[', b'{'][numbers.below(4)];
            let piece = vec![opening; 1 + numbers.below(NESTED_MAX)];
            insert(bytes, place, &piece);
        }
        _ => {
            let other = seeds.get(numbers.below(seeds.len())).map_or(&[][..], Vec::as_slice);
            bytes.truncate(place);
            bytes.extend_from_slice(&other[numbers.below(other.len())..]);
        }
    }
}

fn flip(numbers: &mut Numbers, bytes: &mut [u8], place: usize) {
    if let Some(byte) = bytes.get_mut(place) {
        *byte ^= 1 << numbers.below(8);
    }
}

fn replace(bytes: &mut Vec<u8>, place: usize, with: &[u8]) {
    let end = (place + with.len()).min(bytes.len());
    bytes.splice(place..end, with.iter().copied());
}

fn insert(bytes: &mut Vec<u8>, place: usize, piece: &[u8]) {
    bytes.splice(place..place, piece.iter().copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_inputs_again_and_another_gives_others() {
        let seeds = [vec![1, 2, 3], vec![0; 40]];
        let run = |seed| {
            let mut numbers = Numbers::new(seed);
            (0..50).map(|_| damaged(&mut numbers, &seeds, 100)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!(run(1).iter().all(|bytes| bytes.len() <= 100));
        assert!(run(1).iter().any(|bytes| *bytes != seeds[0] && *bytes != seeds[1]));
    }

    #[test]
    fn nothing_is_damaged_without_a_panic_too() {
        let mut numbers = Numbers::new(7);
        (0..500).for_each(|_| drop(damaged(&mut numbers, &[], 10)));
        (0..500).for_each(|_| drop(damaged(&mut numbers, &[Vec::new()], 10)));
    }
}
