//! In: a paid invoice and the request. Out: what was bought.
//!
//! The proof is sent to the URL that was paid for and nowhere else. It is sent once, and again only
//! when the provider says that it could not verify it yet. Nothing here ever pays.

use std::time::Duration;

use reqwest::{
    Client, Request, Response, StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use x402_schemas::{
    api::trace_context,
    invoice::{Resource, header},
};

use crate::{
    body,
    errors::{FetchError, NotServed},
    proof::PaidWith,
    step::{Observer, Step},
};

/// Whatever a provider advises, the proof is sent again neither faster nor slower than this.
const RETRY_BOUNDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The pause when the provider advises none.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Codes of a 503 that ask for the same proof again.
const NOT_YET: [&str; 2] = ["PAYMENT_PENDING", "VERIFIER_UNAVAILABLE"];

/// What a provider's 503 says, if it says it our way.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NotYet {
    error: String,
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

/// Sends the request with the proof until it is answered, refused, or the deadline has come.
pub(crate) async fn redeem(
    http: &Client,
    observer: &Observer,
    paid: PaidWith,
    request: Request,
    deadline: Instant,
) -> Result<(Response, PaidWith), FetchError> {
    let request = with_proof(&paid, request)?;
    loop {
        let mut again = request.try_clone().ok_or(FetchError::NotReplayable)?;
        trace_context::write(again.headers_mut());
        let asked = Instant::now();
        let response = match http.execute(again).await {
            Ok(response) => response,
            Err(error) => return Err(not_served(paid, NotServed::Connection(error))),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        if status == StatusCode::PAYMENT_REQUIRED {
            let (paid, body) = (Box::new(paid), body::refusal(response).await);
            return Err(FetchError::ProofRefused { paid, body });
        }
        if !status.is_server_error() {
            observer.see(|| Step::Served {
                status,
                took: asked.elapsed(),
            });
            return Ok((response, paid));
        }
        let body = body::refusal(response).await;
        let left = deadline.saturating_duration_since(Instant::now());
        match not_yet(status, &headers, &body) {
            Some((code, retry_after)) if retry_after <= left => {
                observer.see(|| Step::NotVerifiedYet {
                    code,
                    retry_after,
                    took: asked.elapsed(),
                });
                sleep(retry_after).await;
            }
            _ => return Err(not_served(paid, NotServed::Status { status, body })),
        }
    }
}

/// The request with the proof, if it is the request that was paid for.
fn with_proof(paid: &PaidWith, mut request: Request) -> Result<Request, FetchError> {
    if !is_paid_for(paid, &request) {
        return Err(FetchError::OtherResource);
    }
    if let Some(proof) = paid.proof.header() {
        request.headers_mut().insert(header::PROOF, proof);
    }
    Ok(request)
}

fn is_paid_for(paid: &PaidWith, request: &Request) -> bool {
    Resource::of(request.method().as_str(), request.url())
        .is_ok_and(|resource| resource == paid.invoice.resource)
}

fn not_served(paid: PaidWith, source: NotServed) -> FetchError {
    let source = match source {
        NotServed::Connection(error) => NotServed::Connection(error.without_url()),
        status @ NotServed::Status { .. } => status,
    };
    FetchError::NotServed {
        paid: Box::new(paid),
        source,
    }
}

/// The code and pause of a 503 that asks for the same proof again.
fn not_yet(status: StatusCode, headers: &HeaderMap, body: &str) -> Option<(String, Duration)> {
    if status != StatusCode::SERVICE_UNAVAILABLE {
        return None;
    }
    let answer: NotYet = serde_json::from_str(body).ok()?;
    if !NOT_YET.contains(&answer.error.as_str()) {
        return None;
    }
    let header_seconds = || headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok();
    let pause = answer
        .retry_after_ms
        .map(Duration::from_millis)
        .or_else(|| header_seconds().map(Duration::from_secs))
        .unwrap_or(RETRY_PAUSE);
    Some((answer.error, pause.clamp(RETRY_BOUNDS.0, RETRY_BOUNDS.1)))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn only_a_503_that_names_a_reason_asks_for_the_same_proof_again() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
        let pending = r#"{"error":"PAYMENT_PENDING","message":"m","retryAfterMs":700}"#;
        let away = r#"{"error":"VERIFIER_UNAVAILABLE","message":"m"}"#;
        let pause = |status: u16, body| {
            let status = StatusCode::from_u16(status).unwrap();
            not_yet(status, &headers, body).map(|(_, pause)| pause)
        };
        assert_eq!(pause(503, pending), Some(Duration::from_millis(700)));
        assert_eq!(pause(503, away), Some(Duration::from_secs(2)));
        for (status, body) in [
            (500, pending),
            (402, pending),
            (503, ""),
            (503, "busy"),
            (503, r#"{"error":"OVERLOADED"}"#),
        ] {
            assert_eq!(pause(status, body), None, "{status} {body:?}");
        }
    }

    #[test]
    fn no_provider_makes_us_hammer_it_or_wait_for_ever() {
        let pause = |body| {
            not_yet(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new(), body)
                .unwrap()
                .1
        };
        assert_eq!(
            pause(r#"{"error":"PAYMENT_PENDING","retryAfterMs":0}"#),
            RETRY_BOUNDS.0
        );
        assert_eq!(
            pause(r#"{"error":"PAYMENT_PENDING","retryAfterMs":18446744073709551615}"#),
            RETRY_BOUNDS.1
        );
        assert_eq!(pause(r#"{"error":"PAYMENT_PENDING"}"#), RETRY_PAUSE);
    }
}
