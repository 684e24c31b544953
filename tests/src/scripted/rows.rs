//! What an index holds, read by queries of this file's own, and compared with the truth.
//!
//! Both tables are read whole, at the committed versions: what stands in one and not in the other is a difference too.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use clickhouse::{Client, error::Error};
use x402_schemas::{
    index::{Change, CommitRow, IndexReader, TransferRow},
    network::Network,
    transfer::Transfer,
};

/// Differences that are told; the rest are only counted.
const TOLD: usize = 6;

/// Most commits of one test.
const COMMITS: u64 = 100_000;

/// The two tables of transfers, with the columns that tell their rows apart.
const TABLES: [(&str, &str); 2] = [
    ("transfers", "block_number, log_index, block_hash"),
    ("transfers_by_tx", "tx_hash, log_index, block_hash"),
];

type Key = (u64, [u8; 32], u32, [u8; 32]);

/// Reads one chain's index.
#[derive(Clone)]
pub struct Rows {
    client: Client,
    network: Network,
}

impl Rows {
    /// The rows of `network` in the client's database.
    pub const fn new(client: Client, network: Network) -> Self {
        Self { client, network }
    }

    /// The reader that services use.
    pub fn reader(&self) -> IndexReader {
        IndexReader::new(self.client.clone(), self.network)
    }

    /// The first commit says from which block on the index counts.
    pub async fn base(&self) -> Result<Option<u64>, Error> {
        let query = "SELECT ?fields FROM commits WHERE chain_id = ? ORDER BY seq LIMIT 1";
        let first = self.client.query(query).bind(self.network.chain_id());
        let first = first.fetch_optional::<CommitRow>().await?;
        Ok(first.map(|commit| commit.tip_number))
    }

    /// How the index differs from the truth, or nothing. Each table is compared, every column of every row.
    pub async fn differences(&self, truth: &[(Transfer, u32)]) -> Result<Option<String>, Error> {
        let truth: BTreeMap<Key, TransferRow> = truth
            .iter()
            .map(|(transfer, tx_index)| TransferRow::new(transfer, *tx_index, 0, false))
            .map(|row| (key(&row), row))
            .collect();
        let mut told = Vec::new();
        for (table, columns) in TABLES {
            let query = format!(
                "SELECT ?fields FROM {table} WHERE chain_id = ? \
                 AND version <= (SELECT max(seq) FROM commits WHERE chain_id = ?) \
                 ORDER BY version DESC LIMIT 1 BY {columns}"
            );
            let rows: Vec<TransferRow> = self
                .client
                .query(&query)
                .bind(self.network.chain_id())
                .bind(self.network.chain_id())
                .fetch_all()
                .await?;
            compare(table, &truth, rows, &mut told);
        }
        told.extend(self.commits_twice().await?);
        told.extend(self.followed(&truth).await);
        let more = told.len().saturating_sub(TOLD);
        told.truncate(TOLD);
        if more > 0 {
            told.push(format!("and {more} differences more"));
        }
        Ok((!told.is_empty()).then(|| told.join("\n  ")))
    }

    /// Each commit is there once: readers that follow them would count it again.
    async fn commits_twice(&self) -> Result<Option<String>, Error> {
        let query = "SELECT count() - uniqExact(seq) FROM commits WHERE chain_id = ?";
        let query = self.client.query(query).bind(self.network.chain_id());
        let twice: i64 = query.fetch_one().await?;
        Ok((twice > 0).then(|| format!("{twice} commits are there twice")))
    }

    /// Follows the commits from the first on, as services do, and compares what is left standing.
    async fn followed(&self, truth: &BTreeMap<Key, TransferRow>) -> Vec<String> {
        let reader = self.reader();
        let mut standing: BTreeMap<Key, TransferRow> = BTreeMap::new();
        for commit in reader.commits_after(0, COMMITS).await.unwrap() {
            for change in reader.changes(&commit).await.unwrap() {
                let row = TransferRow::new(change.transfer(), 0, 0, false);
                match change {
                    Change::Added(_) => standing.insert(key(&row), row),
                    Change::Removed(_) => standing.remove(&key(&row)),
                };
            }
        }
        // The vocabulary of changes does not carry the transaction's place.
        let truth = truth
            .iter()
            .map(|(key, row)| {
                (
                    *key,
                    TransferRow {
                        tx_index: 0,
                        ..*row
                    },
                )
            })
            .collect();
        let mut told = Vec::new();
        compare("changes", &truth, standing.into_values(), &mut told);
        told
    }
}

fn compare(
    table: &str,
    truth: &BTreeMap<Key, TransferRow>,
    rows: impl IntoIterator<Item = TransferRow>,
    told: &mut Vec<String>,
) {
    let mut standing: BTreeMap<Key, TransferRow> = rows
        .into_iter()
        .filter(|row| row.is_deleted == 0)
        .map(|row| (key(&row), TransferRow { version: 0, ..row }))
        .collect();
    for (key, row) in truth {
        match standing.remove(key) {
            None => told.push(format!("{table}: missing {}", shown(row))),
            Some(found) if found != *row => told.push(format!(
                "{table}: different {}: the chain has {row:?}, the index {found:?}",
                shown(row)
            )),
            Some(_) => (),
        }
    }
    for row in standing.values() {
        told.push(format!("{table}: stale {}", shown(row)));
    }
}

fn key(row: &TransferRow) -> Key {
    (row.block_number, row.block_hash, row.log_index, row.tx_hash)
}

fn shown(row: &TransferRow) -> String {
    format!(
        "log {} of block {} ({}), transaction {}",
        row.log_index,
        row.block_number,
        B256::new(row.block_hash),
        B256::new(row.tx_hash)
    )
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}
