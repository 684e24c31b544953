//! A collector of traces: a real OTLP endpoint that keeps what it gets.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use alloy::primitives::hex;
use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{ResourceSpans, Span as Exported},
};
use prost::Message;

/// A running collector. It ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Bytes>>>,
    server: tokio::task::JoinHandle<()>,
}

/// A span, as it was sent.
#[derive(Clone, Debug)]
pub struct Span {
    /// Who made it.
    pub service: String,
    /// What it is of.
    pub name: String,
    /// Its trace, in hex.
    pub trace_id: String,
    /// Itself, in hex.
    pub span_id: String,
    /// What it is a step of, in hex; empty at the root of a trace.
    pub parent_id: String,
    /// What it says, as text.
    pub attributes: HashMap<String, String>,
}

impl Collector {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::default());
        let routes = Router::new()
            .route("/v1/traces", post(receive))
            .with_state(Arc::clone(&received));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            address,
            received,
            server,
        }
    }

    /// Its URL, as `OTEL_EXPORTER_OTLP_ENDPOINT` has it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every byte that it got.
    pub fn bytes(&self) -> Vec<u8> {
        self.received.lock().unwrap().concat()
    }

    /// Every span that it got.
    pub fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let requests = received
            .iter()
            .map(|body| ExportTraceServiceRequest::decode(body.clone()).unwrap());
        requests
            .flat_map(|request| request.resource_spans)
            .flat_map(spans_of)
            .collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(received): State<Arc<Mutex<Vec<Bytes>>>>, body: Bytes) -> Vec<u8> {
    received.lock().unwrap().push(body);
    ExportTraceServiceResponse::default().encode_to_vec()
}

fn spans_of(of_one: ResourceSpans) -> impl Iterator<Item = Span> {
    let resource = texts(of_one.resource.unwrap_or_default().attributes);
    let spans = of_one.scope_spans.into_iter().flat_map(|scope| scope.spans);
    spans.map(move |span| Span::read(&resource["service.name"], span))
}

impl Span {
    fn read(service: &str, span: Exported) -> Self {
        Self {
            service: service.to_owned(),
            name: span.name,
            trace_id: hex::encode(span.trace_id),
            span_id: hex::encode(span.span_id),
            parent_id: hex::encode(span.parent_span_id),
            attributes: texts(span.attributes),
        }
    }
}

fn texts(attributes: Vec<KeyValue>) -> HashMap<String, String> {
    let text = |attribute: KeyValue| {
        let text = match attribute.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        (attribute.key, text)
    };
    attributes.into_iter().map(text).collect()
}
