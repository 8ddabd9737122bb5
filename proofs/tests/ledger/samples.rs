//! One fixed sample of each format.

use tallystick_crypto::{PublicKey, Signature, SigningKey};
use tallystick_kernel::{
    AccountId, Amount, BlockId, CurrencyCode, DurationMs, Reason, Reference, ReserveId, Salt,
    TimeMs, TransactionId,
};
use tallystick_proofs::acknowledgement::AcknowledgementCertificate;
use tallystick_proofs::action::{Action, Line, Lock};
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::genesis::{Genesis, GenesisCurrency, Parameters, ValidatorSet};
use tallystick_proofs::header::{Entry, Header, entries_root};
use tallystick_proofs::merkle::{self, MerklePath};
use tallystick_proofs::owners::Owners;
use tallystick_proofs::receipt::Receipt;
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::{Body, Transaction, Witness};

pub const START: TimeMs = TimeMs(1_700_000_000_000);

/// The fuzz targets begin with these samples too, outside of tests, where nothing is unwrapped.
fn right<T>(result: Result<T, Reason>) -> T {
    match result {
        Ok(value) => value,
        Err(reason) => unreachable!("the samples are right: {reason}"),
    }
}

pub fn key(seed: u8) -> SigningKey {
    SigningKey::ed25519_from_seed(&[seed; 32])
}

/// The base point of P-256, compressed: a fixed key of the second algorithm.
pub fn p256() -> PublicKey {
    let bytes = tallystick_kernel::hex::decode(
        "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
    );
    let bytes = bytes.and_then(|bytes| bytes.try_into().map_err(|_| Reason::KeyMalformed));
    PublicKey::P256(right(bytes))
}

pub fn amount(minor: u64) -> Amount {
    right(Amount::new(minor))
}

pub fn eur() -> CurrencyCode {
    right(CurrencyCode::new("EUR"))
}

pub fn owners() -> Owners {
    let mut keys = vec![key(1).public_key(), key(2).public_key(), p256()];
    keys.sort_unstable();
    Owners { threshold: 2, keys }
}

pub fn line(reference: Option<Reference>) -> Line {
    Line { payee: AccountId([4; 32]), amount: amount(1234), reference }
}

pub fn lock() -> Lock {
    Lock {
        mandate: p256(),
        payment_max: Some(amount(100_000)),
        payees: vec![AccountId([4; 32]), AccountId([5; 32])],
        unlock_delay: DurationMs::minutes(60),
    }
}

/// All actions, in the order of their numbers.
pub fn actions() -> Vec<Action> {
    let reference = Some(Reference([6; 32]));
    let reserves = vec![ReserveId([8; 32]), ReserveId([7; 32])];
    vec![
        Action::AccountOpen { owners: owners() },
        Action::Mint { currency: eur(), payee: AccountId([4; 32]), amount: Amount::MAX, reference },
        Action::Burn { currency: eur(), amount: amount(1) },
        Action::Transfer { currency: eur(), lines: vec![line(None), line(reference)] },
        Action::ReserveOpen {
            currency: eur(),
            amounts: vec![amount(23), amount(24)],
            lock: Some(lock()),
            expiry: Some(START),
        },
        Action::ReserveClose { reserves: reserves.clone() },
        Action::UnlockRequest { reserves: reserves.clone() },
        Action::Remit {
            currency: eur(),
            lines: vec![line(reference)],
            reserves,
            reopen: vec![amount(5)],
        },
        Action::ValidatorsChange { validators: genesis(5).validators },
        Action::RulesActivate { version: 2, height: 300 },
    ]
}

pub fn body(action: Action) -> Body {
    let opens = matches!(action, Action::AccountOpen { .. });
    Body {
        network: genesis(4).network(),
        account: if opens { AccountId::NONE } else { AccountId([3; 32]) },
        salt: Salt([9; 16]),
        valid_until: START.after(DurationMs::minutes(5)),
        action,
    }
}

pub fn transaction() -> Transaction {
    body(actions().remove(7)).sign(&[&key(1), &key(2)])
}

