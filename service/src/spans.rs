//! Spans of ours, sent to a collector by OTLP over HTTP. The standard's variables say how: `OTEL_SERVICE_NAME`,
//! `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER` and `OTEL_BSP_*`.
//!
//! Nothing waits for the collector. Spans that it does not take are dropped; one line of the log says so, another that
//! it is back. A span has the attributes that we give it and no others: no events, so nothing of the logs.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry::{Key, trace::TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use thiserror::Error;
use tokio::runtime::Handle;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, registry::LookupSpan};

use crate::logs::{only, with_causes};

/// The longest time that one batch of spans may take to be sent.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end of the process waits for the last spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The path of spans under a collector's URL.
const PATH: &str = "/v1/traces";

/// Whose spans are exported: this workspace's, none of its libraries'.
const OURS: &str = "x402";

/// Where this process's spans go.
#[derive(Debug)]
#[must_use = "spans that were not sent yet are lost unless the end is told"]
pub struct Spans(Option<SdkTracerProvider>);

/// Why spans cannot be sent.
#[derive(Debug, Error)]
pub enum SpansError {
    /// The URL or a variable is not understood.
    #[error("no exporter can be made")]
    Exporter(#[from] ExporterBuildError),
    /// No HTTP client can be made.
    #[error("no HTTP client can be made")]
    Client(#[from] reqwest::Error),
}

impl Spans {
    /// To a collector's base URL; to nowhere without one.
    pub(crate) fn to(collector: Option<&str>, service: &'static str) -> Result<Self, SpansError> {
        let Some(url) = collector.filter(|url| !url.is_empty()) else {
            return Ok(Self(None));
        };
        let http = reqwest::Client::builder()
            .timeout(EXPORT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{}{PATH}", url.trim_end_matches('/')))
            .with_http_client(Collector {
                http,
                runtime: Handle::current(),
                is_away: AtomicBool::new(false),
            })
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource(service))
            .build();
        Ok(Self(Some(provider)))
    }

    /// What makes spans of ours into the collector's.
    pub(crate) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = self.0.as_ref()?.tracer(OURS);
        let ours = only(
            |metadata| metadata.is_span() && metadata.target().starts_with(OURS),
            LevelFilter::INFO,
        );
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        Some(layer.with_filter(ours))
    }

    /// Sends what is left, for a little while. Blocks; the runtime has to be running still, on other threads.
    pub fn end(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            tracing::warn!(error = with_causes(&error), "the last spans may be lost");
        }
    }
}

/// Who makes the spans; the variables have the last word.
fn resource(service: &'static str) -> Resource {
    let given = Resource::builder().build();
    let name = given.get_ref(&Key::from_static_str("service.name"));
    if name.is_some_and(|name| !name.as_str().starts_with("unknown_service")) {
        return given;
    }
    Resource::builder().with_service_name(service).build()
}

/// The collector, as the exporter's own thread reaches it: through the runtime, as that thread has none.
#[derive(Debug)]
struct Collector {
    http: reqwest::Client,
    runtime: Handle,
    is_away: AtomicBool,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let exchange = async move { http.send_bytes(request).await };
        let answer = self.runtime.spawn(exchange).await.map_err(HttpError::from);
        let answer = answer.and_then(|answer| answer);
        let is_away = !answer
            .as_ref()
            .is_ok_and(|answer| answer.status().is_success());
        if is_away != self.is_away.swap(is_away, Ordering::Relaxed) {
            if is_away {
                tracing::warn!(
                    "the collector of traces takes no spans; they are dropped until it does"
                );
            } else {
                tracing::info!("the collector of traces takes spans again");
            }
        }
        answer
    }
}
