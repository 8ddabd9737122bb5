//! A snapshot brings a node to the state of those who executed every block, or it is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tallystick_kernel::{Codec, DurationMs, Reason};
use tallystick_ledger::state_key::Visit;
use tallystick_ledger::{StateChange, checkpoint, state_key};
use tallystick_node::archive;
use tallystick_node::keys;
use tallystick_node::kv::{Kv, MemoryKv, View};
use tallystick_node::prune;
use tallystick_node::snapshot::{Manifest, Pair, chunk_hash, decode_chunk, encode_chunk};
use tallystick_node::snapshot_restore::Restore;

use crate::history::{History, apply, genesis, open, state};

/// A manifest and its chunks, as a peer serves them.
#[derive(Clone)]
struct Served {
    manifest: Manifest,
    chunks: Vec<Vec<u8>>,
}

fn serve(history: &History) -> Served {
    let source = history.core.snapshot_offer().prepare().unwrap();
    let manifest = source.manifest().clone();
    let chunks = (0..manifest.chunks.len()).map(|index| source.chunk(index).unwrap()).collect();
    Served { manifest, chunks }
}

impl Served {
    /// What a liar serves: other pairs, under a manifest that names them.
    fn with(&self, change: impl Fn(&mut Vec<Pair>)) -> Served {
        let mut pairs: Vec<Pair> =
            self.chunks.iter().flat_map(|chunk| decode_chunk(chunk).unwrap()).collect();
        change(&mut pairs);
        let chunks: Vec<Vec<u8>> = pairs.chunks(50).map(encode_chunk).collect();
        let hashes = chunks.iter().map(|chunk| chunk_hash(chunk)).collect();
        Served { manifest: Manifest { chunks: hashes, ..self.manifest.clone() }, chunks }
    }

    fn fetch(&self, kv: &Arc<dyn Kv>) -> Result<Restore, Reason> {
        let genesis = Arc::new(genesis());
        let head = state(kv).height();
        let bytes = self.manifest.to_bytes();
        let mut restore = Restore::begin(Arc::clone(kv), genesis, &bytes, head)?;
        while let Some(next) = restore.next() {
            restore.take(&self.chunks[next as usize])?;
        }
        Ok(restore)
    }

    fn restore(&self, kv: &Arc<dyn Kv>) -> Result<(), Reason> {
        let restore = self.fetch(kv)?;
        let verified = restore.verify()?;
        restore.finish(&verified)
    }

    fn refused(&self) -> Reason {
        let kv = empty();
        let before = state(&kv);
        let refused = self.restore(&kv).unwrap_err();
        assert_eq!(state(&kv), before, "a refused snapshot changes nothing");
        refused
    }
}

fn empty() -> Arc<dyn Kv> {
    let kv: Arc<dyn Kv> = Arc::new(MemoryKv::default());
    drop(open(&kv, crate::history::START).unwrap());
    kv
}

#[test]
fn a_node_that_starts_from_a_snapshot_has_the_state_of_the_others_and_goes_on_like_them() {
    let mut history = History::long();
    let served = serve(&history);
    assert_eq!(served.manifest.checkpoint, 96);
    let kv = empty();
    served.restore(&kv).unwrap();
    let mut core = open(&kv, history.now).unwrap();
    let certified = served.manifest.certified.height;
    assert_eq!(state(&kv).height(), certified - 1);
    history.grow(30);
    for height in certified..=history.tip.header.height {
        let block = archive::block(history.kv.as_ref(), height).unwrap().unwrap();
        for entry in &block.entries {
            let key = keys::body(entry);
            let body = history.kv.get(&key).unwrap().unwrap();
            kv.commit(vec![keys::put(key, body)]).unwrap();
        }
        let certificate = archive::certificate(history.kv.as_ref(), height).unwrap();
        apply(&mut core, &kv, &block, certificate.as_ref(), history.now);
    }
    assert_eq!(state(&kv), history.state());
    assert_eq!(checkpoint::root(&state(&kv)), checkpoint::root(&history.state()));
    let lowest = prune::lowest(kv.as_ref()).unwrap();
    assert!(lowest > 1 && lowest < 96, "{lowest}");
    // Receipts of what the snapshot brought are those of the source, and verify.
    let mut receipts = 0;
    for id in &history.paid {
        let Some(result) = archive::result(kv.as_ref(), id).unwrap() else { continue };
        match archive::receipt(kv.as_ref(), id) {
            Err(Reason::Pruned) => assert!(result.height < lowest + 8),
            receipt => {
                let receipt = receipt.unwrap();
                let Some(receipt) = receipt else { continue };
                receipt.verify(&history.genesis).unwrap();
                assert_eq!(Ok(Some(receipt)), archive::receipt(history.kv.as_ref(), id));
                receipts += 1;
            }
        }
    }
    assert!(receipts > 40, "{receipts}");
}

