//! Exact reads of the index.
//!
//! A reader sees what is committed and nothing else: of every row the newest version that a commit
//! vouches for. `FINAL` would let a half-written batch hide the committed row behind it, so look-ups
//! take `argMax(…, version)` over the committed versions instead.

use alloy_primitives::B256;
use clickhouse::{Client, Row};
use serde::Deserialize;
use thiserror::Error;

use super::rows::{CommitRow, TransferRow};
use crate::{
    network::Network,
    transfer::{Transfer, TransferId},
};

/// The most transactions that one look-up asks for; the query text stays far under the server's limit.
pub const MAX_LOOKUP: usize = 1_000;

/// Reads one chain's index.
#[derive(Clone)]
pub struct IndexReader {
    client: Client,
    network: Network,
}

/// Where the index ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The commit that says so; 0 before the first.
    pub seq: u64,
    /// The last indexed block.
    pub block_number: u64,
    /// Its hash.
    pub block_hash: B256,
    /// Its time, Unix seconds.
    pub block_time: u64,
    /// The chain's finalized block at that commit.
    pub finalized: u64,
}

/// A transfer that a commit added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is on the canonical chain.
    Added(Transfer),
    /// A reorg took it off the canonical chain.
    Removed(Transfer),
}

/// Why the index could not be read.
#[derive(Debug, Error)]
pub enum IndexError {
    /// ClickHouse did not answer, or not as expected.
    #[error("the index could not be read; is ClickHouse reachable?")]
    ClickHouse(#[from] clickhouse::error::Error),
}

#[derive(Row, Deserialize)]
struct SeqRow {
    seq: u64,
}

impl IndexReader {
    /// A reader of `network`'s rows in the client's database.
    pub const fn new(client: Client, network: Network) -> Self {
        Self { client, network }
    }

    /// The network that it reads.
    pub const fn network(&self) -> Network {
        self.network
    }

    /// Where the index ends, or `None` before the first commit.
    pub async fn tip(&self) -> Result<Option<Tip>, IndexError> {
        let query = "SELECT ?fields FROM commits WHERE chain_id = ? ORDER BY seq DESC LIMIT 1";
        let commit = self
            .client
            .query(query)
            .bind(self.network.chain_id())
            .fetch_optional::<CommitRow>()
            .await?;
        Ok(commit.as_ref().map(Tip::of))
    }

    /// The newest commit's number, 0 before the first. Cheaper than [`Self::tip`]: for polling.
    pub async fn seq(&self) -> Result<u64, IndexError> {
        let query = "SELECT max(seq) AS seq FROM commits WHERE chain_id = ?";
        let row = self
            .client
            .query(query)
            .bind(self.network.chain_id())
            .fetch_one::<SeqRow>()
            .await?;
        Ok(row.seq)
    }

    /// The commits after `seq`, oldest first, at most `limit`.
    pub async fn commits_after(&self, seq: u64, limit: u64) -> Result<Vec<CommitRow>, IndexError> {
        let query =
            "SELECT ?fields FROM commits WHERE chain_id = ? AND seq > ? ORDER BY seq LIMIT ?";
        Ok(self
            .client
            .query(query)
            .bind(self.network.chain_id())
            .bind(seq)
            .bind(limit)
            .fetch_all()
            .await?)
    }

    /// What one commit changed, removals first. A later commit's change of the same log is not shown. A row that
    /// was written twice, because its acknowledgement was lost, is shown once.
    pub async fn changes(&self, commit: &CommitRow) -> Result<Vec<Change>, IndexError> {
        if commit.rows == 0 && commit.retracted == 0 {
            return Ok(Vec::new());
        }
        let query = "SELECT ?fields FROM transfers WHERE chain_id = ? AND block_number BETWEEN ? AND ? AND version = ? \
                     ORDER BY is_deleted DESC, block_number, log_index LIMIT 1 BY block_number, log_index, block_hash";
        let rows: Vec<TransferRow> = self
            .client
            .query(query)
            .bind(commit.chain_id)
            .bind(commit.from_block)
            .bind(commit.to_block)
            .bind(commit.seq)
            .fetch_all()
            .await?;
        Ok(rows.iter().filter_map(Change::of).collect())
    }

