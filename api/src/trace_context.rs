//! The context of a trace, as it goes from one party to the next (W3C Trace Context).
//!
//! Invariant: a context only says what belongs together; nothing is decided by it, so one that a
//! stranger made up is as good as none.

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Context, global};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header that carries it.
pub const TRACEPARENT_HEADER: &str = "traceparent";

/// The one field that is carried.
#[derive(Default)]
struct Traceparent(String);

impl Injector for Traceparent {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT_HEADER {
            self.0 = value;
        }
    }
}

impl Extractor for Traceparent {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT_HEADER).then_some(self.0.as_str())
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT_HEADER]
    }
}

/// The context of what is being done now; empty where nothing is traced.
pub fn current() -> String {
    let mut carrier = Traceparent::default();
    let context = Span::current().context();
    global::get_text_map_propagator(|known| known.inject_context(&context, &mut carrier));
    carrier.0
}

/// Makes a span go on from a context that came from elsewhere. One that is empty or malformed
/// changes nothing. The span MUST NOT have been entered.
pub fn go_on(span: &Span, traceparent: &str) {
    if traceparent.is_empty() {
        return;
    }
    let carrier = Traceparent(traceparent.to_owned());
    let context = global::get_text_map_propagator(|known| {
        known.extract_with_context(&Context::new(), &carrier)
    });
    // A span that no one records has no parent to be set.
    let _ = span.set_parent(context);
}
