//! Asking the verifier, again if need be.
//!
//! The only place that knows the API key, and it sends it to the verifier's own URL alone: redirects
//! are not followed, and a verifier on this machine is never reached through a proxy. A question is
//! repeated with the same attempt name, so a lost answer to a claim is not a lost claim.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, RequestBuilder, StatusCode,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::{sync::Semaphore, time};
use url::Url;
use x402_schemas::{
    api::{
        base_url::BaseUrl,
        provider::{VerifyRequest, VerifyResponse},
        trace_context,
    },
    proof::ProofKeys,
};

use crate::config::ConfigError;

/// The largest answer that is read, in bytes. A resource in it has at most 2 KiB.
const MAX_ANSWER_BYTES: usize = 16 * 1_024;

/// The most public keys that are read, in bytes: some two hundred.
const MAX_KEYS_BYTES: usize = 64 * 1_024;

/// How often a question is asked when the verifier is away.
const MAX_TRIES: u32 = 3;

/// The pause before the second try; each further one is four times as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The most questions that are open at once; further requests wait for as long as one may take.
const MAX_OPEN: usize = 256;

/// The verifier, as one provider reaches it.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    endpoint: Url,
    keys_endpoint: Url,
    authorization: HeaderValue,
    http: Client,
    timeout: Duration,
    open: Arc<Semaphore>,
}

/// Why the verifier gave no answer to a question.
#[derive(Debug, Error)]
pub(crate) enum VerifierError {
    #[error("the verifier cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the verifier has a problem (status {0})")]
    Trouble(StatusCode),
    #[error("too many questions to the verifier are open")]
    Busy,
    #[error("the verifier does not accept the API key; check or rotate it")]
    Unauthorized,
    #[error("the verifier refused the question (status {0}); is the URL a verifier's?")]
    Refused(StatusCode),
    #[error("the verifier's answer is not understood; is the URL a verifier's?")]
    Unreadable(#[source] serde_json::Error),
    #[error("the verifier's answer is too large to be one; is the URL a verifier's?")]
    TooLarge,
}

impl Verifier {
    pub(crate) fn new(
        base: &BaseUrl,
        api_key: &SecretString,
        timeout: Duration,
    ) -> Result<Self, ConfigError> {
        let key = api_key.expose_secret();
        let visible = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible {
            return Err(ConfigError::ApiKey);
        }
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| ConfigError::ApiKey)?;
        authorization.set_sensitive(true);
        let mut http = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(timeout);
        if !base.is_encrypted() {
            http = http.no_proxy();
        }
        Ok(Self {
            endpoint: base.endpoint(&["verify"]),
            keys_endpoint: base.endpoint(&[".well-known", "jwks.json"]),
            authorization,
            http: http.build().map_err(ConfigError::Http)?,
            timeout,
            open: Arc::new(Semaphore::new(MAX_OPEN)),
        })
    }

    /// Asks until there is an answer or the tries are used up.
    pub(crate) async fn verify(
        &self,
        question: &VerifyRequest,
    ) -> Result<VerifyResponse, VerifierError> {
        let slot = time::timeout(self.timeout, self.open.acquire()).await;
        let Ok(Ok(_slot)) = slot else {
            return Err(VerifierError::Busy);
        };
        let mut pause = FIRST_PAUSE;
        for _ in 1..MAX_TRIES {
            match self.ask(question).await {
                Err(error) if error.is_transient() => time::sleep(pause).await,
                outcome => return outcome,
            }
            pause = pause.saturating_mul(4);
        }
        self.ask(question).await
    }

    async fn ask(&self, question: &VerifyRequest) -> Result<VerifyResponse, VerifierError> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        trace_context::write(&mut headers);
        let request = self.http.post(self.endpoint.clone());
        let request = request.headers(headers).json(question);
        let body = read(request, MAX_ANSWER_BYTES).await?;
        serde_json::from_slice(&body).map_err(VerifierError::Unreadable)
    }

    /// The gateway's public keys. They are for everybody, so the API key stays here.
    pub(crate) async fn keys(&self) -> Result<ProofKeys, VerifierError> {
        let request = self.http.get(self.keys_endpoint.clone());
        let body = read(request, MAX_KEYS_BYTES).await?;
        let jwks = serde_json::from_slice(&body).map_err(VerifierError::Unreadable)?;
        Ok(ProofKeys::from_jwks(&jwks))
    }
}

/// The body of a good answer.
async fn read(request: RequestBuilder, max_bytes: usize) -> Result<Vec<u8>, VerifierError> {
    let unreachable = |error: reqwest::Error| VerifierError::Unreachable(error.without_url());
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(VerifierError::Trouble(status));
    }
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Err(VerifierError::Unauthorized);
    }
    if status != StatusCode::OK {
        return Err(VerifierError::Refused(status));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len().saturating_add(chunk.len()) > max_bytes {
            return Err(VerifierError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl VerifierError {
    /// Whether asking again may help.
    const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Trouble(_))
    }
}
