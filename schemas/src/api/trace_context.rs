//! Which trace a request belongs to: W3C `traceparent` and `tracestate`, read and written.
//!
//! Ids only: nothing of the request itself is in them.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// The trace, the caller's span in it, and whether it is recorded.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What tracing systems add to it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The caller's place in a trace. Nothing when the request names none, or in another form than the standard's.
pub fn read(headers: &HeaderMap) -> Option<Context> {
    headers.get(TRACEPARENT)?;
    let caller = TraceContextPropagator::new()
        .extract_with_context(&Context::new(), &HeaderExtractor(headers));
    caller.has_active_span().then_some(caller)
}

/// Names the place that the caller is at now, for whoever gets the request. Leaves the headers as they are outside
/// of any trace.
pub fn write(headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject(&mut HeaderInjector(headers));
    if headers.get(TRACESTATE).is_some_and(HeaderValue::is_empty) {
        headers.remove(TRACESTATE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(parent: &'static str, state: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (TRACEPARENT, HeaderValue::from_static(parent)),
            (TRACESTATE, HeaderValue::from_static(state)),
        ])
    }

    #[test]
    fn a_trace_is_handed_on_as_it_came() {
        let came = headers(PARENT, "vendor=1");
        let _guard = read(&came).unwrap().attach();
        let mut handed_on = HeaderMap::new();
        write(&mut handed_on);
        assert_eq!(handed_on, came);
    }

    #[test]
    fn outside_of_a_trace_nothing_is_named() {
        let mut headers = HeaderMap::new();
        assert!(read(&headers).is_none());
        write(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn what_is_no_traceparent_is_no_trace() {
        for parent in [
            "",
            "00",
            "00-0-0-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(read(&headers(parent, "vendor=1")).is_none(), "{parent}");
        }
    }
}
