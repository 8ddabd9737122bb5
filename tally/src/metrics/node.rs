//! What a node says of its ledger and its peers.

use tallystick_node::{NetworkStatus, NodeHandle, SubmissionOutcome};

use super::described::{
    BLOCK_HEIGHT, BLOCK_REPORTED_HEIGHT, BLOCK_TIME_SECONDS, Described, PEERS_CONNECTED,
    PEERS_NEEDED, POOL_TRANSACTIONS, TRANSACTIONS,
};
use super::{Metrics, Outcomes};

/// What a node counts of the transactions that clients hand in.
#[derive(Clone)]
pub struct SubmissionMetrics(Outcomes);

impl SubmissionMetrics {
    /// Exposes it.
    pub fn new(metrics: &Metrics) -> SubmissionMetrics {
        SubmissionMetrics(metrics.outcomes(&TRANSACTIONS, "taken"))
    }

    /// Counts one.
    pub fn count(&self, outcome: &SubmissionOutcome) {
        match outcome {
            SubmissionOutcome::Refused(reason) => self.0.count(Some(*reason)),
            _ => self.0.count(None),
        }
    }
}

type Show = fn(&NetworkStatus) -> f64;

/// Exposes the state of a node.
pub fn register(metrics: &Metrics, node: &NodeHandle) {
    let shown: [(&Described, Show); 6] = [
        (&BLOCK_HEIGHT, |status| status.height as f64),
        (&BLOCK_REPORTED_HEIGHT, |status| status.reported_height as f64),
        (&BLOCK_TIME_SECONDS, |status| status.time.0 as f64 / 1000.0),
        (&PEERS_CONNECTED, |status| status.connected as f64),
        (&PEERS_NEEDED, |status| status.quorum.saturating_sub(1) as f64),
        (&POOL_TRANSACTIONS, |status| status.pool as f64),
    ];
    for (described, value) in shown {
        let node = node.clone();
        metrics.gauge(described, move || value(&node.network_status()));
    }
}
