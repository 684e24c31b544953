//! Is the index equal to the chain? Reads the node again, range by range, and compares every value of every row.
//!
//! Both tables are compared: analysts read one, proofs are verified against the other. Changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy::primitives::B256;
use futures::{StreamExt, TryStreamExt, stream};
use prometheus::Registry;
use x402_schemas::{
    index::{Change, IndexError, IndexReader},
    network::Network,
    transfer::{Transfer, TransferId},
};

use crate::{
    config::IndexerConfig,
    indexer::StartError,
    metrics::Metrics,
    range::RangeSize,
    run::{by_block, decode_block},
    source::{Source, SourceError},
    stored::Stored,
};

/// Differences that are told in full; of the rest only the number is.
const TOLD: usize = 20;

/// Blocks whose transactions are read at a time.
const BLOCKS_IN_FLIGHT: usize = 4;

/// One disagreement between index and chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// On the chain, not in the index.
    Missing(Transfer),
    /// In the index, not on the chain.
    Stale(Transfer),
    /// In both, with different values.
    Different {
        /// What the chain says.
        chain: Box<Transfer>,
        /// What the index says.
        index: Box<Transfer>,
    },
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// First block compared.
    pub from: u64,
    /// Last block compared; not past the end of the index.
    pub to: u64,
    /// Transfers on the chain.
    pub transfers: u64,
    /// Of those, how many the index lacks.
    pub missing: u64,
    /// Transfers of the index that the chain does not have.
    pub stale: u64,
    /// Transfers whose values differ.
    pub different: u64,
    /// The first differences.
    pub first: Vec<Difference>,
}

/// Why an audit could not be made.
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
}

/// A transfer's place: of one log in one block. Two forks' logs are two places.
type Place = (u64, B256, TransferId);

/// Compares the blocks `from..=to`, as far as the index reaches.
pub async fn audit(config: &IndexerConfig, from: u64, to: u64) -> Result<AuditReport, AuditError> {
    let metrics = Metrics::register(&Registry::new()).map_err(StartError::from)?;
    let source = Source::new(config, Arc::new(metrics));
    let network = source.network().await?;
    let client = config.clickhouse();
    let stored = Stored::new(client.clone(), network);
    let reader = IndexReader::new(client, network);
    let tip = stored.tip().await?.map_or(0, |tip| tip.block_number);
    let to = to.min(tip);
    let mut report = AuditReport {
        from,
        to,
        ..AuditReport::default()
    };
    let mut size = RangeSize::new(config.max_range);
    let mut next = from;
    while next <= to {
        let end = size.end(next, to);
        let chain = match on_chain(&source, network, config, next, end).await {
            Err(SourceError::Refused { .. }) if size.refused() => continue,
            transfers => transfers?,
        };
        size.answered(chain.len());
        let standing = stored.standing(next, end).await?;
        let hashes: BTreeSet<B256> = chain
            .iter()
            .chain(&standing)
            .map(|transfer| transfer.id.tx_hash)
            .collect();
        let hashes: Vec<B256> = hashes.into_iter().collect();
        let by_tx = reader.find_by_tx(&hashes).await?;
        let by_tx = by_tx.into_iter().filter_map(|change| match change {
            Change::Added(transfer) if (next..=end).contains(&transfer.block_number) => {
                Some(transfer)
            }
            Change::Added(_) | Change::Removed(_) => None,
        });
        report.transfers = report
            .transfers
            .saturating_add(u64::try_from(chain.len()).unwrap_or(u64::MAX));
        report.compare(&chain, standing);
        report.compare(&chain, by_tx);
        next = end.saturating_add(1);
    }
    Ok(report)
}

async fn on_chain(
    source: &Source,
    network: Network,
    config: &IndexerConfig,
    from: u64,
    to: u64,
) -> Result<Vec<Transfer>, SourceError> {
    let logs = source.logs_of_range(from, to).await?;
    let blocks: Vec<_> = by_block(&logs)
        .into_iter()
        .map(|(time, logs)| decode_block(source, network, config.token, time, logs))
        .collect();
    let found: Vec<_> = stream::iter(blocks)
        .buffered(BLOCKS_IN_FLIGHT)
        .try_collect()
        .await?;
    Ok(found
        .into_iter()
        .flatten()
        .map(|found| found.transfer)
        .collect())
}

impl AuditReport {
    /// Whether index and chain agree.
    pub const fn is_clean(&self) -> bool {
        self.missing == 0 && self.stale == 0 && self.different == 0
    }

    /// Compares one table's standing rows with the chain; each table's differences count.
    fn compare(&mut self, chain: &[Transfer], index: impl IntoIterator<Item = Transfer>) {
        let place = |transfer: &Transfer| -> Place {
            (transfer.block_number, transfer.block_hash, transfer.id)
        };
        let mut index: BTreeMap<Place, Transfer> = index
            .into_iter()
            .map(|transfer| (place(&transfer), transfer))
            .collect();
        for transfer in chain {
            match index.remove(&place(transfer)) {
                None => self.tell(Difference::Missing(*transfer)),
                Some(row) if row != *transfer => self.tell(Difference::Different {
                    chain: Box::new(*transfer),
                    index: Box::new(row),
                }),
                Some(_) => (),
            }
        }
        for transfer in index.into_values() {
            self.tell(Difference::Stale(transfer));
        }
    }

    fn tell(&mut self, difference: Difference) {
        let count = match difference {
            Difference::Missing(_) => &mut self.missing,
            Difference::Stale(_) => &mut self.stale,
            Difference::Different { .. } => &mut self.different,
        };
        *count = count.saturating_add(1);
        if self.first.len() < TOLD {
            self.first.push(difference);
        }
    }
}
