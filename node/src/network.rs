//! The engine's network: who the validators are, where they are, and its settings.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use commonware_codec::DecodeExt;
use commonware_consensus::marshal::standard::Standard;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::{marshal, simplex};
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{ChaCha20Poly1305, ed25519};
use commonware_p2p::Address;
use commonware_p2p::authenticated::lookup;
use commonware_runtime::{Quota, tokio as runtime};
use commonware_stream::{cups, sake};
use commonware_utils::ordered::Map;
use commonware_utils::{NZU32, NZUsize, TryCollect};
use tallystick_crypto::SigningKey;

use crate::block::Block;
use crate::config::{MAILBOX, NodeConfig};
use crate::gossip_message::MESSAGE_BYTES_MAX;

/// Handshakes a second that a node on the loopback interface takes part in: all nodes have one
/// address there.
const LOCAL_HANDSHAKES: NonZeroU32 = NZU32!(512);

/// One channel of the network.
pub type Channel =
    (lookup::Sender<ed25519::PublicKey, runtime::Context>, lookup::Receiver<ed25519::PublicKey>);

/// The validators' keys as the engine has them, in the order of the genesis file.
pub fn validators(config: &NodeConfig) -> Vec<ed25519::PublicKey> {
    let keys = config.genesis.validators.keys().iter();
    keys.filter_map(|key| ed25519::PublicKey::decode(Bytes::copy_from_slice(key.bytes())).ok())
        .collect()
}

/// Where every validator is reached.
pub fn addresses(
    config: &NodeConfig,
    validators: &[ed25519::PublicKey],
) -> Map<ed25519::PublicKey, Address> {
    let own = (SigningKey::ed25519_from_seed(&config.seed).public_key(), config.listen);
    let known = config.peers.iter().filter(|(key, _)| *key != own.0).chain([&own]);
    let listed = known.filter_map(|(key, address)| {
        let found = validators.iter().find(|candidate| {
            let bytes: &[u8] = (*candidate).as_ref();
            bytes == key.bytes()
        })?;
        Some((found.clone(), Address::from(*address)))
    });
    listed.collect::<Vec<_>>().into_iter().try_collect().unwrap_or_default()
}

type Handshake = cups::Cups<sake::Sake<ed25519::PrivateKey>, ChaCha20Poly1305>;

/// How the engine's network is set up.
pub fn settings(
    config: &NodeConfig,
    private: &ed25519::PrivateKey,
    namespace: &[u8],
    validators: usize,
) -> lookup::Config<Handshake> {
    let count = u32::try_from(validators).unwrap_or(u32::MAX);
    let largest = commonware_p2p::max_message_size(&[
        simplex::max_payload_size::<Scheme, Digest>(count),
        marshal::max_payload_size::<Standard<Block>, Scheme>(count, &()),
        MESSAGE_BYTES_MAX,
    ]);
    let signer = sake::Sake {
        signer: private.clone(),
        synchrony_bound: Duration::from_secs(5),
        max_handshake_age: Duration::from_secs(10),
        version: sake::Version::V1,
    };
    let handshake = cups::Cups::new(signer, cups::Version::V1);
    let peers = std::num::NonZeroUsize::MIN.saturating_add(validators.saturating_sub(1));
    let mailbox = NZUsize!(MAILBOX);
    let listen = config.listen;
    let mut made = if listen.ip().is_loopback() {
        lookup::Config::local(handshake, namespace, listen, peers, largest, mailbox)
    } else {
        lookup::Config::recommended(handshake, namespace, listen, peers, largest, mailbox)
    };
    made.tracked_peer_sets = NZUsize!(1);
    if listen.ip().is_loopback() {
        // All on one machine, started at once: two that call each other at the same instant both
        // fail, and try again after this pause.
        made.dial_frequency = Duration::from_millis(20);
        made.peer_connection_cooldown = Duration::from_millis(100);
        made.allowed_handshake_rate_per_ip = Quota::per_second(LOCAL_HANDSHAKES);
        made.allowed_handshake_rate_per_subnet = Quota::per_second(LOCAL_HANDSHAKES);
    } else {
        made.dial_frequency = Duration::from_millis(100);
        made.peer_connection_cooldown = Duration::from_millis(500);
    }
    made
}
