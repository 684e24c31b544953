//! Asks ClickHouse now and then whether ledger, index and treasuries agree: reported, and nothing else follows from it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use clickhouse::{Client, error::Error};
use x402_service::{clock, logs::with_causes};

use crate::gateway::Gateway;

/// Between two looks. Each reads all that is not closed yet.
const LOOK_EVERY: Duration = Duration::from_mins(5);
/// The longest that one may take.
const LOOK_TIMEOUT: Duration = Duration::from_mins(2);

/// Asks until the process stops.
pub(crate) async fn watch(gateway: Arc<Gateway>, client: Client) -> Result<(), Infallible> {
    while !gateway.stop.is_cancelled() {
        match differences(&client).await {
            Ok(differences) => gateway.metrics.funds.reconciled(differences, clock::now()),
            Err(error) => tracing::warn!(
                error = with_causes(&error),
                "whether ledger, index and treasuries agree is not known"
            ),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => (),
            () = gateway.stop.cancelled() => (),
        }
    }
    Ok(())
}

async fn differences(client: &Client) -> Result<u64, Error> {
    let count = client.query("SELECT count() FROM reconciliation");
    tokio::time::timeout(LOOK_TIMEOUT, count.fetch_one())
        .await
        .unwrap_or(Err(Error::TimedOut))
}
