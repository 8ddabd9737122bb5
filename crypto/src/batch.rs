//! Verification of many signatures at once, with exactly the answers of one-by-one verification.
//!
//! Invariant: both judge Ed25519 by the equation of ZIP-215, so no signature passes one way and
//! fails the other; a node that batches and a node that does not never disagree.

use ed25519_zebra::batch::{Item, Verifier};
use ed25519_zebra::{Signature as ZebraSignature, VerificationKeyBytes};
use tallystick_kernel::{LabelledHash, Reason};

use crate::public_key::PublicKey;
use crate::randomness::Stream;
use crate::signature::Signature;

/// One signature to verify: the key, the message, the signature.
pub type SignedMessage<'a> = (PublicKey, &'a [u8], Signature);

/// Verifies all of `items`; the reason of the first bad one otherwise.
///
/// The coefficients of the batch equation are drawn from a hash of everything in the batch, so
/// that no choice of signatures can foresee them and the answer needs no source of randomness.
pub fn verify_batch(items: &[SignedMessage<'_>]) -> Result<(), Reason> {
    verify_each(items).into_iter().find(Result::is_err).unwrap_or(Ok(()))
}

/// Verifies all of `items` and answers for each, in order.
///
/// Ed25519 signatures are verified together; a batch that fails is halved until the bad ones are
/// alone. P-256 signatures are verified one by one, since that equation has no batch form.
pub fn verify_each(items: &[SignedMessage<'_>]) -> Vec<Result<(), Reason>> {
    let mut answers = vec![Ok(()); items.len()];
    let mut together = Vec::new();
    for (index, (key, message, signature)) in items.iter().enumerate() {
        match key {
            PublicKey::Ed25519(bytes) => {
                let key = VerificationKeyBytes::from(*bytes);
                let signature = ZebraSignature::from(signature.0);
                together.push((index, Item::from((key, signature, *message))));
            }
            PublicKey::P256(_) => answers[index] = key.verify(message, signature),
        }
    }
    bisect(items, &together, &mut answers);
    answers
}

/// The number of signatures below which halving costs more than verifying each alone.
const ALONE_MAX: usize = 4;

fn bisect(
    items: &[SignedMessage<'_>],
    together: &[(usize, Item)],
    answers: &mut [Result<(), Reason>],
) {
    if together.len() <= ALONE_MAX {
        for (index, _) in together {
            let (key, message, signature) = &items[*index];
            answers[*index] = key.verify(message, signature);
        }
    } else if !passes(items, together) {
        let (left, right) = together.split_at(together.len() / 2);
        bisect(items, left, answers);
        bisect(items, right, answers);
    }
}

fn passes(items: &[SignedMessage<'_>], together: &[(usize, Item)]) -> bool {
    let mut batch = Verifier::new();
    let mut seed = LabelledHash::new("tallystick/batch/1").number(together.len() as u64);
    for (index, item) in together {
        let (key, message, signature) = &items[*index];
        seed = seed.part(key.bytes()).part(&signature.0).part(message);
        batch.queue(item.clone());
    }
    batch.verify(Stream::new(seed.finish())).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signing_key::SigningKey;

    /// Encodings of the eight points of small order, and the two non-canonical ones of them that
    /// ZIP-215 still accepts.
    const SMALL_ORDER: [&str; 10] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];

    fn edge_point(index: usize) -> [u8; 32] {
        tallystick_kernel::hex::decode(SMALL_ORDER[index % 10]).unwrap().try_into().unwrap()
    }

    type Made = (PublicKey, Vec<u8>, Signature);

    fn made(seed: u8, kind: u8, place: usize, flip: u8) -> Made {
        let message = vec![seed; usize::from(seed % 7)];
        let key = if kind % 8 == 7 {
            SigningKey::p256_from_scalar(&[seed >> 1 | 1; 32]).unwrap()
        } else {
            SigningKey::ed25519_from_seed(&[seed; 32])
        };
        let mut signature = key.sign(&message);
        let mut public = key.public_key();
        match kind % 8 {
            1 => signature.0[place % 64] ^= flip,
            2 => signature.0[..32].copy_from_slice(&edge_point(place)),
            3 => public = PublicKey::Ed25519(edge_point(place)),
            // Small-order key, small-order R, s = 0: valid for every message under ZIP-215.
            4 => {
                public = PublicKey::Ed25519(edge_point(place));
                signature.0 = [0; 64];
                signature.0[..32].copy_from_slice(&edge_point(place / 10));
            }
            5 => signature.0[63] |= 0xf0,
            _ => {}
        }
        (public, message, signature)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn a_batch_answers_as_each_alone(
            parts in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<usize>(), any::<u8>()), 0..40)
        ) {
            let made: Vec<Made> =
                parts.into_iter().map(|(seed, kind, place, flip)| made(seed, kind, place, flip)).collect();
            let items: Vec<SignedMessage<'_>> =
                made.iter().map(|(key, message, signature)| (*key, &message[..], *signature)).collect();
            let alone: Vec<_> =
                items.iter().map(|(key, message, signature)| key.verify(message, signature)).collect();
            let first_bad = alone.iter().find(|answer| answer.is_err()).copied().unwrap_or(Ok(()));
            prop_assert_eq!(verify_batch(&items), first_bad);
            prop_assert_eq!(verify_each(&items), alone);
        }
    }

    #[test]
    fn the_bad_ones_of_a_large_batch_are_found() {
        let mut made: Vec<Made> = (0..100).map(|seed| made(seed, 0, 0, 0)).collect();
        for bad in [3, 50, 99] {
            made[bad].2.0[40] ^= 1;
        }
        let items: Vec<SignedMessage<'_>> =
            made.iter().map(|(key, message, signature)| (*key, &message[..], *signature)).collect();
        let answers = verify_each(&items);
        let bad: Vec<usize> = (0..100).filter(|index| answers[*index].is_err()).collect();
        assert_eq!(bad, [3, 50, 99]);
        assert_eq!(verify_batch(&items), Err(Reason::SignatureInvalid));
    }
}
