//! `POST /verify`: does this proof pay this invoice?
//!
//! Reads the proof, looks at the index, judges, claims, and judges again with the claim as it is on
//! disk and the transfer as it is by then, so that a reorg in between is not missed. The batch goes
//! through the same steps, each taken once for all its items.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
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
    transfer::{Transfer, TransferId},
};
use x402_service::{api_key::ApiKey, clock, json::StrictJson, problem::Problem};

use crate::{
    Verifier,
    claims::{Claim, ClaimError, Wanted},
    limits::{Left, LimitError},
    metrics::ClaimOutcome,
    principal::{Admitted, KeyError, Principal},
    transfers::LookUpError,
    verdict::{
        Facts, Look, NotVerified, Statement, claims_it, is_stale, judge, needs_look_up, verified,
    },
};

/// The longest attempt, characters.
const MAX_ATTEMPT_LEN: usize = 64;

/// The longest wait that can be asked for; shorter than a request may take.
const MAX_WAIT: Duration = Duration::from_secs(8);

/// Signatures that are checked before other requests get their turn: about a millisecond.
const SIGNATURES_PER_TURN: usize = 32;

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

/// One proof on its way to its verdict.
struct Case<'a> {
    request: &'a VerifyRequest,
    statement: Option<Arc<Statement>>,
    look: Option<Look>,
    claim: Option<Arc<Claim>>,
    verdict: Result<Transfer, NotVerified>,
}

/// What every case of a request is judged with.
#[derive(Clone, Copy)]
struct Court<'a> {
    verifier: &'a Verifier,
    principal: &'a Principal,
    now: Timestamp,
}

