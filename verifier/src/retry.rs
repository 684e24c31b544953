//! Waits between attempts to reach what is away: growing, jittered, without end.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use x402_service::logs::with_causes;

/// The first wait.
const MIN: Duration = Duration::from_millis(100);

/// The longest wait: what comes back is noticed within it.
const MAX: Duration = Duration::from_secs(3);

/// The waits since something was last reached.
#[derive(Debug)]
pub(crate) struct Retry {
    waits: ExponentialBackoff,
}

impl Retry {
    /// Nothing has failed yet.
    pub(crate) fn new() -> Self {
        let waits = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(MIN)
            .with_max_delay(MAX)
            .without_max_times()
            .build();
        Self { waits }
    }

    /// Logs why an attempt failed and waits before the next.
    pub(crate) async fn after(
        &mut self,
        what: &'static str,
        error: impl std::error::Error + Send + 'static,
    ) {
        tracing::warn!(error = with_causes(&error), "{what}; trying again");
        drop(error);
        tokio::time::sleep(self.waits.next().unwrap_or(MAX)).await;
    }
}
