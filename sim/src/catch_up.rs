//! A node that was away for long, or lost all it had, comes back: by blocks, or by a snapshot where
//! the others have given blocks up.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use commonware_runtime::{Clock as _, Runner as _, deterministic};
use tallystick_kernel::{AccountId, Amount, Codec, DurationMs, Reason, Salt};
use tallystick_node::kv::View as _;
use tallystick_node::{NodeHandle, Retention, keys, prune};
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::transaction::Body;

use crate::clients::eur;
use crate::comparison::{Compared, compare};
use crate::disk::{Disk, Move};
use crate::log::BEGINNING;
use crate::node::{Post, crash, start};
use crate::scenario::{Scenario, Travel};
use crate::setup::{build, connect, set_travel};
use crate::world::{World, held};

/// The seat that is away.
const AWAY: usize = 3;
/// Until when everything must have happened, after it is back.
const BACK_MS: u64 = 30 * 60 * 1000;

/// What is to be simulated.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many blocks the others make while one is away.
    pub blocks: u64,
    /// The time between two of them.
    pub idle_ms: u64,
    /// Every how many blocks there is a payment.
    pub per_payment: u64,
    /// The time between two payments at least.
    pub pace_ms: u64,
    /// What the others keep.
    pub retention: Retention,
    /// Whether the one that was away has lost all it had.
    pub is_wiped: bool,
    /// Whether it has lost its ledger, and has its votes.
    pub is_without_ledger: bool,
}

/// The way on which a node came back, as its disk tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It executed so many blocks, each in its turn.
    Blocks(u64),
    /// It executed nothing before it took over a snapshot, and then so many blocks.
    Snapshot(u64),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many blocks it was behind.
    pub behind: u64,
    /// How many payments.
    pub payments: u64,
    /// How it came back.
    pub way: Way,
    /// What all nodes hold alike.
    pub compared: Compared,
    /// How long it took by the simulated clock.
    pub simulated: Duration,
    /// How long it took by the clock on the wall, all nodes on one thread.
    pub wall: Duration,
}

impl Plan {
    /// A node that is so many blocks behind. Where the others are to have given them up they are
    /// made over four times as long as every node keeps blocks for snapshots.
    pub fn behind(blocks: u64, is_pruned: bool, is_wiped: bool) -> Plan {
        let per_block_ms = DurationMs::minutes(80).0 / blocks.max(1);
        let retention = if is_pruned { Retention::Blocks(1) } else { Retention::Everything };
        let (idle_ms, pace_ms) = match is_pruned {
            // A payment makes three blocks: its own, and those that report it.
            true => (per_block_ms.max(2000), per_block_ms * 3),
            false => (2000, 0),
        };
        let per_payment = 2;
        Plan {
            blocks,
            idle_ms,
            per_payment,
            pace_ms,
            retention,
            is_wiped,
            is_without_ledger: false,
        }
    }
}

/// Runs a plan; what is wrong, if anything is.
pub fn catch_up(plan: Plan) -> Result<Report, String> {
    let config = deterministic::Config::new()
        .with_seed(1)
        .with_start_time(SystemTime::UNIX_EPOCH + BEGINNING);
    deterministic::Runner::new(config).start(async move |context| {
        let scenario = Scenario { retention: plan.retention, ..calm(plan.idle_ms) };
        let world = build(&context, scenario).map_err(|reason| reason.code().to_owned())?;
        let report = play(&context, &world, plan).await;
        held(&world.seats).clear();
        report
    })
}

/// Four nodes to which nothing happens.
fn calm(idle_ms: u64) -> Scenario {
    Scenario {
        nodes: 4,
        idle_ms,
        entries_max: 200,
        skews_ms: vec![0; 4],
        travel: Travel { latency_ms: 5, jitter_ms: 1, lost: 0 },
        disorder: (0, 0),
        vices: std::collections::BTreeSet::new(),
        events: Vec::new(),
        ..Scenario::draw(1)
    }
}

