//! One JSON-RPC call: retried while there is no answer, counted, and its failure told without the URL, which often
//! carries a key.

use std::{sync::Arc, time::Duration};

use alloy::{
    rpc::{
        client::RpcClient,
        json_rpc::{RpcRecv, RpcSend},
    },
    transports::{RpcError, TransportError, TransportErrorKind, http::reqwest},
};
use backon::{ExponentialBuilder, Retryable};
use url::Url;

use super::SourceError;
use crate::metrics::{Method, Metrics, Outcome};

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest wait for a whole reply; a range of logs may be megabytes.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// How often an unreachable node is asked again within one call; after that the loop decides.
const RETRIES: usize = 4;

/// Pauses between those: 50 ms, doubling, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The longest piece of a failure's text that is kept: a reply that is no JSON may be megabytes.
const FAILURE_TEXT: usize = 300;

/// Calls one node.
#[derive(Clone, Debug)]
pub(super) struct Rpc {
    client: RpcClient,
    url: Url,
    metrics: Arc<Metrics>,
}

/// What a node or the way to it said, with the URL taken out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RpcFailure(String);

impl Rpc {
    pub(super) fn new(url: Url, metrics: Arc<Metrics>) -> Self {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REPLY_TIMEOUT)
            .build()
            // Fails only where TLS cannot be initialised; then every call fails and says so.
            .unwrap_or_default();
        Self {
            client: RpcClient::new_http_with_client(http, url.clone()),
            url,
            metrics,
        }
    }

    pub(super) const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Asks, and asks again while the node cannot be reached.
    pub(super) async fn call<P: RpcSend, R: RpcRecv>(
        &self,
        method: Method,
        params: P,
    ) -> Result<R, SourceError> {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(RETRIES)
            .with_jitter();
        (|| self.attempt(method, params.clone()))
            .retry(pauses)
            .when(|error| matches!(error, SourceError::Unreachable { .. }))
            .await
    }

    async fn attempt<P: RpcSend, R: RpcRecv>(
        &self,
        method: Method,
        params: P,
    ) -> Result<R, SourceError> {
        let timer = self.metrics.rpc_seconds(method).start_timer();
        let answer = self.client.request::<P, R>(method.as_str(), params).await;
        timer.observe_duration();
        let answer = answer.map_err(|error| self.failed(method, &error));
        self.metrics.count_rpc(
            method,
            match &answer {
                Ok(_) => Outcome::Ok,
                Err(SourceError::Unreachable { .. }) => Outcome::Unreachable,
                Err(_) => Outcome::Refused,
            },
        );
        answer
    }

    fn failed(&self, method: Method, error: &TransportError) -> SourceError {
        let failure = RpcFailure(told_without(&self.url, error));
        if asks_for_patience(error) {
            SourceError::Unreachable { method, failure }
        } else {
            SourceError::Refused { method, failure }
        }
    }
}

/// No connection, or a node that says it is busy. A reply that took too long is not: asking the same again would too.
fn asks_for_patience(error: &TransportError) -> bool {
    match error {
        RpcError::Transport(TransportErrorKind::HttpError(http)) => {
            http.status == 429 || http.status >= 500
        }
        RpcError::Transport(TransportErrorKind::Custom(cause)) => cause
            .downcast_ref::<reqwest::Error>()
            .is_none_or(|cause| cause.is_connect() || !cause.is_timeout()),
        RpcError::Transport(_) => true,
        RpcError::ErrorResp(payload) => {
            let message = payload.message.to_ascii_lowercase();
            payload.code == 429
                || message.contains("rate limit")
                || message.contains("too many requests")
        }
        RpcError::NullResp
        | RpcError::UnsupportedFeature(_)
        | RpcError::LocalUsageError(_)
        | RpcError::SerError(_)
        | RpcError::DeserError { .. } => false,
    }
}

/// The error and its causes in one line, shortened, with every trace of the URL beyond its host taken out.
fn told_without(url: &Url, error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let deeper_text = deeper.to_string();
        if !text.contains(&deeper_text) {
            text = format!("{text}: {deeper_text}");
        }
        cause = deeper.source();
    }
    let host = url.host_str().unwrap_or("the node");
    text = text.replace(url.as_str(), host);
    for part in [
        url.path(),
        url.query().unwrap_or(""),
        url.password().unwrap_or(""),
    ] {
        if part.len() > 1 {
            text = text.replace(part, "…");
        }
    }
    text.chars().take(FAILURE_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[tokio::test]
    async fn a_failure_never_tells_the_key_in_the_url() {
        // Port 1 refuses connections.
        let url: Url = "http://user:hunter2@127.0.0.1:1/v2/key-123?apikey=456"
            .parse()
            .unwrap();
        let metrics = Arc::new(Metrics::register(&Registry::new()).unwrap());
        let error = Rpc::new(url, metrics)
            .call::<_, String>(Method::ChainId, ())
            .await
            .unwrap_err();
        assert!(matches!(error, SourceError::Unreachable { .. }));
        let told = format!("{error} {error:?}");
        for secret in ["hunter2", "key-123", "456"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}
