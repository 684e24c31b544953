//! What the agent is told. A payment's state in, one HTTP answer out.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use x402_schemas::{
    api::agent::{PayFailed, PayPending, PaySettled},
    codes::PaymentFailure,
    payment::PaymentStatus,
};

use super::reserve::Refusal;
use crate::ledger::payments::Payment;

/// When asking again makes sense; a block of mainnet takes 12 seconds, of a local chain one.
const RETRY_AFTER_MS: u64 = 1_000;

pub(super) fn of_payment(payment: &Payment) -> Response {
    match (payment.status, &payment.failure) {
        (PaymentStatus::Settled, _) => settled(payment),
        (PaymentStatus::Failed, failure) => {
            let code = failure
                .as_ref()
                .map_or(PaymentFailure::WalletError, |failure| failure.code);
            let message = failure
                .as_ref()
                .map_or_else(String::new, |failure| failure.detail.clone());
            failed(status_of(code), code.as_str(), message)
        }
        (PaymentStatus::Reserved | PaymentStatus::Signed | PaymentStatus::Broadcast, _) => {
            pending(payment)
        }
    }
}

pub(super) fn of_refusal(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Quote(code) => {
            let message = match code {
                PaymentFailure::QuoteNotFound => "no quote of yours has that id; ask POST /quote",
                PaymentFailure::QuoteExpired => {
                    "the quote is older than 60 seconds; ask POST /quote for a new one"
                }
                PaymentFailure::InsufficientBalance
                | PaymentFailure::InsufficientAllowance
                | PaymentFailure::TokenPaused
                | PaymentFailure::AccountBlocked
                | PaymentFailure::TransactionFailed
                | PaymentFailure::WalletError => "nothing was paid; ask POST /quote for a new one",
            };
            failed(status_of(code), code.as_str(), message.to_owned())
        }
        Refusal::Denied(denial, message) => failed(StatusCode::FORBIDDEN, denial.as_str(), message),
    }
}

/// Nothing was paid and the caller can change that: the treasury's or the chain's state is in the way.
const fn status_of(code: PaymentFailure) -> StatusCode {
    match code {
        PaymentFailure::QuoteNotFound => StatusCode::NOT_FOUND,
        PaymentFailure::QuoteExpired => StatusCode::GONE,
        PaymentFailure::InsufficientBalance
        | PaymentFailure::InsufficientAllowance
        | PaymentFailure::TokenPaused
        | PaymentFailure::AccountBlocked
        | PaymentFailure::TransactionFailed
        | PaymentFailure::WalletError => StatusCode::CONFLICT,
    }
}

fn settled(payment: &Payment) -> Response {
    // A settled payment has both; without them it is not yet there for the agent.
    let (Some(tx_hash), Some(proof)) = (payment.tx_hash, &payment.proof) else {
        return pending(payment);
    };
    Json(PaySettled {
        success: true,
        status: PaymentStatus::Settled,
        payment_id: payment.id.clone(),
        invoice_id: payment.invoice.id.clone(),
        tx_hash,
        proof: proof.clone(),
    })
    .into_response()
}

fn pending(payment: &Payment) -> Response {
    let pending = PayPending {
        status: "pending".to_owned(),
        payment_id: payment.id.clone(),
        tx_hash: payment.tx_hash,
        retry_after_ms: RETRY_AFTER_MS,
    };
    (StatusCode::ACCEPTED, Json(pending)).into_response()
}

fn failed(status: StatusCode, error: &'static str, message: String) -> Response {
    let failed = PayFailed {
        success: false,
        error: error.to_owned(),
        message,
    };
    (status, Json(failed)).into_response()
}
