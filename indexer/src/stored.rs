//! What the index holds, asked for at start and before blocks are retracted: rows of any state, committed or not.
//!
//! Only the one writer and the audit read like this; everybody else goes through the exact reader in the schemas.

use std::time::Duration;

use alloy::primitives::{Address, B256};
use clickhouse::{Client, Row, error::Error};
use serde::Deserialize;
use x402_schemas::{
    index::{BlockRow, CommitRow, IndexReader, Tip, TransferRow},
    network::Network,
    transfer::Transfer,
};

use crate::{
    recovery::{self, Leftovers},
    reorg::{Header, Window},
    writer::{INSERT_TIMEOUT, LOG_COMMENT},
};

/// Between two looks at what ClickHouse is working on.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Reads one chain's tables.
#[derive(Clone)]
pub struct Stored {
    client: Client,
    network: Network,
}

/// The block that an index began at: what tells one chain from another with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

#[derive(Row, Deserialize)]
struct LeftoversRow {
    lowest_block: u64,
    highest_version: u64,
    rows: u64,
}

#[derive(Row, Deserialize)]
struct TokenRow {
    token: [u8; 20],
}

#[derive(Row, Deserialize)]
struct HeaderRow {
    number: u64,
    hash: [u8; 32],
    parent_hash: [u8; 32],
    time: u32,
}

impl Stored {
    /// A reader of `network`'s rows in the client's database.
    pub const fn new(client: Client, network: Network) -> Self {
        Self { client, network }
    }

