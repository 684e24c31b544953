//! `POST /pay`: reserve → preflight → sign → broadcast → wait.
//!
//! Repeating it never pays twice. Once reserved, a payment no longer depends on the request: it is
//! driven by a task of its own, and a client that goes away only misses the answer.

/// The quote becomes a payment that counts against every limit.
pub(crate) mod reserve;

/// What a run before has left reserved.
pub(crate) mod resume;

/// The chain's state in; permission to sign out.
pub(crate) mod preflight;

/// One payment of a spender at a time is signed and handed over.
pub(crate) mod lane;

/// The next nonce, the signature and their record, in one change of the ledger.
mod sign;

/// Handing signed bytes over, the first time and again.
pub(crate) mod broadcast;

/// Bidding higher for what waits too long.
pub(crate) mod replace;

/// Waiting for settlement without asking the ledger over and over.
pub(crate) mod wait;

/// What the agent is told.
mod answer;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use thiserror::Error;
use tokio::time::Instant;
use tracing::{Instrument, info_span};
use x402_schemas::{
    api::agent::{PayFailed, PayPending, PayRequest, PaySettled},
    codes::{PaymentError, PaymentFailure},
    payment::PaymentStatus,
};
use x402_service::{clock, json::StrictJson, logs::with_causes, problem::Problem, trace};

use crate::{
    gateway::Gateway,
    idempotency::{IdempotencyError, IdempotencyKey},
    ledger::{
        LedgerError,
        payments::{Failure, Payment},
        transitions,
    },
    principal::Agent,
};
use reserve::Reservation;

const DEFAULT_WAIT: Duration = Duration::from_secs(15);
const MAX_WAIT: Duration = Duration::from_mins(1);

/// Why `/pay` could not answer. The payment may exist: asking again is safe.
#[derive(Debug, Error)]
pub(crate) enum PayError {
    #[error("waitMs is at most {}", MAX_WAIT.as_millis())]
    LongWait,
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("the request cannot be told from others")]
    Idempotency(#[from] IdempotencyError),
    #[error("the gateway is stopping; ask again")]
    Stopping,
}

impl IntoResponse for PayError {
    fn into_response(self) -> Response {
        match self {
            Self::LongWait => Problem::invalid(self.to_string()).into_response(),
            Self::Ledger(error) => Problem::from(error).into_response(),
            Self::Idempotency(error) => {
                let problem = Problem::from(error);
                answer::of_problem(&problem)
            }
            Self::Stopping => {
                Problem::unavailable("STOPPING", "the gateway is stopping; ask again", &self)
                    .into_response()
            }
        }
    }
}

/// Pay what was quoted. Repeating it, for the same quote or for another quote of the same invoice and
/// terms, never pays twice: it answers with the one payment there is.
#[utoipa::path(post, path = "/pay", tag = "agent", request_body = PayRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "With another body it is refused for a day")),
    responses(
        (status = 200, body = PaySettled),
        (status = 202, body = PayPending, description = "Under way, or APPROVAL_REQUIRED: ask GET /payments/{id}, or POST /pay again"),
        (status = 403, body = PayFailed, description = "A denial: policy has changed since the quote, or what it left is reserved; \
            APPROVAL_REJECTED"),
        (status = 404, body = PayFailed, description = "QUOTE_NOT_FOUND"),
        (status = 409, body = PayFailed, description = "INSUFFICIENT_BALANCE, INSUFFICIENT_ALLOWANCE, INSUFFICIENT_GAS, TOKEN_PAUSED, \
            ACCOUNT_BLOCKED, TRANSACTION_FAILED, WALLET_ERROR: nothing was or will be paid; get a new quote to try again; \
            IDEMPOTENCY_KEY_REUSED"),
        (status = 410, body = PayFailed, description = "QUOTE_EXPIRED, APPROVAL_EXPIRED"),
    ), security(("agent" = [])))]
