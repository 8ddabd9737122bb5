//! What every process says of itself, under the names that Prometheus' own clients use.

use std::fs;

use super::Metrics;
use super::described::{
    OPEN_FDS, PROCESS_CPU_SECONDS, PROCESS_RESIDENT_BYTES, PROCESS_START_TIME_SECONDS,
};
use crate::process;
use crate::source;

/// Exposes it.
pub fn register(metrics: &Metrics) {
    let usage = || process::usage(std::process::id()).unwrap_or_default();
    metrics.counter(&PROCESS_CPU_SECONDS, move || usage().cpu_ms as f64 / 1000.0);
    metrics.gauge(&PROCESS_RESIDENT_BYTES, move || usage().resident_bytes as f64);
    metrics.gauge(&OPEN_FDS, || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count) as f64);
    let started = source::now().0 as f64 / 1000.0;
    metrics.gauge(&PROCESS_START_TIME_SECONDS, move || started);
}
