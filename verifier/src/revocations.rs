//! `GET /revocations`: what this provider was told was paid and a reorg took away.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use thiserror::Error;
use x402_schemas::api::{
    ErrorBody,
    revocations::{MAX_REVOCATIONS, Revocations, RevocationsQuery},
};
use x402_service::{json::StrictQuery, problem::Problem};

use crate::{
    Verifier,
    claims::ClaimError,
    limits::{Left, LimitError},
    principal::Admitted,
};

/// How many are told when the caller does not say.
const DEFAULT_LIMIT: u64 = 100;

/// Why there is no list.
#[derive(Debug, Error)]
pub(crate) enum RevocationsError {
    /// `limit` makes no sense.
    #[error("limit is 1 to {MAX_REVOCATIONS}")]
    Limit,
    /// The provider asks too much.
    #[error(transparent)]
    Limited(#[from] LimitError),
    /// The claims cannot be read.
    #[error("the claims could not be read")]
    Claims(#[from] ClaimError),
}

/// Lists claimed payments that a reorg removed, and that came back, in the order in which it happened.
#[utoipa::path(
    get,
    path = "/revocations",
    params(RevocationsQuery),
    responses(
        (status = 200, description = "The caller's revocations after `after`, oldest first", body = Revocations),
        (status = 429, description = "RATE_LIMITED: ask again after Retry-After", body = ErrorBody),
        (status = 503, description = "CLAIMS_UNAVAILABLE, DIRECTORY_STALE: ask again after Retry-After", body = ErrorBody),
    ),
    security(("provider_key" = []))
)]
pub(crate) async fn list(
    State(verifier): State<Arc<Verifier>>,
    admitted: Admitted,
    StrictQuery(query): StrictQuery<RevocationsQuery>,
) -> Result<(Left, Json<Revocations>), RevocationsError> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_REVOCATIONS).contains(&limit) {
        return Err(RevocationsError::Limit);
    }
    let provider = &admitted.principal.provider;
    let left = provider.lane.take(1).inspect_err(|error| {
        verifier.metrics.count_refused(error.counted_as());
    })?;
    let limit = usize::try_from(limit).map_err(|_| RevocationsError::Limit)?;
    let revocations = verifier
        .claims
        .revocations(&provider.id, query.after.unwrap_or(0), limit)?;
    Ok((left, Json(Revocations { revocations })))
}

impl IntoResponse for RevocationsError {
    fn into_response(self) -> Response {
        match &self {
            Self::Limit => Problem::invalid(self.to_string()).into_response(),
            Self::Limited(error) => error.into_response(),
            Self::Claims(error) => Problem::unavailable(
                "CLAIMS_UNAVAILABLE",
                "the claims could not be read; ask again",
                error,
            )
            .into_response(),
        }
    }
}
