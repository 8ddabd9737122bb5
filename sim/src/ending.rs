//! The end of a simulation: all is healed, everything comes to rest, and promises are looked at.

use std::sync::Arc;

use commonware_runtime::{Spawner as _, Supervisor as _, deterministic};
use tallystick_node::TransactionStatus;

use crate::chain;
use crate::clients::{Client, ENDS_MS, short};
use crate::log::BEGINNING;
use crate::node::Post;
use crate::run::{elapsed_ms, look_around};
use crate::scenario::{CHAOS_MS, Travel};
use crate::setup::set_travel;
use crate::world::{World, held};

/// How long after all is healed everything must have come to an end.
const REST_MS: u64 = 30_000;
/// How long after all is healed the chain has its pace again.
const SOUND_MS: u64 = 12_000;

/// Ends all faults: links, disks and clocks are whole, and every node is started.
pub async fn heal(world: &Arc<World>, post: &Post) {
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
pub async fn rest(context: &deterministic::Context, world: &Arc<World>, post: &Post) {
    let healed = elapsed_ms(world);
    let height = held(&world.chain).height();
    while world.log.is_clean() {
        look_around(context, world, post).await;
        if elapsed_ms(world) > healed + SOUND_MS {
            check_pace(world);
        }
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
    let until = elapsed_ms(world) + REST_MS;
    while world.log.is_clean() && !chain::is_reported(world) {
        look_around(context, world, post).await;
        if elapsed_ms(world) > until {
            world.fault_all("results are not reported");
        }
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
        // Blocks of few entries may rightly leave some to expire.
        let has_room = world.scenario.entries_max > 4;
        if result.is_none() && has_room && !tracked.has_rivals && until > CHAOS_MS + 10_000 {
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
/// Once all is well and nobody lies, every leader proposes: the chain never waits for longer than
/// an idle interval, the way there and back, and a little.
fn check_pace(world: &World) {
    let pause = held(&world.chain).extended_at.and_then(|at| world.time().duration_since(at).ok());
    let pause = pause.map_or(0, |pause| pause.as_millis());
    if world.scenario.vices.is_empty() && pause > u128::from(world.scenario.idle_ms + 500) {
        world.fault_all(&format!("no block for {pause} ms, and nothing is wrong"));
    }
}
