//! One simulation from its first event to its verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use commonware_cryptography::ed25519;
use commonware_p2p::simulated::{self, Link, Network, Oracle};
use commonware_runtime::{
    Clock as _, Quota, Runner as _, Spawner as _, Supervisor as _, deterministic,
};
use commonware_utils::{NZUsize, Probability};
use tallystick_crypto::SigningKey;
use tallystick_kernel::{AccountId, DurationMs, Reason, TimeMs};
use tallystick_node::TransactionStatus;
use tallystick_node::config::MESSAGES_PER_SECOND;
use tallystick_node::validator::{message_bytes_max, validators};
use tallystick_proofs::genesis::{Genesis, GenesisCurrency, Parameters, ValidatorSet};
use tallystick_proofs::owners::Owners;

use crate::byzantine::{Vice, disturb};
use crate::chain::{self, Chain, quorum};
use crate::clients::{Client, ENDS_MS, eur, short};
use crate::context::Skew;
use crate::disk::Disk;
use crate::log::{BEGINNING, Log};
use crate::node::{Post, crash, start};
use crate::scenario::{CHAOS_MS, Event, Scenario, Travel};
use crate::tap::Tap;
use crate::wire::{CHANNELS, Key, Letterbox};
use crate::world::{Seat, World, held};

/// How often the simulation looks around.
const LOOK: Duration = Duration::from_millis(25);
/// How long after all is healed everything must have come to an end.
const REST_MS: u64 = 30_000;

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

fn build(context: &deterministic::Context, scenario: Scenario) -> Result<Arc<World>, Reason> {
    let mut seeds: Vec<[u8; 32]> = (1..=scenario.nodes).map(|at| [at as u8; 32]).collect();
    // Places follow the order of the keys, as in the genesis file.
    seeds.sort_by_key(|seed| SigningKey::ed25519_from_seed(seed).public_key());
    let keys = seeds.iter().map(|seed| SigningKey::ed25519_from_seed(seed).public_key());
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
        },
    };
    let genesis = Arc::new(genesis);
    let known = validators(&genesis);
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
        tap: Mutex::new(Tap::default()),
        scenario,
    }))
}

