//! `POST /verify`: does this proof pay this invoice?
//!
//! A request that says so waits while its payment is on its way: each commit of the index makes it be
//! asked again. The steps to the verdict are shared with the batch: see [`cases`](crate::cases).

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use thiserror::Error;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use x402_schemas::{
    api::{
        ErrorBody,
        confirmations::MAX_CONFIRMATIONS,
        provider::{Refused, VerifyRequest, VerifyResponse},
    },
    codes::Refusal,
};
use x402_service::{api_key::ApiKey, clock, json::StrictJson, problem::Problem, trace};

use crate::{
    Verifier,
    cases::answer,
    claims::ClaimError,
    limits::{Left, LimitError},
    principal::{Admitted, KeyError, Principal},
    transfers::LookUpError,
};

/// The longest attempt, characters.
const MAX_ATTEMPT_LEN: usize = 64;

/// The longest wait that can be asked for; shorter than a request may take.
const MAX_WAIT: Duration = Duration::from_secs(8);

/// Why a proof could not be judged.
#[derive(Debug, Error)]
pub(crate) enum VerifyError {
    /// `attempt` is no name.
    #[error("attempt has 1 to {MAX_ATTEMPT_LEN} characters")]
    Attempt,
    /// `minConfirmations` makes no sense.
    #[error("minConfirmations is 1 to {MAX_CONFIRMATIONS}")]
    Confirmations,
    /// `waitMs` is too long.
    #[error("waitMs is at most {}", MAX_WAIT.as_millis())]
    Wait,
    /// `waitMs` among others.
    #[error("waitMs is for single requests; leave it out of a batch")]
    WaitInBatch,
    /// The key is not valid, or no longer.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The provider asks too much, or the verifier has too much in hand.
    #[error(transparent)]
    Limited(#[from] LimitError),
    /// The index's last block is too old.
    #[error("the index's last block is too old to answer from")]
    Stale,
    /// The transfer is not in memory and the index cannot be asked.
    #[error("the index cannot be asked")]
    Index(#[from] LookUpError),
    /// The claim is not known to be on disk.
    #[error("the claim is not known to be on disk")]
    Claims(#[from] ClaimError),
}

/// Judges one proof and, unless asked not to, uses it up.
#[utoipa::path(
    post,
    path = "/verify",
    request_body = VerifyRequest,
    responses(
        (status = 200, description = "The verdict: verified, or refused with the first reason that holds. X-RateLimit-Limit, -Remaining and -Reset tell what is left", body = VerifyResponse),
        (status = 429, description = "RATE_LIMITED: ask again after Retry-After", body = ErrorBody),
        (status = 503, description = "INDEX_UNAVAILABLE, INDEX_STALE, CLAIMS_UNAVAILABLE, DIRECTORY_STALE, OVERLOADED: no verdict; ask again after Retry-After", body = ErrorBody),
    ),
    security(("provider_key" = []))
)]
pub(crate) async fn verify(
    State(verifier): State<Arc<Verifier>>,
    admitted: Admitted,
    StrictJson(request): StrictJson<VerifyRequest>,
) -> Result<(Left, Json<VerifyResponse>), VerifyError> {
    let timer = verifier.metrics.verify_duration_seconds.start_timer();
    check(&request)?;
    let principal = &admitted.principal;
    let (left, in_hand) = verifier.admit(principal, 1)?;
    let wait = request
        .wait_ms
        .map_or(Duration::ZERO, Duration::from_millis);
    // Subscribed before the look, so that what comes after it is not missed.
    let news = (!wait.is_zero()).then(|| verifier.transfers.news());
    let mut answer = answer_one(&verifier, principal, &request).await?;
    // The wait is the caller's wish and counts neither as ours nor as work in hand.
    timer.observe_duration();
    drop(in_hand);
    if let Some(news) = news
        && is_pending(&answer)
    {
        answer = wait_for(&verifier, &admitted.key, &request, answer, news, wait).await?;
    }
    tell(&answer);
    Ok((left, Json(answer)))
}

/// Says in the trace what was answered.
fn tell(answer: &VerifyResponse) {
    match answer {
        VerifyResponse::Verified(verified) => {
            trace::tell("verdict", "VERIFIED");
            trace::tell("payment_id", &verified.payment_id);
        }
        VerifyResponse::Refused(refused) => trace::tell("verdict", refused.error_code.as_str()),
    }
}

/// Asks again with each commit of the index, until the answer is another or the time is up.
async fn wait_for(
    verifier: &Verifier,
    key: &ApiKey,
    request: &VerifyRequest,
    mut answer: VerifyResponse,
    mut news: watch::Receiver<()>,
    wait: Duration,
) -> Result<VerifyResponse, VerifyError> {
    let _waiting = verifier.metrics.waiting();
    let start = Instant::now();
    while is_pending(&answer)
        && let Ok(Ok(())) = timeout(wait.saturating_sub(start.elapsed()), news.changed()).await
    {
        // The key may have been revoked meanwhile.
        let principal = Principal::of(verifier, key)?;
        answer = answer_one(verifier, &principal, request).await?;
    }
    Ok(answer)
}

async fn answer_one(
    verifier: &Verifier,
    principal: &Principal,
    request: &VerifyRequest,
) -> Result<VerifyResponse, VerifyError> {
    let requests = std::slice::from_ref(request);
    let mut answers = answer(verifier, principal, requests, clock::now()).await?;
    // One request has one answer; without it nothing may be served.
    answers
        .pop()
        .ok_or(VerifyError::Index(LookUpError::Stopped))
}

fn is_pending(answer: &VerifyResponse) -> bool {
    matches!(
        answer,
        VerifyResponse::Refused(Refused {
            error_code: Refusal::PaymentPending,
            ..
        })
    )
}

/// Whether the request can be judged at all, beyond its form.
pub(crate) fn check(request: &VerifyRequest) -> Result<(), VerifyError> {
    let attempt_len = request
        .attempt
        .as_ref()
        .map_or(1, |attempt| attempt.chars().count());
    if !(1..=MAX_ATTEMPT_LEN).contains(&attempt_len) {
        return Err(VerifyError::Attempt);
    }
    if !(1..=MAX_CONFIRMATIONS).contains(&request.min_confirmations.unwrap_or(1)) {
        return Err(VerifyError::Confirmations);
    }
    if Duration::from_millis(request.wait_ms.unwrap_or(0)) > MAX_WAIT {
        return Err(VerifyError::Wait);
    }
    Ok(())
}

impl VerifyError {
    /// The answer that the caller sees, unless a limit gives its own.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Attempt
            | Self::Confirmations
            | Self::Wait
            | Self::WaitInBatch
            | Self::Limited(_) => Problem::invalid(self.to_string()),
            Self::Key(error) => error.problem(),
            Self::Stale => Problem::unavailable(
                "INDEX_STALE",
                "the index has fallen behind the chain, so there is no verdict; ask again",
                self,
            ),
            Self::Index(error) => Problem::unavailable(
                "INDEX_UNAVAILABLE",
                "the index cannot be asked at the moment, so there is no verdict; ask again",
                error,
            ),
            Self::Claims(error) => Problem::unavailable(
                "CLAIMS_UNAVAILABLE",
                "the claim could not be put on disk, so there is no verdict; ask again with the same attempt",
                error,
            ),
        }
    }

    /// Code and text, for an answer among others.
    pub(crate) fn code_and_message(&self) -> (&'static str, String) {
        if let Some(error) = self.limit() {
            return (error.code(), error.to_string());
        }
        let problem = self.problem();
        (problem.code(), problem.message().to_owned())
    }

    /// The limit that was met, if that is what it is.
    pub(crate) const fn limit(&self) -> Option<LimitError> {
        match self {
            Self::Limited(error) => Some(*error),
            // Queues that are full are load, not failures.
            Self::Index(LookUpError::Busy) | Self::Claims(ClaimError::Busy) => {
                Some(LimitError::Overloaded)
            }
            Self::Attempt
            | Self::Confirmations
            | Self::Wait
            | Self::WaitInBatch
            | Self::Key(_)
            | Self::Stale
            | Self::Index(_)
            | Self::Claims(_) => None,
        }
    }
}

impl IntoResponse for VerifyError {
    fn into_response(self) -> Response {
        match self.limit() {
            Some(error) => error.into_response(),
            None => self.problem().into_response(),
        }
    }
}