    /// Waits until ClickHouse works on no insert of an indexer: one that died may have left some under way. False if
    /// that does not end, as when another indexer writes.
    pub async fn at_rest(&self) -> Result<bool, Error> {
        let query = "SELECT count() FROM system.processes \
                     WHERE current_database = currentDatabase() AND Settings['log_comment'] = ?";
        let resting = async {
            loop {
                let inserts: u64 = self
                    .client
                    .query(query)
                    .bind(LOG_COMMENT)
                    .fetch_one()
                    .await?;
                if inserts == 0 {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        match tokio::time::timeout(INSERT_TIMEOUT, resting).await {
            Ok(rested) => rested.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Where the last commit says that the index ends.
    pub async fn tip(&self) -> Result<Option<Tip>, Error> {
        let reader = IndexReader::new(self.client.clone(), self.network);
        reader.tip().await.map_err(|error| match error {
            x402_schemas::index::IndexError::ClickHouse(error) => error,
        })
    }

    /// The block that the index began at, from the first commit.
    pub async fn base(&self) -> Result<Option<Base>, Error> {
        let query = "SELECT ?fields FROM commits WHERE chain_id = ? ORDER BY seq LIMIT 1";
        let row = self.client.query(query).bind(self.network.chain_id());
        let first = row.fetch_optional::<CommitRow>().await?;
        Ok(first.map(|commit| Base {
            number: commit.tip_number,
            hash: B256::new(commit.tip_hash),
        }))
    }

    /// Blocks between the index's first and last that no commit covers.
    pub async fn gap_blocks(&self) -> Result<u64, Error> {
        let query = "SELECT toUInt64(sum(greatest(from_block, covered + 1) - (covered + 1))) FROM (\
                     SELECT from_block, max(to_block) OVER (ORDER BY from_block, to_block \
                     ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered, \
                     row_number() OVER (ORDER BY from_block, to_block) AS place FROM commits WHERE chain_id = ?) \
                     WHERE place > 1";
        let query = self.client.query(query).bind(self.network.chain_id());
        query.fetch_one().await
    }

    /// The token of the rows that are there.
    pub async fn token(&self) -> Result<Option<Address>, Error> {
        let query = "SELECT ?fields FROM transfers WHERE chain_id = ? LIMIT 1";
        let row = self.client.query(query).bind(self.network.chain_id());
        Ok(row
            .fetch_optional::<TokenRow>()
            .await?
            .map(|row| Address::new(row.token)))
    }

    /// The header chain that ends at `tip` and goes down to the finalized block, as far as it was kept.
    pub async fn window(&self, tip: &Tip) -> Result<Window, Error> {
        // Of any state: descent from the tip decides what counts, and that is a matter of hashes. A batch keeps its last
        // header in its commit and those before in `blocks`.
        let query = "SELECT number, hash, parent_hash, time FROM (\
                     SELECT number, hash, parent_hash, time FROM blocks WHERE chain_id = ? AND number BETWEEN ? AND ? \
                     UNION ALL SELECT tip_number, tip_hash, tip_parent, tip_time FROM commits \
                     WHERE chain_id = ? AND tip_number BETWEEN ? AND ?)";
        let (from, to) = (tip.finalized.min(tip.block_number), tip.block_number);
        let rows: Vec<HeaderRow> = self
            .client
            .query(query)
            .bind(self.network.chain_id())
            .bind(from)
            .bind(to)
            .bind(self.network.chain_id())
            .bind(from)
            .bind(to)
            .fetch_all()
            .await?;
        let headers = rows.iter().map(|row| Header {
            number: row.number,
            hash: B256::new(row.hash),
            parent_hash: B256::new(row.parent_hash),
            time: u64::from(row.time),
        });
        let last = Header {
            number: tip.block_number,
            hash: tip.block_hash,
            parent_hash: B256::ZERO,
            time: tip.block_time,
        };
        Ok(Window::from_stored(last, headers))
    }

    /// Rows with numbers past `seq`. In `transfers` only blocks from `lower` on are searched: a batch changes nothing
    /// below what was final or indexed before it. In `transfers_by_tx` the index on the version passes over every part
    /// that commits vouch for, so that neither costs more as the tables grow.
    pub async fn leftovers(&self, seq: u64, lower: u64) -> Result<Option<Leftovers>, Error> {
        let query = "SELECT min(block_number) AS lowest_block, max(version) AS highest_version, count() AS rows FROM (\
                     SELECT block_number, version FROM transfers WHERE chain_id = ? AND block_number >= ? AND version > ? \
                     UNION ALL SELECT block_number, version FROM transfers_by_tx WHERE chain_id = ? AND version > ? \
                     UNION ALL SELECT number, version FROM blocks WHERE chain_id = ? AND version > ?)";
        let chain_id = self.network.chain_id();
        let row: LeftoversRow = self
            .client
            .query(query)
            .bind(chain_id)
            .bind(lower)
            .bind(seq)
            .bind(chain_id)
            .bind(seq)
            .bind(chain_id)
            .bind(seq)
            .fetch_one()
            .await?;
        Ok((row.rows > 0).then_some(Leftovers {
            lowest_block: row.lowest_block,
            highest_version: row.highest_version,
        }))
    }

    /// The committed transfers that stand in a range of blocks, in no order.
    pub async fn standing(&self, from: u64, to: u64) -> Result<Vec<Transfer>, Error> {
        let query = "SELECT ?fields FROM transfers WHERE chain_id = ? AND block_number BETWEEN ? AND ? \
                     AND version <= (SELECT max(seq) FROM commits WHERE chain_id = ?) \
                     ORDER BY version DESC LIMIT 1 BY block_number, log_index, block_hash";
        let rows: Vec<TransferRow> = self
            .client
            .query(query)
            .bind(self.network.chain_id())
            .bind(from)
            .bind(to)
            .bind(self.network.chain_id())
            .fetch_all()
            .await?;
        let standing = rows.iter().filter(|row| row.is_deleted == 0);
        Ok(standing.filter_map(TransferRow::transfer).collect())
    }

    /// The transfers to retract above `ancestor`.
    pub async fn transfers_above(
        &self,
        ancestor: u64,
        seq: u64,
    ) -> Result<Vec<TransferRow>, Error> {
        let newest = "SELECT ?fields FROM transfers WHERE chain_id = ? AND block_number > ? \
                      ORDER BY version DESC LIMIT 1 BY block_number, log_index, block_hash";
        let mut rows: Vec<TransferRow> = self
            .client
            .query(newest)
            .bind(self.network.chain_id())
            .bind(ancestor)
            .fetch_all()
            .await?;
        // A run that died may have written one of the two tables only.
        let unpublished = "SELECT ?fields FROM transfers_by_tx WHERE chain_id = ? AND block_number > ? AND version > ?";
        rows.extend(
            self.client
                .query(unpublished)
                .bind(self.network.chain_id())
                .bind(ancestor)
                .bind(seq)
                .fetch_all::<TransferRow>()
                .await?,
        );
        Ok(recovery::transfers_to_retract(rows, seq))
    }

    /// The headers to retract above `ancestor`.
    pub async fn blocks_above(&self, ancestor: u64, seq: u64) -> Result<Vec<BlockRow>, Error> {
        let newest = "SELECT ?fields FROM blocks WHERE chain_id = ? AND number > ? \
                      ORDER BY version DESC LIMIT 1 BY number, hash";
        let rows = self
            .client
            .query(newest)
            .bind(self.network.chain_id())
            .bind(ancestor)
            .fetch_all()
            .await?;
        Ok(recovery::blocks_to_retract(rows, seq))
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored")
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}
