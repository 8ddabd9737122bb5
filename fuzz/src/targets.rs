//! The decoders, each with bytes that it accepts.

use std::collections::BTreeMap;

use tallystick_crypto::hpke::{Kem, OpeningKey};
use tallystick_crypto::{Signature, SigningKey};
use tallystick_kernel::limits::{
    BODY_BYTES_MAX, GENESIS_BYTES_MAX, PAYMENT_CODE_CHARS_MAX, RECEIPT_BYTES_MAX,
    TRANSACTION_BYTES_MAX, WITNESS_BYTES_MAX,
};
use tallystick_kernel::{Codec, Digest, DurationMs, Reason, TimeMs};
use tallystick_node::block::{BLOCK_BYTES_MAX, Block};
use tallystick_node::gossip_message::{MESSAGE_BYTES_MAX, Message};
use tallystick_node::verification::{Named, verify_all};
use tallystick_proofs::acknowledgement::AcknowledgementCertificate;
use tallystick_proofs::certificate_issue::{self, Contents, Lifetime};
use tallystick_proofs::certificate_request::{self, CertificateRequest};
use tallystick_proofs::cose::{CoseSign1, Tags};
use tallystick_proofs::cwt::Claims;
use tallystick_proofs::device_code::{DeviceCode, DeviceRequest, SharedKeyId};
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::{Entry, Header, entries_root};
use tallystick_proofs::payment_code::{self, PREFIX, PaymentClaims, Trust};
use tallystick_proofs::receipt::Receipt;
use tallystick_proofs::revocation_list::RevocationList;
use tallystick_proofs::sealed::{SEALED_BYTES_MAX, SealedEnvelope, seal};
use tallystick_proofs::state_proof::{Found, StateProof};
use tallystick_proofs::transaction::{Transaction, Witness};
use tallystick_proofs::x509_certificate::X509Certificate;
use tallystick_proofs::x509_chain::TrustAnchors;

use crate::{behind, json, samples};

const NOW: TimeMs = samples::START;

/// What a decoder made of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// It refused.
    Refused,
    /// It accepted, and writes what it read with the same bytes.
    Same,
    /// It accepted, and something is wrong with that.
    Differs(String),
}

/// One decoder.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Bytes that it accepts.
    pub seeds: Vec<Vec<u8>>,
    /// Bytes of an input at most: a little more than the decoder takes.
    pub bytes_max: usize,
    /// Bytes that it may allocate whatever the input is.
    pub allocates: usize,
    /// Gives it an input.
    pub read: fn(&[u8]) -> Read,
}

impl Target {
    /// Bytes that an input of this length may make it allocate, all together: a value, its encoding
    /// and what both grew through.
    pub fn allocates_max(&self, length: usize) -> usize {
        self.allocates + 64 * length
    }
}

/// Every target.
pub fn all() -> Vec<Target> {
    let mut all = signed();
    all.extend(behind::targets());
    all.extend(carried());
    all.extend(json::targets());
    all
}

/// A decoder with the usual bound.
pub(crate) fn target(
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    max: usize,
    read: fn(&[u8]) -> Read,
) -> Target {
    Target { name, seeds, bytes_max: max + 64, allocates: 16 * 1024, read }
}

/// A decoder of the project's own encoding: what it accepts, it writes again bit by bit.
pub(crate) fn canonical<T: Codec>(bytes: &[u8], bytes_max: usize) -> Read {
    match T::from_bytes(bytes, bytes_max) {
        Err(_) => Read::Refused,
        Ok(value) if value.to_bytes() == bytes => Read::Same,
        Ok(_) => Read::Differs("accepts what it does not write".to_owned()),
    }
}

