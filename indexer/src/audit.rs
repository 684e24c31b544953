//! Is the index equal to the chain? Reads the node again and compares every value of every row, in both tables: analysts
//! read one, proofs are verified against the other.
//!
//! Final blocks range by range, by number and digest of the rows; what differs is read again and told row by row. The
//! blocks above are compared by their hashes and looked at again before a difference is believed, because chain and
//! index may move meanwhile. Changes nothing; `repair` does.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use prometheus::Registry;
use tokio::sync::watch;
use x402_schemas::index::{IndexError, Tip, TransferRow};

use crate::{
    config::IndexerConfig,
    indexer::StartError,
    metrics::Metrics,
    progress::Progress,
    range::RangeSize,
    run::Reader,
    source::{Source, SourceError},
    stored::{Base, Stored},
};

mod chain;
mod digest;
mod repair;
mod report;
mod rows;

use chain::Chain;
use digest::Digest;
pub use repair::{Repaired, repair};
use report::compare;
pub use report::{AuditReport, Difference, Tables, What};
use rows::{Rows, Slice, Table};

/// How often the blocks above the finalized one are looked at before a difference there is believed.
const LOOKS: u32 = 5;

/// The pause between those: a block of a busy local chain, or a lagging replica's delay.
const PAUSE_BETWEEN_LOOKS: Duration = Duration::from_millis(300);

/// Most blocks that are looked at together.
const UNFINAL_BLOCKS: u64 = 256;

/// Why an audit or a repair could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Node, token or database are not as configured.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The node did not answer.
    #[error("the chain could not be read")]
    Node(#[from] SourceError),
    /// ClickHouse did not answer.
    #[error("the index could not be read; is ClickHouse reachable?")]
    ClickHouse(#[from] clickhouse::error::Error),
    /// ClickHouse did not answer.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// There is nothing to compare.
    #[error("the index is empty; run `x402 indexer` first, or check --clickhouse-database")]
    Empty,
    /// Somebody else writes.
    #[error("an indexer is writing this index; stop it before a repair")]
    IndexerRunning,
    /// The chain has left the block that the index ends at.
    #[error(
        "the index ends at a block that is not on the chain; start the indexer, which follows the chain, and stop it before a repair"
    )]
    EndsOffChain,
    /// An indexer died within a batch.
    #[error(
        "an earlier run of the indexer died within a batch; start it once, which ends that, and stop it before a repair"
    )]
    UnfinishedBatch,
}

/// Compares the blocks `from..=to`, as far as the index reaches.
pub async fn audit(config: &IndexerConfig, from: u64, to: u64) -> Result<AuditReport, AuditError> {
    audit_watched(config, from, to, &watch::Sender::default()).await
}

/// The same, telling how far it is.
pub async fn audit_watched(
    config: &IndexerConfig,
    from: u64,
    to: u64,
    progress: &watch::Sender<Progress>,
) -> Result<AuditReport, AuditError> {
    let opened = Opened::open(config).await?;
    Audit {
        opened: &opened,
        from,
        to,
        progress,
    }
    .run(config.max_range)
    .await
}

/// Chain and index, ready to be read.
struct Opened {
    chain: Chain,
    stored: Stored,
    rows: Rows,
    /// Where the index began. Its rows are of blocks above.
    base: Base,
}

impl Opened {
    async fn open(config: &IndexerConfig) -> Result<Self, AuditError> {
        let metrics = Metrics::register(&Registry::new()).map_err(StartError::from)?;
        let source = Source::new(config, Arc::new(metrics));
        let network = source.network().await?;
        let client = config.clickhouse.client();
        let stored = Stored::new(client.clone(), network);
        let base = stored.base().await?.ok_or(AuditError::Empty)?;
        Ok(Self {
            chain: Chain {
                reader: Reader {
                    source,
                    network,
                    token: config.token,
                },
            },
            stored,
            rows: Rows::new(client, network),
            base,
        })
    }

    async fn tip(&self) -> Result<Tip, AuditError> {
        self.stored.tip().await?.ok_or(AuditError::Empty)
    }

