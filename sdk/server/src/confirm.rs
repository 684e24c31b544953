//! What the verifier says afterwards of a payment that was served at once.
//!
//! It is asked until it gives a verdict or too long has passed, with the attempt that was served, so
//! that its claim is this request's. The outcome goes to the provider's hook, once for each payment
//! that was served, unless the process ends before.

use std::time::Duration;

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};
use x402_schemas::{
    api::provider::{VerifyRequest, VerifyResponse},
    codes::Refusal,
};

use crate::{
    config::ConfirmationHook, invoice::Terms, judge::judge, payment::VerifiedPayment,
    verifier::Verifier,
};

/// How long the verifier is asked: a deep confirmation on a slow chain, and an outage that somebody mends.
const CONFIRM_WITHIN: Duration = Duration::from_mins(30);

/// The pause after no answer.
const PAUSE: Duration = Duration::from_secs(2);

/// The shortest and the longest pause while a payment is pending, whatever the verifier advises.
const MIN_PENDING: Duration = Duration::from_millis(100);
const MAX_PENDING: Duration = Duration::from_secs(30);

/// What became of a payment that was served before the verifier had answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The payment; as the verifier sees it once it is confirmed.
    pub payment: VerifiedPayment,
    /// The verifier's word.
    pub outcome: Outcome,
}

/// The verifier's word on a payment that was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is on the chain and used up for this request.
    Confirmed,
    /// The request was served for nothing.
    Refused(Refusal),
    /// There was no usable answer in time.
    Unknown,
}

/// A payment that was served, and what to ask about it.
#[derive(Debug)]
pub(crate) struct Unconfirmed {
    pub(crate) question: VerifyRequest,
    pub(crate) terms: Terms,
    pub(crate) min_confirmations: u64,
    pub(crate) payment: VerifiedPayment,
    /// Given back once the outcome is told.
    pub(crate) slot: OwnedSemaphorePermit,
}

impl Unconfirmed {
    /// Asks and tells.
    pub(crate) async fn settle(self, verifier: Verifier, hook: ConfirmationHook) {
        let confirmation = self.ask(&verifier).await;
        if confirmation.outcome != Outcome::Confirmed {
            let (payment_id, invoice_id) = (
                &confirmation.payment.payment_id,
                &confirmation.payment.invoice_id,
            );
            let outcome = confirmation.outcome;
            tracing::error!(%payment_id, %invoice_id, ?outcome, "a payment that was served is not confirmed");
        }
        hook.tell(confirmation);
        drop(self.slot);
    }

    async fn ask(&self, verifier: &Verifier) -> Confirmation {
        let begin = Instant::now();
        while begin.elapsed() < CONFIRM_WITHIN {
            let pause = match verifier.verify(&self.question).await {
                Ok(VerifyResponse::Verified(answer)) => {
                    let invoice_id = &self.question.invoice_id;
                    return match judge(invoice_id, &self.terms, self.min_confirmations, *answer) {
                        Ok(payment) => Confirmation {
                            payment,
                            outcome: Outcome::Confirmed,
                        },
                        // An answer that contradicts the question will not improve.
                        Err(_) => self.told(Outcome::Unknown),
                    };
                }
                Ok(VerifyResponse::Refused(refused)) => {
                    if refused.error_code != Refusal::PaymentPending {
                        return self.told(Outcome::Refused(refused.error_code));
                    }
                    refused
                        .retry_after_ms
                        .map_or(PAUSE, Duration::from_millis)
                        .clamp(MIN_PENDING, MAX_PENDING)
                }
                Err(_) => PAUSE,
            };
            sleep(pause).await;
        }
        self.told(Outcome::Unknown)
    }

    fn told(&self, outcome: Outcome) -> Confirmation {
        Confirmation {
            payment: self.payment.clone(),
            outcome,
        }
    }
}
