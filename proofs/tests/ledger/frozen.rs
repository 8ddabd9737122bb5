//! Our own encodings and hashes, frozen: a change here is a change of the network's language.

use tallystick_kernel::hash::sha256;
use tallystick_kernel::{Codec, Reason, TransactionId, hex};
use tallystick_proofs::acknowledgement;
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::entries_root;
use tallystick_proofs::merkle;
use tallystick_proofs::transaction::{account_id, reserve_id};

use crate::{samples, validator_changes};

/// `name length sha256` of the canonical bytes of each sample, one a line.
const FROZEN: &str = include_str!("../../../vectors/ownencodings/ledger.txt");

fn encodings() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| all.push((name.to_owned(), bytes));
    for action in samples::actions() {
        add(&format!("body {}", action.name()), samples::body(action).to_bytes());
    }
    add("witness", samples::witness().to_bytes());
    add("transaction", samples::transaction().to_bytes());
    add("owners", samples::owners().to_bytes());
    add("genesis", samples::genesis(4).to_bytes());
    add("validator set", samples::genesis(4).validators.to_bytes());
    add("parameters", samples::genesis(4).parameters.to_bytes());
    add("entry", samples::entry().to_bytes());
    add("header", samples::header().to_bytes());
    add("result of success", samples::result(None).to_bytes());
    add("result of failure", samples::result(Some(Reason::InsufficientFunds)).to_bytes());
    add("merkle path", samples::path().to_bytes());
    add("finality certificate", samples::finality(&samples::header(), 4, 3).to_bytes());
    add("acknowledgement certificate", samples::acknowledgement().to_bytes());
    add("receipt", samples::receipt(4, 3, None).to_bytes());
    add("genesis with operators", validator_changes::governed().to_bytes());
    for receipt in validator_changes::good().iter().rev().take(1) {
        add("receipt with changes", receipt.to_bytes());
    }
    all
}

fn hashes() -> Vec<(String, Vec<u8>)> {
    let id = TransactionId([10; 32]);
    let genesis = samples::genesis(4);
    let header = samples::header();
    let network = genesis.network();
    let finality = samples::finality(&header, 4, 3);
    let leaves: Vec<[u8; 1]> = (0..11).map(|leaf| [leaf]).collect();
    let no_leaves: [[u8; 1]; 0] = [];
    let all: Vec<(&str, Vec<u8>)> = vec![
        ("transaction id", samples::transaction().id().0.into()),
        ("witness hash", samples::witness().hash().into()),
        ("account id", account_id(&id).0.into()),
        ("reserve id 0", reserve_id(&id, 0).0.into()),
        ("reserve id 1", reserve_id(&id, 1).0.into()),
        ("genesis account id", Genesis::account_id(1, &samples::owners()).0.into()),
        ("network id", network.0.into()),
        ("validator set hash", genesis.validators.hash().into()),
        ("parameters hash", genesis.parameters.hash().into()),
        ("block id", header.id().0.into()),
        ("entries root", entries_root(&[samples::entry()]).into()),
        ("merkle root of none", merkle::root(&no_leaves).into()),
        ("merkle root of eleven", merkle::root(&leaves).into()),
        ("finality message", finality.message(&network, &header.id())),
        ("acknowledgement statement", acknowledgement::statement(&network, &[1; 32]).into()),
    ];
    all.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

#[test]
fn encodings_and_hashes_are_what_they_always_were() {
    let mut lines = String::new();
    for (name, bytes) in encodings().into_iter().chain(hashes()) {
        let digest = hex::encode(&sha256(&bytes));
        lines.push_str(&format!("{}: {} {digest}\n", name, bytes.len()));
    }
    let frozen: String = FROZEN
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert!(lines == frozen, "these are the bytes now:\n{lines}");
}
