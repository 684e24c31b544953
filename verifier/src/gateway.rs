//! Asking the gateway, with the services' shared token: one GET, one bounded JSON answer; and telling it something.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use url::Url;

/// How long the gateway may hold a question open; a third of the directory's lease, so that one loss
/// is no lapse.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// How much longer than that its answer may take.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// The gateway, as this verifier reaches it.
#[derive(Clone)]
pub(crate) struct Gateway {
    client: Client,
    token: SecretString,
}

/// Why the gateway gave no answer.
#[derive(Debug, Error)]
pub(crate) enum AskError {
    #[error("the gateway cannot be reached")]
    Unreachable(#[from] reqwest::Error),
    #[error("the gateway refuses the service token; the services need the same one")]
    Unauthorized,
    #[error("the gateway answered {0}")]
    Status(StatusCode),
    #[error("the gateway's answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the gateway's answer is not understood")]
    Unreadable(#[from] serde_json::Error),
}

impl Gateway {
    /// The gateway that takes this token.
    pub(crate) fn new(token: SecretString) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(WAIT.saturating_add(ANSWER_GRACE))
            .redirect(Policy::none())
            .build()?;
        Ok(Self { client, token })
    }

    /// Asks for a `T` of at most `max_bytes`.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        url: Url,
        max_bytes: usize,
    ) -> Result<T, AskError> {
        let mut response = self.send(self.client.get(url)).await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > max_bytes {
                return Err(AskError::TooLarge(max_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// Tells what has no answer.
    pub(crate) async fn tell(&self, url: Url, told: &impl Serialize) -> Result<(), AskError> {
        self.send(self.client.post(url).json(told)).await.map(drop)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, AskError> {
        let request = request.bearer_auth(self.token.expose_secret());
        let response = request.send().await?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(AskError::Unauthorized),
            status => Err(AskError::Status(status)),
        }
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}
