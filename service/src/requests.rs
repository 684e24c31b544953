//! Requests of a public port: how many, how they ended, how long they took, by route.
//!
//! The label is the route's pattern, never the path that was asked for.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use prometheus::{Histogram, IntCounter, IntGauge};

use crate::metrics::Registrar;

/// The label of what matches no route.
const OTHER: &str = "other";
const CLASSES: [&str; 4] = ["2xx", "4xx", "5xx", "other"];
/// Edges of answering times, seconds. 0.1 is the objective of a quote.
const SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// What is told of each request of one port.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    routes: Arc<HashMap<&'static str, RouteMetrics>>,
    other: RouteMetrics,
    in_flight: IntGauge,
}

#[derive(Clone, Debug)]
struct RouteMetrics {
    answered_total: [IntCounter; 4],
    duration_seconds: Histogram,
}

/// A request until its answer begins, or until it is dropped.
struct InFlight(IntGauge);

impl RequestMetrics {
    /// Registers every route's series.
    pub fn register(registrar: Registrar<'_>, routes: &[&'static str]) -> prometheus::Result<Self> {
        let answered = registrar.counters_by(
            "requests_total",
            "Requests answered, by route and class of status.",
            &["route", "class"],
        )?;
        let duration = registrar.histograms(
            "request_duration_seconds",
            "Time from a request to the beginning of its answer, by route; waits that the caller asked for included.",
            &SECONDS,
            "route",
            routes.iter().copied(),
        )?;
        let of = |route: &str| RouteMetrics {
            answered_total: CLASSES.map(|class| answered.with_label_values(&[route, class])),
            duration_seconds: duration.with_label_values(&[route]),
        };
        Ok(Self {
            routes: Arc::new(routes.iter().map(|route| (*route, of(route))).collect()),
            other: of(OTHER),
            in_flight: registrar.gauge("requests_in_flight", "Requests without an answer yet.")?,
        })
    }

    fn of(&self, route: Option<&MatchedPath>) -> &RouteMetrics {
        route
            .and_then(|route| self.routes.get(route.as_str()))
            .unwrap_or(&self.other)
    }
}

impl RouteMetrics {
    fn answered(&self, status: StatusCode) {
        let [success, client, server, other] = &self.answered_total;
        if status.is_success() {
            success.inc();
        } else if status.is_client_error() {
            client.inc();
        } else if status.is_server_error() {
            server.inc();
        } else {
            other.inc();
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counts and times every request: the outermost layer of a port.
pub async fn measure(
    State(metrics): State<RequestMetrics>,
    request: Request,
    next: Next,
) -> Response {
    let route = metrics.of(request.extensions().get::<MatchedPath>());
    metrics.in_flight.inc();
    let in_flight = InFlight(metrics.in_flight.clone());
    let timer = route.duration_seconds.start_timer();
    let response = next.run(request).await;
    timer.observe_duration();
    drop(in_flight);
    route.answered(response.status());
    response
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware, routing::get};
    use prometheus::{Registry, TextEncoder};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_request_counts_under_its_routes_pattern_and_its_answers_class() {
        let registry = Registry::new();
        let registrar = Registrar::new(&registry, "house");
        let metrics = RequestMetrics::register(registrar, &["/things/{id}"]).unwrap();
        let app = Router::new()
            .route("/things/{id}", get(|| async { StatusCode::NOT_FOUND }))
            .layer(middleware::from_fn_with_state(metrics, measure));
        for path in ["/things/secret", "/nowhere"] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            app.clone().oneshot(request).await.unwrap();
        }
        let text = TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        for line in [
            "x402_house_requests_total{class=\"4xx\",route=\"/things/{id}\"} 1\n",
            "x402_house_requests_total{class=\"5xx\",route=\"/things/{id}\"} 0\n",
            "x402_house_requests_total{class=\"4xx\",route=\"other\"} 1\n",
            "x402_house_request_duration_seconds_count{route=\"/things/{id}\"} 1\n",
            "x402_house_requests_in_flight 0\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(!text.contains("secret") && !text.contains("nowhere"));
    }
}