/// Of fixed bytes, for P-256 signatures are drawn anew each time.
pub fn witness() -> Witness {
    Witness(vec![(key(1).public_key(), Signature([1; 64])), (p256(), Signature([2; 64]))])
}

pub fn validators(count: u8) -> Vec<SigningKey> {
    let mut keys: Vec<SigningKey> = (100..100 + count).map(key).collect();
    keys.sort_by_key(SigningKey::public_key);
    keys
}

pub fn genesis(validator_count: u8) -> Genesis {
    let keys = validators(validator_count).iter().map(SigningKey::public_key).collect();
    Genesis {
        name: "sample".to_owned(),
        time: START,
        validators: right(ValidatorSet::new(keys)),
        accounts: vec![owners(), Owners::single(key(3).public_key())],
        currencies: vec![GenesisCurrency { code: eur(), exponent: 2, authority: 1 }],
        parameters: Parameters {
            block_entries_max: 1000,
            idle_interval: DurationMs::seconds(5),
            checkpoint_interval: 100,
            governance: None,
        },
    }
}

pub fn entry() -> Entry {
    Entry { id: TransactionId([10; 32]), witness_hash: [11; 32] }
}

pub fn header() -> Header {
    let genesis = genesis(4);
    Header {
        version: 1,
        epoch: 0,
        height: 1_000,
        previous: BlockId([12; 32]),
        time: START,
        proposer: 3,
        transactions_root: entries_root(&[entry()]),
        count: 1,
        executed_height: 999,
        results_root: [13; 32],
        checkpoint_root: [14; 32],
        validator_set_hash: genesis.validators.hash(),
        parameters_hash: genesis.parameters.hash(),
    }
}

pub fn result(failure: Option<Reason>) -> TransactionResult {
    let Entry { id, witness_hash } = entry();
    TransactionResult { id, witness_hash, height: 999, index: 7, failure }
}

pub fn path() -> MerklePath {
    let leaves: Vec<[u8; 1]> = (0..11).map(|leaf| [leaf]).collect();
    right(merkle::path(&leaves, 5).ok_or(Reason::NotFound))
}

/// A certificate for the header, signed by the first `signer_count` of the validators.
pub fn finality(header: &Header, validator_count: u8, signer_count: usize) -> FinalityCertificate {
    let network = genesis(validator_count).network();
    let mut certificate = FinalityCertificate {
        epoch: 0,
        view: 1_003,
        parent_view: 1_001,
        signers: (0..signer_count as u64).collect(),
        signatures: Vec::new(),
    };
    let message = certificate.message(&network, &header.id());
    let signers = validators(validator_count);
    certificate.signatures = signers[..signer_count].iter().map(|key| key.sign(&message)).collect();
    certificate
}

pub fn acknowledgement() -> AcknowledgementCertificate {
    AcknowledgementCertificate {
        entry: entry(),
        path: path(),
        signers: vec![0, 2, 3],
        signatures: vec![Signature([1; 64]), Signature([2; 64]), Signature([3; 64])],
    }
}

/// A receipt in which everything fits, with a descendant between the report and the certificate.
pub fn receipt(validator_count: u8, signer_count: usize, failure: Option<Reason>) -> Receipt {
    let genesis = genesis(validator_count);
    let network = genesis.network();
    let body = Body { network, ..transaction().body };
    let transaction = body.sign(&[&key(1), &key(2)]);
    let result = TransactionResult {
        id: transaction.id(),
        witness_hash: transaction.witness.hash(),
        ..result(failure)
    };
    let others = |index| TransactionResult { index, ..self::result(None) };
    let results = [others(0), others(1), result, others(3), others(4)];
    let leaves: Vec<Vec<u8>> = results.iter().map(tallystick_kernel::Codec::to_bytes).collect();
    let validator_set_hash = genesis.validators.hash();
    let header = Header { results_root: merkle::root(&leaves), validator_set_hash, ..header() };
    let next = Header { height: header.height + 1, previous: header.id(), ..header };
    let finality = finality(&next, validator_count, signer_count);
    let path = right(merkle::path(&leaves, 2).ok_or(Reason::NotFound));
    Receipt {
        transaction,
        result,
        path,
        header,
        descendants: vec![next],
        finality,
        changes: vec![],
    }
}
