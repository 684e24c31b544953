//! Requests that are turned away, as HTTP.
//!
//! A 402 always carries a new invoice. "Not yet" is a 503 and never a 402: a payment is on its way,
//! and a 402 would invite a second one.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use jiff::Timestamp;
use serde::Serialize;
use x402_schemas::{
    codes::Refusal,
    invoice::{CURRENCY, InvoiceId, InvoiceSignature, header},
};

use crate::invoice::Terms;

/// When asking again makes sense while the verifier is away, in milliseconds.
const UNAVAILABLE_RETRY_MS: u64 = 2_000;

/// When asking again makes sense while a payment is pending and the verifier advises nothing.
const PENDING_RETRY_MS: u64 = 1_000;

/// Why a request is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// It has to be paid for, or paid for again if a proof was refused.
    Pay(Box<Demand>),
    /// Its payment is not indexed or confirmed yet.
    NotYet { retry_after_ms: Option<u64> },
    /// Whether it was paid cannot be found out now.
    Unavailable,
    /// Its path is not spelled as agents and invoices spell it.
    NotCanonical,
}

/// A new invoice, and why the proof that came, if any, does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) refusal: Option<Refusal>,
    pub(crate) invoice_id: InvoiceId,
    pub(crate) signature: InvoiceSignature,
    pub(crate) expires_at: u64,
    pub(crate) terms: Terms,
    pub(crate) description: HeaderValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DemandBody<'a> {
    error: &'a str,
    message: &'a str,
    invoice_id: &'a str,
    amount: String,
    currency: &'a str,
    pay_to: String,
    network: String,
    description: &'a str,
    resource: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProblemBody {
    error: &'static str,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl TurnedAway {
    /// The answer that says so.
    pub(crate) fn into_response<B: From<Bytes>>(self) -> Response<B> {
        match self {
            Self::Pay(demand) => payment_required(&demand),
            Self::NotYet { retry_after_ms } => problem(
                StatusCode::SERVICE_UNAVAILABLE,
                Refusal::PaymentPending.as_str(),
                "the payment is not confirmed yet; do not pay again, send the same proof again after retryAfterMs",
                Some(retry_after_ms.unwrap_or(PENDING_RETRY_MS)),
            ),
            Self::Unavailable => problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "VERIFIER_UNAVAILABLE",
                "payments cannot be verified now; do not pay again, send the same proof again after retryAfterMs",
                Some(UNAVAILABLE_RETRY_MS),
            ),
            Self::NotCanonical => problem(
                StatusCode::BAD_REQUEST,
                "INVALID_REQUEST",
                "send an upper-case method and the path in its canonical form: no dot segments, nothing that a URL has to escape",
                None,
            ),
        }
    }
}

fn payment_required<B: From<Bytes>>(demand: &Demand) -> Response<B> {
    let terms = &demand.terms;
    let pay_to = terms.pay_to.to_checksum(None);
    let (amount, network) = (terms.price.to_string(), terms.network.to_string());
    let body = DemandBody {
        error: demand.refusal.map_or("PAYMENT_REQUIRED", Refusal::as_str),
        message: advice(demand.refusal),
        invoice_id: demand.invoice_id.as_str(),
        amount: amount.clone(),
        currency: CURRENCY,
        pay_to: pay_to.clone(),
        network: network.clone(),
        description: demand.description.to_str().unwrap_or_default(),
        resource: terms.resource.as_str(),
        expires_at: i64::try_from(demand.expires_at)
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok()),
    };
    let mut response = json(StatusCode::PAYMENT_REQUIRED, &body);
    let headers = response.headers_mut();
    insert(headers, header::INVOICE_ID, demand.invoice_id.as_str());
    insert(headers, header::AMOUNT, &amount);
    insert(headers, header::PAY_TO, &pay_to);
    insert(headers, header::NETWORK, &network);
    insert(headers, header::CURRENCY, CURRENCY);
    insert(headers, header::SIGNATURE, &demand.signature.to_string());
    headers.insert(header::DESCRIPTION, demand.description.clone());
    response
}

/// What a buyer should do about a refusal.
const fn advice(refusal: Option<Refusal>) -> &'static str {
    match refusal {
        None => {
            "pay this invoice through your gateway, then send the request again with its proof in X-402-Proof"
        }
        Some(Refusal::InvalidProof) => {
            "X-402-Proof is no proof that is accepted here; send it as your gateway gave it, or pay this new invoice"
        }
        Some(Refusal::ProofExpired) => {
            "the proof or its invoice has ended; to buy now, pay this new invoice"
        }
        Some(Refusal::PaymentNotFound) => {
            "the chain shows no such payment; ask your gateway before you pay this new invoice"
        }
        Some(Refusal::PaymentPending) => {
            "the payment is not confirmed yet; do not pay again, send the same proof again"
        }
        Some(Refusal::InvoiceMismatch) => {
            "the proof pays for another request; send it to that method and URL, or pay this new invoice"
        }
        Some(Refusal::AmountMismatch) => {
            "the proof pays another amount than the price; ask the provider before you pay this new invoice"
        }
        Some(Refusal::RecipientMismatch) => {
            "the proof pays somebody else; to buy here, pay this new invoice"
        }
        Some(Refusal::NetworkMismatch) => {
            "the proof pays on another network or in another token; to buy here, pay this new invoice"
        }
        Some(Refusal::AlreadyClaimed) => {
            "the proof was used before; if you were not served for it, ask the provider, else pay this new invoice"
        }
        Some(Refusal::PaymentReverted) => {
            "the chain has dropped the payment; ask your gateway before you pay this new invoice"
        }
    }
}

fn problem<B: From<Bytes>>(
    status: StatusCode,
    error: &'static str,
    message: &'static str,
    retry_after_ms: Option<u64>,
) -> Response<B> {
    let body = ProblemBody {
        error,
        message,
        retry_after_ms,
    };
    let mut response = json(status, &body);
    if let Some(ms) = retry_after_ms {
        let seconds = HeaderValue::from(ms.div_ceil(1_000));
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

fn json<B: From<Bytes>>(status: StatusCode, body: &impl Serialize) -> Response<B> {
    // Texts and numbers only, so serializing cannot fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(B::from(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// For values that are visible ASCII by their type.
fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
