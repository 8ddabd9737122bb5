//! The two tasks that apply final blocks: one executes them in memory, the other writes what follows,
//! so that a block is executed while the one before it is on its way to the disk.
//!
//! Invariants: blocks are executed and written in the order of their heights; the engine is told
//! that a block is applied only after the commit that makes it so; at most [`UNWRITTEN_MAX`] wait
//! for that, beside one in each task.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use commonware_consensus::types::Height;
use commonware_runtime::{Clock, Handle};
use commonware_utils::acknowledgement::{Acknowledgement as _, Exact};
use tallystick_kernel::{DurationMs, Reason};
use tallystick_ledger::StateChange;
use tallystick_proofs::header::Entry;
use tokio::sync::mpsc;

use crate::application::{Delivery, now, wait_for_change};
use crate::apply::certify;
use crate::block::Block;
use crate::certificate;
use crate::consensus::Mailbox;
use crate::schemes::Schemes;
use crate::shared::Shared;

/// Blocks that are executed and wait to be written.
pub const UNWRITTEN_MAX: usize = 4;
/// How often a node that lost blocks looks whether a snapshot has led past them.
const PER_LOOK_FOR_LOST: Duration = Duration::from_secs(1);

/// A block that was executed, with what is to be written and whom to tell afterwards.
pub struct Unwritten {
    block: Arc<Block>,
    /// None for a block that was applied before.
    changes: Option<Vec<StateChange>>,
    acknowledgement: Option<Exact>,
}

/// Executes final blocks one after the other.
pub struct Applier<E> {
    /// The node's clock.
    pub clock: E,
    /// The node's state.
    pub shared: Arc<Shared>,
    /// Learn who votes in which epoch.
    pub schemes: Schemes,
    /// The engine's final blocks.
    pub finalized: Mailbox,
}

impl<E: Clock> Applier<E> {
    /// Executes what the engine delivers until there is nothing more or something fails; then waits
    /// for the writer and says why.
    pub async fn run(
        self,
        mut deliveries: mpsc::UnboundedReceiver<Delivery>,
        out: mpsc::Sender<Unwritten>,
        writer: Handle<()>,
    ) {
        let ended = self.execute_all(&mut deliveries, &out).await;
        drop(out);
        // What was executed is written first: the next start goes on from there.
        let _ = writer.await;
        if let Err(reason) = ended {
            self.shared.fail(reason);
        }
    }

    async fn execute_all(
        &self,
        deliveries: &mut mpsc::UnboundedReceiver<Delivery>,
        out: &mpsc::Sender<Unwritten>,
    ) -> Result<(), Reason> {
        self.replay(out).await?;
        let mut ahead = VecDeque::new();
        while let Some((block, acknowledgement)) = next(&self.shared, &mut ahead, deliveries).await
        {
            if self.execute(block, Some(acknowledgement), out).await?.is_break() {
                break;
            }
            if ahead.is_empty() {
                // A block that lost may have listed what nobody has.
                self.shared.want_nothing();
            }
        }
        Ok(())
    }

    /// Applies what the engine counts as delivered and storage has lost since: the engine keeps
    /// blocks of its own. Waits for a snapshot where it no longer has them.
    async fn replay(&self, out: &mpsc::Sender<Unwritten>) -> Result<(), Reason> {
        while let Some(processed) = self.finalized.get_processed().await {
            let height = self.shared.core().state.height();
            if height >= processed.height().get() {
                break;
            }
            let block = self.finalized.get_block(Height::new(height + 1)).await;
            self.shared.set_gap(block.is_none());
            match block {
                Some(block) => {
                    let block = Arc::new(block.inner().clone());
                    if self.execute(block, None, out).await?.is_break() {
                        break;
                    }
                }
                None => self.clock.sleep(PER_LOOK_FOR_LOST).await,
            }
        }
        self.shared.set_gap(false);
        Ok(())
    }

    /// Breaks when nobody writes any more.
    async fn execute(
        &self,
        block: Arc<Block>,
        acknowledgement: Option<Exact>,
        out: &mpsc::Sender<Unwritten>,
    ) -> Result<ControlFlow<()>, Reason> {
        fetch_bodies(&self.clock, &self.shared, &block).await?;
        let changes = {
            let mut core = self.shared.core();
            if block.header.height <= core.state.height() {
                // Delivery is at least once, and a snapshot may have led past it.
                None
            } else {
                let changes = core.execute(&block)?;
                // Before the engine can ask: the end of an epoch decides who votes two epochs later.
                self.schemes.learn(&core.state)?;
                Some(changes)
            }
        };
        if changes.is_some() {
            // Who judges may wait for nothing but the execution.
            self.shared.change();
        }
        let unwritten = Unwritten { block, changes, acknowledgement };
        let is_taken = out.send(unwritten).await.is_ok();
        Ok(if is_taken { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }
}

/// Writes what was executed, block after block, for as long as something comes.
pub async fn write<E: Clock>(
    clock: E,
    shared: Arc<Shared>,
    finalized: Mailbox,
    mut unwritten: mpsc::Receiver<Unwritten>,
) {
    let kv = Arc::clone(&shared.core().kv);
    while let Some(Unwritten { block, changes, acknowledgement }) = unwritten.recv().await {
        if let Some(mut changes) = changes {
            let height = block.header.height;
            let finalization = finalized.get_finalization(Height::new(height)).await;
            let certificate = finalization.and_then(|found| certificate::convert(&found).ok());
            changes.extend(certificate.as_ref().map(|certificate| certify(height, certificate)));
            let applied = shared
                .write(kv.as_ref(), changes)
                .and_then(|mut core| core.applied(&block, certificate.is_some(), now(&clock)));
            if let Err(reason) = applied {
                return shared.fail(reason);
            }
            shared.change();
        }
        if let Some(acknowledgement) = acknowledgement {
            acknowledgement.acknowledge();
        }
    }
}

/// The next block to apply. The bodies of all that wait behind it are asked for together, so that a
/// node that lags behind does not wait for each block's in turn.
async fn next(
    shared: &Shared,
    ahead: &mut VecDeque<Delivery>,
    deliveries: &mut mpsc::UnboundedReceiver<Delivery>,
) -> Option<Delivery> {
    let known = ahead.len();
    if ahead.is_empty() {
        ahead.push_back(deliveries.recv().await?);
    }
    while let Ok(delivery) = deliveries.try_recv() {
        ahead.push_back(delivery);
    }
    if ahead.len() > 1 {
        let entries = ahead.iter().skip(known).flat_map(|(block, _)| &block.entries);
        let entries: Vec<Entry> = entries.copied().collect();
        // What cannot be read here is found out about when the block is applied.
        let missing = shared.core().missing(&entries);
        shared.want(&missing.unwrap_or_default());
    }
    ahead.pop_front()
}

async fn fetch_bodies(clock: &impl Clock, shared: &Shared, block: &Block) -> Result<(), Reason> {
    loop {
        let change = shared.next_change();
        if block.header.height <= shared.core().state.height() {
            return Ok(());
        }
        // Bound first, so that the core's lock is free again when `want` takes its own.
        let missing = shared.core().missing(&block.entries);
        match missing {
            Ok(missing) if missing.is_empty() => return Ok(()),
            Ok(missing) => shared.want(&missing),
            Err(reason) => return Err(reason),
        }
        wait_for_change(clock, change, DurationMs(500)).await;
    }
}
