//! The lives of nodes: starting one from its disk, and ending one at any instant.

use std::sync::Arc;

use commonware_p2p::simulated::Oracle;
use commonware_runtime::{Spawner as _, Supervisor as _, deterministic};
use tallystick_kernel::{DurationMs, Reason, TimeMs};
use tallystick_ledger::Rules;
use tallystick_node::Preset;
use tallystick_node::failure::Failure;
use tallystick_node::kv::Kv;
use tallystick_node::pruner::Pruning;
use tallystick_node::validator::{Channels, Ended, Setup, Validator};
use zeroize::Zeroizing;

use crate::byzantine::{Liar, Vice};
use crate::context::NodeContext;
use crate::wire::{Key, Letterbox, Neighbours, Port};
use crate::world::{Life, World, held};

/// How long after a node fails to start it is tried again.
const AGAIN: DurationMs = DurationMs(300);

/// The network: every validator's letterboxes, by place and channel.
pub struct Post {
    /// The network's own controls.
    pub oracle: Oracle<Key, deterministic::Context>,
    /// By place, then by channel.
    pub letterboxes: Vec<Vec<Letterbox>>,
}

/// Starts a seat's node from what its disk holds; tries again later when it cannot.
pub fn start(context: &deterministic::Context, world: &Arc<World>, post: &Post, seat: usize) {
    let mut seats = held(&world.seats);
    let Some(found) = seats.get_mut(seat) else { return };
    let mut prefix = format!("s{seat}");
    if found.vices.contains(&Vice::Amnesia) || found.is_wiped {
        found.disk = Arc::default();
        prefix = format!("s{seat}-{}", found.lives);
    }
    found.lives += 1;
    let (place, disk, skew) = (found.place, Arc::clone(&found.disk), found.skew.clone());
    let (vices, audience, rules) = (found.vices.clone(), found.audience.clone(), found.rules);
    found.start_at = None;
    drop(seats);
    let (Some(letterboxes), Some(key)) = (post.letterboxes.get(place), world.validators.get(place))
    else {
        return;
    };
    let port = Port::new(world, place, seat, audience);
    let setup = Setup {
        genesis: Arc::clone(&world.genesis),
        seed: Zeroizing::new(world.seeds.get(place).copied().unwrap_or_default()),
        rules,
        verifiers: 2,
        pruning: Pruning { retention: world.scenario.retention, keeper: None },
        preset: Preset::default(),
        failure: failure(world, &port),
    };
    let shown = skew.shown(world.time()).duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let time = TimeMs(u64::try_from(shown.as_millis()).unwrap_or_default());
    let validator = match Validator::open(setup, disk as Arc<dyn Kv>, time) {
        Ok(validator) => validator,
        Err(reason) => {
            world.note(seat, &format!("does not start: {}", reason.code()));
            upgrade(world, seat, reason);
            if let Some(found) = held(&world.seats).get_mut(seat) {
                found.start_at = Some(world.time() + std::time::Duration::from_millis(AGAIN.0));
            }
            return;
        }
    };
    let handle = validator.handle();
    let height = handle.network_status().height;
    world.note(seat, &format!("starts at height {height}"));
    let mut ends = letterboxes.iter().enumerate().map(|(at, one)| one.open(&port, at));
    let mut next = || ends.next();
    let (Some(votes), Some(certificates), Some(requests)) = (next(), next(), next()) else {
        return;
    };
    let (Some(backfill), Some(blocks), Some(gossip)) = (next(), next(), next()) else { return };
    let Some(snapshots) = next() else { return };
    let channels = Channels { votes, certificates, requests, backfill, blocks, gossip, snapshots };
    let control = post.oracle.control(key.clone());
    let peers = Neighbours::new(post.oracle.manager(), control, Arc::clone(&port));
    let (ended_world, wrap_world) = (Arc::clone(world), Arc::clone(world));
    let task = context.child("node").with_attribute("seat", seat).spawn(async move |context| {
        let context = NodeContext::new(context, skew, &prefix);
        let wrap = |application| Liar::new(application, &vices, &wrap_world);
        let ended = validator.run(&context, channels, peers, || (), wrap).await;
        if ended == Ended::Asked {
            ended_world.note(seat, "has stopped");
        }
    });
    if let Some(found) = held(&world.seats).get_mut(seat) {
        found.life = Some(Life { port, handle, task });
    }
}

/// What happens when a node says that it cannot go on: from then on nobody hears it, and the
/// simulator ends its life.
fn failure(world: &Arc<World>, port: &Arc<Port>) -> Failure {
    let (world, port) = (Arc::clone(world), Arc::clone(port));
    Failure::new(move |reason| {
        port.kill();
        world.note(port.seat, &format!("cannot go on: {}", reason.code()));
        held(&world.failing).insert(port.seat);
        upgrade(&world, port.seat, reason);
    })
}

/// A node that stops because it does not know the rules is started again with a newer program.
fn upgrade(world: &World, seat: usize, reason: Reason) {
    if reason == Reason::RulesUnknown
        && let Some(found) = held(&world.seats).get_mut(seat)
    {
        found.rules = Rules::default();
    }
}

/// Ends a seat's life where it stands; it is started again after `pause`.
pub fn crash(world: &World, seat: usize, pause: DurationMs) {
    let mut seats = held(&world.seats);
    let Some(found) = seats.get_mut(seat) else { return };
    found.start_at = Some(world.time() + std::time::Duration::from_millis(pause.0));
    let Some(life) = found.life.take() else { return };
    life.port.kill();
    life.task.abort();
    drop(seats);
    world.note(seat, &format!("is killed for {} ms", pause.0));
}
