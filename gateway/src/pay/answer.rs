//! What the agent is told. A payment's state in, one HTTP answer out.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use x402_schemas::{
    api::agent::{PayFailed, PayPending, PaySettled},
    codes::{Denial, PaymentError, PaymentFailure},
    payment::PaymentStatus,
};
use x402_service::problem::Problem;

use crate::ledger::payments::Payment;

/// When asking again makes sense; a block of mainnet takes 12 seconds, of a local chain one.
const RETRY_AFTER_MS: u64 = 1_000;
/// A person approves; nobody has to know within a second.
const RETRY_APPROVAL_AFTER_MS: u64 = 5_000;

pub(super) fn of_payment(payment: &Payment) -> Response {
    match payment.status {
        PaymentStatus::Settled => settled(payment),
        PaymentStatus::Denied
        | PaymentStatus::Expired
        | PaymentStatus::Failed
        | PaymentStatus::Reverted => void(payment),
        PaymentStatus::Quoted
        | PaymentStatus::AwaitingApproval
        | PaymentStatus::Reserved
        | PaymentStatus::Signed
        | PaymentStatus::Broadcast
        | PaymentStatus::Included => pending(payment),
    }
}

pub(super) fn of_refusal(code: PaymentFailure) -> Response {
    let message = match code {
        PaymentFailure::QuoteNotFound => "no quote of yours has that id; ask POST /quote",
        PaymentFailure::QuoteExpired => {
            "the quote is older than 60 seconds; ask POST /quote for a new one"
        }
        PaymentFailure::InsufficientBalance
        | PaymentFailure::InsufficientAllowance
        | PaymentFailure::InsufficientGas
        | PaymentFailure::TokenPaused
        | PaymentFailure::AccountBlocked
        | PaymentFailure::TransactionFailed
        | PaymentFailure::WalletError
        | PaymentFailure::ApprovalRejected
        | PaymentFailure::ApprovalExpired => "nothing was paid; ask POST /quote for a new one",
    };
    failed(PaymentError::Failed(code), message.to_owned())
}

/// A problem in the form of a refusal, as it stands beside refusals of the same status.
pub(super) fn of_problem(problem: &Problem) -> Response {
    let failed = PayFailed {
        success: false,
        error: problem.code().to_owned(),
        message: problem.message().to_owned(),
    };
    (problem.status(), Json(failed)).into_response()
}

/// Nothing was paid and the caller can change that: policy, the treasury's or the chain's state is in
/// the way.
const fn status_of(code: PaymentError) -> StatusCode {
    match code {
        PaymentError::Denied(_) | PaymentError::Failed(PaymentFailure::ApprovalRejected) => {
            StatusCode::FORBIDDEN
        }
        PaymentError::Failed(PaymentFailure::QuoteNotFound) => StatusCode::NOT_FOUND,
        PaymentError::Failed(PaymentFailure::QuoteExpired | PaymentFailure::ApprovalExpired) => {
            StatusCode::GONE
        }
        PaymentError::Failed(
            PaymentFailure::InsufficientBalance
            | PaymentFailure::InsufficientAllowance
            | PaymentFailure::InsufficientGas
            | PaymentFailure::TokenPaused
            | PaymentFailure::AccountBlocked
            | PaymentFailure::TransactionFailed
            | PaymentFailure::WalletError,
        ) => StatusCode::CONFLICT,
    }
}

fn void(payment: &Payment) -> Response {
    match &payment.failure {
        Some(failure) => failed(failure.code, failure.detail.clone()),
        None => failed(
            PaymentError::Failed(PaymentFailure::WalletError),
            String::new(),
        ),
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
    let awaits = payment.status == PaymentStatus::AwaitingApproval;
    let pending = PayPending {
        status: "pending".to_owned(),
        payment_id: payment.id.clone(),
        tx_hash: payment.tx_hash,
        reason: awaits.then_some(Denial::ApprovalRequired),
        retry_after_ms: if awaits {
            RETRY_APPROVAL_AFTER_MS
        } else {
            RETRY_AFTER_MS
        },
    };
    (StatusCode::ACCEPTED, Json(pending)).into_response()
}

fn failed(code: PaymentError, message: String) -> Response {
    let failed = PayFailed {
        success: false,
        error: code.as_str().to_owned(),
        message,
    };
    (status_of(code), Json(failed)).into_response()
}
