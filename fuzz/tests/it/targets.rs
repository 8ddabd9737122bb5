//! A bounded number of damaged inputs for every target.

use tallystick_fuzz::case::{one, run};
use tallystick_fuzz::targets::{Read, Target, all};

use crate::ALLOCATOR;

/// Inputs of each target.
const CASES: u64 = 1_500;

/// One test, for what is allocated is counted over the whole process.
#[test]
fn every_decoder_ends_within_its_memory_and_accepts_one_encoding() {
    let mut accepted = 0;
    for target in all() {
        let counts = run(&target, 1, ALLOCATOR, |cases| cases < CASES).unwrap();
        assert_eq!(counts.cases, CASES);
        accepted += counts.accepted;
    }
    assert!(accepted > 0, "damage that leaves nothing to accept tests half of it");
    what_is_wrong_is_found();
}

fn what_is_wrong_is_found() {
    let target = |read| Target { name: "wrong", seeds: vec![], bytes_max: 9, allocates: 100, read };
    let panics = target(|bytes| if bytes[0] == 1 { panic!("as planted") } else { Read::Refused });
    assert!(one(&panics, &[1, 2], ALLOCATOR).unwrap_err().contains("panics on 0102"));
    let greedy = target(|bytes| {
        drop(std::hint::black_box(vec![0_u8; 10_000 + bytes.len()]));
        Read::Refused
    });
    assert!(one(&greedy, &[3], ALLOCATOR).unwrap_err().contains("allocates"));
    let loose = target(|_| Read::Differs("is loose".to_owned()));
    assert!(one(&loose, &[4], ALLOCATOR).unwrap_err().contains("is loose on 04"));
}
