//! One attempt: signed, sent to where the webhook may lead, its answer's status and nothing else read.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, header, redirect::Policy};
use thiserror::Error;
use url::Url;
use x402_service::logs::with_causes;

use super::{
    address::{AddressError, Reach},
    signature::{self, Secret},
};

/// The longest that an endpoint may take.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer is read, so that a connection can be used again. None of it is looked at.
const MAX_ANSWER: usize = 16 * 1024;
/// Characters of an error that are kept.
const MAX_ERROR: usize = 300;

/// Sends to webhooks.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    http: Client,
    reach: Reach,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
}

/// Why a message did not arrive.
#[derive(Debug, Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("the endpoint does not answer")]
    Http(#[from] reqwest::Error),
    #[error("the endpoint answers {0}")]
    Refused(u16),
}

impl Sender {
    pub(crate) fn new(reach: Reach) -> reqwest::Result<Self> {
        let http = Client::builder()
            // A proxy would look names up once more, and a redirect lead anywhere.
            .no_proxy()
            .redirect(Policy::none())
            .dns_resolver(reach)
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent("x402-gateway")
            .build()?;
        Ok(Self { http, reach })
    }

    /// Where a webhook leads, if it may.
    pub(crate) fn read(&self, url: &str) -> Result<Url, AddressError> {
        self.reach.read(url)
    }

    /// Sends a message; the status if it was 2xx.
    pub(crate) async fn send(
        &self,
        url: &str,
        secrets: &[Secret],
        message: &Message,
        now: Timestamp,
    ) -> Result<u16, SendError> {
        let url = self.reach.read(url)?;
        let seconds = now.as_second();
        let signature = signature::header(secrets, &message.id, seconds, &message.body);
        let request = self
            .http
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(message.body.clone());
        let mut answer = request.send().await?;
        let mut read: usize = 0;
        while read < MAX_ANSWER
            && let Ok(Some(piece)) = answer.chunk().await
        {
            read = read.saturating_add(piece.len());
        }
        let status = answer.status();
        if status.is_success() {
            Ok(status.as_u16())
        } else {
            Err(SendError::Refused(status.as_u16()))
        }
    }
}

impl SendError {
    /// The answer's status, if there was one.
    pub(crate) const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(status) => Some(*status),
            Self::Address(_) | Self::Http(_) => None,
        }
    }

    /// The error as its owner may see it: one line, of bounded length.
    pub(crate) fn told(&self) -> String {
        with_causes(self).chars().take(MAX_ERROR).collect()
    }
}
