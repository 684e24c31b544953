//! Looks now and then whether commits cover every block: reported, and nothing else follows from it.
//!
//! A batch begins where the one before it ended, so a gap means that commits were lost. What the covered blocks hold is the
//! audit's to prove.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use x402_service::{logs::with_causes, metrics::whole};

use crate::{metrics::Metrics, stored::Stored};

/// Reading a year of mainnet's commits takes ClickHouse a fraction of a second.
const LOOK_EVERY: Duration = Duration::from_mins(10);

/// Looks until `stop`.
pub(crate) async fn watch(
    stored: Stored,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    while !stop.is_cancelled() {
        match stored.gap_blocks().await {
            Ok(blocks) => metrics.gap_blocks.set(whole(blocks)),
            Err(error) => tracing::warn!(
                error = with_causes(&error),
                "whether the index has gaps is not known"
            ),
        }
        let _ = stop
            .run_until_cancelled(tokio::time::sleep(LOOK_EVERY))
            .await;
    }
    Ok(())
}
