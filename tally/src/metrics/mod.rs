//! Metrics: what a role counts, in the text format of OpenMetrics 1.0, which Prometheus reads.
//!
//! Invariant: nothing is exposed that is not in [`described::ALL`], and no label takes a value from
//! outside: operations, statuses, reason codes.

pub mod described;
mod http;
pub mod node;
pub mod payments;
mod process;

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};
use tallystick_kernel::Reason;

use self::described::Described;
pub use self::http::HttpMetrics;

/// The media type of [`Metrics::text`].
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
}

/// How often something ended, by what it ended in: a word for success, or the code of the reason
/// why not.
#[derive(Clone, Debug)]
pub struct Outcomes {
    success: &'static str,
    counted: Family<Ended, Counter>,
}

/// What a role counts. Clones share it.
#[derive(Clone)]
pub struct Metrics {
    /// What the server counts.
    pub http: HttpMetrics,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    registry: Registry,
    /// What brings gauges up to date.
    refresh: Vec<Box<dyn Fn() + Send>>,
}

impl Outcomes {
    /// Counts an end.
    pub fn count(&self, failure: Option<Reason>) {
        let outcome = failure.map_or(self.success, Reason::code);
        self.counted.get_or_create(&Ended { outcome }).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let inner = Inner { registry: Registry::default(), refresh: Vec::new() };
        let metrics = Metrics { http: HttpMetrics::default(), inner: Arc::new(Mutex::new(inner)) };
        http::register(&metrics);
        process::register(&metrics);
        metrics
    }
}

impl Metrics {
    /// Exposes a metric under its description.
    pub fn register(&self, described: &Described, metric: impl Metric + Clone) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let name = described.name.strip_suffix("_total").unwrap_or(described.name);
        // The registry ends the sentence itself.
        let says = described.says.trim_end_matches('.');
        for unit in [Unit::Seconds, Unit::Bytes] {
            if let Some(name) = name.strip_suffix(&format!("_{}", unit.as_str())) {
                return inner.registry.register_with_unit(name, says, unit, metric);
            }
        }
        inner.registry.register(name, says, metric);
    }

    /// Exposes a gauge that is asked for its value when the metrics are read.
    pub fn gauge(&self, described: &Described, value: impl Fn() -> f64 + Send + 'static) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        self.register(described, gauge.clone());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.refresh.push(Box::new(move || {
            gauge.set(value());
        }));
    }

    /// Exposes a counter that is asked for its value, which only grows, when the metrics are read.
    pub fn counter(&self, described: &Described, value: impl Fn() -> f64 + Send + 'static) {
        let counter = Counter::<f64, AtomicU64>::default();
        self.register(described, counter.clone());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.refresh.push(Box::new(move || {
            counter.inner().store(value().to_bits(), Ordering::Relaxed);
        }));
    }

    /// Exposes a counter of ends.
    pub fn outcomes(&self, described: &Described, success: &'static str) -> Outcomes {
        let counted = Family::<Ended, Counter>::default();
        self.register(described, counted.clone());
        Outcomes { success, counted }
    }

    /// Exposes a histogram of seconds.
    pub fn seconds(&self, described: &Described) -> Histogram {
        let histogram = Histogram::new(SECONDS);
        self.register(described, histogram.clone());
        histogram
    }

    /// Everything that is counted, as [`OPENMETRICS`].
    pub fn text(&self) -> Result<String, fmt::Error> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.refresh.iter().for_each(|refresh| refresh());
        let mut text = String::new();
        encode(&mut text, &inner.registry)?;
        Ok(text)
    }
}

/// From a cheap read to the longest wait.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