/// Judges one proof and, unless asked not to, uses it up.
#[utoipa::path(
    post,
    path = "/verify",
    request_body = VerifyRequest,
    responses(
        (status = 200, description = "The verdict: verified, or refused with the first reason that holds. X-RateLimit-Limit, -Remaining and -Reset tell what is left", body = VerifyResponse),
        (status = 400, description = "INVALID_REQUEST", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 413, description = "PAYLOAD_TOO_LARGE", body = ErrorBody),
        (status = 415, description = "UNSUPPORTED_MEDIA_TYPE", body = ErrorBody),
        (status = 429, description = "RATE_LIMITED: ask again after Retry-After", body = ErrorBody),
        (status = 503, description = "INDEX_UNAVAILABLE, INDEX_STALE, CLAIMS_UNAVAILABLE, DIRECTORY_STALE, OVERLOADED: no verdict; ask again after Retry-After", body = ErrorBody),
    ),
    security(("provider_key" = []))
)]
pub(crate) async fn verify(
    State(verifier): State<Verifier>,
    admitted: Admitted,
    StrictJson(request): StrictJson<VerifyRequest>,
) -> Result<(Left, Json<VerifyResponse>), VerifyError> {
    let timer = verifier.metrics.verify_seconds.start_timer();
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
    Ok((left, Json(answer)))
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

/// The answers to these requests, in their order: one look at the index and one commit for all.
pub(crate) async fn answer(
    verifier: &Verifier,
    principal: &Principal,
    requests: &[VerifyRequest],
    now: Timestamp,
) -> Result<Vec<VerifyResponse>, VerifyError> {
    let tip = verifier
        .transfers
        .progress()
        .and_then(|progress| progress.tip);
    if is_stale(verifier.served, tip, now) {
        return Err(VerifyError::Stale);
    }
    let court = Court {
        verifier,
        principal,
        now,
    };
    let mut cases = court.read(requests).await;
    court.look(&mut cases).await?;
    court.claim(&mut cases).await?;
    let answers = cases.iter().map(|case| {
        let refusal = case.verdict.as_ref().err().map(|refused| refused.refusal);
        verifier.metrics.count_verdict(refusal);
        court.respond(case)
    });
    Ok(answers.collect())
}

impl Court<'_> {
    /// What the proofs state.
    async fn read<'r>(&self, requests: &'r [VerifyRequest]) -> Vec<Case<'r>> {
        let keys = &self.principal.directory.keys;
        let mut cases = Vec::with_capacity(requests.len());
        let mut checked: usize = 0;
        for request in requests {
            if checked >= SIGNATURES_PER_TURN {
                checked = 0;
                tokio::task::yield_now().await;
            }
            let (statement, was_checked) = self.verifier.statements.read(&request.proof, keys);
            checked = checked.saturating_add(usize::from(was_checked));
            cases.push(Case {
                request,
                statement,
                look: None,
                claim: None,
                verdict: Err(NotVerified::UNREAD),
            });
        }
        cases
    }

    /// Looks at the transfers of all proofs that can be judged by them.
    async fn look(&self, cases: &mut [Case<'_>]) -> Result<(), VerifyError> {
        let mut asking = Vec::with_capacity(cases.len());
        let mut ids = Vec::with_capacity(cases.len());
        for case in cases {
            if needs_look_up(&self.facts(case), self.now)
                && let Some(id) = case.transfer()
            {
                asking.push(case);
                ids.push(id);
            }
        }
        let looks = self.verifier.transfers.look(&ids).await?;
        for (case, look) in asking.into_iter().zip(looks) {
            case.look = Some(look);
        }
        Ok(())
    }

    /// Judges; claims what is good and is to be used up, and judges that again; sees who claimed what
    /// only a claim decides.
    async fn claim(&self, cases: &mut [Case<'_>]) -> Result<(), VerifyError> {
        let mut claiming = Vec::with_capacity(cases.len());
        let mut wanted = Vec::with_capacity(cases.len());
        for case in cases {
            case.verdict = self.judge(case);
            let Some(id) = case.transfer() else { continue };
            match case.verdict {
                Ok(transfer) if claims_it(case.request) => {
                    wanted.push(self.wanted(case, transfer));
                    claiming.push((id, case));
                }
                Ok(_)
                | Err(NotVerified {
                    refusal: Refusal::PaymentReverted,
                    ..
                }) => {
                    case.claim = self.verifier.claims.standing(&[id])?.pop().flatten();
                    case.verdict = self.judge(case);
                }
                Err(_) => (),
            }
        }
        let claimed = self.verifier.claims.claim(wanted).await?;
        for ((id, case), claimed) in claiming.into_iter().zip(claimed) {
            case.claim = Some(claimed.claim);
            if let Some(look) = &case.look
                && let Some(again) = self.verifier.transfers.look_again(id, look).await?
            {
                case.look = Some(again);
            }
            case.verdict = self.judge(case);
            self.verifier.metrics.count_claim(match case.verdict {
                Err(NotVerified {
                    refusal: Refusal::AlreadyClaimed,
                    ..
                }) => ClaimOutcome::Refused,
                Ok(_) | Err(_) if claimed.granted => ClaimOutcome::Granted,
                Ok(_) | Err(_) => ClaimOutcome::Repeated,
            });
        }
        Ok(())
    }

    fn judge(&self, case: &Case<'_>) -> Result<Transfer, NotVerified> {
        judge(&self.facts(case), case.request, self.now)
    }

    fn facts<'c>(&'c self, case: &'c Case<'_>) -> Facts<'c> {
        Facts {
            served: self.verifier.served,
            domain: &self.verifier.domain,
            issuer: &self.principal.directory.issuer,
            provider_id: &self.principal.provider.id,
            payees: &self.principal.provider.payees,
            terms: self.principal.provider.confirmations,
            statement: case.statement.as_deref(),
            look: case.look,
            claim: case.claim.as_deref(),
        }
    }

    fn wanted(&self, case: &Case<'_>, transfer: Transfer) -> Wanted {
        let finalized = case
            .look
            .and_then(|look| look.tip)
            .map_or(0, |tip| tip.finalized);
        // To the millisecond, as it is stored: the first answer and its repetitions say the same.
        let millisecond = Timestamp::from_millisecond(self.now.as_millisecond());
        let claim = Claim {
            provider_id: self.principal.provider.id.clone(),
            invoice_id: case.request.invoice_id.clone(),
            attempt: case.request.attempt.clone(),
            claimed_at: millisecond.unwrap_or(self.now),
        };
        Wanted {
            id: transfer.id,
            claim: Arc::new(claim),
            unsettled: (transfer.block_number > finalized).then_some(transfer.block_number),
        }
    }

    fn respond(&self, case: &Case<'_>) -> VerifyResponse {
        let verdict = case.verdict.and_then(|transfer| match &case.statement {
            Some(statement) => Ok((transfer, statement)),
            None => Err(NotVerified::UNREAD),
        });
        match verdict {
            Ok((transfer, statement)) => {
                let verified = verified(&self.facts(case), &statement.claims, transfer);
                VerifyResponse::Verified(Box::new(verified))
            }
            Err(refused) => VerifyResponse::Refused(Refused {
                verified: false,
                error_code: refused.refusal,
                message: message(refused.refusal).to_owned(),
                retry_after_ms: refused.retry_after_ms,
            }),
        }
    }
}

/// What a refusal means and what to do, for the developer of the paid API.
const fn message(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::InvalidProof => {
            "this is not a proof of this gateway: send the X-402-Proof header as it came, and check that agent and provider use the same gateway"
        }
        Refusal::ProofExpired => "the proof is older than 24 hours; answer 402 with a new invoice",
        Refusal::PaymentNotFound => {
            "the index covers the proof's block and has no such payment; answer 402"
        }
        Refusal::PaymentPending => {
            "the payment is not indexed or not confirmed deeply enough yet; ask again after retryAfterMs"
        }
        Refusal::InvoiceMismatch => {
            "the proof pays another invoice or another resource; answer 402 with this request's own invoice"
        }
        Refusal::AmountMismatch => {
            "the proof pays another amount than this invoice asks for; answer 402"
        }
        Refusal::RecipientMismatch => {
            "the proof pays an address that is not this provider's; register the address with the provider if it should be"
        }
        Refusal::NetworkMismatch => {
            "the proof is of another network or token than is asked for here"
        }
        Refusal::AlreadyClaimed => {
            "the proof was used before; answer 402 with a new invoice, or repeat the attempt that used it"
        }
        Refusal::PaymentReverted => {
            "a reorganisation of the chain has removed the payment; do not serve, and answer 402 if it does not come back"
        }
    }
}

impl Case<'_> {
    fn transfer(&self) -> Option<TransferId> {
        self.statement
            .as_ref()
            .map(|statement| statement.claims.transfer_id())
    }
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
