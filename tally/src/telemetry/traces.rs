//! Traces: spans of requests, calls and work, sent to a collector by OTLP over HTTP.
//!
//! A payment is one trace through all roles: clients send `traceparent` (W3C Trace Context), servers
//! go on from it, and the outbox keeps it for the work that follows. The variables of the
//! OpenTelemetry specification set endpoint, sampling and batches (`OTEL_EXPORTER_OTLP_ENDPOINT`,
//! `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`, `OTEL_RESOURCE_ATTRIBUTES`).

use std::sync::OnceLock;

use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Metadata;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::{FilterFn, Filtered, filter_fn};
use tracing_subscriber::layer::{Layer as _, Layered};
use tracing_subscriber::registry::LookupSpan;

use crate::http::request_id;

/// The layer that makes traces; none without a collector.
pub type Traces<S> = Option<Filtered<OpenTelemetryLayer<S, SdkTracer>, FilterFn, S>>;
/// A subscriber with that layer.
pub type Traced<S> = Layered<Traces<S>, S>;

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// The layer for a role, if a collector is named.
pub fn layer<S>(role: &str) -> Traces<S>
where
    S: tracing::Subscriber + for<'s> LookupSpan<'s>,
{
    const ENDPOINTS: [&str; 2] =
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    ENDPOINTS.iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()))?;
    let exporter = match SpanExporter::builder().with_http().build() {
        Ok(exporter) => exporter,
        Err(error) => {
            // There is no log yet.
            eprintln!("warning: traces are not sent: {error}");
            return None;
        }
    };
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(format!("tallystick-{role}"));
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    let tracer = provider.tracer("tallystick");
    global::set_text_map_propagator(TraceContextPropagator::new());
    PROVIDER.get_or_init(|| provider);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    Some(layer.with_filter(filter_fn(is_ours as fn(&Metadata<'_>) -> bool)))
}

/// Whether traces are made.
pub fn are_made() -> bool {
    PROVIDER.get().is_some()
}

/// Sends what waits.
pub fn flush() {
    if let Some(provider) = PROVIDER.get() {
        // A collector that is away loses its own copy only.
        let _ = provider.shutdown();
    }
}

/// Spans of this project; what libraries say of themselves stays here, and so does the span that
/// puts a request's id into the log.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    let is_ours = metadata.target().starts_with("tallystick");
    metadata.is_span() && is_ours && metadata.name() != request_id::SPAN
}
