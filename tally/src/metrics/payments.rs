//! What the issuer and the merchant count of payments.

use prometheus_client::metrics::histogram::Histogram;
use tallystick_issuer::settlement::{Progress, Subject};
use tallystick_kernel::TimeMs;
use tallystick_merchant::charge::{Charge, ChargeState};

use super::described::{AUTHORIZATIONS, CHARGE_SECONDS, CHARGES, FUNDINGS};
use super::{Metrics, Outcomes};

const SETTLED: &str = "settled";

/// A merchant's charges.
pub struct ChargeMetrics {
    ended: Outcomes,
    seconds: Histogram,
}

/// What an issuer brings onto the ledger.
pub struct SettlementMetrics {
    fundings: Outcomes,
    authorizations: Outcomes,
}

impl ChargeMetrics {
    /// Exposes them.
    pub fn new(metrics: &Metrics) -> ChargeMetrics {
        let (ended, seconds) =
            (metrics.outcomes(&CHARGES, SETTLED), metrics.seconds(&CHARGE_SECONDS));
        ChargeMetrics { ended, seconds }
    }

    /// Counts a charge if it has ended.
    pub fn count(&self, charge: &Charge, now: TimeMs) {
        match charge.state {
            ChargeState::Settled(_) => {
                let took = now.0.saturating_sub(charge.created.0);
                self.seconds.observe(took as f64 / 1000.0);
                self.ended.count(None);
            }
            ChargeState::Failed(reason) => self.ended.count(Some(reason)),
            ChargeState::Accepted | ChargeState::Authorized(_) => {}
        }
    }
}

impl SettlementMetrics {
    /// Exposes them.
    pub fn new(metrics: &Metrics) -> SettlementMetrics {
        let fundings = metrics.outcomes(&FUNDINGS, SETTLED);
        SettlementMetrics { fundings, authorizations: metrics.outcomes(&AUTHORIZATIONS, SETTLED) }
    }

    /// Counts what has ended.
    pub fn count(&self, subject: &Subject, progress: &Progress) {
        match subject {
            Subject::Funding(_) => self.fundings.count(progress.failure()),
            Subject::Authorization(_) => self.authorizations.count(progress.failure()),
        }
    }
}
