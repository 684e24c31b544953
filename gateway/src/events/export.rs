//! Every event into ClickHouse, once, and after it where it left its payment.
//!
//! Where a batch ends is durable before it is sent, and its rows are snapshots: a batch whose
//! acknowledgement was lost, by whichever side's crash, is sent again exactly as it was, under the same
//! deduplication token. Of the states of a payment the one of its newest event counts, however often and in
//! whatever order they come. While ClickHouse is away the events wait in the ledger.

use std::{convert::Infallible, sync::Arc, time::Duration};

use alloy::primitives::hex;
use aws_lc_rs::digest::{Context, SHA256};
use backon::{ExponentialBuilder, Retryable};
use clickhouse::{Client, error::Error};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use x402_schemas::index::{
    payment_events::{PaymentEventRow, TABLE},
    spend::{Course, PaymentStateRow},
};
use x402_service::logs::with_causes;

use crate::{
    fault,
    gateway::Gateway,
    ledger::{
        LedgerError, courses,
        event_cursors::{self, Consumer, Cursor},
        events,
    },
    spend::{close, rows},
};

/// Events of one insert: a second's worth of a busy gateway, and a megabyte of rows.
const MAX_BATCH: u64 = 1_000;
/// How long a batch that is not full gathers events, so that a quiet gateway does not make a part of each.
const GATHER: Duration = Duration::from_millis(250);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Writes the outbox of one ledger.
pub(crate) struct Exporter {
    gateway: Arc<Gateway>,
    client: Client,
    /// Whether the ledger has its first closing, without which none of its states may be there.
    begun: OnceCell<()>,
    stop: CancellationToken,
}

/// A batch that is on its way: the same whenever it is made again.
struct Batch {
    rows: Vec<PaymentEventRow>,
    states: Vec<PaymentStateRow>,
    token: String,
    last: u64,
}

impl Exporter {
    pub(crate) fn new(gateway: Arc<Gateway>, client: Client) -> Self {
        Self {
            client: rows::writer(client),
            begun: OnceCell::new(),
            stop: gateway.stop.clone(),
            gateway,
        }
    }

    /// Runs until the process stops.
    pub(crate) async fn run(self) -> Result<(), Infallible> {
        let mut news = self.gateway.news.subscribe();
        while !self.stop.is_cancelled() {
            news.mark_unchanged();
            let pause = match self.round().await {
                Ok(Some(sent)) if sent >= MAX_BATCH => continue,
                Ok(Some(_)) => GATHER,
                Ok(None) => {
                    tokio::select! {
                        _ = news.changed() => (),
                        () = self.stop.cancelled() => break,
                    }
                    GATHER
                }
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::warn!(error, "the outbox could not be read; trying again");
                    LONGEST_PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => (),
                () = self.stop.cancelled() => (),
            }
        }
        Ok(())
    }

    /// Sends one batch. Answers how many events it had; `None` when there was nothing, or the process stops.
    async fn round(&self) -> Result<Option<u64>, LedgerError> {
        let Some(batch) = self.next().await? else {
            return Ok(None);
        };
        fault::point!("exporting");
        tokio::select! {
            () = self.until_acknowledged(&batch) => (),
            () = self.stop.cancelled() => return Ok(None),
        }
        fault::point!("exported");
        let cursor = Cursor {
            told: batch.last,
            telling: None,
        };
        self.set(cursor).await?;
        let count = u64::try_from(batch.rows.len()).unwrap_or(u64::MAX);
        self.gateway.metrics.events.exported(count);
        Ok(Some(count))
    }

    /// The batch that may have been on its way when a process ended, or a new one, whose end is made durable.
    async fn next(&self) -> Result<Option<Batch>, LedgerError> {
        let mut conn = self.gateway.ledger.read().await?;
        let cursor = event_cursors::get(&mut conn, Consumer::ClickHouse).await?;
        let last = if let Some(last) = cursor.telling {
            last
        } else {
            let newest = events::newest(&mut conn).await?;
            if newest <= cursor.told {
                return Ok(None);
            }
            let last = newest.min(cursor.told.saturating_add(MAX_BATCH));
            let telling = Some(last);
            self.set(Cursor { telling, ..cursor }).await?;
            last
        };
        let told = events::between(&mut conn, cursor.told, last).await?;
        let rows: Vec<PaymentEventRow> = told
            .iter()
            .map(|one| {
                PaymentEventRow::new(
                    &one.event,
                    &self.gateway.ledger_id,
                    one.provider_id.as_deref(),
                )
            })
            .collect();
        let mut courses = courses::between(&mut conn, cursor.told, last).await?;
        let states = rows
            .iter()
            .filter_map(|row| {
                let course = if row.payment_id.is_empty() {
                    Some(Course::of_denial(row))
                } else {
                    courses.remove(&row.number)
                };
                Some(PaymentStateRow::new(row, &course?))
            })
            .collect();
        let token = self.token(cursor.told, last, &rows);
        Ok(Some(Batch {
            rows,
            states,
            token,
            last,
        }))
    }

    /// Names the batch by what it says, so that a ledger that was put back from a backup and gives its
    /// numbers again is not taken for a repetition.
    fn token(&self, after: u64, last: u64, rows: &[PaymentEventRow]) -> String {
        let mut digest = Context::new(&SHA256);
        for row in rows {
            digest.update(&row.number.to_be_bytes());
            for text in [&row.payment_id, &row.quote_id, &row.r#type, &row.reason] {
                digest.update(text.as_bytes());
                digest.update(b"\n");
            }
            digest.update(&row.at.to_be_bytes());
        }
        let digest = hex::encode(digest.finish());
        format!("{}:{after}:{last}:{digest}", self.gateway.ledger_id)
    }

    async fn set(&self, cursor: Cursor) -> Result<(), LedgerError> {
        let mut change = self.gateway.ledger.write().await?;
        event_cursors::set(&mut change, Consumer::ClickHouse, cursor).await?;
        Ok(change.commit().await?)
    }

    /// Tries for as long as it takes; giving up is the caller's.
    async fn until_acknowledged(&self, batch: &Batch) {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .without_max_times();
        let outcome = (|| self.insert(batch))
            .retry(pauses)
            .notify(|error, pause| {
                self.gateway.metrics.events.export_retried();
                tracing::warn!(
                    %error,
                    events = batch.rows.len(),
                    pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                    "ClickHouse did not take events; they wait in the ledger"
                );
            })
            .await;
        // The pauses never end, so neither does the retrying.
        drop(outcome);
    }

    async fn insert(&self, batch: &Batch) -> Result<(), Error> {
        let Gateway {
            network, ledger_id, ..
        } = &*self.gateway;
        self.begun
            .get_or_try_init(|| close::begin(&self.client, *network, ledger_id))
            .await?;
        rows::insert(&self.client, TABLE, &batch.rows, Some(&batch.token)).await?;
        rows::insert(&self.client, "payment_states", &batch.states, None).await
    }
}
