//! How the engine asks this node to propose, to judge, and to take a final block.

use std::sync::Arc;
use std::time::Duration;

use commonware_actor::Feedback;
use commonware_consensus::marshal::Update;
use commonware_consensus::marshal::ancestry::Ancestry;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::Context;
use commonware_consensus::{Application as ConsensusApplication, Heightable, Reporter};
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{Digested, Digestible, ed25519};
use commonware_runtime::Clock;
use commonware_utils::acknowledgement::Exact;
use futures::StreamExt;
use tallystick_kernel::{DurationMs, Reason, TimeMs};
use tallystick_ledger::{Verdict, Waiting};
use tokio::sync::futures::Notified;
use tokio::sync::mpsc;

use crate::block::Block;
use crate::shared::Shared;
use crate::vote::Proposal;

/// How long a judge sleeps at most before it looks again.
const LOOK_AGAIN: DurationMs = DurationMs(250);
/// How often a leader without enough peers looks for them.
const FINDING: DurationMs = DurationMs(20);
/// How long after its start a node does not propose before all validators hear each other; the
/// engine's leader timeout is longer.
const FINDING_TIME_MAX: DurationMs = DurationMs::seconds(1);

/// The engine's view of this node.
#[derive(Clone)]
pub struct Application {
    shared: Arc<Shared>,
    started: TimeMs,
}

/// A final block, with the engine's request to be told when it is applied.
pub type Delivery = (Arc<Block>, Exact);

/// Passes final blocks on to the task that applies them.
#[derive(Clone)]
pub struct Deliveries {
    /// The node's state.
    pub shared: Arc<Shared>,
    /// To the task.
    pub out: mpsc::UnboundedSender<Delivery>,
}

impl Application {
    /// On the shared state of a node that starts now.
    pub fn new(shared: Arc<Shared>, started: TimeMs) -> Application {
        Application { shared, started }
    }

    /// Whether a proposal would reach those whose votes it needs, and their votes each other.
    /// Nobody sends either again to those who connect later.
    fn is_connected(&self, now: TimeMs) -> bool {
        let is_young = now >= self.started && now < self.started.after(FINDING_TIME_MAX);
        if is_young && !self.shared.is_complete(now) {
            return false;
        }
        self.shared.connected(now) + 1 >= self.shared.members().validators.quorum()
    }

    fn place(&self, key: &ed25519::PublicKey) -> u64 {
        let bytes: &[u8] = key.as_ref();
        // The engine names leaders from the set of its epoch.
        self.shared.members().place_of(bytes).unwrap_or(u64::MAX)
    }
}

/// The clock of a runtime, in milliseconds.
pub fn now(clock: &impl Clock) -> TimeMs {
    let since = clock.current().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Sleeps until something changes, at most `limit`. `change` was made before the caller looked, so
/// that no change in between is missed.
pub async fn wait_for_change(clock: &impl Clock, change: Notified<'_>, limit: DurationMs) {
    let sleep = std::pin::pin!(clock.sleep(Duration::from_millis(limit.0.max(1))));
    let change = std::pin::pin!(change);
    futures::future::select(sleep, change).await;
}

/// The blocks from the tip of an ancestry down to the first one that is executed.
async fn chain(mut stream: impl Ancestry<Block>, executed: u64, above: usize) -> Vec<Arc<Block>> {
    let mut blocks = Vec::new();
    while let Some(block) = stream.next().await {
        let height = block.height().get();
        blocks.push(Arc::new(block.inner().clone()));
        if blocks.len() > above && height <= executed {
            break;
        }
        if height == 0 {
            break;
        }
    }
    blocks
}

impl<E: Clock + Send + Sync + 'static> ConsensusApplication<E> for Application {
    type SigningScheme = Scheme;
    type Context = Context<Digest, ed25519::PublicKey>;
    type Block = Block;
    type Input = ();

    async fn propose(
        &mut self,
        (clock, context): (E, Self::Context),
        ancestry: impl Ancestry<Block>,
        (): (),
    ) -> Option<Digested<Block>> {
        let proposer = self.place(&context.leader);
        loop {
            let change = self.shared.next_change();
            if !self.is_connected(now(&clock)) {
                wait_for_change(&clock, change, FINDING).await;
                continue;
            }
            let executed = self.shared.core().state.height();
            let chain = chain(ancestry.clone(), executed, 0).await;
            let proposal = self.shared.core().propose(&chain, proposer, now(&clock));
            match proposal {
                Ok(Proposal::Block(block)) => {
                    let digest = block.digest();
                    return Some(Digested::precomputed(*block, digest));
                }
                Ok(Proposal::Wait(limit)) => wait_for_change(&clock, change, limit).await,
                Ok(Proposal::Missing(entries)) => {
                    self.shared.want(&entries);
                    wait_for_change(&clock, change, LOOK_AGAIN).await;
                }
                Err(Reason::NotReady) => {
                    wait_for_change(&clock, change, LOOK_AGAIN).await;
                }
                Err(reason) => {
                    tracing::error!(code = reason.code(), "cannot propose");
                    return None;
                }
            }
        }
    }

    async fn verify(
        &mut self,
        (clock, context): (E, Self::Context),
        ancestry: impl Ancestry<Block>,
    ) -> bool {
        let proposer = self.place(&context.leader);
        loop {
            let change = self.shared.next_change();
            let executed = self.shared.core().state.height();
            let chain = chain(ancestry.clone(), executed, 1).await;
            let verdict = self.shared.core().judge(&chain, proposer, now(&clock));
            let limit = match verdict {
                Ok(Verdict::Valid) => return true,
                Ok(Verdict::Invalid(reason)) => {
                    if let Some(block) = chain.first() {
                        self.shared.refuse(&block.entries);
                    }
                    let height = chain.first().map(|block| block.header.height);
                    tracing::warn!(height, proposer, code = reason.code(), "refused a block");
                    return false;
                }
                Ok(Verdict::Wait(Waiting::Time(ahead))) => ahead.min(LOOK_AGAIN),
                Ok(Verdict::Wait(Waiting::Bodies(entries))) => {
                    self.shared.want(&entries);
                    LOOK_AGAIN
                }
                Ok(Verdict::Wait(Waiting::Execution(_) | Waiting::Ancestor(_))) => LOOK_AGAIN,
                // The vote is held back, not denied: what failed is ours.
                Err(reason) => {
                    tracing::error!(code = reason.code(), "cannot judge a block");
                    LOOK_AGAIN
                }
            };
            wait_for_change(&clock, change, limit).await;
        }
    }
}

impl Reporter for Deliveries {
    type Activity = Update<Block>;

    fn report(&mut self, update: Update<Block>) -> Feedback {
        if let Update::Block(block, acknowledgement) = update {
            // The engine delivers at most `max_pending_acks` blocks before it waits, so the queue
            // is bounded; a closed one means that the node stops.
            self.shared.note_final(block.height().get());
            let delivery = (Arc::new(block.inner().clone()), acknowledgement);
            if self.out.send(delivery).is_err() {
                return Feedback::Closed;
            }
        }
        Feedback::Ok
    }
}
