//! The task that gives up old blocks, here and in the engine, a little at a time.

use std::sync::Arc;
use std::time::Duration;

use commonware_consensus::types::Height;
use commonware_runtime::Clock;
use tallystick_kernel::Reason;
use tallystick_proofs::genesis::Genesis;

use crate::consensus::Mailbox;
use crate::kv::View;
use crate::prune::{ENGINE_BLOCKS, Keeper, Reach, Retention, lowest, step};
use crate::shared::Shared;

/// How often it looks, and how long it leaves storage to others after a step.
const PER_LOOK: Duration = Duration::from_secs(10);
const PER_STEP: Duration = Duration::from_millis(50);

/// Blocks that are archived together at least, so that files are not many and small.
const ARCHIVED_TOGETHER: u64 = 1024;

/// What a node gives up, and where that is kept if it is.
#[derive(Clone, Default)]
pub struct Pruning {
    /// How long blocks and transactions are kept.
    pub retention: Retention,
    /// What keeps them before they are given up.
    pub keeper: Option<Arc<dyn Keeper>>,
}

/// Gives up what is older than the retention says, until storage fails.
pub async fn run(clock: impl Clock, shared: Arc<Shared>, engine: Mailbox, pruning: Pruning) {
    let mut given_up = 0;
    loop {
        clock.sleep(PER_LOOK).await;
        let kept_from = match prune(&clock, &shared, &pruning).await {
            Ok(kept_from) => kept_from,
            Err(reason) => return shared.fail(reason),
        };
        if kept_from > given_up {
            engine.prune(Height::new(kept_from));
            given_up = kept_from;
        }
    }
}

/// Removes block after block; gives the height from which the engine is to keep them.
async fn prune(clock: &impl Clock, shared: &Shared, pruning: &Pruning) -> Result<u64, Reason> {
    let (kv, genesis, head, checkpoint) = {
        let core = shared.core();
        let interval = core.genesis.parameters.checkpoint_interval;
        // The last but one of those that are written.
        let checkpoint = (core.tip.height / interval).saturating_sub(1).saturating_mul(interval);
        (Arc::clone(&core.kv), Arc::clone(&core.genesis), core.tip.clone(), checkpoint)
    };
    let mut from = lowest(kv.as_ref())?;
    let reach = Reach { lowest: from, head: &head, checkpoint };
    let below = pruning.retention.below(kv.as_ref(), &reach)?;
    let below =
        if from < below { keep(kv.as_ref(), &genesis, pruning, from, below)? } else { below };
    while from < below {
        let (changes, next) = step(kv.as_ref(), &genesis, from, below)?;
        {
            let mut core = shared.core();
            if lowest(kv.as_ref())? != from {
                // A snapshot has led past it meanwhile.
                break;
            }
            core.commit(changes)?;
        }
        from = next;
        clock.sleep(PER_STEP).await;
    }
    Ok(from.max(head.height.saturating_sub(ENGINE_BLOCKS)))
}

/// Below which height blocks may be given up: those that are kept elsewhere, where they are to be.
fn keep(
    kv: &dyn View,
    genesis: &Genesis,
    pruning: &Pruning,
    from: u64,
    below: u64,
) -> Result<u64, Reason> {
    let Some(keeper) = &pruning.keeper else { return Ok(below) };
    if below - from < ARCHIVED_TOGETHER {
        return Ok(from);
    }
    match keeper.keep(kv, genesis, from, below) {
        Err(reason @ (Reason::StorageFailed | Reason::StorageCorrupt)) => Err(reason),
        Err(reason) => {
            tracing::warn!(code = reason.code(), from, "blocks stay: they cannot be archived");
            Ok(from)
        }
        kept => kept,
    }
}
