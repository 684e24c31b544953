//! Makes the index what an audit says that it should be: the blocks that differ are indexed again, under new commits.
//!
//! First tombstones for what the chain has not, then every row of those blocks, each in a batch of its own, so that no
//! row is there twice under one number. The index's end stays where it is. Whatever the crash point, repeating the
//! repair finishes it. There must be no other writer meanwhile: that is looked for, but only a writer that writes is seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use alloy::primitives::B256;
use prometheus::Registry;
use tokio::sync::watch;
use x402_schemas::index::{CommitRow, IndexReader, Tip, TransferRow};
use x402_service::{admin::Readiness, clock};

use super::{
    Audit, AuditError, AuditReport, Opened,
    report::{Place, place},
    rows::{Slice, Table, Unpublished},
};
use crate::{
    batch::{Batch, Stamp},
    config::IndexerConfig,
    indexer::StartError,
    metrics::Metrics,
    progress::Progress,
    reorg::Header,
    run::ALONE_FOR,
    writer::Writer,
};

/// Blocks that are repaired in one pair of commits.
const BLOCKS_AT_A_TIME: usize = 500;

/// The shortest time over which no commit may come before the index counts as nobody's.
const SHORTEST_WATCH: Duration = ALONE_FOR.saturating_add(Duration::from_secs(1));

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// What was wrong.
    pub before: AuditReport,
    /// What is wrong now.
    pub after: AuditReport,
    /// Rows that were taken away.
    pub retracted: u64,
    /// Rows that were written, right ones of the same blocks among them.
    pub written: u64,
}

/// Audits, repairs what differs, and audits again.
pub async fn repair(
    config: &IndexerConfig,
    from: u64,
    to: u64,
    progress: &watch::Sender<Progress>,
) -> Result<Repaired, AuditError> {
    let opened = Opened::open(config).await?;
    let audit = Audit {
        opened: &opened,
        from,
        to,
        progress,
    };
    let tip = opened.tip().await?;
    nobody_writes(&opened, &tip, config.poll_ms).await?;
    let before = audit.run(config.max_range).await?;
    let left_over = opened.rows.unpublished(tip.seq, tip.block_number).await?;
    let mut blocks = before.blocks.clone();
    blocks.extend(&left_over.blocks);
    let mut repaired = Repaired {
        after: before.clone(),
        before,
        retracted: 0,
        written: 0,
    };
    if blocks.is_empty() {
        return Ok(repaired);
    }
    if left_over.of_an_indexer {
        return Err(AuditError::UnfinishedBatch);
    }
    let mut mending = Mending::begin(&opened, config, tip, &left_over)?;
    mending.nobody_else_writes().await?;
    let blocks: Vec<u64> = blocks.into_iter().collect();
    for chunk in blocks.chunks(BLOCKS_AT_A_TIME) {
        let batches = mending.batches(&chunk.iter().copied().collect()).await?;
        for batch in batches {
            repaired.retracted = repaired.retracted.saturating_add(batch.commit.retracted);
            repaired.written = repaired.written.saturating_add(batch.commit.rows);
            mending.publish(batch).await?;
        }
    }
    repaired.after = audit.run(config.max_range).await?;
    Ok(repaired)
}

/// An indexer with something to do commits within two of its looks at the chain.
async fn nobody_writes(opened: &Opened, tip: &Tip, poll_ms: u64) -> Result<(), AuditError> {
    let two_polls = Duration::from_millis(poll_ms).saturating_mul(2);
    tokio::time::sleep(two_polls.max(SHORTEST_WATCH)).await;
    if opened.tip().await? == *tip {
        Ok(())
    } else {
        Err(AuditError::IndexerRunning)
    }
}

/// A repair under way.
struct Mending<'a> {
    opened: &'a Opened,
    reader: IndexReader,
    tip: Tip,
    writer: Writer,
    /// The number of the next batch: above every row's.
    next: u64,
}

impl<'a> Mending<'a> {
    fn begin(
        opened: &'a Opened,
        config: &IndexerConfig,
        tip: Tip,
        left_over: &Unpublished,
    ) -> Result<Self, AuditError> {
        let metrics = Metrics::register(&Registry::new()).map_err(StartError::from)?;
        let client = config.clickhouse.client();
        Ok(Self {
            opened,
            reader: IndexReader::new(client.clone(), opened.chain.reader.network),
            tip,
            writer: Writer::new(
                client,
                opened.chain.reader.network,
                tip.seq,
                Arc::new(metrics),
                Readiness::starting("repairing"),
                watch::Sender::new(tip.seq),
            ),
            next: tip.seq.max(left_over.highest_version).saturating_add(1),
        })
    }

