//! Who asks: the provider of the bearer key, by the directory that also judges its request.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Response},
};
use thiserror::Error;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use x402_service::{api_key::ApiKey, clock, problem::Problem};

use crate::{
    Verifier,
    directory::{Known, Provider, Stale},
    limits::LimitError,
};

/// A provider whose key is valid.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    /// The directory that says so.
    pub(crate) directory: Arc<Known>,
    /// The provider.
    pub(crate) provider: Arc<Provider>,
}

/// A provider whose key is valid and who may have one more request open.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// Who.
    pub(crate) principal: Principal,
    /// With which key, for asking again whether it is valid.
    pub(crate) key: ApiKey,
    /// Free again when this is dropped.
    pub(crate) slot: OwnedSemaphorePermit,
}

/// Why nobody is known by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum KeyError {
    /// There is no directory to know anybody by.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// No key, or not one that is valid.
    #[error("the key is missing or not valid")]
    Unknown,
}

/// Why a request is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// Nobody is known by its key.
    Key(KeyError),
    /// Too many of this provider's requests are open.
    Limit(LimitError),
}

impl Principal {
    /// Whose key this is now.
    pub(crate) fn of(verifier: &Verifier, key: &ApiKey) -> Result<Self, KeyError> {
        let directory = verifier.directory.current(Instant::now())?;
        let provider = directory.provider(key, clock::now).map(Arc::clone);
        let provider = provider.ok_or(KeyError::Unknown)?;
        Ok(Self {
            directory,
            provider,
        })
    }
}

impl FromRequestParts<Arc<Verifier>> for Admitted {
    type Rejection = NotAdmitted;

    async fn from_request_parts(
        parts: &mut Parts,
        verifier: &Arc<Verifier>,
    ) -> Result<Self, NotAdmitted> {
        // Without a directory nobody's key is known to be wrong.
        verifier
            .directory
            .current(Instant::now())
            .map_err(|stale| NotAdmitted::Key(stale.into()))?;
        let key = bearer(&parts.headers).ok_or(NotAdmitted::Key(KeyError::Unknown))?;
        let principal = Principal::of(verifier, &key).map_err(NotAdmitted::Key)?;
        let slot = principal.provider.lane.open().map_err(|error| {
            verifier.metrics.count_refused(error.counted_as());
            NotAdmitted::Limit(error)
        })?;
        Ok(Self {
            principal,
            key,
            slot,
        })
    }
}

impl KeyError {
    /// The answer that the caller sees.
    pub(crate) fn problem(self) -> Problem {
        match self {
            Self::Stale(error) => stale(error),
            Self::Unknown => Problem::unauthorized(),
        }
    }
}

impl IntoResponse for NotAdmitted {
    fn into_response(self) -> Response {
        match self {
            Self::Key(error) => error.problem().into_response(),
            Self::Limit(error) => error.into_response(),
        }
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
