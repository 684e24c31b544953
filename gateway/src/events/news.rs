//! The outbox's newest number, for all who wait for news.
//!
//! Asks the ledger ten times a second, for everybody at once, rather than being told by each of the many
//! places that commit a step: none can be forgotten. Also takes away what is old, and reports what waits.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};
use x402_service::{clock, logs::with_causes};

use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError, deliveries,
        event_cursors::{self, Consumer},
        events,
    },
};

const LOOK_EVERY: Duration = Duration::from_millis(100);
const REPORT_EVERY: Duration = Duration::from_secs(1);
const PRUNE_EVERY: Duration = Duration::from_secs(10);

/// The newest number, as far as anybody has looked.
#[derive(Debug)]
pub(crate) struct News(watch::Sender<u64>);

impl Default for News {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl News {
    /// Changes whenever there are new events.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    fn announce(&self, newest: u64) {
        self.0.send_if_modified(|known| {
            let is_news = newest > *known;
            *known = newest.max(*known);
            is_news
        });
    }
}

/// Looks until the process stops.
pub(crate) async fn watch(gateway: Arc<Gateway>) -> Result<(), Infallible> {
    let (mut reported, mut pruned) = (Instant::now(), Instant::now());
    while !gateway.stop.is_cancelled() {
        let now = Instant::now();
        let report_due = now.duration_since(reported) >= REPORT_EVERY;
        let prune_due = now.duration_since(pruned) >= PRUNE_EVERY;
        let round = async {
            look(&gateway).await?;
            if report_due {
                reported = now;
                report(&gateway).await?;
            }
            if prune_due {
                pruned = now;
                prune(&gateway).await?;
            }
            Ok::<_, LedgerError>(())
        };
        if let Err(error) = round.await {
            let error = with_causes(&error);
            tracing::warn!(error, "events could not be looked for; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => (),
            () = gateway.stop.cancelled() => (),
        }
    }
    Ok(())
}

async fn look(gateway: &Gateway) -> Result<(), LedgerError> {
    let mut conn = gateway.ledger.read().await?;
    let newest = events::newest(&mut conn).await?;
    gateway.news.announce(newest);
    Ok(())
}

async fn report(gateway: &Gateway) -> Result<(), LedgerError> {
    let mut conn = gateway.ledger.read().await?;
    for consumer in Consumer::ALL {
        let (count, oldest) = event_cursors::backlog(&mut conn, consumer).await?;
        let metrics = &gateway.metrics.events;
        metrics.waiting(consumer, count, oldest);
    }
    let waiting = deliveries::waiting_in_all(&mut conn).await?;
    gateway.metrics.events.deliveries_waiting(waiting);
    Ok(())
}

async fn prune(gateway: &Gateway) -> Result<(), LedgerError> {
    let mut change = gateway.ledger.write().await?;
    if event_cursors::prune(&mut change, clock::now()).await? > 0 {
        change.commit().await?;
    }
    Ok(())
}
