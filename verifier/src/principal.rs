//! Who asks: the provider of the bearer key, by the directory that also judges its request.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use tokio::time::Instant;
use x402_service::{api_key::ApiKey, problem::Problem};

use crate::{
    Verifier,
    directory::{Known, Provider, Stale},
};

/// A provider whose key is valid.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    /// The directory that says so.
    pub(crate) directory: Arc<Known>,
    /// The provider.
    pub(crate) provider: Arc<Provider>,
}

impl FromRequestParts<Verifier> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, verifier: &Verifier) -> Result<Self, Problem> {
        let directory = verifier.directory.current(Instant::now()).map_err(stale)?;
        let key = bearer(&parts.headers).ok_or_else(Problem::unauthorized)?;
        let provider = directory.provider(&key).map(Arc::clone);
        let provider = provider.ok_or_else(Problem::unauthorized)?;
        Ok(Self {
            directory,
            provider,
        })
    }
}

/// The answer while there is no directory to act on.
pub(crate) fn stale(stale: Stale) -> Problem {
    Problem::unavailable(
        "DIRECTORY_STALE",
        "the verifier has lost touch with the gateway and answers nobody until it is back; try again",
        &stale,
    )
}

fn bearer(headers: &HeaderMap) -> Option<ApiKey> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = text.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| key.trim().parse().ok())
        .flatten()
}
