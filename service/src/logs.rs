//! Structured logs: JSON lines where a machine reads, plain text in a terminal. A line that was written for a request
//! of a trace names the trace, whether or not spans are exported.

use std::{fmt, io::IsTerminal};

use opentelemetry::{Context, trace::TraceContextExt};
use thiserror::Error;
use tracing::{Event, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, FilterFn},
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{self, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::spans::{Spans, SpansError};

/// Why nothing can be logged as it was asked for.
#[derive(Debug, Error)]
pub enum LogsError {
    /// The filter is none.
    #[error("--log is no filter such as info,x402_gateway=debug")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The spans have nowhere to go.
    #[error("--otlp-endpoint cannot be used")]
    Spans(#[from] SpansError),
}

/// Sends logs through `writer`, which ends at standard error, and spans to `collector`, if there is one, in the name
/// of `service`. `filter` is a `tracing` filter such as `info,x402_gateway=debug`; it is about logs only.
///
/// Has to be called within the runtime, which sends the spans.
pub fn init(
    filter: &str,
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
    collector: Option<&str>,
    service: &'static str,
) -> Result<Spans, LogsError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let spans = Spans::to(collector, service)?;
    // Without a collector no span is made at all: what nobody reads shall cost nothing.
    let lines = filter.and(only(|metadata| !metadata.is_span(), LevelFilter::TRACE));
    let logs = if std::io::stderr().is_terminal() {
        let plain = tracing_subscriber::fmt::layer().compact();
        plain.with_writer(writer).with_filter(lines).boxed()
    } else {
        json(writer).with_filter(lines).boxed()
    };
    // A second call, as tests make, keeps the first subscriber.
    let registry = tracing_subscriber::registry();
    drop(registry.with(logs).with(spans.layer()).try_init());
    Ok(spans)
}

/// A JSON object for each event.
fn json<S>(writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_subscriber::fmt::layer()
        .fmt_fields(format::JsonFields::new())
        .event_format(WithTrace(format::format().json().flatten_event(true)))
        .with_writer(writer)
}

/// What a layer sees of spans and events up to a level.
pub(crate) fn only(seen: fn(&Metadata<'_>) -> bool, up_to: LevelFilter) -> FilterFn {
    FilterFn::new(seen).with_max_level_hint(up_to)
}

/// JSON lines that begin with the ids of trace and span.
struct WithTrace<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let current = Context::current();
        let span = current.span();
        let ids = span.span_context();
        if !ids.is_valid() {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        let (trace_id, span_id) = (ids.trace_id(), ids.span_id());
        let rest = line.strip_prefix('{').ok_or(fmt::Error)?;
        write!(
            writer,
            r#"{{"trace_id":"{trace_id}","span_id":"{span_id}",{rest}"#
        )
    }
}

/// An error and all its causes on one line, outermost first: log formatters show the first only.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |cause| cause.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::{HeaderMap, HeaderValue};
    use x402_schemas::api::trace_context::{self, TRACEPARENT};

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn logged(write: impl FnOnce()) -> serde_json::Value {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let subscriber = tracing_subscriber::registry().with(json(Arc::clone(&file)));
        tracing::subscriber::with_default(subscriber, write);
        let mut file = &*file;
        std::io::Seek::rewind(&mut file).unwrap();
        serde_json::from_reader(file).unwrap()
    }

    #[test]
    fn a_line_names_the_trace_that_it_was_written_in() {
        let headers = HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_static(PARENT))]);
        let caller = trace_context::read(&headers).unwrap();
        let line = logged(|| {
            let _guard = caller.attach();
            tracing::warn!(code = "NOT_FOUND", "something \"odd\"");
        });
        assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(line["span_id"], "00f067aa0ba902b7");
        assert_eq!(line["message"], "something \"odd\"");
        assert_eq!(line["code"], "NOT_FOUND");
    }

    #[test]
    fn a_line_outside_of_any_trace_names_none() {
        let line = logged(|| tracing::warn!("alone"));
        assert_eq!(line["message"], "alone");
        assert!(line.get("trace_id").is_none(), "{line}");
    }
}
