//! One simulation from its first event to its verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use commonware_runtime::{Clock as _, Runner as _, Spawner as _, Supervisor as _, deterministic};
use tallystick_kernel::{AccountId, DurationMs};

use crate::byzantine::{Vice, disturb};
use crate::chain::{self, quorum};
use crate::clients::{Client, short};
use crate::ending::{heal, rest};
use crate::log::BEGINNING;
use crate::node::{Post, crash, start};
use crate::scenario::{CHAOS_MS, Event, Scenario};
use crate::setup::{build, connect, set_travel};
use crate::wire::Letterbox;
use crate::world::{World, held};

/// How often the simulation looks around.
const LOOK: Duration = Duration::from_millis(25);

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What should never have happened; empty is good.
    pub faults: Vec<String>,
    /// The event log.
    pub log: Vec<String>,
    /// How many blocks became final.
    pub height: u64,
    /// How many transactions became final.
    pub transactions: usize,
    /// How many were acknowledged.
    pub acknowledged: usize,
}

/// Runs a seed.
pub fn run(seed: u64) -> Outcome {
    let scenario = Scenario::draw(seed);
    let config = deterministic::Config::new()
        .with_seed(seed)
        .with_start_time(SystemTime::UNIX_EPOCH + BEGINNING);
    deterministic::Runner::new(config).start(async move |context| {
        let world = match build(&context, scenario) {
            Ok(world) => world,
            Err(reason) => return broken(reason.code()),
        };
        let outcome = simulate(&context, &world).await;
        held(&world.seats).clear();
        outcome
    })
}

/// The outcome of a seed that could not be run to its end.
pub fn broken(what: &str) -> Outcome {
    let faults = vec![what.to_owned()];
    Outcome { faults, log: Vec::new(), height: 0, transactions: 0, acknowledged: 0 }
}

async fn simulate(context: &deterministic::Context, world: &Arc<World>) -> Outcome {
    let post = match connect(context, world).await {
        Ok(post) => post,
        Err(what) => return broken(&what),
    };
    world.note_all(&world.scenario.describe());
    set_travel(world, &post.oracle, world.scenario.travel, &|_, _| true).await;
    let count = held(&world.seats).len();
    (0..count).for_each(|seat| start(context, world, &post, seat));
    let loud = [Vice::Garbage, Vice::Stale, Vice::BadWitness];
    if loud.iter().any(|vice| world.scenario.vices.contains(vice)) {
        let boxes = post.letterboxes.get(world.scenario.liar);
        let senders = boxes.into_iter().flatten().map(Letterbox::raw).collect();
        let (world, vices) = (Arc::clone(world), world.scenario.vices.clone());
        context.child("liar").spawn(async move |context| {
            disturb(context, world, vices, senders).await;
        });
    }
    for place in 0..world.scenario.holders {
        let world = Arc::clone(world);
        context.child("client").spawn(async move |context| {
            Client::new(&world, context, place).live().await;
        });
    }
    if world.scenario.governed.is_some() {
        let (world, place) = (Arc::clone(world), world.scenario.holders);
        context.child("operators").spawn(async move |context| {
            Client::new(&world, context, place).govern().await;
        });
    }
    let mut events = world.scenario.events.clone();
    events.reverse();
    while world.log.is_clean() && elapsed_ms(world) < CHAOS_MS {
        while let Some((at, event)) = events.pop_if(|(at, _)| *at <= elapsed_ms(world)) {
            world.note_all(&format!("at {at}: {event:?}"));
            happen(world, &post, event).await;
        }
        look_around(context, world, &post).await;
    }
    heal(world, &post).await;
    rest(context, world, &post).await;
    let accounts: Vec<AccountId> = world.genesis.accounts().map(|(id, _)| id).collect();
    if world.log.is_clean() {
        chain::compare(world, &accounts);
    }
    let chain = held(&world.chain);
    let acknowledged =
        held(&world.tracked).values().filter(|one| one.acknowledged_by.is_some()).count();
    Outcome {
        faults: world.log.faults(),
        log: world.log.lines(),
        height: chain.height(),
        transactions: chain.results.len(),
        acknowledged,
    }
}