async fn play(
    context: &deterministic::Context,
    world: &Arc<World>,
    plan: Plan,
) -> Result<Report, String> {
    let post = connect(context, world).await?;
    set_travel(world, &post.oracle, world.scenario.travel, &|_, _| true).await;
    (0..4).for_each(|seat| start(context, world, &post, seat));
    let until = |height, limit_ms| wait(world, 0, height, limit_ms);
    until(3, 60_000).await?;
    crash(world, AWAY, DurationMs(1 << 40));
    let (mut payments, begun) = (0, handle(world, 0)?.network_status().height);
    pay(world, 0).await?;
    while handle(world, 0)?.network_status().height < begun + plan.blocks {
        let (height, due) = (
            handle(world, 0)?.network_status().height,
            world.now().after(DurationMs(plan.pace_ms)),
        );
        until(height + plan.per_payment, 60_000 + plan.idle_ms * plan.per_payment * 4).await?;
        world.clock.sleep(Duration::from_millis(due.0.saturating_sub(world.now().0))).await;
        payments += 1;
        pay(world, payments).await?;
    }
    let away = held(&world.seats).get(AWAY).map(|seat| Arc::clone(&seat.disk)).unwrap_or_default();
    let stands_at = height_on(&away)?;
    drop(away.take_moves());
    until_given_up(world, plan, if plan.is_wiped { 0 } else { stands_at }).await?;
    back(context, world, &post, plan, payments).await
}

/// The last height executed on a disk.
fn height_on(disk: &Disk) -> Result<u64, String> {
    let mut height = 0;
    let scanned = disk.scan(keys::BLOCK, &mut |key, _| {
        height = keys::height_of(key).unwrap_or(height).max(height);
        Ok(())
    });
    scanned.map(|()| height).map_err(|reason| reason.code().to_owned())
}

/// Waits until nobody has the next block of who stands at a height any more, where that is the plan.
async fn until_given_up(world: &World, plan: Plan, stands_at: u64) -> Result<(), String> {
    world.clock.sleep(Duration::from_secs(60)).await;
    if plan.retention == Retention::Everything {
        return Ok(());
    }
    let disks: Vec<Arc<Disk>> = held(&world.seats).iter().map(|seat| seat.disk.clone()).collect();
    for (seat, disk) in disks.iter().enumerate().filter(|(seat, _)| *seat != AWAY) {
        let lowest = prune::lowest(disk.as_ref()).map_err(|reason| reason.code().to_owned())?;
        if lowest <= stands_at + 1 {
            return Err(format!(
                "n{seat} still has block {}: what 20 minutes need is always kept; leave it behind \
                 by more blocks, or make them more slowly",
                stands_at + 1
            ));
        }
    }
    Ok(())
}

async fn back(
    context: &deterministic::Context,
    world: &Arc<World>,
    post: &Post,
    plan: Plan,
    payments: u64,
) -> Result<Report, String> {
    if let Some(seat) = held(&world.seats).get_mut(AWAY) {
        seat.is_wiped = plan.is_wiped;
        if plan.is_without_ledger {
            seat.disk = Arc::default();
        }
    }
    start(context, world, post, AWAY);
    let target = handle(world, 0)?.network_status().height;
    let stood_at = handle(world, AWAY)?.network_status().height;
    let (began, wall) = (world.time(), Instant::now());
    wait(world, AWAY, target, BACK_MS).await?;
    let (simulated, wall) = (world.time().duration_since(began), wall.elapsed());
    pay(world, payments + 1).await?;
    let height = handle(world, 0)?.network_status().height + 20;
    for seat in 0..4 {
        wait(world, seat, height, BACK_MS).await?;
    }
    let compared = compare(world, &[0, 1, 2, AWAY], height).await?;
    let disk = held(&world.seats).get(AWAY).map(|seat| Arc::clone(&seat.disk)).unwrap_or_default();
    let way = way(&disk.take_moves(), stood_at)?;
    if matches!(way, Way::Snapshot(_)) != (plan.retention != Retention::Everything) {
        return Err(format!("it came back on the wrong way: {way:?}"));
    }
    let simulated = simulated.map_err(|error| error.to_string())?;
    Ok(Report { behind: target - stood_at, payments, way, compared, simulated, wall })
}

