//! `POST /verify/batch`: up to 1,000 proofs, each with its own verdict, in order.
//!
//! A transfer that two items claim goes to the first. A failure is the whole batch's: no verdict is
//! given, and asking again repeats the claims that were made.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use thiserror::Error;
use x402_schemas::api::{
    ErrorBody,
    provider::{MAX_BATCH, VerifyBatchRequest, VerifyBatchResponse},
};
use x402_service::{clock, json::StrictJson, problem::Problem};

use crate::{
    Verifier,
    principal::Principal,
    verify::{VerifyError, answer, check},
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

/// Judges up to 1,000 proofs.
#[utoipa::path(
    post,
    path = "/verify/batch",
    request_body = VerifyBatchRequest,
    responses(
        (status = 200, description = "A verdict for each item, in order", body = VerifyBatchResponse),
        (status = 400, description = "INVALID_REQUEST: no items, more than 1,000, or one that cannot be read; nothing was claimed", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 413, description = "PAYLOAD_TOO_LARGE", body = ErrorBody),
        (status = 415, description = "UNSUPPORTED_MEDIA_TYPE", body = ErrorBody),
        (status = 503, description = "INDEX_UNAVAILABLE, CLAIMS_UNAVAILABLE, DIRECTORY_STALE: no verdicts; ask again after Retry-After", body = ErrorBody),
    ),
    security(("provider_key" = []))
)]
pub(crate) async fn verify_batch(
    State(verifier): State<Verifier>,
    principal: Principal,
    StrictJson(batch): StrictJson<VerifyBatchRequest>,
) -> Result<Json<VerifyBatchResponse>, BatchError> {
    let _timer = verifier.metrics.batch_seconds.start_timer();
    let items = &batch.items;
    if items.is_empty() || items.len() > MAX_BATCH {
        return Err(BatchError::Size(items.len()));
    }
    for (index, item) in items.iter().enumerate() {
        check(item).map_err(|fault| BatchError::Item { index, fault })?;
    }
    let results = answer(&verifier, &principal, items, clock::now()).await?;
    Ok(Json(VerifyBatchResponse { results }))
}

impl IntoResponse for BatchError {
    fn into_response(self) -> Response {
        let problem = match &self {
            Self::Size(_) | Self::Item { .. } => Problem::invalid(self.to_string()),
            Self::Verify(error) => error.problem(),
        };
        problem.into_response()
    }
}
