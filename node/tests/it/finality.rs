//! Our finality certificates against the engine's own signer and verifier.

use bytes::Bytes;
use commonware_codec::DecodeExt;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::{Finalization, Finalize, Proposal};
use commonware_consensus::types::{Epoch, Round, View};
use commonware_cryptography::Signer as _;
use commonware_cryptography::ed25519;
use commonware_cryptography::sha256::Digest;
use commonware_parallel::Sequential;
use commonware_utils::TryCollect;
use commonware_utils::ordered::Set;
use tallystick_crypto::SigningKey;
use tallystick_kernel::{BlockId, NetworkId, Reason};
use tallystick_node::certificate::convert;
use tallystick_proofs::finality::{FinalityCertificate, namespace};
use tallystick_proofs::genesis::ValidatorSet;

const NETWORK: NetworkId = NetworkId([9; 32]);
const HEADER: BlockId = BlockId([5; 32]);

struct World {
    validators: ValidatorSet,
    schemes: Vec<Scheme>,
}

fn world(count: u8) -> World {
    let seeds: Vec<[u8; 32]> = (1..=count).map(|place| [place; 32]).collect();
    let keys = seeds.iter().map(|seed| SigningKey::ed25519_from_seed(seed).public_key()).collect();
    let privates: Vec<ed25519::PrivateKey> = seeds
        .iter()
        .map(|seed| ed25519::PrivateKey::decode(Bytes::copy_from_slice(seed)).unwrap())
        .collect();
    let participants: Set<ed25519::PublicKey> =
        privates.iter().map(|key| key.public_key()).try_collect().unwrap();
    let schemes = privates
        .into_iter()
        .map(|key| Scheme::signer(&namespace(&NETWORK), participants.clone(), key).unwrap())
        .collect();
    World { validators: ValidatorSet::new(keys).unwrap(), schemes }
}

fn finalization(world: &World, view: u64) -> Finalization<Scheme, Digest> {
    let round = Round::new(Epoch::zero(), View::new(view));
    let proposal = Proposal::new(round, View::new(view - 1), Digest::from(HEADER.0));
    let votes: Vec<_> = world
        .schemes
        .iter()
        .take(world.validators.quorum())
        .map(|scheme| Finalize::sign(scheme, proposal.clone()).unwrap())
        .collect();
    let votes = commonware_utils::non_empty![@votes.iter()];
    Finalization::from_finalizes(&world.schemes[0], votes, &Sequential).unwrap()
}

fn ours(world: &World, certificate: &FinalityCertificate) -> Result<(), Reason> {
    certificate.verify(&NETWORK, &world.validators, &HEADER)
}

#[test]
fn what_the_engine_finalizes_we_verify_for_every_size_and_length_of_view() {
    for count in 1..=7 {
        let world = world(count);
        for view in [1, 127, 128, 300, 70_000, 1 << 40] {
            let made = finalization(&world, view);
            let certificate = convert(&made).unwrap();
            assert_eq!(ours(&world, &certificate), Ok(()), "{count} validators, view {view}");
        }
    }
}

#[test]
fn one_signature_too_few_is_never_enough() {
    for count in 1..=7 {
        let world = world(count);
        let mut certificate = convert(&finalization(&world, 3)).unwrap();
        certificate.signers.pop();
        certificate.signatures.pop();
        assert_eq!(ours(&world, &certificate), Err(Reason::CertificateShort), "{count}");
    }
}

#[test]
fn a_changed_certificate_is_refused() {
    let world = world(4);
    let good = convert(&finalization(&world, 3)).unwrap();
    let changed = |change: &dyn Fn(&mut FinalityCertificate)| {
        let mut certificate = good.clone();
        change(&mut certificate);
        ours(&world, &certificate)
    };
    assert_eq!(changed(&|c| c.view += 1), Err(Reason::SignatureInvalid));
    assert_eq!(changed(&|c| c.parent_view += 1), Err(Reason::SignatureInvalid));
    assert_eq!(changed(&|c| c.epoch += 1), Err(Reason::SignatureInvalid));
    assert_eq!(changed(&|c| c.signatures[0].0[3] ^= 1), Err(Reason::SignatureInvalid));
    assert_eq!(changed(&|c| c.signers[1] = c.signers[0]), Err(Reason::SignerUnknown));
    assert_eq!(changed(&|c| c.signers[2] = 99), Err(Reason::SignerUnknown));
    let other = good.verify(&NetworkId([8; 32]), &world.validators, &HEADER);
    assert_eq!(other, Err(Reason::SignatureInvalid));
    let other = good.verify(&NETWORK, &world.validators, &BlockId([6; 32]));
    assert_eq!(other, Err(Reason::SignatureInvalid));
}