pub(crate) async fn pay(
    State(gateway): State<Arc<Gateway>>,
    agent: Agent,
    key: IdempotencyKey,
    StrictJson(request): StrictJson<PayRequest>,
) -> Result<Response, PayError> {
    let wait = request.wait_ms.map_or(DEFAULT_WAIT, Duration::from_millis);
    if wait > MAX_WAIT {
        return Err(PayError::LongWait);
    }
    let deadline = Instant::now().checked_add(wait);
    let attempt = key.attempt(&agent.agent_id, "POST /pay", &request, clock::now())?;
    let slot = Arc::clone(&gateway.sending_slots)
        .acquire_owned()
        .await
        .map_err(|_| PayError::Stopping)?;
    let (reserved, reservation) = tokio::sync::oneshot::channel();
    let driver = Arc::clone(&gateway);
    let paying = async move {
        let reservation = reserve::reserve(&driver, &agent, &attempt, &request.quote_id)
            .instrument(info_span!("reserve"))
            .await;
        let new = match &reservation {
            Ok(Reservation::New(payment)) => {
                driver.metrics.stepped_to(payment.status);
                (payment.status == PaymentStatus::Reserved).then(|| payment.clone())
            }
            Ok(Reservation::Known(_) | Reservation::Refused(_)) | Err(_) => None,
        };
        // Nobody waits any more when the client has gone; the payment goes on.
        drop(reserved.send(reservation));
        if let Some(payment) = new {
            drive(&driver, &payment).await;
        }
        drop(slot);
    };
    gateway
        .sending
        .spawn(trace::apart(paying, info_span!("pay")));
    match reservation.await.map_err(|_| PayError::Stopping)?? {
        Reservation::New(payment) | Reservation::Known(payment) => {
            trace::tell("payment_id", &payment.id);
            let payment = gateway.await_end(payment, deadline).await?;
            Ok(answer::of_payment(&payment))
        }
        Reservation::Refused(code) => {
            gateway.metrics.failed(PaymentError::Failed(code));
            Ok(answer::of_refusal(code))
        }
    }
}

/// Drives a payment that was reserved by somebody else than `/pay`.
pub(crate) fn start(gateway: &Arc<Gateway>, payment: Payment) {
    let driver = Arc::clone(gateway);
    let paying = async move {
        let slots = Arc::clone(&driver.sending_slots);
        // Closed never; without a slot the payment stays reserved and is released by the recovery.
        let Ok(_slot) = slots.acquire_owned().await else {
            return;
        };
        drive(&driver, &payment).await;
    };
    gateway
        .sending
        .spawn(trace::apart(paying, info_span!("pay")));
}

/// Takes a reserved payment as far as the chain's hands, or releases it.
async fn drive(gateway: &Gateway, payment: &Payment) {
    trace::tell("payment_id", &payment.id);
    gateway.traces.remember(&payment.id);
    let lane = gateway.lanes.of_workspace(&payment.workspace_id);
    let observing = preflight::observe(gateway, payment);
    let failure = match observing.instrument(info_span!("preflight")).await {
        Ok(observed) => {
            let turn = lane.lock().await;
            let signing = sign::sign(gateway, payment, &observed);
            match signing.instrument(info_span!("sign")).await {
                Ok(Some(raw)) => {
                    gateway.metrics.stepped_to(PaymentStatus::Signed);
                    let sending = broadcast::send(gateway, &raw);
                    let sent = sending.instrument(info_span!("broadcast")).await;
                    drop(turn);
                    broadcast::record(gateway, &payment.id, sent).await;
                    return;
                }
                // Somebody else has failed it: it was reserved for too long.
                Ok(None) => return,
                Err(sign::SignError::Refused(failure)) => failure,
                Err(error) => wallet_error(
                    &error,
                    "the gateway could not sign; get a new quote and try again",
                ),
            }
        }
        Err(preflight::ObserveError::NoTreasury) => Failure {
            code: PaymentError::Failed(PaymentFailure::WalletError),
            detail: "the workspace has no treasury; an owner attaches one with POST /treasury"
                .to_owned(),
        },
        Err(error) => wallet_error(
            &error,
            "the chain could not be asked; nothing was sent, get a new quote and try again",
        ),
    };
    trace::tell("code", failure.code.as_str());
    release(gateway, payment, &failure).await;
}

fn wallet_error(error: &dyn std::error::Error, detail: &str) -> Failure {
    tracing::warn!(
        error = with_causes(error),
        "a payment ends before it was signed"
    );
    Failure {
        code: PaymentError::Failed(PaymentFailure::WalletError),
        detail: detail.to_owned(),
    }
}

/// Fails a payment that was never signed. If the ledger fails too, the payment stays reserved and is
/// released later by the recovery.
async fn release(gateway: &Gateway, payment: &Payment, failure: &Failure) {
    let released = async {
        let mut change = gateway.ledger.write().await?;
        let failed =
            transitions::fail_unsigned(&mut change, &payment.id, failure, clock::now()).await?;
        change.commit().await?;
        Ok::<_, LedgerError>(failed)
    };
    match released.await {
        Ok(true) => {
            gateway.metrics.stepped_to(PaymentStatus::Failed);
            gateway.metrics.failed(failure.code);
        }
        Ok(false) => (),
        Err(error) => {
            tracing::error!(
                error = with_causes(&error),
                payment = payment.id,
                "a reservation could not be released yet"
            );
        }
    }
    gateway.waiters.wake(&payment.id);
}
