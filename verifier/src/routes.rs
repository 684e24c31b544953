//! Every route of the verifier's public port.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::header,
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::time::Instant;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use x402_schemas::api::ErrorBody;
use x402_service::{
    docs,
    openapi::CommonAnswers,
    problem::Problem,
    requests::measure,
    serve::{Limits, with_limits},
    trace,
};

use crate::{Verifier, batch, principal, revocations, verify};

/// A proof has at most 8 KiB; the rest of a request is small.
const VERIFY_BODY_BYTES: usize = 64 * 1024;

/// A thousand of them.
const BATCH_BODY_BYTES: usize = 10 * 1024 * 1024;

/// The longest time to an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the proof keys may be cached. Rotation publishes a key well before it signs.
const JWKS_CACHE: &str = "public, max-age=60";

/// Every route, as metrics label it.
pub(crate) const ALL: [&str; 6] = [
    "/verify",
    "/verify/batch",
    "/revocations",
    "/.well-known/jwks.json",
    "/openapi.json",
    "/docs",
];

/// The routes, within their limits, and measured.
pub(crate) fn router(verifier: Verifier) -> Router {
    let measure = middleware::from_fn_with_state(verifier.metrics.requests.clone(), measure);
    let batch = post(batch::verify_batch).layer(DefaultBodyLimit::max(BATCH_BODY_BYTES));
    let routes = Router::new()
        .route("/verify", post(verify::verify))
        .route("/verify/batch", batch)
        .route("/revocations", get(revocations::list))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/openapi.json", get(openapi))
        .route("/docs", get(docs::page))
        .with_state(Arc::new(verifier));
    let limits = Limits {
        body_bytes: VERIFY_BODY_BYTES,
        request: REQUEST_TIMEOUT,
    };
    trace::traced(with_limits(routes, limits).layer(measure))
}

/// The gateway's public proof keys, as the directory has them.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    responses(
        (status = 200, description = "The keys that sign proofs (RFC 7517); old ones stay while their proofs live", body = serde_json::Value),
        (status = 503, description = "DIRECTORY_STALE", body = ErrorBody),
    )
)]
async fn jwks(State(verifier): State<Arc<Verifier>>) -> Result<Response, Problem> {
    let directory = verifier
        .directory
        .current(Instant::now())
        .map_err(principal::stale)?;
    let headers = [(header::CACHE_CONTROL, JWKS_CACHE)];
    Ok((headers, Json(&directory.jwks)).into_response())
}

async fn openapi() -> Response {
    static DESCRIPTION: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(ApiDoc::openapi);
    Json(&*DESCRIPTION).into_response()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "x402 verifier",
        description = "Does this proof pay this invoice? Answers come from an index of the chain. Refusals are 200 with verified=false and the first reason that holds."
    ),
    paths(verify::verify, batch::verify_batch, revocations::list, jwks),
    modifiers(&ProviderKey, &COMMON)
)]
struct ApiDoc;

/// What the layers around the handlers answer.
const COMMON: CommonAnswers = CommonAnswers {
    limited: None,
    unavailable: "DIRECTORY_STALE: ask again after Retry-After",
};

struct ProviderKey;

impl Modify for ProviderKey {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The provider's key, x402_provider_…"))
            .build();
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("provider_key", SecurityScheme::Http(scheme));
    }
}

#[cfg(test)]
mod tests;
