//! The tree over the state: made anew, and with a checkpoint's changes folded in.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tallystick_ledger::state_tree::{Leaf, StateTree, Write};

/// Entries of the state.
const ENTRIES: [u64; 3] = [10_000, 100_000, 1_000_000];
/// Entries that changed since the last checkpoint.
const CHANGED: [u64; 2] = [1_000, 4_000];

/// A key as long as a balance's.
fn key(number: u64) -> Vec<u8> {
    let mut key = b"state/balance/".to_vec();
    key.extend_from_slice(&tallystick_kernel::hash::sha256(&number.to_be_bytes()));
    key.extend_from_slice(b"EUR");
    key
}

fn tree(entries: u64) -> StateTree {
    StateTree::of((0..entries).map(|number| Leaf::new(&key(number), &[0x18, 100])).collect())
}

/// A checkpoint's changes, spread over all entries; nine of ten are new values, one is a removal.
fn writes(entries: u64, changed: u64, round: u64) -> Vec<Write> {
    let mut writes = Vec::new();
    for place in 0..changed {
        let number = (place * (entries / changed) + round) % entries;
        let value = [0x19, place as u8, round as u8];
        let value = if place % 10 == 9 { None } else { Some(&value[..]) };
        writes.push(Write::new(&key(number), value));
    }
    writes
}

fn checkpoints(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checkpoint");
    group.sample_size(10);
    for entries in ENTRIES {
        group.throughput(Throughput::Elements(entries));
        group.bench_function(BenchmarkId::new("made anew", entries), |bencher| {
            bencher.iter(|| tree(black_box(entries)));
        });
        let mut tree = tree(entries);
        for changed in CHANGED {
            group.throughput(Throughput::Elements(changed));
            let mut round = 0;
            let name = format!("{changed} changes folded in");
            group.bench_function(BenchmarkId::new(name, entries), |bencher| {
                bencher.iter(|| {
                    round += 1;
                    tree.apply(writes(entries, changed, round));
                    tree.root()
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, checkpoints);
criterion_main!(benches);
