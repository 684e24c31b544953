//! `POST /verify` and `/verify/batch`, handed on to the verifier as they are. The gateway adds
//! nothing, remembers nothing and decides nothing here.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use thiserror::Error;
use url::Url;
use x402_schemas::api::trace_context;
use x402_service::problem::Problem;

use crate::gateway::Gateway;

/// A thousand proofs with their terms; the verifier has a limit of its own.
pub(crate) const MAX_BODY: usize = 16 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);
/// What the verifier is told of the request.
const TO_VERIFIER: [HeaderName; 2] = [header::AUTHORIZATION, header::CONTENT_TYPE];
/// What the caller is told of the answer.
const TO_CALLER: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
];

/// The verifier that requests are handed on to.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    url: Url,
    client: reqwest::Client,
}

/// Why the verifier did not answer.
#[derive(Debug, Error)]
pub(crate) enum HandOnError {
    #[error("this gateway hands nothing on; ask the verifier itself")]
    NoVerifier,
    #[error("the verifier does not answer; try again")]
    Away(#[from] reqwest::Error),
}

impl IntoResponse for HandOnError {
    fn into_response(self) -> Response {
        let message = self.to_string();
        match &self {
            Self::NoVerifier => Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", message),
            Self::Away(cause) => Problem::unavailable("VERIFIER_UNAVAILABLE", &message, cause),
        }
        .into_response()
    }
}

impl Verifier {
    pub(crate) fn at(url: Url) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { url, client })
    }

    /// The verifier's own path of the same name.
    fn path(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        url
    }
}

/// Hands the request on and the answer back.
pub(crate) async fn hand_on(
    State(gateway): State<Arc<Gateway>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HandOnError> {
    let verifier = gateway.verifier.as_ref().ok_or(HandOnError::NoVerifier)?;
    let mut request = verifier.client.post(verifier.path(uri.path())).body(body);
    for name in TO_VERIFIER {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value);
        }
    }
    let mut carried = HeaderMap::new();
    trace_context::write(&mut carried);
    let answer = request.headers(carried).send().await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    for name in TO_CALLER {
        if let Some(value) = answer.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    *response.body_mut() = Body::from(answer.bytes().await?);
    Ok(response)
}
