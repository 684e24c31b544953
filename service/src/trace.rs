//! A request's place in a trace: the caller's `traceparent` in, a span of the server around the handler.
//!
//! Outside of any trace, and while no spans are exported, a request passes untouched. In a trace whose spans are not
//! exported here, logs name it and what is asked of others carries it on.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::Method,
    response::Response,
};
use futures::future::Either;
use opentelemetry::context::FutureExt;
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use x402_schemas::api::trace_context;

/// Has each request of these routes traced.
pub fn traced(routes: Router) -> Router {
    routes.layer(TraceLayer)
}

/// Says something of the request or step in hand, for whoever reads the trace: an id or a code, never a secret. Costs
/// nothing while it is not traced.
pub fn tell(key: &'static str, value: &str) {
    let span = Span::current();
    if !span.is_disabled() {
        span.set_attribute(key, value.to_owned());
    }
}

/// What goes on without the request that began it, as a step of its own in the same trace.
pub fn apart<F: Future>(work: F, step: Span) -> impl Future<Output = F::Output> {
    work.instrument(step).with_current_context()
}

type Answer = Result<Response, Infallible>;

#[derive(Clone, Copy, Debug)]
struct TraceLayer;

#[derive(Clone, Debug)]
struct Traced<S>(S);

impl<S> Layer<S> for TraceLayer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced(inner)
    }
}

impl<S> Service<Request> for Traced<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Pin<Box<dyn Future<Output = Answer> + Send>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let caller = trace_context::read(request.headers());
        let span = server_span(&request);
        let answer = self.0.call(request);
        match caller {
            None if span.is_disabled() => Either::Left(answer),
            caller => {
                let caller = caller.unwrap_or_default();
                drop(span.set_parent(caller.clone()));
                let answer = answering(answer).instrument(span).with_context(caller);
                Either::Right(Box::pin(answer))
            }
        }
    }
}

fn server_span(request: &Request) -> Span {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    tracing::info_span!(
        "request",
        otel.kind = "server",
        otel.name = name(request.method(), route),
        otel.status_code = field::Empty,
        http.request.method = method(request.method()),
        http.route = route,
        http.response.status_code = field::Empty,
    )
}

/// The answer, with its status told to the span that is entered.
async fn answering(answer: impl Future<Output = Answer>) -> Answer {
    let response = answer.await?;
    let (span, status) = (Span::current(), response.status());
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    Ok(response)
}

/// Methods as the conventions have them: what anybody may invent is no name.
fn method(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::PATCH
        | Method::HEAD
        | Method::OPTIONS => method.as_str(),
        _ => "_OTHER",
    }
}

fn name(called: &Method, route: Option<&str>) -> String {
    let called = method(called);
    route.map_or_else(|| called.to_owned(), |route| format!("{called} {route}"))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::HeaderMap, routing::get};
    use tower::ServiceExt;
    use x402_schemas::api::trace_context::TRACEPARENT;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// What the handler would ask others with.
    async fn handed_on(request: Request) -> HeaderMap {
        let handler = || async {
            tokio::task::yield_now().await;
            let mut headers = HeaderMap::new();
            trace_context::write(&mut headers);
            headers
        };
        let routes = traced(Router::new().route("/", get(handler)));
        routes.oneshot(request).await.unwrap().headers().clone()
    }

    #[tokio::test]
    async fn a_trace_is_carried_on_though_no_spans_are_exported() {
        let request = Request::get("/").header(TRACEPARENT, PARENT);
        let headers = handed_on(request.body(Body::empty()).unwrap()).await;
        assert_eq!(headers[TRACEPARENT], PARENT);
    }

    #[tokio::test]
    async fn a_request_of_no_trace_begins_none() {
        let headers = handed_on(Request::new(Body::empty())).await;
        assert!(!headers.contains_key(TRACEPARENT));
    }

    #[test]
    fn only_methods_of_http_name_a_span() {
        assert_eq!(name(&Method::POST, Some("/pay")), "POST /pay");
        assert_eq!(name(&Method::GET, None), "GET");
        let invented = Method::from_bytes(b"x402_agent_secret").unwrap();
        assert_eq!(name(&invented, None), "_OTHER");
    }
}
