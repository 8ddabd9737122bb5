//! The engine's network: who takes part, where they are, and its settings.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use commonware_codec::DecodeExt;
use commonware_cryptography::{ChaCha20Poly1305, ed25519};
use commonware_p2p::Address;
use commonware_p2p::authenticated::lookup;
use commonware_runtime::Quota;
use commonware_stream::{cups, sake};
use commonware_utils::ordered::Map;
use commonware_utils::{NZU32, NZUsize, TryCollect};
use tallystick_crypto::SigningKey;

use crate::config::{MAILBOX, NodeConfig};
use crate::validator::message_bytes_max;

/// Handshakes a second that a node on the loopback interface takes part in: all nodes have one
/// address there.
const LOCAL_HANDSHAKES: NonZeroU32 = NZU32!(512);

/// Where everyone is reached who may take part: validators, and those who follow or will be some.
pub fn addresses(config: &NodeConfig) -> Map<ed25519::PublicKey, Address> {
    let own = (SigningKey::ed25519_from_seed(&config.seed).public_key(), config.listen);
    let known = config.peers.iter().filter(|(key, _)| *key != own.0).chain([&own]);
    let listed = known.filter_map(|(key, address)| {
        let key = ed25519::PublicKey::decode(Bytes::copy_from_slice(key.bytes())).ok()?;
        Some((key, Address::from(*address)))
    });
    listed.collect::<Vec<_>>().into_iter().try_collect().unwrap_or_default()
}

type Handshake = cups::Cups<sake::Sake<ed25519::PrivateKey>, ChaCha20Poly1305>;

/// How the engine's network is set up.
pub fn settings(
    config: &NodeConfig,
    private: &ed25519::PrivateKey,
    namespace: &[u8],
    peers: usize,
) -> lookup::Config<Handshake> {
    let largest = message_bytes_max();
    let signer = sake::Sake {
        signer: private.clone(),
        synchrony_bound: Duration::from_secs(5),
        max_handshake_age: Duration::from_secs(10),
        version: sake::Version::V1,
    };
    let handshake = cups::Cups::new(signer, cups::Version::V1);
    let peers = std::num::NonZeroUsize::MIN.saturating_add(peers.saturating_sub(1));
    let mailbox = NZUsize!(MAILBOX);
    let listen = config.listen;
    let mut made = if listen.ip().is_loopback() {
        lookup::Config::local(handshake, namespace, listen, peers, largest, mailbox)
    } else {
        lookup::Config::recommended(handshake, namespace, listen, peers, largest, mailbox)
    };
    made.tracked_peer_sets = NZUsize!(1);
    // Whom to call and who may call is said by keys; most schemes' validators meet in a private net.
    made.allow_private_ips = true;
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