    /// What is to be written for these blocks, in order.
    async fn batches(&mut self, blocks: &BTreeSet<u64>) -> Result<Vec<Batch>, AuditError> {
        let above_base = self.opened.base.number.saturating_add(1)..=self.tip.block_number;
        let on_chain = blocks
            .iter()
            .copied()
            .filter(|number| above_base.contains(number))
            .collect();
        let chain = self.opened.chain.blocks(&on_chain).await?;
        // A chain that moved away meanwhile must not be written under the index's end.
        if !self.opened.tip_is_on_chain(&self.tip).await? {
            return Err(AuditError::EndsOffChain);
        }
        let retract = not_on(&chain, self.stored(blocks).await?, self.tip.seq);
        let mut batches = Vec::new();
        if !retract.is_empty() {
            let version = self.take_number();
            let rows = retract.iter().map(|row| row.tombstone(version)).collect();
            batches.push(self.batch(version, blocks, rows));
        }
        if !chain.is_empty() {
            let version = self.take_number();
            let rows = chain.into_iter().map(|row| TransferRow { version, ..row });
            batches.push(self.batch(version, blocks, rows.collect()));
        }
        Ok(batches)
    }

    /// The newest row of every key of these blocks in either table, published or not.
    async fn stored(&self, blocks: &BTreeSet<u64>) -> Result<Vec<TransferRow>, AuditError> {
        let (Some(from), Some(to)) = (blocks.first(), blocks.last()) else {
            return Ok(Vec::new());
        };
        let slice = Slice {
            from: *from,
            to: *to,
            seq: u64::MAX,
        };
        let mut rows = Vec::new();
        for table in [Table::Transfers, Table::ByTx] {
            self.opened
                .rows
                .each_newest(table, slice, |row| {
                    if blocks.contains(&row.block_number) {
                        rows.push(row);
                    }
                })
                .await?;
        }
        Ok(rows)
    }

    const fn take_number(&mut self) -> u64 {
        let version = self.next;
        self.next = version.saturating_add(1);
        version
    }

    /// All of these rows are tombstones, or none is.
    fn batch(&self, version: u64, blocks: &BTreeSet<u64>, transfers: Vec<TransferRow>) -> Batch {
        let count = u64::try_from(transfers.len()).unwrap_or(u64::MAX);
        let retracts = transfers.first().is_some_and(|row| row.is_deleted == 1);
        let (rows, retracted) = if retracts { (0, count) } else { (count, 0) };
        let stamp = Stamp {
            network: self.opened.chain.reader.network,
            version,
            finalized: self.tip.finalized,
            written_at: clock::now().as_millisecond(),
        };
        let tip = Header {
            number: self.tip.block_number,
            hash: self.tip.block_hash,
            // An earlier commit of the same tip knows it.
            parent_hash: B256::ZERO,
            time: self.tip.block_time,
        };
        let unchanged = Batch::unchanged(stamp, &tip);
        Batch {
            transfers,
            commit: CommitRow {
                from_block: blocks.first().copied().unwrap_or(0),
                to_block: blocks.last().copied().unwrap_or(0),
                rows,
                retracted,
                ..unchanged.commit
            },
            ..unchanged
        }
    }

    async fn publish(&mut self, batch: Batch) -> Result<(), AuditError> {
        self.nobody_else_writes().await?;
        self.writer.publish(&batch).await;
        self.nobody_else_writes().await
    }

    /// The newest commit, and the only one of its number, is ours.
    async fn nobody_else_writes(&self) -> Result<(), AuditError> {
        let ours = self.writer.seq();
        let since = self.reader.commits_after(ours.saturating_sub(1), 2).await?;
        match since.as_slice() {
            [only] if only.seq == ours => Ok(()),
            _ => Err(AuditError::IndexerRunning),
        }
    }
}

/// The rows that have to go: the newest of each place, unless the chain has that place too, or the commits up to `seq`
/// say already that it is gone.
fn not_on(chain: &[TransferRow], stored: Vec<TransferRow>, seq: u64) -> Vec<TransferRow> {
    let on_chain: BTreeSet<Place> = chain.iter().map(place).collect();
    let mut newest: BTreeMap<Place, TransferRow> = BTreeMap::new();
    for row in stored {
        let known = newest.entry(place(&row)).or_insert(row);
        // Of the two tables' rows the one that stands: a tombstone in one does not take the other's row away.
        if (row.is_deleted, row.version) < (known.is_deleted, known.version) {
            *known = row;
        }
    }
    // One tombstone for each key of `transfers`: the block, the log and the block's hash.
    newest
        .into_iter()
        .filter(|(place, row)| {
            !on_chain.contains(place) && (row.is_deleted == 0 || row.version > seq)
        })
        .map(|(_, row)| row)
        .collect()
}