/// The way that a disk's moves tell: block after block from where it stood, or nothing before one
/// snapshot and block after block from there on.
fn way(moves: &[Move], stood_at: u64) -> Result<Way, String> {
    let (snapshots, blocks) = match moves.first() {
        Some(Move::Snapshot) => (1, &moves[1..]),
        _ => (0, moves),
    };
    let mut expected = (snapshots == 0).then_some(stood_at + 1);
    for one in blocks {
        match one {
            Move::Block(height) if expected.is_none_or(|expected| expected == *height) => {
                expected = Some(height + 1);
            }
            other => return Err(format!("{other:?} where {expected:?} was to come: {moves:.30?}")),
        }
    }
    let count = blocks.len() as u64;
    Ok(if snapshots > 0 { Way::Snapshot(count) } else { Way::Blocks(count) })
}

/// A seat's handle; an error when a node cannot go on.
pub(crate) fn handle(world: &World, seat: usize) -> Result<NodeHandle, String> {
    let failing: Vec<usize> = held(&world.failing).iter().copied().collect();
    if !failing.is_empty() {
        return Err(format!("{failing:?} cannot go on: {:?}", world.log.lines().last()));
    }
    let seats = held(&world.seats);
    let life = seats.get(seat).and_then(|seat| seat.life.as_ref());
    life.map(|life| life.handle.clone()).ok_or_else(|| format!("n{seat} does not live"))
}

/// Waits until a seat has executed a height, for some simulated time at most.
async fn wait(world: &World, seat: usize, height: u64, limit_ms: u64) -> Result<(), String> {
    let until = world.now().after(DurationMs(limit_ms));
    loop {
        let now = handle(world, seat)?.network_status().height;
        if now >= height {
            return Ok(());
        }
        if world.now() > until {
            return Err(format!("n{seat} stands at {now} and not at {height}"));
        }
        world.clock.sleep(Duration::from_millis(100)).await;
    }
}

/// Mints at first, then pays a holder.
async fn pay(world: &World, number: u64) -> Result<(), String> {
    let mut accounts = world.genesis.accounts().map(|(id, _)| id);
    let bank = accounts.next().unwrap_or(AccountId::NONE);
    let payee = accounts.next().unwrap_or(AccountId::NONE);
    let made = || -> Result<Vec<u8>, Reason> {
        let currency = eur()?;
        let action = if number == 0 {
            let amount = Amount::new(1_000_000)?;
            Action::Mint { currency, payee: bank, amount, reference: None }
        } else {
            let lines = vec![Line { payee, amount: Amount::new(1)?, reference: None }];
            Action::Transfer { currency, lines }
        };
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&number.to_be_bytes());
        let body = Body {
            network: world.genesis.network(),
            account: bank,
            salt: Salt(salt),
            valid_until: world.now().after(DurationMs::minutes(5)),
            action,
        };
        Ok(body.sign(&[&world.bank]).to_bytes())
    };
    let bytes = made().map_err(|reason| reason.code().to_owned())?;
    let handle = handle(world, 0)?;
    for (_, answer) in handle.offer(0, &[bytes]).await {
        answer.map_err(|reason| format!("payment {number}: {}", reason.code()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_with_a_gap_a_block_before_a_snapshot_or_two_snapshots_is_none() {
        let (block, snapshot) = (Move::Block, Move::Snapshot);
        assert_eq!(way(&[block(4), block(5)], 3), Ok(Way::Blocks(2)));
        assert_eq!(way(&[snapshot, block(90), block(91)], 3), Ok(Way::Snapshot(2)));
        assert!(way(&[block(5)], 3).is_err());
        assert!(way(&[block(4), block(6)], 3).is_err());
        assert!(way(&[block(4), snapshot, block(90)], 3).is_err());
        assert!(way(&[snapshot, block(90), snapshot], 3).is_err());
    }
}