    /// The committed state of exactly these transfers, in no order; those never seen are absent. A
    /// transfer that a reorg moved to another block is there once as removed and once as added.
    pub async fn find(&self, ids: &[TransferId]) -> Result<Vec<Change>, IndexError> {
        let hashes: Vec<B256> = ids.iter().map(|id| id.tx_hash).collect();
        let mut changes = self.find_by_tx(&hashes).await?;
        changes.retain(|change| ids.contains(&change.transfer().id));
        Ok(changes)
    }

    /// The committed state of all transfers in these transactions, at most [`MAX_LOOKUP`] of them at
    /// a time; more are asked for in turn.
    pub async fn find_by_tx(&self, tx_hashes: &[B256]) -> Result<Vec<Change>, IndexError> {
        let mut changes = Vec::with_capacity(tx_hashes.len());
        for chunk in tx_hashes.chunks(MAX_LOOKUP) {
            let list = chunk
                .iter()
                .map(|hash| format!("unhex('{hash:x}')"))
                .collect::<Vec<_>>()
                .join(",");
            // The hashes are typed values written as hex, so nothing from outside reaches the SQL text.
            let query = format!(
                "SELECT chain_id, argMax(block_number, v) AS block_number, log_index, block_hash, \
                 argMax(block_time, v) AS block_time, tx_hash, argMax(tx_index, v) AS tx_index, argMax(token, v) AS token, \
                 argMax(sender, v) AS sender, argMax(recipient, v) AS recipient, argMax(amount, v) AS amount, \
                 argMax(memo, v) AS memo, argMax(kind, v) AS kind, max(v) AS version, argMax(is_deleted, v) AS is_deleted \
                 FROM (SELECT *, version AS v FROM transfers_by_tx WHERE chain_id = {chain} AND tx_hash IN ({list}) \
                 AND version <= (SELECT max(seq) FROM commits WHERE chain_id = {chain})) \
                 GROUP BY chain_id, tx_hash, log_index, block_hash",
                chain = self.network.chain_id(),
            );
            let rows: Vec<TransferRow> = self.client.query(&query).fetch_all().await?;
            changes.extend(rows.iter().filter_map(Change::of));
        }
        Ok(changes)
    }

    /// The newest committed transfers that stand, newest first: for warming a cache.
    pub async fn newest(&self, limit: u64) -> Result<Vec<Transfer>, IndexError> {
        let query = "SELECT ?fields FROM transfers FINAL WHERE chain_id = ? \
                     AND version <= (SELECT max(seq) FROM commits WHERE chain_id = ?) \
                     ORDER BY chain_id DESC, block_number DESC, log_index DESC LIMIT ?";
        let chain_id = self.network.chain_id();
        let rows: Vec<TransferRow> = self
            .client
            .query(query)
            .bind(chain_id)
            .bind(chain_id)
            .bind(limit)
            .fetch_all()
            .await?;
        Ok(rows.iter().filter_map(TransferRow::transfer).collect())
    }
}

impl Tip {
    /// Where the index ends after this commit.
    pub fn of(commit: &CommitRow) -> Self {
        Self {
            seq: commit.seq,
            block_number: commit.tip_number,
            block_hash: B256::new(commit.tip_hash),
            block_time: u64::from(commit.tip_time),
            finalized: commit.finalized,
        }
    }
}

impl Change {
    fn of(row: &TransferRow) -> Option<Self> {
        let transfer = row.transfer()?;
        Some(if row.is_deleted == 0 {
            Self::Added(transfer)
        } else {
            Self::Removed(transfer)
        })
    }

    /// The transfer, whichever way it went.
    pub const fn transfer(&self) -> &Transfer {
        match self {
            Self::Added(transfer) | Self::Removed(transfer) => transfer,
        }
    }
}

impl std::fmt::Debug for IndexReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexReader")
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}
