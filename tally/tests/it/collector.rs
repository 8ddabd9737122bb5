//! A collector of traces: takes OTLP over HTTP, as the OpenTelemetry collector does.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

/// What was taken, as it came.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<Bytes>>>);

/// Collects until it is dropped.
pub struct Collector {
    taken: Taken,
    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` must say.
    pub endpoint: String,
    server: tokio::task::JoinHandle<()>,
}

/// A span as it was collected.
#[derive(Clone, Debug)]
pub struct Collected {
    pub service: String,
    pub name: String,
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    pub parent: Vec<u8>,
    attributes: Vec<(String, String)>,
}

impl Collected {
    /// An attribute as text; empty where there is none.
    pub fn attribute(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

impl Collector {
    /// Listens on a port of its own.
    pub async fn start() -> Collector {
        let taken = Taken::default();
        let take = async |State(taken): State<Taken>, body: Bytes| {
            taken.0.lock().unwrap().push(body);
        };
        let router = Router::new().route("/v1/traces", post(take)).with_state(taken.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Collector { taken, endpoint, server }
    }

    /// Everything as it came.
    pub fn bytes(&self) -> Vec<u8> {
        self.taken.0.lock().unwrap().concat()
    }

    /// Every span so far.
    pub fn spans(&self) -> Vec<Collected> {
        let taken = self.taken.0.lock().unwrap();
        let requests =
            taken.iter().map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap());
        let mut spans = Vec::new();
        for of_service in requests.flat_map(|request| request.resource_spans) {
            let service = service(of_service.resource);
            for span in of_service.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(Collected {
                    service: service.clone(),
                    name: span.name,
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    attributes: span.attributes.into_iter().map(pair).collect(),
                });
            }
        }
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn service(resource: Option<Resource>) -> String {
    let attributes = resource.into_iter().flat_map(|resource| resource.attributes);
    attributes.map(pair).find(|(key, _)| key == "service.name").unwrap().1
}

fn pair(attribute: KeyValue) -> (String, String) {
    (attribute.key, attribute.value.map_or_else(String::new, text))
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