fn seats(scenario: &Scenario, validators: &[Key]) -> Vec<Seat> {
    let places = 0..scenario.nodes;
    let twins = scenario.vices.contains(&Vice::Twin).then_some(scenario.liar);
    let seat = |place: usize, audience| Seat {
        place,
        is_honest: scenario.is_honest(place),
        vices: if scenario.is_honest(place) { BTreeSet::new() } else { scenario.vices.clone() },
        audience,
        disk: Arc::new(Disk::default()),
        skew: Skew::ahead(scenario.skews_ms.get(place).copied().unwrap_or_default()),
        life: None,
        start_at: None,
        seen_height: 0,
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

async fn simulate(context: &deterministic::Context, world: &Arc<World>) -> Outcome {
    let post = match connect(context, world).await {
        Ok(post) => post,
        Err(what) => return broken(&what),
    };
    world.note_all(&world.scenario.describe());
    set_travel(world, &post.oracle, world.scenario.travel, &|_, _| true).await;
    let count = held(&world.seats).len();
    (0..count).for_each(|seat| start(context, world, &post, seat));
    let loud = [Vice::Garbage, Vice::Stale];
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

async fn connect(context: &deterministic::Context, world: &Arc<World>) -> Result<Post, String> {
    let count = world.validators.len();
    let settings = simulated::Config {
        max_size: message_bytes_max(count),
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

fn elapsed_ms(world: &World) -> u64 {
    let since = world.time().duration_since(SystemTime::UNIX_EPOCH + BEGINNING);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or_default()
}

/// Links everyone whom `reaches` says, and nobody else.
async fn set_travel(
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
async fn look_around(context: &deterministic::Context, world: &Arc<World>, post: &Post) {
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
            if certificate.verify(&genesis.network(), &genesis.validators).is_err() {
                world.fault(*seat, &format!("has a bad acknowledgement of {id}"));
            }
            if certificate.signers.len() < quorum(world.scenario.nodes) {
                let count = certificate.signers.len();
                world.fault(*seat, &format!("takes {count} statements for a quorum"));
            }
            tracked.acknowledged_by = Some(certificate.signers);
            break;
        }
    }
}

async fn heal(world: &Arc<World>, post: &Post) {
    *held(&world.is_healed) = true;
    world.note_all("all is healed");
    let travel = Travel { latency_ms: 10, jitter_ms: 2, lost: 0 };
    set_travel(world, &post.oracle, travel, &|_, _| true).await;
    for seat in held(&world.seats).iter_mut() {
        seat.disk.set_fault(None);
        seat.skew.correct();
        if seat.life.is_none() {
            seat.start_at = Some(world.time());
        }
    }
}

/// Waits until every transaction has come to an end everywhere, then lets the holders sweep.
async fn rest(context: &deterministic::Context, world: &Arc<World>, post: &Post) {
    let healed = elapsed_ms(world);
    let height = held(&world.chain).height();
    while world.log.is_clean() {
        look_around(context, world, post).await;
        let waiting = waiting(world);
        if elapsed_ms(world) > ENDS_MS && waiting.is_empty() {
            break;
        }
        if elapsed_ms(world) > healed + REST_MS {
            let heights: Vec<u64> =
                world.honest().iter().map(|(_, one)| one.network_status().height).collect();
            world.fault_all(&format!("does not come to rest: {waiting:?}, heights {heights:?}"));
        }
    }
    if !world.log.is_clean() {
        return;
    }
    if held(&world.chain).height() < height + 3 {
        world.fault_all("the chain stands still");
    }
    let mut sweeps = Vec::new();
    for place in 0..world.scenario.holders {
        let world = Arc::clone(world);
        sweeps.push(context.child("sweep").spawn(async move |context| {
            Client::new(&world, context, place).sweep().await;
        }));
    }
    let mut swept = std::pin::pin!(futures::future::join_all(sweeps));
    while world.log.is_clean() && futures::poll!(swept.as_mut()).is_pending() {
        look_around(context, world, post).await;
    }
    let until = elapsed_ms(world) + 2 * world.scenario.idle_ms + 1500;
    while world.log.is_clean() && elapsed_ms(world) < until {
        look_around(context, world, post).await;
    }
    if world.log.is_clean() {
        check_promises(world);
    }
}

/// Transactions that are not at their end on some honest node.
fn waiting(world: &World) -> Vec<String> {
    let mut waiting = Vec::new();
    let honest = world.honest();
    let chain = held(&world.chain);
    for (id, tracked) in held(&world.tracked).iter() {
        let is_final = chain.results.contains_key(id);
        for (seat, handle) in &honest {
            let ended = match handle.status(id) {
                TransactionStatus::Final { .. } => true,
                TransactionStatus::Pending { .. } => false,
                TransactionStatus::Expired | TransactionStatus::Unknown => !is_final,
            };
            if !ended {
                waiting.push(format!("{} {} at n{seat}", tracked.meaning, short(id)));
            }
        }
    }
    waiting
}

/// What was acknowledged is final, or expired where someone else had its claim or the time ran out.
fn check_promises(world: &World) {
    let honest = world.honest();
    let chain = held(&world.chain);
    for (id, tracked) in held(&world.tracked).iter() {
        let Some(signers) = &tracked.acknowledged_by else { continue };
        let result = chain.results.get(id);
        let until = tracked
            .transaction
            .body
            .valid_until
            .0
            .saturating_sub(u64::try_from(BEGINNING.as_millis()).unwrap_or_default());
        if result.is_none() && !tracked.has_rivals && until > CHAOS_MS + 10_000 {
            world.fault_all(&format!(
                "{id} was acknowledged and valid long enough, and is not final"
            ));
        }
        for (seat, handle) in honest.iter().filter(|(seat, _)| signers.contains(&(*seat as u64))) {
            let status = handle.status(id);
            let ended = matches!(
                (status, result),
                (TransactionStatus::Final { .. }, Some(_)) | (TransactionStatus::Expired, None)
            );
            if !ended {
                world.fault(*seat, &format!("said to have stored {id}, and now {status:?}"));
            }
        }
    }
}
