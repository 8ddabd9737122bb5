//! Executed blocks with what became of their transactions, as streams and lists tell them.
//!
//! Invariants: blocks are read apart from the threads that answer requests, one reader at a time, so
//! that however many follow from however far back, the node goes on answering; the latest are kept,
//! because what was executed never changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tallystick_api::node::BlockSummary;
use tallystick_kernel::Reason;
use tallystick_node::NodeHandle;
use tallystick_proofs::header::Entry;
use tokio::sync::Semaphore;

use super::node_json;

/// Summaries that are kept, of the greatest heights.
const KEPT_MAX: usize = 64;

/// The summaries of a node's blocks.
#[derive(Clone)]
pub struct BlockSummaries {
    kept: Arc<Mutex<BTreeMap<u64, Arc<BlockSummary>>>>,
    turn: Arc<Semaphore>,
}

impl BlockSummaries {
    /// None is known yet.
    pub fn new() -> BlockSummaries {
        BlockSummaries { kept: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }

    /// The summaries of heights, in their order, up to the first height that was not executed.
    pub async fn read(
        &self,
        node: &NodeHandle,
        heights: impl Iterator<Item = u64>,
    ) -> Result<Vec<Arc<BlockSummary>>, Reason> {
        let heights: Vec<u64> = heights.collect();
        let known = self.known(&heights);
        if known.len() == heights.len() {
            return Ok(known);
        }
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| Reason::Internal)?;
        let (all, node) = (self.clone(), node.clone());
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            all.read_now(&node, &heights)
        });
        read.await.map_err(|_| Reason::Internal)?
    }

    /// Those of the first heights that are kept.
    fn known(&self, heights: &[u64]) -> Vec<Arc<BlockSummary>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        heights.iter().map_while(|height| kept.get(height).cloned()).collect()
    }

    fn read_now(
        &self,
        node: &NodeHandle,
        heights: &[u64],
    ) -> Result<Vec<Arc<BlockSummary>>, Reason> {
        let mut found = self.known(heights);
        for height in heights.iter().skip(found.len()) {
            let known = self.known(&[*height]).pop();
            let summary = match known {
                Some(known) => known,
                None => match summary(node, *height)? {
                    Some(read) => self.keep(read),
                    None => break,
                },
            };
            found.push(summary);
        }
        Ok(found)
    }

    fn keep(&self, summary: BlockSummary) -> Arc<BlockSummary> {
        let (height, summary) = (summary.height, Arc::new(summary));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(height, Arc::clone(&summary));
        if kept.len() > KEPT_MAX {
            kept.pop_first();
        }
        summary
    }
}

/// An executed block with what became of its transactions; none above the last one.
fn summary(node: &NodeHandle, height: u64) -> Result<Option<BlockSummary>, Reason> {
    let Some((block, _)) = node.block(height)? else { return Ok(None) };
    let results = node.results(height)?;
    let failures: BTreeMap<_, _> = results.iter().map(|one| (one.id, one.failure)).collect();
    let outcome = |entry: &Entry| node_json::outcome(entry.id, failures.get(&entry.id).copied());
    Ok(Some(BlockSummary {
        height,
        time_ms: block.header.time.0,
        proposer: block.header.proposer,
        reported_height: block.header.executed_height,
        transactions: block.entries.iter().map(outcome).collect(),
    }))
}