    /// Whether the chain has the block that the index ends at.
    async fn tip_is_on_chain(&self, tip: &Tip) -> Result<bool, SourceError> {
        match self.chain.reader.source.block(tip.block_number).await {
            Ok(block) => Ok(block.header.hash == tip.block_hash),
            Err(SourceError::UnknownBlock(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// One audit.
struct Audit<'a> {
    opened: &'a Opened,
    from: u64,
    to: u64,
    progress: &'a watch::Sender<Progress>,
}

/// A range of blocks and what each side has in it.
#[derive(Clone, Copy, Debug)]
struct Span {
    to: u64,
    chain: Digest,
    transfers: Digest,
    by_tx: Digest,
}

/// One look at the blocks above the finalized one.
struct Look {
    differences: Vec<Difference>,
    transfers: u64,
    /// Neither chain nor index moved meanwhile.
    steady: bool,
}

impl Audit<'_> {
    async fn run(&self, max_range: u64) -> Result<AuditReport, AuditError> {
        let tip = self.opened.tip().await?;
        let to = self.to.min(tip.block_number);
        let mut report = AuditReport {
            from: self.from,
            to,
            ..AuditReport::default()
        };
        self.progress.send_replace(Progress {
            from: self.from,
            block: self.from,
            to,
            ..Progress::default()
        });
        let head = self.opened.chain.reader.source.head().await?.header.number;
        let finalized = self.opened.chain.reader.source.finalized(head).await?;
        let last_final = finalized.min(tip.finalized).min(to);
        if self.from <= last_final {
            let mut spans = self.spans(max_range, last_final, tip.seq).await?;
            self.add_by_tx(&mut spans, last_final, tip.seq).await?;
            self.details(&spans, &mut report).await?;
        }
        if self.to > last_final {
            self.unfinal(last_final, &mut report).await?;
        }
        self.progress.send_modify(|progress| progress.done = true);
        Ok(report)
    }

    /// The final blocks: the chain's rows and those of `transfers`, as digests by range, each under its first block.
    async fn spans(
        &self,
        max_range: u64,
        last: u64,
        seq: u64,
    ) -> Result<BTreeMap<u64, Span>, AuditError> {
        let mut spans = BTreeMap::new();
        let mut size = RangeSize::new(max_range);
        let mut next = self.from;
        while next <= last {
            // What is below the index's beginning is not asked for; rows there are stale.
            let first = next.max(self.opened.base.number.saturating_add(1));
            let (to, rows) = if first > last {
                (last, Vec::new())
            } else {
                self.opened.chain.range(&mut size, first, last).await?
            };
            let mut transfers = Digest::default();
            let slice = Slice {
                from: next,
                to,
                seq,
            };
            self.opened
                .rows
                .each_standing(Table::Transfers, slice, |row| transfers.add(&row))
                .await?;
            let chain = Digest::of(&rows);
            spans.insert(
                next,
                Span {
                    to,
                    chain,
                    transfers,
                    by_tx: Digest::default(),
                },
            );
            self.advance(to, chain.rows());
            next = to.saturating_add(1);
        }
        Ok(spans)
    }

    /// `transfers_by_tx` is not in the order of blocks, so it is read once for all ranges.
    async fn add_by_tx(
        &self,
        spans: &mut BTreeMap<u64, Span>,
        last: u64,
        seq: u64,
    ) -> Result<(), AuditError> {
        let slice = Slice {
            from: self.from,
            to: last,
            seq,
        };
        self.opened
            .rows
            .each_standing(Table::ByTx, slice, |row| {
                if let Some((_, span)) = spans.range_mut(..=row.block_number).next_back() {
                    span.by_tx.add(&row);
                }
            })
            .await?;
        Ok(())
    }

    /// Reads again the ranges that differ, and tells what does.
    async fn details(
        &self,
        spans: &BTreeMap<u64, Span>,
        report: &mut AuditReport,
    ) -> Result<(), AuditError> {
        for (from, span) in spans {
            report.transfers = report.transfers.saturating_add(span.chain.rows());
            if span.transfers == span.chain && span.by_tx == span.chain {
                continue;
            }
            let first = (*from).max(self.opened.base.number.saturating_add(1));
            let mut chain = Vec::new();
            if first <= span.to {
                let mut size = RangeSize::new(span.to.saturating_sub(first).saturating_add(1));
                let mut next = first;
                while next <= span.to {
                    let (to, rows) = self.opened.chain.range(&mut size, next, span.to).await?;
                    chain.extend(rows);
                    next = to.saturating_add(1);
                }
            }
            let slice = Slice {
                from: *from,
                to: span.to,
                seq: self.opened.tip().await?.seq,
            };
            let (transfers, by_tx) = self.both(slice).await?;
            report.tell(compare(&chain, &transfers, &by_tx));
        }
        Ok(())
    }

    async fn both(&self, slice: Slice) -> Result<(Vec<TransferRow>, Vec<TransferRow>), AuditError> {
        let rows = &self.opened.rows;
        Ok((
            rows.standing(Table::Transfers, slice).await?,
            rows.standing(Table::ByTx, slice).await?,
        ))
    }

    /// The blocks that a reorg may still take away: 64 or so, and all of them where nothing is ever final.
    async fn unfinal(&self, last_final: u64, report: &mut AuditReport) -> Result<(), AuditError> {
        let mut from = self.from.max(last_final.saturating_add(1));
        loop {
            let to = from.saturating_add(UNFINAL_BLOCKS);
            if to >= report.to {
                return self.settle(from, self.to, report).await;
            }
            self.settle(from, to, report).await?;
            from = to.saturating_add(1);
        }
    }

    /// A difference counts when neither side moved while it was seen, and it is still there at the next look.
    async fn settle(&self, from: u64, to: u64, report: &mut AuditReport) -> Result<(), AuditError> {
        let mut steady_looks = 0_u32;
        for look_left in (0..LOOKS).rev() {
            match self.look(from, to).await {
                Ok(look) => {
                    steady_looks = steady_looks.saturating_add(u32::from(look.steady));
                    if look.differences.is_empty() || steady_looks > 1 || look_left == 0 {
                        report.transfers = report.transfers.saturating_add(look.transfers);
                        report.tell(look.differences);
                        self.advance(report.to.min(to), look.transfers);
                        return Ok(());
                    }
                }
                // A reorg took a block away between two requests, or the node is behind the index.
                Err(AuditError::Node(
                    SourceError::UnknownBlock(_) | SourceError::Inconsistent(_),
                )) if look_left > 0 => (),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(PAUSE_BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    async fn look(&self, from: u64, limit: u64) -> Result<Look, AuditError> {
        let opened = self.opened;
        let tip = opened.tip().await?;
        let to = limit.min(tip.block_number);
        let first = from.max(opened.base.number.saturating_add(1));
        let branch = opened.chain.branch(first, to).await?;
        let slice = Slice {
            from,
            // Past its end the index has no rows.
            to: if limit >= tip.block_number {
                u64::MAX
            } else {
                to
            },
            seq: tip.seq,
        };
        let (transfers, by_tx) = self.both(slice).await?;
        let unmoved = opened.tip().await? == tip && opened.tip_is_on_chain(&tip).await?;
        let Some(branch) = branch else {
            return Err(AuditError::Node(SourceError::UnknownBlock(to.to_string())));
        };
        let ends_alike =
            to != tip.block_number || branch.end.is_none_or(|end| end == tip.block_hash);
        Ok(Look {
            differences: compare(&branch.rows, &transfers, &by_tx),
            transfers: u64::try_from(branch.rows.len()).unwrap_or(u64::MAX),
            steady: unmoved && ends_alike,
        })
    }

    fn advance(&self, block: u64, transfers: u64) {
        self.progress.send_modify(|progress| {
            progress.block = block;
            progress.transfers = progress.transfers.saturating_add(transfers);
        });
    }
}

#[cfg(test)]
mod tests;
