//! The rows of both tables as an audit and a repair want them.
//!
//! Read in the tables' own order, as a stream, so that neither side holds more than one range of them; which of several
//! rows of one key stands is decided here.

use clickhouse::{Client, Row, error::Error};
use serde::Deserialize;
use x402_schemas::{index::TransferRow, network::Network};

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Transfers,
    ByTx,
}

/// Rows of blocks `from..=to`, as the commits up to `seq` have them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) seq: u64,
}

/// Reads one chain's rows.
#[derive(Clone)]
pub(super) struct Rows {
    client: Client,
    network: Network,
}

/// Rows that no commit vouches for.
#[derive(Clone, Debug, Default)]
pub(super) struct Unpublished {
    /// Their blocks, ascending.
    pub(super) blocks: Vec<u64>,
    /// The highest number that one has; 0 when there are none.
    pub(super) highest_version: u64,
    /// Some are headers or above the end of the index: an indexer died within a batch.
    pub(super) of_an_indexer: bool,
}

#[derive(Row, Deserialize)]
struct UnpublishedRow {
    number: u64,
    highest_version: u64,
    is_header: u8,
}

impl Rows {
    pub(super) const fn new(client: Client, network: Network) -> Self {
        Self { client, network }
    }

    /// Gives every standing row of a slice to `each`.
    pub(super) async fn each_standing(
        &self,
        table: Table,
        slice: Slice,
        mut each: impl FnMut(TransferRow),
    ) -> Result<(), Error> {
        self.each_newest(table, slice, |row| {
            if row.is_deleted == 0 {
                each(row);
            }
        })
        .await
    }

    /// The standing rows of a slice.
    pub(super) async fn standing(
        &self,
        table: Table,
        slice: Slice,
    ) -> Result<Vec<TransferRow>, Error> {
        let mut rows = Vec::new();
        self.each_standing(table, slice, |row| rows.push(row))
            .await?;
        Ok(rows)
    }

    /// The newest row of every key, tombstones too.
    pub(super) async fn each_newest(
        &self,
        table: Table,
        slice: Slice,
        mut each: impl FnMut(TransferRow),
    ) -> Result<(), Error> {
        let query = format!(
            "SELECT ?fields FROM {} WHERE chain_id = ? AND block_number BETWEEN ? AND ? AND version <= ? ORDER BY {}",
            table.name(),
            table.key()
        );
        let mut cursor = self
            .client
            .query(&query)
            .bind(self.network.chain_id())
            .bind(slice.from)
            .bind(slice.to)
            .bind(slice.seq)
            .fetch::<TransferRow>()?;
        let mut newest: Option<TransferRow> = None;
        while let Some(row) = cursor.next().await? {
            newest = match newest {
                Some(other) if table.same_key(&other, &row) => {
                    Some(if row.version > other.version {
                        row
                    } else {
                        other
                    })
                }
                other => {
                    if let Some(done) = other {
                        each(done);
                    }
                    Some(row)
                }
            };
        }
        if let Some(done) = newest {
            each(done);
        }
        Ok(())
    }

    /// What a dead indexer or repair left behind after commit `seq`, which ends the index at `tip`.
    pub(super) async fn unpublished(&self, seq: u64, tip: u64) -> Result<Unpublished, Error> {
        let query = "SELECT number, max(version) AS highest_version, max(header) AS is_header FROM (\
                     SELECT block_number AS number, version, 0 AS header FROM transfers WHERE chain_id = ? AND version > ? \
                     UNION ALL SELECT block_number, version, 0 FROM transfers_by_tx WHERE chain_id = ? AND version > ? \
                     UNION ALL SELECT number, version, 1 FROM blocks WHERE chain_id = ? AND version > ?) \
                     GROUP BY number ORDER BY number";
        let chain_id = self.network.chain_id();
        let rows: Vec<UnpublishedRow> = self
            .client
            .query(query)
            .bind(chain_id)
            .bind(seq)
            .bind(chain_id)
            .bind(seq)
            .bind(chain_id)
            .bind(seq)
            .fetch_all()
            .await?;
        Ok(Unpublished {
            blocks: rows.iter().map(|row| row.number).collect(),
            highest_version: rows
                .iter()
                .map(|row| row.highest_version)
                .max()
                .unwrap_or(0),
            of_an_indexer: rows
                .iter()
                .any(|row| row.is_header == 1 || row.number > tip),
        })
    }
}

impl Table {
    const fn name(self) -> &'static str {
        match self {
            Self::Transfers => "transfers",
            Self::ByTx => "transfers_by_tx",
        }
    }

    /// The table's order, so that ClickHouse need not sort.
    const fn key(self) -> &'static str {
        match self {
            Self::Transfers => "chain_id, block_number, log_index, block_hash",
            Self::ByTx => "chain_id, tx_hash, log_index, block_hash",
        }
    }

    fn same_key(self, a: &TransferRow, b: &TransferRow) -> bool {
        let same_log = a.log_index == b.log_index && a.block_hash == b.block_hash;
        same_log
            && match self {
                Self::Transfers => a.block_number == b.block_number,
                Self::ByTx => a.tx_hash == b.tx_hash,
            }
    }
}
