//! What the parts of the pipeline cost alone, on one thread: their sum is the pipeline's limit.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use tallystick_crypto::batch::{SignedMessage, verify_batch};
use tallystick_kernel::limits::TRANSACTION_BYTES_MAX;
use tallystick_kernel::{Codec as _, Reason};
use tallystick_ledger::entry_of;
use tallystick_node::keys;
use tallystick_node::kv::Kv as _;
use tallystick_node::kv_fjall::FjallKv;
use tallystick_node::pending;
use tallystick_proofs::header::entries_root;
use tallystick_proofs::transaction::Transaction;

/// Microseconds a payment.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Units {
    /// Signatures, in batches of 128.
    pub verify: f64,
    /// Ids, witness hashes and the block's root.
    pub hash: f64,
    /// Decoding, and encoding again.
    pub codec: f64,
    /// A durable write of the bodies and their list, a block's worth at a time.
    pub write: f64,
}

impl Units {
    /// Payments a second when nothing else costs anything.
    pub fn limit(&self) -> f64 {
        1e6 / (self.verify + self.hash + self.codec + self.write)
    }

    /// Payments a second when only signatures cost.
    pub fn verify_limit(&self) -> f64 {
        1e6 / self.verify
    }
}

/// Times each part on `payments`, in turns, and takes the medians.
pub fn measure(payments: &[Transaction], folder: &Path) -> Result<Units, Reason> {
    let sample = &payments[..payments.len().min(SAMPLE)];
    let bytes: Vec<Vec<u8>> = sample.iter().map(Transaction::to_bytes).collect();
    let kv = FjallKv::open(folder)?;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        rounds.push(Units {
            verify: each(sample.len(), || verify(sample))?,
            hash: each(sample.len(), || hash(sample))?,
            codec: each(sample.len(), || codec(&bytes))?,
            write: each(sample.len(), || write(&kv, round, sample, &bytes))?,
        });
    }
    let median = |part: fn(&Units) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(part).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Ok(Units {
        verify: median(|units| units.verify),
        hash: median(|units| units.hash),
        codec: median(|units| units.codec),
        write: median(|units| units.write),
    })
}

fn each(count: usize, work: impl FnOnce() -> Result<(), Reason>) -> Result<f64, Reason> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64() * 1e6 / count as f64)
}

fn verify(payments: &[Transaction]) -> Result<(), Reason> {
    for group in payments.chunks(BATCH) {
        let ids: Vec<_> = group.iter().map(Transaction::id).collect();
        let items: Vec<SignedMessage<'_>> = group
            .iter()
            .zip(&ids)
            .flat_map(|(payment, id)| {
                payment.witness.0.iter().map(|(key, by)| (*key, &id.0[..], *by))
            })
            .collect();
        verify_batch(&items)?;
    }
    Ok(())
}

fn hash(payments: &[Transaction]) -> Result<(), Reason> {
    let entries: Vec<_> = payments.iter().map(entry_of).collect();
    black_box(entries_root(&entries));
    Ok(())
}

fn codec(bytes: &[Vec<u8>]) -> Result<(), Reason> {
    for bytes in bytes {
        let payment = Transaction::from_bytes(bytes, TRANSACTION_BYTES_MAX)?;
        black_box(payment.to_bytes());
    }
    Ok(())
}

fn write(
    kv: &FjallKv,
    round: usize,
    payments: &[Transaction],
    bytes: &[Vec<u8>],
) -> Result<(), Reason> {
    let mut changes = Vec::with_capacity(payments.len() + 1);
    let mut entries = Vec::with_capacity(payments.len());
    for (payment, bytes) in payments.iter().zip(bytes) {
        let mut entry = entry_of(payment);
        // Another key in each round: nothing is written twice.
        entry.id.0[0] = round as u8;
        changes.push(keys::put(keys::body(&entry), bytes.clone()));
        entries.push(entry);
    }
    changes.push(pending::list(round as u64, &entries));
    kv.commit(changes)
}

const SAMPLE: usize = 1024;
const BATCH: usize = 128;
const ROUNDS: usize = 7;
