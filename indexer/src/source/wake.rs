//! New heads, told over WebSocket.
//!
//! They end the wait between two looks at the chain and are otherwise not believed: what the indexer knows of the chain it
//! asks for, endpoint by endpoint. A subscription that breaks, or never comes about, costs the polling delay and nothing
//! else; it is tried again for ever.

use std::{sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt};
use tokio::sync::Notify;
use tokio_tungstenite::{
    connect_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::failure::RpcFailure;
use crate::metrics::Metrics;

/// The longest message that is read; a header is a few kilobytes.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// A connection that says nothing for so long is made anew: no chain of ours is so slow.
const SILENCE: Duration = Duration::from_mins(2);

/// Pauses between connections, doubled from the first to the second while they fail.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Tells when there is a new head.
#[derive(Clone, Debug, Default)]
pub struct NewHeads {
    told: Arc<Notify>,
}

impl NewHeads {
    /// Returns at the next new head, or after `longest`. A head that came since the last wait counts.
    pub async fn wait(&self, longest: Duration) {
        let _ = tokio::time::timeout(longest, self.told.notified()).await;
    }

    /// Listens at `url` until `stop`.
    pub async fn listen(
        self,
        url: Url,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Result<(), std::convert::Infallible> {
        let (shortest, longest) = PAUSE;
        let mut pause = shortest;
        while !stop.is_cancelled() {
            let mut heard = false;
            let ended = stop
                .run_until_cancelled(Box::pin(self.subscribe(&url, &metrics, &mut heard)))
                .await;
            let Some(ended) = ended else { break };
            pause = if heard {
                shortest
            } else {
                pause.saturating_mul(2).min(longest)
            };
            if let Err(error) = ended {
                let failure = RpcFailure::new(&url, &error);
                tracing::warn!(
                    error = %failure,
                    "the subscription to new heads ended; polling goes on, and it is tried again"
                );
            }
            // Half of it at least, so that several indexers do not come back together.
            let eighth = pause.checked_div(8).unwrap_or_default();
            let jittered = eighth.saturating_mul(fastrand::u32(4..=8));
            let _ = stop.run_until_cancelled(tokio::time::sleep(jittered)).await;
        }
        Ok(())
    }

    async fn subscribe(
        &self,
        url: &Url,
        metrics: &Metrics,
        heard: &mut bool,
    ) -> Result<(), tungstenite::Error> {
        const SUBSCRIBE: &str =
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let (mut socket, _) = connect_async_with_config(url.as_str(), Some(limits), true).await?;
        socket.send(Message::text(SUBSCRIBE)).await?;
        while let Ok(Some(message)) = tokio::time::timeout(SILENCE, socket.next()).await {
            if let Message::Text(text) = message?
                && text.contains("eth_subscription")
            {
                *heard = true;
                metrics.new_heads_total.inc();
                self.told.notify_one();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use tokio::{net::TcpListener, time::Instant};
    use tokio_tungstenite::accept_async;

    use super::*;

    /// Long enough that only a told head can end it.
    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_new_head_ends_the_wait_and_a_lost_connection_is_made_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            // Each connection tells one head and is gone.
            while let Ok((stream, _)) = listener.accept().await {
                let mut socket = accept_async(stream).await.unwrap();
                let asked = socket.next().await.unwrap().unwrap();
                assert!(asked.to_text().unwrap().contains("newHeads"));
                let told = r#"{"method":"eth_subscription","params":{"result":{}}}"#;
                let _ = socket.send(Message::text(told)).await;
            }
        });
        let metrics = Arc::new(Metrics::register(&Registry::new()).unwrap());
        let (heads, stop) = (NewHeads::default(), CancellationToken::new());
        let listening = heads.clone();
        let listening = listening.listen(url.parse().unwrap(), Arc::clone(&metrics), stop.clone());
        let listening = tokio::spawn(listening);
        let began = Instant::now();
        heads.wait(LONG).await;
        heads.wait(LONG).await;
        assert!(began.elapsed() < LONG);
        assert!(metrics.new_heads_total.get() >= 2);
        stop.cancel();
        assert!(listening.await.is_ok());
    }

    #[tokio::test]
    async fn without_a_subscription_the_wait_ends_by_itself() {
        let began = Instant::now();
        NewHeads::default().wait(Duration::from_millis(20)).await;
        assert!(began.elapsed() < LONG);
    }
}
