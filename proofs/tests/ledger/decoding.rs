//! Decoders: they read back what was written, accept nothing else, and never panic.

use proptest::collection::vec;
use proptest::prelude::*;
use tallystick_crypto::{PublicKey, Signature};
use tallystick_kernel::limits::{
    BODY_BYTES_MAX, GENESIS_BYTES_MAX, RECEIPT_BYTES_MAX, TRANSACTION_BYTES_MAX, WITNESS_BYTES_MAX,
};
use tallystick_kernel::{
    AccountId, Amount, Codec, CurrencyCode, DurationMs, NetworkId, Reason, Reference, ReserveId,
    Salt, TimeMs,
};
use tallystick_proofs::acknowledgement::AcknowledgementCertificate;
use tallystick_proofs::action::{Action, Line, Lock};
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::genesis::Genesis;
use tallystick_proofs::header::{Entry, Header};
use tallystick_proofs::merkle::MerklePath;
use tallystick_proofs::owners::Owners;
use tallystick_proofs::receipt::Receipt;
use tallystick_proofs::result::TransactionResult;
use tallystick_proofs::transaction::{Body, Transaction, Witness};

use crate::samples;

/// Decodes and, when that succeeds, demands the same bytes back.
fn reads<T: Codec>(bytes: &[u8], bytes_max: usize) -> Result<(), TestCaseError> {
    if let Ok(value) = T::from_bytes(bytes, bytes_max) {
        prop_assert_eq!(value.to_bytes(), bytes);
    }
    Ok(())
}

fn reads_as_anything(bytes: &[u8]) -> Result<(), TestCaseError> {
    reads::<Body>(bytes, BODY_BYTES_MAX)?;
    reads::<Witness>(bytes, WITNESS_BYTES_MAX)?;
    reads::<Transaction>(bytes, TRANSACTION_BYTES_MAX)?;
    reads::<Action>(bytes, BODY_BYTES_MAX)?;
    reads::<Owners>(bytes, BODY_BYTES_MAX)?;
    reads::<Genesis>(bytes, GENESIS_BYTES_MAX)?;
    reads::<Header>(bytes, BODY_BYTES_MAX)?;
    reads::<Entry>(bytes, BODY_BYTES_MAX)?;
    reads::<TransactionResult>(bytes, BODY_BYTES_MAX)?;
    reads::<MerklePath>(bytes, BODY_BYTES_MAX)?;
    reads::<FinalityCertificate>(bytes, BODY_BYTES_MAX)?;
    reads::<AcknowledgementCertificate>(bytes, BODY_BYTES_MAX)?;
    reads::<Receipt>(bytes, RECEIPT_BYTES_MAX)
}

/// The bytes of every sample.
fn canonical() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        samples::actions().into_iter().map(|action| samples::body(action).to_bytes()).collect();
    all.extend([
        samples::witness().to_bytes(),
        samples::transaction().to_bytes(),
        samples::genesis(4).to_bytes(),
        samples::header().to_bytes(),
        samples::entry().to_bytes(),
        samples::result(Some(Reason::Expired)).to_bytes(),
        samples::path().to_bytes(),
        samples::finality(&samples::header(), 4, 3).to_bytes(),
        samples::acknowledgement().to_bytes(),
        samples::receipt(4, 3, None).to_bytes(),
    ]);
    all
}

fn amount() -> impl Strategy<Value = Amount> {
    (0..=Amount::MAX.minor()).prop_map(|minor| Amount::new(minor).unwrap())
}

fn currency() -> impl Strategy<Value = CurrencyCode> {
    "[A-Z][A-Z0-9]{2,7}".prop_map(|text| CurrencyCode::new(&text).unwrap())
}

fn public_key() -> impl Strategy<Value = PublicKey> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(PublicKey::Ed25519),
        (any::<u8>(), any::<[u8; 32]>()).prop_map(|(first, rest)| {
            let mut bytes = [first; 33];
            bytes[1..].copy_from_slice(&rest);
            PublicKey::P256(bytes)
        }),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    (any::<[u8; 32]>(), amount(), any::<Option<[u8; 32]>>()).prop_map(
        |(payee, amount, reference)| Line {
            payee: AccountId(payee),
            amount,
            reference: reference.map(Reference),
        },
    )
}

fn time() -> impl Strategy<Value = u64> {
    0..=tallystick_kernel::limits::TIME_MS_MAX
}

fn lock() -> impl Strategy<Value = Lock> {
    let payees = vec(any::<[u8; 32]>().prop_map(AccountId), 0..=16);
    (public_key(), proptest::option::of(amount()), payees, time()).prop_map(
        |(mandate, payment_max, payees, delay)| Lock {
            mandate,
            payment_max,
            payees,
            unlock_delay: DurationMs(delay),
        },
    )
}

fn reserves() -> impl Strategy<Value = Vec<ReserveId>> {
    vec(any::<[u8; 32]>().prop_map(ReserveId), 0..=64)
}

