//! What the HTTP server counts.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::described::{HTTP_REQUEST_SECONDS, HTTP_REQUESTS};
use super::{Metrics, SECONDS};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    operation: &'static str,
}

/// Requests and how long they took, by operation.
#[derive(Clone)]
pub struct HttpMetrics {
    requests: Family<Answered, Counter>,
    seconds: Family<Of, Histogram, fn() -> Histogram>,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        HttpMetrics {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
        }
    }
}

impl HttpMetrics {
    /// Counts an answer.
    pub fn answered(&self, operation: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&Answered { operation, status }).inc();
        self.seconds.get_or_create(&Of { operation }).observe(took.as_secs_f64());
    }
}

/// Exposes what the server counts.
pub fn register(metrics: &Metrics) {
    metrics.register(&HTTP_REQUESTS, metrics.http.requests.clone());
    metrics.register(&HTTP_REQUEST_SECONDS, metrics.http.seconds.clone());
}