/// What the ledger and its nodes sign, hash and send.
fn signed() -> Vec<Target> {
    let messages = [
        Message::Offer(vec![samples::transaction().to_bytes(), vec![1]]),
        Message::Want(vec![samples::entry(), samples::entry()]),
        Message::Have(vec![samples::transaction().to_bytes()]),
        Message::Stored { root: [4; 32], signature: Signature([5; 64]) },
        Message::Declined { root: [6; 32] },
        Message::Alive { height: 70_000, heard: 3 },
    ];
    let entries = vec![samples::entry(); 3];
    let block = Block {
        header: Header {
            count: entries.len() as u64,
            transactions_root: entries_root(&entries),
            ..samples::header()
        },
        entries,
    };
    let transactions = samples::actions().into_iter().map(|action| {
        let body = samples::body(action);
        body.sign(&[&samples::key(1), &samples::key(2)]).to_bytes()
    });
    let acknowledgement = vec![samples::acknowledgement().to_bytes()];
    let finality = vec![samples::finality(&samples::header(), 4, 3).to_bytes()];
    let receipts = vec![samples::receipt(4, 3, None).to_bytes()];
    vec![
        target(
            "message",
            messages.iter().map(Codec::to_bytes).collect(),
            MESSAGE_BYTES_MAX,
            |it| canonical::<Message>(it, MESSAGE_BYTES_MAX),
        ),
        target("block", vec![block.to_bytes()], BLOCK_BYTES_MAX, |it| {
            canonical::<Block>(it, BLOCK_BYTES_MAX)
        }),
        Target {
            allocates: 128 * 1024,
            ..target("transaction", transactions.collect(), TRANSACTION_BYTES_MAX, read_transaction)
        },
        target("witness", vec![samples::witness().to_bytes()], WITNESS_BYTES_MAX, |it| {
            canonical::<Witness>(it, WITNESS_BYTES_MAX)
        }),
        target("entry", vec![samples::entry().to_bytes()], BODY_BYTES_MAX, |it| {
            canonical::<Entry>(it, BODY_BYTES_MAX)
        }),
        target("acknowledgement", acknowledgement, BODY_BYTES_MAX, |it| {
            canonical::<AcknowledgementCertificate>(it, BODY_BYTES_MAX)
        }),
        target("finality", finality, BODY_BYTES_MAX, |it| {
            canonical::<FinalityCertificate>(it, BODY_BYTES_MAX)
        }),
        target("receipt", receipts, RECEIPT_BYTES_MAX, |it| match Receipt::read(it) {
            Ok(receipt) if receipt.to_bytes() != it => Read::Differs("another receipt".to_owned()),
            Ok(receipt) => {
                // Whatever it says, checking it must end.
                drop(receipt.verify(&samples::genesis(4)));
                Read::Same
            }
            Err(_) => Read::Refused,
        }),
        target("genesis", vec![samples::genesis(4).to_bytes()], GENESIS_BYTES_MAX, |it| {
            canonical::<Genesis>(it, GENESIS_BYTES_MAX)
        }),
        target("state proof", state_proofs(), 32 * 1024, |it| match StateProof::read(it) {
            Ok(proof) if proof.to_bytes() != it => Read::Differs("another proof".to_owned()),
            Ok(proof) => {
                let _ = proof.root();
                Read::Same
            }
            Err(_) => Read::Refused,
        }),
    ]
}

/// Reads a transaction as nodes do, and as anybody does, and verifies it both ways.
fn read_transaction(bytes: &[u8]) -> Read {
    let plain = Transaction::from_bytes(bytes, TRANSACTION_BYTES_MAX);
    let (named, plain) = match (Named::read(bytes), plain) {
        (Err(_), Err(_)) => return Read::Refused,
        (Ok(named), Ok(plain)) => (named, plain),
        _ => return Read::Differs("is read by one reader alone".to_owned()),
    };
    let network = plain.body.network;
    let same = *named.transaction == plain
        && named.entry == Entry { id: plain.id(), witness_hash: plain.witness.hash() }
        && plain.to_bytes() == bytes
        && verify_all(&[named], &network) == [plain.verify(&network)];
    if same { Read::Same } else { Read::Differs("differs between two readers".to_owned()) }
}

fn state_proofs() -> Vec<Vec<u8>> {
    let (path, value): (Digest, Digest) = ([3; 32], [4; 32]);
    let found = [Found::Nothing, Found::Value(vec![5; 30]), Found::Other { path, value }];
    let proof =
        |found| StateProof { key: vec![1; 40], found, count: 9, siblings: vec![[2; 32]; 5] };
    found.into_iter().map(|found| proof(found).to_bytes()).collect()
}

/// What holders, devices and tills carry.
fn carried() -> Vec<Target> {
    let code = payment_code();
    let object = payment_code::unpack(&code, PREFIX).unwrap_or_default();
    let payload = CoseSign1::read(&object, Tags::Sign1).ok();
    let claims = payload.and_then(|object| object.payload().ok().map(<[u8]>::to_vec));
    // A code unfolds to 64 KiB at most, and zlib has a window of its own.
    let folded = |target: Target| Target { allocates: 2 * 1024 * 1024, ..target };
    let request = device_request();
    vec![
        folded(target("payment code", vec![code.into_bytes()], PAYMENT_CODE_CHARS_MAX, read_code)),
        target("cose", vec![object], 64 * 1024, |it| match CoseSign1::read(it, Tags::Sign1) {
            Ok(object) => {
                drop((object.chain_anywhere(), object.algorithm_anywhere()));
                Read::Same
            }
            Err(_) => Read::Refused,
        }),
        target("cwt", claims.into_iter().collect(), 64 * 1024, |it| match Claims::read(it) {
            Ok(_) => Read::Same,
            Err(_) => Read::Refused,
        }),
        target("device request", vec![request.to_text().into_bytes()], 4 * 1024, |it| {
            let Ok(text) = core::str::from_utf8(it) else { return Read::Refused };
            match DeviceRequest::from_text(text) {
                Ok(request) => match DeviceRequest::from_text(&request.to_text()) {
                    Ok(again) if again == request => Read::Same,
                    _ => Read::Differs("another request".to_owned()),
                },
                Err(_) => Read::Refused,
            }
        }),
        target("sealed credential", sealed(), SEALED_BYTES_MAX, |it| {
            canonical::<SealedEnvelope>(it, SEALED_BYTES_MAX)
        }),
        target("certificate request", certificate_requests(), 8 * 1024, |it| {
            match CertificateRequest::read(it) {
                Ok(_) => Read::Same,
                Err(_) => Read::Refused,
            }
        }),
        target("certificate", certificates(), 8 * 1024, |it| match X509Certificate::read(it) {
            Ok(_) => Read::Same,
            Err(_) => Read::Refused,
        }),
        target("revocation list", revocation_lists(), 8 * 1024, |it| {
            match RevocationList::read(it) {
                Ok(_) => Read::Same,
                Err(_) => Read::Refused,
            }
        }),
    ]
}