/// Milliseconds since the beginning, by the true clock.
pub fn elapsed_ms(world: &World) -> u64 {
    let since = world.time().duration_since(SystemTime::UNIX_EPOCH + BEGINNING);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or_default()
}

async fn happen(world: &Arc<World>, post: &Post, event: Event) {
    let travel = world.scenario.travel;
    match event {
        Event::Cut(group) => {
            let same = |from: usize, to: usize| group.contains(&from) == group.contains(&to);
            set_travel(world, &post.oracle, travel, &same).await;
        }
        Event::Deafen(one, other) => {
            let reaches = |from: usize, to: usize| (from, to) != (one, other);
            set_travel(world, &post.oracle, travel, &reaches).await;
        }
        Event::Join => set_travel(world, &post.oracle, travel, &|_, _| true).await,
        Event::Crash(seat, pause) => crash(world, seat, DurationMs(pause)),
        Event::Shutdown(seat, pause) => {
            let handle = held(&world.seats)
                .get(seat)
                .and_then(|seat| Some(seat.life.as_ref()?.handle.clone()));
            if let Some(handle) = handle {
                handle.shutdown();
                world.clock.sleep(LOOK).await;
                crash(world, seat, DurationMs(pause));
            }
        }
        Event::Disk(seat, fault) => {
            if let Some(seat) = held(&world.seats).get(seat) {
                seat.disk.set_fault(Some(fault));
            }
        }
    }
}

/// Ends nodes that have failed, starts those that are due, and checks what can be checked always.
pub async fn look_around(context: &deterministic::Context, world: &Arc<World>, post: &Post) {
    world.clock.sleep(LOOK).await;
    let failing = std::mem::take(&mut *held(&world.failing));
    for seat in failing {
        let is_full = held(&world.seats).get(seat).is_some_and(|one| one.disk.has_struck());
        crash(world, seat, DurationMs(if is_full { 700 } else { 300 }));
        if is_full && let Some(one) = held(&world.seats).get(seat) {
            // Someone makes space, or changes the disk.
            one.disk.set_fault(None);
        }
    }
    let due: Vec<usize> = held(&world.seats)
        .iter()
        .enumerate()
        .filter(|(_, seat)| seat.start_at.is_some_and(|at| at <= world.time()))
        .map(|(at, _)| at)
        .collect();
    due.into_iter().for_each(|seat| start(context, world, post, seat));
    chain::inspect(world);
    note_acknowledgements(world);
}

/// Takes note of transactions that a quorum says to have stored, and checks that it has.
fn note_acknowledgements(world: &World) {
    let honest: BTreeMap<usize, _> = world.honest().into_iter().collect();
    for (id, tracked) in held(&world.tracked).iter_mut() {
        if tracked.acknowledged_by.is_some() || tracked.transaction.body.valid_until < world.now() {
            continue;
        }
        for seat in &tracked.offered_at {
            let Some(handle) = honest.get(seat) else { continue };
            let Some(certificate) = handle.acknowledgement(id) else { continue };
            world.note(*seat, &format!("{} is acknowledged", short(id)));
            let genesis = &world.genesis;
            let sets = [genesis.validators.clone(), chain::last_validators(world)];
            let of = sets.iter().find(|set| certificate.verify(&genesis.network(), set).is_ok());
            if of.is_none() {
                world.fault(*seat, &format!("has a bad acknowledgement of {id}"));
            }
            if certificate.signers.len() < quorum(world.scenario.nodes) {
                let count = certificate.signers.len();
                world.fault(*seat, &format!("takes {count} statements for a quorum"));
            }
            let signers = certificate.signers.iter();
            let seats = signers.filter_map(|place| world.seat_of(of?, *place)).collect();
            tracked.acknowledged_by = Some(seats);
            break;
        }
    }
}
