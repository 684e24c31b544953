//! A purchase's place in the caller's trace: the one that the request's `traceparent` names, else the one that is current
//! in OpenTelemetry. What is asked of provider and gateway carries it on; outside of any trace nothing is added.

use opentelemetry::{Context, context::FutureExt};
use reqwest::Request;
use tracing::{Instrument, Span, field};
use x402_schemas::api::trace_context;

use crate::{errors::FetchError, fetch::Fetched};

/// Where a purchase belongs.
#[derive(Debug)]
pub(crate) struct Place {
    caller: Context,
    span: Span,
}

impl Place {
    /// Of the purchase that begins with this request.
    pub(crate) fn of(request: &Request) -> Self {
        let caller = trace_context::read(request.headers()).unwrap_or_else(Context::current);
        // A span belongs to what is current while it is made.
        let _current = caller.clone().attach();
        let span = tracing::info_span!(
            "fetch",
            otel.kind = "client",
            otel.status_code = field::Empty,
            http.request.method = request.method().as_str(),
            http.response.status_code = field::Empty,
            server.address = request.url().host_str(),
            payment_id = field::Empty,
        );
        Self { caller, span }
    }

    /// Makes the purchase there.
    pub(crate) async fn run(
        self,
        purchase: impl Future<Output = Result<Fetched, FetchError>>,
    ) -> Result<Fetched, FetchError> {
        let span = self.span.clone();
        let outcome = purchase
            .instrument(self.span)
            .with_context(self.caller)
            .await;
        match &outcome {
            Ok(Fetched { response, payment }) => {
                span.record("http.response.status_code", response.status().as_u16());
                if let Some(paid) = payment {
                    span.record("payment_id", &paid.payment_id);
                }
            }
            Err(_) => {
                span.record("otel.status_code", "ERROR");
            }
        }
        outcome
    }
}
