//! `POST /verify`: does this proof pay this invoice?
//!
//! Reads the proof, looks at the index, judges, claims, and judges again with the claim as it is on
//! disk and the transfer as it is by then, so that a reorg in between is not missed. The batch goes
//! through the same steps, each taken once for all its items.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use thiserror::Error;
use x402_schemas::{
    api::{
        ErrorBody,
        provider::{Refused, Verified, VerifyRequest, VerifyResponse},
    },
    codes::Refusal,
    transfer::TransferId,
};
use x402_service::{clock, json::StrictJson, problem::Problem};

use crate::{
    Verifier,
    claims::{Claim, ClaimError},
    metrics::ClaimOutcome,
    principal::Principal,
    transfers::LookUpError,
    verdict::{Facts, Look, NotVerified, Statement, claims_it, judge, needs_look_up},
};

/// The longest attempt, characters.
const MAX_ATTEMPT_LEN: usize = 64;

/// The most confirmations that may be asked for.
const MAX_CONFIRMATIONS: u64 = 10_000;

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
    statement: Option<Statement>,
    look: Option<Look>,
    claim: Option<Claim>,
}

/// Judges one proof and, unless asked not to, uses it up.
#[utoipa::path(
    post,
    path = "/verify",
    request_body = VerifyRequest,
    responses(
        (status = 200, description = "The verdict: verified, or refused with the first reason that holds", body = VerifyResponse),
        (status = 400, description = "INVALID_REQUEST", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 413, description = "PAYLOAD_TOO_LARGE", body = ErrorBody),
        (status = 415, description = "UNSUPPORTED_MEDIA_TYPE", body = ErrorBody),
        (status = 503, description = "INDEX_UNAVAILABLE, CLAIMS_UNAVAILABLE, DIRECTORY_STALE: no verdict; ask again after Retry-After", body = ErrorBody),
    ),
    security(("provider_key" = []))
)]
pub(crate) async fn verify(
    State(verifier): State<Verifier>,
    principal: Principal,
    StrictJson(request): StrictJson<VerifyRequest>,
) -> Result<Json<VerifyResponse>, VerifyError> {
    let _timer = verifier.metrics.verify_seconds.start_timer();
    check(&request)?;
    let requests = std::slice::from_ref(&request);
    let mut answers = answer(&verifier, &principal, requests, clock::now()).await?;
    // One request has one answer; without it nothing may be served.
    answers
        .pop()
        .map(Json)
        .ok_or(VerifyError::Index(LookUpError::Stopped))
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
    Ok(())
}

/// The answers to these requests, in their order: one look at the index and one commit for all.
pub(crate) async fn answer(
    verifier: &Verifier,
    principal: &Principal,
    requests: &[VerifyRequest],
    now: Timestamp,
) -> Result<Vec<VerifyResponse>, VerifyError> {
    let mut cases = read(principal, requests).await;
    look(verifier, principal, &mut cases, now).await?;
    claim(verifier, principal, &mut cases, now).await?;
    Ok(cases
        .iter()
        .map(|case| {
            let verdict = judge(&facts(verifier, principal, case), case.request, now);
            let refusal = verdict.as_ref().err().map(|refused| refused.refusal);
            verifier.metrics.count_verdict(refusal);
            respond(verdict)
        })
        .collect())
}

/// Checks the signatures.
async fn read<'a>(principal: &Principal, requests: &'a [VerifyRequest]) -> Vec<Case<'a>> {
    let mut cases = Vec::with_capacity(requests.len());
    for turn in requests.chunks(SIGNATURES_PER_TURN) {
        if !cases.is_empty() {
            tokio::task::yield_now().await;
        }
        cases.extend(turn.iter().map(|request| {
            Case {
                request,
                statement: principal
                    .directory
                    .keys
                    .read(&request.proof)
                    .ok()
                    .map(Statement::of),
                look: None,
                claim: None,
            }
        }));
    }
    cases
}

/// Looks at the index, for those whose proof is worth it.
async fn look(
    verifier: &Verifier,
    principal: &Principal,
    cases: &mut [Case<'_>],
    now: Timestamp,
) -> Result<(), VerifyError> {
    let (mut asking, mut ids) = (Vec::new(), Vec::new());
    for case in cases {
        if !needs_look_up(&facts(verifier, principal, case), now) {
            continue;
        }
        if let Some(id) = case.transfer() {
            ids.push(id);
            asking.push(case);
        }
    }
    let looks = verifier.transfers.look(&ids).await?;
    for (case, look) in asking.into_iter().zip(looks) {
        case.look = Some(look);
    }
    Ok(())
}

/// Claims what is good so far and is to be used up; sees who claimed what only a claim decides.
async fn claim(
    verifier: &Verifier,
    principal: &Principal,
    cases: &mut [Case<'_>],
    now: Timestamp,
) -> Result<(), VerifyError> {
    let (mut claiming, mut wanted) = (Vec::new(), Vec::new());
    let (mut seeing, mut ids) = (Vec::new(), Vec::new());
    for case in cases {
        let verdict = judge(&facts(verifier, principal, case), case.request, now);
        let Some(id) = case.transfer() else { continue };
        match verdict {
            Ok(_) if claims_it(case.request) => {
                wanted.push((id, new_claim(principal, case.request, now)));
                claiming.push((id, case));
            }
            Ok(_)
            | Err(NotVerified {
                refusal: Refusal::PaymentReverted,
                ..
            }) => {
                ids.push(id);
                seeing.push(case);
            }
            Err(_) => (),
        }
    }
    let (claimed, standing) = tokio::try_join!(
        verifier.claims.claim(wanted),
        verifier.claims.standing(&ids)
    )?;
    for (case, claim) in seeing.into_iter().zip(standing) {
        case.claim = claim;
    }
    for ((id, case), claimed) in claiming.into_iter().zip(claimed) {
        case.claim = Some(claimed.claim);
        let again = match &case.look {
            Some(look) => verifier.transfers.look_again(id, look).await?,
            None => None,
        };
        case.look = again.or(case.look);
        let verdict = judge(&facts(verifier, principal, case), case.request, now);
        verifier.metrics.count_claim(match verdict {
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

fn facts<'a>(verifier: &'a Verifier, principal: &'a Principal, case: &'a Case<'_>) -> Facts<'a> {
    Facts {
        served: verifier.served,
        issuer: &principal.directory.issuer,
        provider_id: &principal.provider.id,
        payees: &principal.provider.payees,
        statement: case.statement.as_ref(),
        look: case.look,
        claim: case.claim.as_ref(),
    }
}

/// To the millisecond, as it is stored: the first answer and its repetitions say the same.
fn new_claim(principal: &Principal, request: &VerifyRequest, now: Timestamp) -> Claim {
    Claim {
        provider_id: principal.provider.id.clone(),
        invoice_id: request.invoice_id.clone(),
        attempt: request.attempt.clone(),
        claimed_at: Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now),
    }
}

fn respond(verdict: Result<Verified, NotVerified>) -> VerifyResponse {
    match verdict {
        Ok(verified) => VerifyResponse::Verified(Box::new(verified)),
        Err(refused) => VerifyResponse::Refused(Refused {
            verified: false,
            error_code: refused.refusal,
            message: message(refused.refusal).to_owned(),
            retry_after_ms: refused.retry_after_ms,
        }),
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
    /// The answer that the caller sees.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Attempt | Self::Confirmations => Problem::invalid(self.to_string()),
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
}

impl IntoResponse for VerifyError {
    fn into_response(self) -> Response {
        self.problem().into_response()
    }
}
