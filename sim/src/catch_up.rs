//! A node that was away for long, or lost all it had, comes back: by blocks, or by a snapshot where
//! the others have given blocks up.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use commonware_runtime::{Clock as _, Runner as _, deterministic};
use tallystick_kernel::{AccountId, Amount, Codec, DurationMs, Reason, Salt};
use tallystick_node::{NodeHandle, Retention};
use tallystick_proofs::action::{Action, Line};
use tallystick_proofs::transaction::Body;

use crate::clients::eur;
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
    /// What the others keep.
    pub retention: Retention,
    /// Whether the one that was away has lost all it had.
    pub is_wiped: bool,
    /// Whether it has lost its ledger, and has its votes.
    pub is_without_ledger: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many blocks it was behind.
    pub behind: u64,
    /// How many payments.
    pub payments: u64,
    /// Whether it has the second block, and so came by blocks.
    pub has_history: bool,
    /// How long it took by the simulated clock, and by the wall's.
    pub simulated: Duration,
    /// How long it took by the clock on the wall, all nodes on one thread.
    pub wall: Duration,
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
        let height = handle(world, 0)?.network_status().height;
        until(height + plan.per_payment, 60_000 + plan.idle_ms * plan.per_payment * 4).await?;
        payments += 1;
        pay(world, payments).await?;
    }
    // Time for the others to give up what they no longer keep.
    world.clock.sleep(Duration::from_secs(60)).await;
    back(context, world, &post, plan, payments).await
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
    let behind = target - handle(world, AWAY)?.network_status().height;
    let (began, wall) = (world.time(), Instant::now());
    wait(world, AWAY, target, BACK_MS).await?;
    let (simulated, wall) = (world.time().duration_since(began), wall.elapsed());
    pay(world, payments + 1).await?;
    let height = handle(world, 0)?.network_status().height + 20;
    for seat in [0, AWAY] {
        wait(world, seat, height, BACK_MS).await?;
    }
    compare(world, height)?;
    let away = handle(world, AWAY)?;
    let has_history = away.block(2).map_err(|reason| reason.code().to_owned())?.is_some();
    let simulated = simulated.map_err(|error| error.to_string())?;
    Ok(Report { behind, payments, has_history, simulated, wall })
}

/// Both have the same block, the same roots, and money that adds up.
fn compare(world: &World, height: u64) -> Result<(), String> {
    let of = |seat| -> Result<_, String> {
        let handle = handle(world, seat)?;
        let found = handle.block(height).map_err(|reason| reason.code().to_owned())?;
        let (block, _) = found.ok_or("has no block")?;
        handle.recount().map_err(|reason| reason.code().to_owned())?;
        let money: Vec<_> = world.genesis.accounts().map(|(id, _)| handle.account(&id)).collect();
        Ok((block, money))
    };
    let (one, other) = (of(0)?, of(AWAY)?);
    if one != other {
        return Err(format!("they differ at height {height}"));
    }
    let seats = [handle(world, 0)?.network_status(), handle(world, AWAY)?.network_status()];
    let same_checkpoint = seats[0].height / 8 == seats[1].height / 8;
    if same_checkpoint && seats[0].checkpoint_root != seats[1].checkpoint_root {
        return Err("their checkpoints differ".to_owned());
    }
    Ok(())
}

fn handle(world: &World, seat: usize) -> Result<NodeHandle, String> {
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