/// Peeks into a code, and verifies it for nobody: all but the chain's anchors is looked at.
fn read_code(bytes: &[u8]) -> Read {
    let Ok(text) = core::str::from_utf8(bytes) else { return Read::Refused };
    let known = BTreeMap::new();
    if let Ok(anchors) = TrustAnchors::read::<Vec<u8>>(&[]) {
        let trust = Trust { anchors: &anchors, known: &known, revocation: &[] };
        if payment_code::verify(text, NOW, trust).is_ok() {
            return Read::Differs("verifies without a trust anchor".to_owned());
        }
    }
    match payment_code::peek(text) {
        Ok(_) => Read::Same,
        Err(_) => Read::Refused,
    }
}

/// The key of a device.
pub(crate) fn device_key() -> SigningKey {
    match SigningKey::p256_from_scalar(&[7; 32]) {
        Ok(key) => key,
        Err(reason) => unreachable!("a fixed scalar is one: {reason}"),
    }
}

fn made<T>(result: Result<T, Reason>) -> T {
    match result {
        Ok(value) => value,
        Err(reason) => unreachable!("the samples are right: {reason}"),
    }
}

fn payment_code() -> String {
    let claims = PaymentClaims {
        account_token: "token-of-a-device".to_owned(),
        issued: NOW,
        expires: NOW.after(DurationMs::seconds(60)),
        code_id: [9; 16],
        counter: 70_000,
        amount: Some((samples::eur(), samples::amount(1_234))),
    };
    made(payment_code::make(&claims, &device_key(), Some(&certificates())))
}

fn device_request() -> DeviceRequest {
    DeviceRequest {
        key_id: SharedKeyId([1; 8]),
        device_code: DeviceCode::from_tag(&[2; 32]),
        nonce: [3; 16],
        thumbprint: [4; 32],
        account_digest: [5; 32],
        device_name: "Ada's phone".to_owned(),
        expiry: NOW,
    }
}

fn sealed() -> Vec<Vec<u8>> {
    let to = |kem| {
        let key = made(OpeningKey::from_seed(kem, &[6; 32]).sealing_key());
        made(seal(&key, "fuzz", b"associated", b"a credential", [7; 32])).to_bytes()
    };
    vec![to(Kem::P256), to(Kem::X25519)]
}

fn certificate_requests() -> Vec<Vec<u8>> {
    vec![made(certificate_request::make("token", &device_key()))]
}

fn lifetime() -> Lifetime {
    Lifetime { not_before: NOW, not_after: NOW.after(DurationMs::minutes(60 * 24)) }
}

fn contents(common_name: &str) -> Contents<'_> {
    Contents { common_name, organization: None, serial: [8; 16], lifetime: lifetime() }
}

/// An authority and a device below it, the device first.
fn certificates() -> Vec<Vec<u8>> {
    let (root, device) = (samples::key(1), device_key());
    let authority = made(certificate_issue::authority(contents("Issuer"), 0, &root));
    let issuer = made(X509Certificate::read(&authority));
    let leaf = contents("token-of-a-device");
    let leaf = made(certificate_issue::device(leaf, &device.public_key(), &issuer, &root));
    vec![leaf, authority]
}

fn revocation_lists() -> Vec<Vec<u8>> {
    let root = samples::key(1);
    let authority = made(certificate_issue::authority(contents("Issuer"), 0, &root));
    let issuer = made(X509Certificate::read(&authority));
    let revoked = [(vec![1, 2, 3], NOW)];
    vec![made(certificate_issue::revocation_list(&issuer, 7, lifetime(), &revoked, &root))]
}