fn action() -> impl Strategy<Value = Action> {
    let amounts = || vec(amount(), 0..=64);
    let lines = || vec(line(), 0..=64);
    prop_oneof![
        (any::<u16>(), vec(public_key(), 0..=16)).prop_map(|(threshold, keys)| {
            Action::AccountOpen { owners: Owners { threshold, keys } }
        }),
        (currency(), line()).prop_map(|(currency, line)| Action::Mint {
            currency,
            payee: line.payee,
            amount: line.amount,
            reference: line.reference,
        }),
        (currency(), amount()).prop_map(|(currency, amount)| Action::Burn { currency, amount }),
        (currency(), lines()).prop_map(|(currency, lines)| Action::Transfer { currency, lines }),
        (currency(), amounts(), proptest::option::of(lock()), proptest::option::of(time()))
            .prop_map(|(currency, amounts, lock, expiry)| Action::ReserveOpen {
                currency,
                amounts,
                lock,
                expiry: expiry.map(TimeMs),
            }),
        reserves().prop_map(|reserves| Action::ReserveClose { reserves }),
        reserves().prop_map(|reserves| Action::UnlockRequest { reserves }),
        (currency(), lines(), reserves(), amounts()).prop_map(
            |(currency, lines, reserves, reopen)| Action::Remit {
                currency,
                lines,
                reserves,
                reopen
            }
        ),
    ]
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let signed = (public_key(), any::<[u8; 32]>(), any::<[u8; 32]>());
    let ids = (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 16]>(), time());
    (ids, action(), vec(signed, 0..=16)).prop_map(
        |((network, account, salt, time), action, signed)| {
            let body = Body {
                network: NetworkId(network),
                account: AccountId(account),
                salt: Salt(salt),
                valid_until: TimeMs(time),
                action,
            };
            let entry = |(key, left, right): (PublicKey, [u8; 32], [u8; 32])| {
                let mut bytes = [0; 64];
                bytes[..32].copy_from_slice(&left);
                bytes[32..].copy_from_slice(&right);
                (key, Signature(bytes))
            };
            Transaction { body, witness: Witness(signed.into_iter().map(entry).collect()) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn every_transaction_within_the_limits_is_read_back(transaction in transaction()) {
        let bytes = transaction.to_bytes();
        prop_assert!(bytes.len() <= TRANSACTION_BYTES_MAX);
        prop_assert_eq!(Transaction::from_bytes(&bytes, TRANSACTION_BYTES_MAX), Ok(transaction.clone()));
        // Neither check panics, whatever the values are.
        let _ = transaction.body.check();
        let _ = transaction.verify(&transaction.body.network);
    }

    #[test]
    fn random_bytes_are_refused_or_canonical(bytes in vec(any::<u8>(), 0..300)) {
        reads_as_anything(&bytes)?;
    }

    #[test]
    fn altered_bytes_are_refused_or_canonical(
        pick in any::<usize>(),
        changes in vec((any::<usize>(), 0..4_u8, any::<u8>()), 1..4),
    ) {
        let all = canonical();
        let mut bytes = all[pick % all.len()].clone();
        for (place, kind, byte) in changes {
            let place = place % bytes.len();
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                2 => bytes.truncate(place.max(1)),
                _ => drop(bytes.remove(place)),
            }
            if bytes.is_empty() {
                bytes.push(byte);
            }
        }
        reads_as_anything(&bytes)?;
    }
}

#[test]
fn a_longer_form_of_the_same_value_is_refused() {
    let bytes = samples::body(samples::actions().remove(2)).to_bytes();
    // `[3, "EUR", 1]` at the end: the amount 1 as a two-byte number.
    let mut longer = bytes[..bytes.len() - 1].to_vec();
    longer.extend([0x18, 0x01]);
    assert_eq!(Body::from_bytes(&longer, BODY_BYTES_MAX), Err(Reason::NotCanonical));
    let trailing = [&bytes[..], &[0]].concat();
    assert_eq!(Body::from_bytes(&trailing, BODY_BYTES_MAX), Err(Reason::TrailingBytes));
    assert_eq!(Body::from_bytes(&bytes, bytes.len() - 1), Err(Reason::TooLarge));
}

#[test]
fn unknown_versions_and_actions_are_named_as_such() {
    let mut bytes = samples::body(samples::actions().remove(2)).to_bytes();
    bytes[1] = 2;
    assert_eq!(Body::from_bytes(&bytes, BODY_BYTES_MAX), Err(Reason::VersionUnknown));
    let mut burn = samples::actions().remove(2).to_bytes();
    burn[1] = 11;
    assert_eq!(Action::from_bytes(&burn, BODY_BYTES_MAX), Err(Reason::ActionUnknown));
    burn[1] = 4;
    assert_eq!(Action::from_bytes(&burn, BODY_BYTES_MAX), Err(Reason::Malformed));
}

#[test]
fn lists_above_their_limit_are_refused() {
    let action = Action::ReserveClose { reserves: (0..65).map(|n| ReserveId([n; 32])).collect() };
    assert_eq!(Action::from_bytes(&action.to_bytes(), BODY_BYTES_MAX), Err(Reason::TooLarge));
    let lines = vec![samples::line(None); 65];
    let action = Action::Transfer { currency: samples::eur(), lines };
    assert_eq!(Action::from_bytes(&action.to_bytes(), BODY_BYTES_MAX), Err(Reason::TooLarge));
}
