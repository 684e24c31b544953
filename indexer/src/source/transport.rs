//! One exchange with an endpoint: a request out, a reply in, whole and within limits.
//!
//! Over HTTP, or over a connection that stays open (WebSocket, IPC). Knows bytes and nothing of what they mean.

use std::time::Duration;

use reqwest::{Client, Response, header};
use url::Url;

use super::{
    failure::{CallError, RpcFailure},
    socket::Sockets,
};

/// The longest wait for a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A reply's length as announced is believed for memory up to this; beyond it, memory follows what really comes.
const ANNOUNCED_BYTES: usize = 16 << 20;

/// The way to an endpoint.
#[derive(Debug)]
pub(super) struct Transport {
    url: Url,
    max_reply_bytes: usize,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Http(Client),
    Socket(Sockets),
}

/// A reply, whole.
#[derive(Debug, Default)]
pub(super) struct Exchanged {
    /// HTTP's status; 200 where there is none.
    pub(super) status: u16,
    /// The pause that the server asks for.
    pub(super) retry_after: Option<Duration>,
    /// What it says.
    pub(super) body: Vec<u8>,
}

impl Transport {
    pub(super) fn new(url: Url, max_reply_bytes: usize) -> Self {
        let way = if matches!(url.scheme(), "http" | "https") {
            let client = Client::builder().connect_timeout(CONNECT_TIMEOUT).build();
            // Fails only where TLS cannot be initialised; then every call fails and says so.
            Way::Http(client.unwrap_or_default())
        } else {
            Way::Socket(Sockets::to(url.clone(), max_reply_bytes))
        };
        Self {
            url,
            max_reply_bytes,
            way,
        }
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    pub(super) async fn exchange(
        &self,
        request: Vec<u8>,
        patience: Duration,
    ) -> Result<Exchanged, CallError> {
        match &self.way {
            Way::Http(client) => self.over_http(client, request, patience).await,
            Way::Socket(sockets) => {
                let reply = Box::pin(sockets.exchange(&request));
                let reply = tokio::time::timeout(patience, reply).await;
                let body = reply.unwrap_or_else(|_| {
                    let words = format!("no reply within {} ms", patience.as_millis());
                    Err(CallError::Late(RpcFailure::of_ours(words)))
                })?;
                Ok(Exchanged {
                    status: 200,
                    retry_after: None,
                    body,
                })
            }
        }
    }

    async fn over_http(
        &self,
        client: &Client,
        request: Vec<u8>,
        patience: Duration,
    ) -> Result<Exchanged, CallError> {
        let broken = |error: reqwest::Error| {
            let failure = RpcFailure::new(&self.url, &error);
            if error.is_timeout() && !error.is_connect() {
                CallError::Late(failure)
            } else {
                CallError::NoAnswer(failure)
            }
        };
        let mut response = client
            .post(self.url.clone())
            .timeout(patience)
            .header(header::CONTENT_TYPE, "application/json")
            .body(request)
            .send()
            .await
            .map_err(broken)?;
        let announced = response
            .content_length()
            .and_then(|length| usize::try_from(length).ok())
            .unwrap_or_default();
        let mut exchanged = Exchanged {
            status: response.status().as_u16(),
            retry_after: retry_after(&response),
            body: Vec::with_capacity(announced.min(ANNOUNCED_BYTES).min(self.max_reply_bytes)),
        };
        while let Some(piece) = response.chunk().await.map_err(broken)? {
            let length = exchanged.body.len().saturating_add(piece.len());
            if length.max(announced) > self.max_reply_bytes {
                return Err(too_long(self.max_reply_bytes));
            }
            exchanged.body.extend_from_slice(&piece);
        }
        Ok(exchanged)
    }
}

/// A reply that is not read to its end.
pub(super) fn too_long(limit: usize) -> CallError {
    CallError::TooLong(RpcFailure::of_ours(format!(
        "the reply is longer than {limit} bytes"
    )))
}

/// The pause that the server asks for, in seconds; the other form, a date, is not used by providers.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
