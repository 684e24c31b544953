//! `POST /verify/batch`: up to 1,000 proofs, each with its own verdict, in order.
//!
//! A transfer that two items claim goes to the first. A failure is the whole batch's: no verdict is
//! given, and asking again repeats the claims that were made. More than that goes as lines: see
//! [`lines`](crate::lines).

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use thiserror::Error;
use x402_schemas::api::{
    ErrorBody,
    provider::{MAX_BATCH, VerifyBatchRequest, VerifyBatchResponse, VerifyRequest},
};
use x402_service::{clock, json::StrictJson, problem::Problem};

use crate::{
    Verifier,
    cases::answer,
    limits::Left,
    lines,
    principal::Admitted,
    verify::{VerifyError, check},
};

/// Why a batch could not be judged.
#[derive(Debug, Error)]
pub(crate) enum BatchError {
    /// None or too many.
    #[error("a batch has 1 to {MAX_BATCH} items, this one has {0}")]
    Size(usize),
    /// An item that cannot be judged; nothing was claimed.
    #[error("items[{index}]: {fault}")]
    Item {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        fault: VerifyError,
    },
    /// All of them fail together.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// Judges up to 1,000 proofs. With `Content-Type: application/x-ndjson` as many as there are lines: a
/// request a line in, an answer a line out, in order; what cannot be answered is `{line, error,
/// message}` with the line's number from 1. Read answers while sending: the verifier waits for you.
#[utoipa::path(
    post,
    path = "/verify/batch",
    request_body = VerifyBatchRequest,
    responses(
        (status = 200, description = "A verdict for each item, in order", body = VerifyBatchResponse),
        (status = 400, description = "INVALID_REQUEST: no items, more than 1,000, or one that cannot be read; nothing was claimed", body = ErrorBody),
        (status = 415, description = "UNSUPPORTED_MEDIA_TYPE", body = ErrorBody),
        (status = 429, description = "RATE_LIMITED: ask again after Retry-After", body = ErrorBody),
        (status = 503, description = "INDEX_UNAVAILABLE, INDEX_STALE, CLAIMS_UNAVAILABLE, DIRECTORY_STALE, OVERLOADED: no verdicts; ask again after Retry-After", body = ErrorBody),
    ),
    security(("provider_key" = []))
)]
pub(crate) async fn verify_batch(
    State(verifier): State<Arc<Verifier>>,
    admitted: Admitted,
    request: Request,
) -> Response {
    if is_lines(request.headers()) {
        return lines::answer_lines(verifier, admitted, request.into_body());
    }
    match StrictJson::from_request(request, &()).await {
        Ok(StrictJson(batch)) => judge_batch(&verifier, &admitted, &batch)
            .await
            .into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn judge_batch(
    verifier: &Verifier,
    admitted: &Admitted,
    batch: &VerifyBatchRequest,
) -> Result<(Left, Json<VerifyBatchResponse>), BatchError> {
    let _timer = verifier.metrics.batch_duration_seconds.start_timer();
    let items = &batch.items;
    if items.is_empty() || items.len() > MAX_BATCH {
        return Err(BatchError::Size(items.len()));
    }
    for (index, item) in items.iter().enumerate() {
        check_item(item).map_err(|fault| BatchError::Item { index, fault })?;
    }
    let principal = &admitted.principal;
    let (left, _in_hand) = verifier
        .admit(principal, items.len())
        .map_err(VerifyError::from)?;
    let results = answer(verifier, principal, items, clock::now()).await?;
    Ok((left, Json(VerifyBatchResponse { results })))
}

/// Whether one of many can be judged: nobody waits for one while the others are ready.
pub(crate) fn check_item(item: &VerifyRequest) -> Result<(), VerifyError> {
    if item.wait_ms.is_some() {
        return Err(VerifyError::WaitInBatch);
    }
    check(item)
}

fn is_lines(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case(lines::MEDIA_TYPE)
}

impl IntoResponse for BatchError {
    fn into_response(self) -> Response {
        match self {
            Self::Size(_) | Self::Item { .. } => Problem::invalid(self.to_string()).into_response(),
            Self::Verify(error) => error.into_response(),
        }
    }
}