#[test]
fn a_node_that_is_behind_keeps_what_waits_and_gives_up_its_old_blocks() {
    let history = History::long();
    let kv: Arc<dyn Kv> = Arc::new(MemoryKv::default());
    let mut behind = History::on(Arc::clone(&kv));
    behind.grow(5);
    serve(&history).restore(&kv).unwrap();
    drop(open(&kv, history.now).unwrap());
    assert_eq!(archive::block(kv.as_ref(), 3), Ok(None));
    assert_eq!(archive::receipt(kv.as_ref(), &history.paid[0]), Err(Reason::Pruned));
    assert!(kv.get(keys::FLOOR).unwrap().is_some());
}

#[test]
fn a_snapshot_that_leads_no_further_or_is_for_another_network_is_refused() {
    let mut history = History::long();
    let served = serve(&history);
    assert_eq!(served.restore(&history.kv), Err(Reason::SnapshotStale));
    let mut foreign = served.clone();
    foreign.manifest.network.0[0] ^= 1;
    assert_eq!(foreign.refused(), Reason::WrongNetwork);
    let mut unsigned = served.clone();
    unsigned.manifest.finality.signers.pop();
    unsigned.manifest.finality.signatures.pop();
    assert_eq!(unsigned.refused(), Reason::CertificateShort);
    let mut stale = served.clone();
    history.grow(20);
    stale.manifest.finality =
        archive::certificate(history.kv.as_ref(), history.tip.header.height - 1)
            .unwrap()
            .or_else(|| {
                archive::certificate(history.kv.as_ref(), history.tip.header.height).unwrap()
            })
            .unwrap();
    assert_eq!(stale.refused(), Reason::SignatureInvalid);
    let mut other = served.clone();
    other.manifest.certified.validator_set_hash[0] ^= 1;
    assert_eq!(other.refused(), Reason::ValidatorSetMismatch);
    let mut odd = served;
    odd.manifest.checkpoint += 1;
    assert_eq!(odd.refused(), Reason::HeaderMismatch);
}

#[test]
fn a_chunk_that_is_cut_or_is_not_the_one_that_was_named_is_refused() {
    let served = serve(&History::long());
    let mut cut = served.clone();
    cut.chunks[0].pop();
    assert_eq!(cut.refused(), Reason::RootMismatch);
    let mut truncated = served.clone();
    truncated.chunks[0].pop();
    truncated.manifest.chunks[0] = chunk_hash(&truncated.chunks[0]);
    assert_eq!(truncated.refused(), Reason::Malformed);
    let mut strange = served.with(|pairs| pairs.push((b"node/format".to_vec(), vec![1])));
    assert_eq!(strange.refused(), Reason::Malformed);
    strange = served.with(|pairs| pairs.push((state_key::HEAD.to_vec(), vec![1])));
    assert_eq!(strange.refused(), Reason::Malformed);
}

fn is_state(pair: &Pair) -> bool {
    pair.0.starts_with(state_key::BALANCE)
}

#[test]
fn every_lie_about_entries_bodies_results_blocks_and_certificates_is_found() {
    let history = History::long();
    let served = serve(&history);
    assert_eq!(served.with(|_| ()).restore(&empty()), Ok(()), "another cut is as good");
    let value = |pairs: &mut Vec<Pair>, prefix: &[u8], from: usize| {
        let place = pairs.iter().enumerate().filter(|(_, pair)| pair.0.starts_with(prefix));
        place.map(|(place, _)| place).nth(from).unwrap()
    };
    // A balance: more, less, none, one of nobody's.
    let more = served.with(|pairs| {
        let place = value(pairs, state_key::BALANCE, 0);
        *pairs[place].1.last_mut().unwrap() ^= 1;
    });
    assert_eq!(more.refused(), Reason::RootMismatch);
    let gone = served.with(|pairs| pairs.retain(|pair| !is_state(pair)));
    assert_eq!(gone.refused(), Reason::RootMismatch);
    let account = served.with(|pairs| {
        let place = value(pairs, state_key::ACCOUNT, 0);
        pairs.remove(place);
    });
    assert_eq!(account.refused(), Reason::RootMismatch);
    // A result that says failed instead of success, an executed id left out, a body left out.
    let last = history.paid.last().unwrap();
    let old = history.paid[history.paid.len() - 20];
    let failed = served.with(|pairs| {
        let key = keys::result(&old);
        let pair = pairs.iter_mut().find(|pair| pair.0 == key).unwrap();
        let mut result =
            tallystick_proofs::result::TransactionResult::from_bytes(&pair.1, 4096).unwrap();
        result.failure = Some(Reason::InsufficientFunds);
        pair.1 = result.to_bytes();
    });
    assert_eq!(failed.refused(), Reason::RootMismatch);
    let forgotten = served.with(|pairs| pairs.retain(|pair| pair.0 != keys::result(&old)));
    assert_eq!(forgotten.refused(), Reason::ReceiptMismatch);
    let bodiless = served.with(|pairs| {
        let place = value(pairs, keys::BODY, 20);
        pairs.remove(place);
    });
    assert_eq!(bodiless.refused(), Reason::ReceiptMismatch);
    // A block left out in the middle, the first ones left out, one without an entry.
    let hole = served.with(|pairs| {
        let place = value(pairs, keys::BLOCK, 10);
        pairs.remove(place);
    });
    assert_eq!(hole.refused(), Reason::HeaderMismatch);
    let short = served.with(|pairs| {
        let from = value(pairs, keys::BLOCK, 30);
        pairs.drain(..from);
    });
    assert_eq!(short.refused(), Reason::HeaderMismatch);
    let altered = served.with(|pairs| {
        let place = value(pairs, keys::BLOCK, 30);
        let mut block =
            tallystick_node::block::Block::from_bytes(&pairs[place].1, 1 << 20).unwrap();
        block.header.time = block.header.time.after(DurationMs(1));
        pairs[place].1 = block.to_bytes();
        let certificate = keys::certificate(block.header.height);
        pairs.retain(|pair| pair.0 != certificate);
    });
    assert_eq!(altered.refused(), Reason::HeaderMismatch);
    let forged = served.with(|pairs| {
        let place = value(pairs, keys::CERTIFICATE, 3);
        pairs[place].1[60] ^= 1;
    });
    assert!(matches!(forged.refused(), Reason::SignatureInvalid | Reason::StorageCorrupt));
    assert!(history.paid.contains(last));
}

