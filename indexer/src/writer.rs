//! Batches in, rows and the commit that publishes them out.
//!
//! Rows first, the commit last. While ClickHouse does not acknowledge an insert it is tried again, for ever: the same
//! rows under the same number replace themselves. Giving up is the caller's: drop the future. Whoever follows the index
//! in this process is woken after each commit.

use std::{sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use clickhouse::{Client, Compression, RowOwned, RowWrite, error::Error};
use futures::future;
use tokio::sync::watch;
use x402_schemas::{
    index::{CommitRow, TRANSFER_TABLES},
    network::Network,
};
use x402_service::{admin::Readiness, clock};

use crate::{batch::Batch, metrics::Metrics};

/// The longest wait for ClickHouse to acknowledge an insert.
pub(crate) const INSERT_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What ClickHouse's list of running queries calls ours.
pub(crate) const LOG_COMMENT: &str = "x402 indexer";

/// Writes one chain's index. There must be no other writer of that chain.
pub struct Writer {
    client: Client,
    chain_id: u64,
    seq: u64,
    last: Option<CommitRow>,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    wake: watch::Sender<u64>,
}

impl Writer {
    /// A writer that goes on after batch `seq`.
    pub fn new(
        client: Client,
        network: Network,
        seq: u64,
        metrics: Arc<Metrics>,
        readiness: Readiness,
        wake: watch::Sender<u64>,
    ) -> Self {
        wake.send_replace(seq);
        Self {
            client: client
                .with_setting("log_comment", LOG_COMMENT)
                // A batch has no row twice, so ClickHouse need not look for one in it.
                .with_setting("optimize_on_insert", "0")
                // A batch is one insert, and on disk when it is acknowledged: nothing waits to be flushed together.
                .with_setting("async_insert", "0")
                // A few rows are written sooner by one thread than handed from one to the next.
                .with_setting("max_threads", "1")
                .with_setting("max_insert_threads", "1"),
            chain_id: network.chain_id(),
            seq,
            last: None,
            metrics,
            readiness,
            wake,
        }
    }

    /// The last published batch.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The number of the newest commit if it is not ours, which means that somebody else writes.
    pub async fn other_writer(&self) -> Result<Option<u64>, Error> {
        let query = "SELECT ?fields FROM commits WHERE chain_id = ? ORDER BY seq DESC LIMIT 1";
        let query = self.client.query(query).bind(self.chain_id);
        let newest: Option<CommitRow> = timely(query.fetch_optional()).await?;
        Ok((newest != self.last).then(|| newest.map_or(0, |newest| newest.seq)))
    }

    /// Writes and publishes a batch; returns when readers see it.
    pub async fn publish(&mut self, batch: &Batch) {
        let timer = self.metrics.publish_duration_seconds.start_timer();
        self.rows(batch).await;
        self.commit(&batch.commit).await;
        timer.observe_duration();
        self.seq = batch.commit.seq;
        self.last = Some(batch.commit);
        self.metrics.commits_total.inc();
        self.metrics.committed_at.set(clock::now().as_second());
        self.metrics.rows_total.inc_by(batch.commit.rows);
        self.metrics.retracted_total.inc_by(batch.commit.retracted);
        self.wake.send_replace(self.seq);
    }

    async fn rows(&self, batch: &Batch) {
        let sent: Vec<_> = batch.sent().collect();
        let transfers =
            TRANSFER_TABLES.map(|table| self.store(&sent, move |sent| self.send(table, sent)));
        future::join(
            future::join_all(transfers),
            self.store(&batch.blocks, |rows| insert(&self.client, "blocks", rows)),
        )
        .await;
    }

    async fn store<'a, R, F: Future<Output = Result<(), Error>>>(
        &self,
        rows: &'a [R],
        insert: impl Fn(&'a [R]) -> F,
    ) {
        if !rows.is_empty() {
            self.until_acknowledged(|| insert(rows)).await;
        }
    }

    async fn commit(&self, row: &CommitRow) {
        // Nothing replaces rows of this table: of one number only the first to arrive is taken, be it one whose
        // acknowledgement was lost or one that an indexer sent before it died.
        let token = format!("{}-{}", row.chain_id, row.seq);
        let client = self
            .client
            .clone()
            .with_setting("insert_deduplication_token", token);
        self.until_acknowledged(|| insert(&client, "commits", std::slice::from_ref(row)))
            .await;
    }

    /// Inserts transfers.
    async fn send(&self, table: &str, transfers: &[Bytes]) -> Result<(), Error> {
        timely(async {
            let mut insert = self
                .client
                .clone()
                // Hashes do not shrink; packing them costs more than sending them.
                .with_compression(Compression::None)
                .insert_formatted_with(format!("INSERT INTO {table} FORMAT Native"));
            for piece in transfers {
                insert.send(piece.clone()).await?;
            }
            insert.end().await
        })
        .await
    }

    async fn until_acknowledged<F: Future<Output = Result<(), Error>>>(
        &self,
        attempt: impl FnMut() -> F,
    ) {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .without_max_times();
        let outcome = attempt
            .retry(pauses)
            .notify(|error, pause| self.told(error, pause))
            .await;
        // The pauses never end, so neither does the retrying.
        drop(outcome);
    }

    fn told(&self, error: &Error, pause: Duration) {
        self.metrics.insert_retries_total.inc();
        self.readiness
            .not_ready("ClickHouse does not take rows; they are kept and tried again");
        tracing::warn!(
            %error,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "ClickHouse did not take a batch; trying again"
        );
    }
}

async fn insert<R: RowOwned + RowWrite + Sync>(
    client: &Client,
    table: &str,
    rows: &[R],
) -> Result<(), Error> {
    timely(async {
        let mut insert = client.insert::<R>(table).await?;
        for row in rows {
            insert.write(row).await?;
        }
        insert.end().await
    })
    .await
}

async fn timely<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(INSERT_TIMEOUT, answer)
        .await
        .unwrap_or(Err(Error::TimedOut))
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}
