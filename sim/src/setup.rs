//! What a scenario begins with: genesis, seats, network.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commonware_cryptography::ed25519;
use commonware_p2p::simulated::{self, Link, Network, Oracle};
use commonware_runtime::{Quota, Supervisor as _, deterministic};
use commonware_utils::{NZUsize, Probability};
use tallystick_crypto::SigningKey;
use tallystick_kernel::{DurationMs, Reason, TimeMs};
use tallystick_ledger::Rules;
use tallystick_node::config::MESSAGES_PER_SECOND;
use tallystick_node::schemes;
use tallystick_node::validator::message_bytes_max;
use tallystick_proofs::genesis::{Genesis, GenesisCurrency, Governance, Parameters, ValidatorSet};
use tallystick_proofs::owners::Owners;

use crate::byzantine::Vice;
use crate::chain::Chain;
use crate::clients::eur;
use crate::context::Skew;
use crate::disk::Disk;
use crate::log::{BEGINNING, Log};
use crate::node::Post;
use crate::scenario::{Scenario, Travel};
use crate::tap::Tap;
use crate::wire::{CHANNELS, Key, Letterbox};
use crate::world::{Seat, World};

/// Everything as it is before the first event.
pub fn build(context: &deterministic::Context, scenario: Scenario) -> Result<Arc<World>, Reason> {
    let mut seeds: Vec<[u8; 32]> = (1..=scenario.nodes).map(|at| [at as u8; 32]).collect();
    // Places follow the order of the keys, as in the genesis file.
    seeds.sort_by_key(|seed| SigningKey::ed25519_from_seed(seed).public_key());
    let first = seeds.clone();
    seeds.extend((scenario.nodes + 1..=scenario.seats()).map(|at| [at as u8; 32]));
    let keys = first.iter().map(|seed| SigningKey::ed25519_from_seed(seed).public_key());
    let bank = Arc::new(SigningKey::ed25519_from_seed(&[200; 32]));
    let holders: Vec<Arc<SigningKey>> = (0..scenario.holders)
        .map(|at| Arc::new(SigningKey::ed25519_from_seed(&[100 + at as u8; 32])))
        .collect();
    let owned = std::iter::once(&bank).chain(&holders);
    let genesis = Genesis {
        name: "simulation".to_owned(),
        time: TimeMs(u64::try_from(BEGINNING.as_millis()).unwrap_or_default()),
        accounts: owned.map(|key| Owners::single(key.public_key())).collect(),
        validators: ValidatorSet::new(keys.collect())?,
        currencies: vec![GenesisCurrency { code: eur()?, exponent: 2, authority: 0 }],
        parameters: Parameters {
            block_entries_max: scenario.entries_max,
            idle_interval: DurationMs(scenario.idle_ms),
            checkpoint_interval: 8,
            // The bank's account is that of the operators, too.
            governance: scenario.governed.map(|governed| Governance {
                epoch_blocks: governed.epoch_blocks,
                operators: 0,
                rules_version: governed.rules_version,
            }),
        },
    };
    let genesis = Arc::new(genesis);
    let alone = |seed| ValidatorSet::new(vec![SigningKey::ed25519_from_seed(seed).public_key()]);
    let alone = seeds.iter().map(alone).collect::<Result<Vec<_>, Reason>>()?;
    let known: Vec<Key> = alone.iter().flat_map(schemes::keys).collect();
    let seats = seats(&scenario, &known);
    Ok(Arc::new(World {
        log: Log::default(),
        chain: Mutex::new(Chain::new(&genesis)),
        validators: known,
        genesis,
        seeds,
        bank,
        holders,
        clock: context.child("clock"),
        seats: Mutex::new(seats),
        failing: Mutex::default(),
        is_healed: Mutex::new(false),
        tracked: Mutex::default(),
        forged: Mutex::default(),
        tap: Mutex::new(Tap::default()),
        scenario,
    }))
}

fn seats(scenario: &Scenario, validators: &[Key]) -> Vec<Seat> {
    let places = 0..scenario.seats();
    let twins = scenario.vices.contains(&Vice::Twin).then_some(scenario.liar);
    let seat = |place: usize, audience| Seat {
        place,
        is_honest: scenario.is_honest(place),
        vices: if scenario.is_honest(place) { BTreeSet::new() } else { scenario.vices.clone() },
        audience,
        disk: Arc::new(Disk::default()),
        skew: Skew::ahead(scenario.skews_ms.get(place).copied().unwrap_or_default()),
        is_wiped: false,
        life: None,
        lives: 0,
        start_at: None,
        seen_height: 0,
        rules: rules(scenario, place),
    };
    let others: Vec<Key> = validators
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != scenario.liar)
        .map(|(_, key)| key.clone())
        .collect();
    let (front, back) = others.split_at(others.len() / 2);
    let half = |half: &[Key]| Some(half.iter().cloned().collect::<BTreeSet<Key>>());
    let first = |place| if twins == Some(place) { half(front) } else { None };
    let mut seats: Vec<Seat> = places.map(|place| seat(place, first(place))).collect();
    seats.extend(twins.map(|place| seat(place, half(back))));
    seats
}

/// A node that is out of date knows the version only that the network begins with.
fn rules(scenario: &Scenario, place: usize) -> Rules {
    let outdated = scenario.governed.filter(|governed| governed.outdated == place);
    let newest = Rules::default();
    Rules { version_max: outdated.map_or(newest.version_max, |one| one.rules_version), ..newest }
}

/// Builds the network and every validator's letterboxes.
pub async fn connect(context: &deterministic::Context, world: &Arc<World>) -> Result<Post, String> {
    let settings = simulated::Config {
        max_size: message_bytes_max(),
        max_peers_per_set: NZUsize!(16),
        disconnect_on_block: true,
        tracked_peer_sets: NZUsize!(1),
    };
    let keys = world.validators.clone();
    let (network, oracle) =
        Network::<_, ed25519::PublicKey>::new_with_peers(context.child("network"), settings, keys)
            .await;
    network.start();
    let quota = Quota::per_second(NonZeroU32::MIN.saturating_add(MESSAGES_PER_SECOND - 1));
    let mut letterboxes = Vec::new();
    for key in &world.validators {
        let mut own = Vec::new();
        for channel in 0..CHANNELS as u64 {
            let ends = oracle.control(key.clone()).register(channel, quota).await;
            let ends = ends.map_err(|error| error.to_string())?;
            own.push(Letterbox::new(context, world, ends));
        }
        letterboxes.push(own);
    }
    Ok(Post { oracle, letterboxes })
}

/// Links everyone whom `reaches` says, and nobody else.
pub async fn set_travel(
    world: &World,
    oracle: &Oracle<Key, deterministic::Context>,
    travel: Travel,
    reaches: &(dyn Fn(usize, usize) -> bool + Sync),
) {
    let Some(success_rate) = Probability::new(1000 - travel.lost.min(1000), 1000) else { return };
    let link = Link {
        latency: Duration::from_millis(travel.latency_ms),
        jitter: Duration::from_millis(travel.jitter_ms),
        success_rate,
    };
    for (from, sender) in world.validators.iter().enumerate() {
        for (to, receiver) in world.validators.iter().enumerate().filter(|(to, _)| *to != from) {
            // One that is not there cannot be removed.
            drop(oracle.remove_link(sender.clone(), receiver.clone()).await);
            if reaches(from, to) {
                drop(oracle.add_link(sender.clone(), receiver.clone(), link.clone()).await);
            }
        }
    }
}