/// Storage that fails at one commit, and from then on.
struct Failing {
    inner: Arc<dyn Kv>,
    left: AtomicUsize,
}

impl View for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        self.inner.get(key)
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), Reason> {
        self.inner.scan_from(prefix, from, visit)
    }
}

impl Kv for Failing {
    fn commit(&self, changes: Vec<StateChange>) -> Result<(), Reason> {
        if self.left.load(Ordering::Relaxed) == 0 {
            return Err(Reason::StorageFailed);
        }
        self.left.fetch_sub(1, Ordering::Relaxed);
        self.inner.commit(changes)
    }

    fn view(&self) -> Arc<dyn View> {
        self.inner.view()
    }
}

#[test]
fn a_crash_at_any_commit_of_a_restoration_leaves_the_old_state_or_the_new_one() {
    let history = History::long();
    let served = serve(&history);
    let (mut old, mut new) = (0, 0);
    for commits in 0.. {
        let inner: Arc<dyn Kv> = Arc::new(MemoryKv::default());
        let mut behind = History::on(Arc::clone(&inner));
        behind.grow(5);
        let before = behind.state();
        let left = AtomicUsize::new(commits);
        let kv: Arc<dyn Kv> = Arc::new(Failing { inner: Arc::clone(&inner), left });
        let done = served.restore(&kv);
        // The next start, on storage that works again.
        drop(open(&inner, history.now).unwrap());
        let after = state(&inner);
        if after == before {
            old += 1;
            assert_eq!(archive::block(inner.as_ref(), 3).unwrap().unwrap().header.height, 3);
        } else {
            new += 1;
            assert_eq!(after.height(), served.manifest.certified.height - 1);
            let root = checkpoint::root(&after);
            let expected = archive::block(history.kv.as_ref(), 97).unwrap().unwrap();
            assert!(after.recent(96).is_some_and(|recent| {
                recent.checkpoint_root == expected.header.checkpoint_root && root != [0; 32]
            }));
        }
        if done.is_ok() {
            break;
        }
        assert_eq!(done, Err(Reason::StorageFailed));
    }
    assert!(old > 2 && new > 5, "{old} crashes left the old state, {new} the new one");
}

/// Bytes of all keys and values.
fn bytes_in(kv: &Arc<dyn Kv>) -> usize {
    let mut bytes = 0;
    kv.scan(&[], &mut |key, value| {
        bytes += key.len() + value.len();
        Ok(())
    })
    .unwrap();
    bytes
}

#[test]
fn what_a_payment_and_an_empty_block_take_in_storage_is_bounded_and_printed() {
    let mut history = History::new();
    let mut grow = |payments: usize| {
        let (before, paid) = (bytes_in(&history.kv), history.paid.len());
        // Long enough that nothing remembered is given up meanwhile, and short records are.
        (0..200).for_each(|_| history.block(DurationMs::seconds(2), payments));
        (bytes_in(&history.kv) - before, history.paid.len() - paid)
    };
    let (empty, none) = grow(0);
    let (full, payments) = grow(2);
    let (per_block, per_payment) = (empty / 200, (full - empty) / payments);
    println!("an empty block takes {per_block} bytes, a payment {per_payment} beside it");
    assert!(none == 0 && payments > 300, "{payments}");
    assert!(per_block < 2000 && per_payment < 2000, "{per_block} {per_payment}");
    let served = serve(&history);
    let bytes: usize = served.chunks.iter().map(Vec::len).sum();
    println!("a snapshot of {} payments takes {bytes} bytes", history.paid.len());
    assert!(bytes < 2 * bytes_in(&history.kv));
}
