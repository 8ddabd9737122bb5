//! The console's reader of receipts beside ours: what one takes, the other takes as well.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tallystick_crypto::SigningKey;
use tallystick_kernel::{Codec, Reason, hex};
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::RULES_VERSION_MAX;
use tallystick_proofs::merkle;
use tallystick_proofs::receipt::Receipt;
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::Body;

use crate::samples::{actions, body, finality, genesis, key, receipt, validators};
use crate::validator_changes;

/// The modules that a page loads to verify a receipt.
const MODULES: [&str; 3] = ["receipt.js", "cbor.js", "merkle.js"];

/// A genesis file and a receipt, as bytes.
type Case = (Vec<u8>, Vec<u8>);

/// What our own reader says, in the words of `console.mjs`; a refusal without its cause.
fn ours((genesis, receipt): &Case) -> String {
    let verified = Genesis::read(genesis)
        .and_then(|genesis| Receipt::read(receipt).and_then(|receipt| receipt.verify(&genesis)));
    match verified {
        Ok(it) => format!("yes {} {}", it.id, it.result.failure.map_or(0, Reason::number)),
        Err(_) => "no".to_owned(),
    }
}

/// What the console's says of each.
fn theirs(cases: &[Case]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for module in MODULES {
        let from = root.join("../console").join(module);
        std::fs::copy(from, folder.path().join(module)).unwrap();
    }
    let harness = root.join("tests/ledger/console.mjs");
    std::fs::copy(harness, folder.path().join("console.mjs")).unwrap();
    std::fs::write(folder.path().join("package.json"), "{\"type\":\"module\"}").unwrap();
    let mut node = Command::new("node")
        .arg(folder.path().join("console.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("missing: nodejs");
    let lines: String = cases
        .iter()
        .map(|(genesis, receipt)| format!("{} {}\n", hex::encode(genesis), hex::encode(receipt)))
        .collect();
    let mut input = node.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Both decide all cases alike; gives how many were taken.
fn agree(cases: &[Case]) -> usize {
    let said = theirs(cases);
    assert_eq!(said.len(), cases.len());
    for (place, (case, said)) in cases.iter().zip(&said).enumerate() {
        let ours = ours(case);
        let is_same = *said == ours || ours == "no" && said.starts_with("no ");
        assert!(is_same, "case {place}: ours {ours}, the console's {said}");
    }
    said.iter().filter(|line| line.starts_with("yes ")).count()
}

#[test]
fn the_console_knows_the_versions_of_the_rules_that_we_know() {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("../console/receipt.js");
    let reader = std::fs::read_to_string(reader).unwrap();
    let known = format!("const RULES_VERSION_MAX = {RULES_VERSION_MAX}n;");
    assert!(reader.contains(&known), "{known}");
}

/// A receipt of any action, by any keys, as the sample network's quorum would make it.
fn made(body: Body, keys: &[&SigningKey]) -> Receipt {
    let mut made = receipt(4, 3, None);
    made.transaction = body.sign(keys);
    made.result = TransactionResult {
        id: made.transaction.id(),
        witness_hash: made.transaction.witness.hash(),
        ..made.result
    };
    certified(made)
}

/// The same with the header and the certificate that belong to its result.
fn certified(mut receipt: Receipt) -> Receipt {
    let leaves = [receipt.result.to_bytes()];
    receipt.path = merkle::path(&leaves, 0).unwrap();
    receipt.header.results_root = merkle::root(&leaves);
    receipt.descendants.clear();
    receipt.finality = finality(&receipt.header, 4, 3);
    receipt
}

fn case(receipt: &Receipt, validator_count: u8) -> Case {
    (genesis(validator_count).to_bytes(), receipt.to_bytes())
}

#[test]
fn the_console_takes_every_receipt_that_we_take() {
    let mut cases = Vec::new();
    for (count, quorum) in [(1, 1), (2, 2), (4, 3), (4, 4), (7, 5), (10, 7)] {
        cases.push(case(&receipt(count, quorum, None), count));
    }
    for reason in [Reason::ReservesShort, Reason::Expired, Reason::CodeReplayed] {
        cases.push(case(&receipt(4, 3, Some(reason)), 4));
    }
    let standard = SigningKey::p256_from_scalar(&[7; 32]).unwrap();
    for action in actions() {
        cases.push(case(&made(body(action.clone()), &[&key(1)]), 4));
        cases.push(case(&made(body(action.clone()), &[&standard]), 4));
        cases.push(case(&made(body(action), &[&key(1), &key(2), &standard]), 4));
    }
    assert_eq!(agree(&cases), cases.len());
}

#[test]
fn the_console_follows_changes_of_the_validators_as_we_do() {
    let genesis = validator_changes::governed().to_bytes();
    let pair = |receipt: Receipt| (genesis.clone(), receipt.to_bytes());
    let good: Vec<Case> = validator_changes::good().into_iter().map(pair).collect();
    assert_eq!(agree(&good), good.len());
    let bad = validator_changes::bad().into_iter().map(|(receipt, _)| pair(receipt));
    assert_eq!(agree(&bad.collect::<Vec<_>>()), 0);
    let (_, whole) = good.last().unwrap();
    let flipped = (0..whole.len()).step_by(5).map(|place| {
        let mut changed = whole.clone();
        changed[place] ^= 1 << (place % 8);
        (genesis.clone(), changed)
    });
    assert_eq!(agree(&flipped.collect::<Vec<_>>()), 0);
}

#[test]
fn the_console_refuses_a_receipt_with_any_byte_changed_left_out_or_added() {
    let (genesis, whole) = case(&receipt(4, 3, None), 4);
    let mut cases = Vec::new();
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1 << (place % 8);
        cases.push((genesis.clone(), changed));
    }
    for place in (0..whole.len()).step_by(7) {
        let mut shorter = whole.clone();
        shorter.remove(place);
        cases.push((genesis.clone(), shorter));
        cases.push((genesis.clone(), whole[..place].to_vec()));
        let mut longer = whole.clone();
        longer.insert(place, 0);
        cases.push((genesis.clone(), longer));
    }
    cases.push((genesis.clone(), [&whole[..], &[0]].concat()));
    for place in 0..genesis.len() {
        let mut changed = genesis.clone();
        changed[place] ^= 1 << (place % 8);
        cases.push((changed, whole.clone()));
    }
    assert_eq!(agree(&cases), 0);
}

#[test]
fn the_console_refuses_what_is_well_formed_and_does_not_belong() {
    let mut cases = Vec::new();
    let mut add = |change: &dyn Fn(&mut Receipt)| {
        let mut changed = receipt(4, 3, None);
        change(&mut changed);
        cases.push(case(&changed, 4));
    };
    add(&|it| it.result.failure = Some(Reason::Expired));
    add(&|it| it.path.index = 3);
    add(&|it| it.path.siblings.clear());
    add(&|it| it.path.siblings.push([1; 32]));
    add(&|it| it.header.executed_height = it.result.height - 1);
    add(&|it| it.descendants[0].height += 1);
    add(&|it| it.descendants.clear());
    add(&|it| it.descendants.insert(0, it.header.clone()));
    add(&|it| it.finality.signatures.swap(0, 1));
    // One validator counted twice, and two in the wrong order, each with signatures that hold.
    add(&|it| {
        it.finality.signers = vec![0, 0, 1];
        it.finality.signatures[2] = it.finality.signatures[1];
        it.finality.signatures[1] = it.finality.signatures[0];
    });
    add(&|it| {
        it.finality.signers = vec![0, 2, 1];
        it.finality.signatures.swap(1, 2);
    });
    add(&|it| it.finality.signers = vec![0, 1, 4]);
    add(&|it| it.finality.signers = vec![0, 1, u64::MAX]);
    // What a quorum signed, though it should not have.
    add(&|it| {
        it.header.executed_height = it.result.height - 1;
        *it = certified(it.clone());
    });
    add(&|it| {
        it.result.height = 0;
        *it = certified(it.clone());
    });
    add(&|it| {
        it.header.validator_set_hash = [1; 32];
        *it = certified(it.clone());
    });
    add(&|it| {
        it.transaction.witness.0.clear();
        it.result.witness_hash = it.transaction.witness.hash();
        *it = certified(it.clone());
    });
    add(&|it| {
        it.transaction.witness.0.reverse();
        it.result.witness_hash = it.transaction.witness.hash();
        *it = certified(it.clone());
    });
    add(&|it| {
        it.transaction.witness.0[0].1.0[40] ^= 1;
        it.result.witness_hash = it.transaction.witness.hash();
        *it = certified(it.clone());
    });
    cases.push(case(&receipt(4, 2, None), 4));
    cases.push(case(&receipt(4, 3, None), 7));
    let mut foreign = receipt(4, 3, None);
    let tip = foreign.descendants[0].clone();
    let message = foreign.finality.message(&genesis(4).network(), &tip.id());
    let strangers = validators(7);
    foreign.finality.signatures = strangers[4..].iter().map(|key| key.sign(&message)).collect();
    cases.push(case(&foreign, 4));
    assert_eq!(agree(&cases), 0);
}
