//! The index as the indexer would leave it: rows, then the one row of `commits` that publishes them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::payments::{block_hash, now};
use clickhouse::Client;
use tokio::sync::Mutex;
use x402::local::clickhouse::ClickHouse;
use x402_schemas::{
    index::{CommitRow, TRANSFER_TABLES, TransferRow, migrate},
    network::Network,
    transfer::Transfer,
};

/// Rows for one statement that makes rows, so that ClickHouse holds few at a time.
const ROWS_AT_ONCE: u64 = 1_000_000;

/// Time between blocks.
const BLOCK_TIME: Duration = Duration::from_secs(1);

/// The longest wait for ClickHouse to have merged what it wants to merge.
const MERGES_WITHIN: Duration = Duration::from_mins(2);

/// One database.
#[derive(Debug)]
pub struct Index {
    client: Client,
    /// Its name.
    pub database: String,
    seq: AtomicU64,
    tip: AtomicU64,
    /// Held from the choice of a batch's number to its commit.
    writing: Mutex<()>,
}

/// Blocks keep coming until it is dropped.
#[derive(Debug)]
pub struct Heartbeat(tokio::task::JoinHandle<()>);

impl Index {
    /// An empty one.
    pub async fn create(clickhouse: &ClickHouse, name: &str) -> Arc<Self> {
        let database = format!("market_{name}");
        let client = Client::default()
            .with_url(clickhouse.url.as_str())
            .with_database(&database);
        migrate(&client, &database).await.unwrap();
        Arc::new(Self {
            client,
            database,
            seq: AtomicU64::new(0),
            tip: AtomicU64::new(0),
            writing: Mutex::new(()),
        })
    }

    /// The last block.
    pub fn tip(&self) -> u64 {
        self.tip.load(Ordering::Relaxed)
    }

    /// Adds transfers, in blocks after the tip or in it, as one batch.
    pub async fn add(&self, transfers: &[Transfer]) {
        self.write(transfers, false).await;
    }

    /// Takes transfers away as a reorg does, as one batch.
    pub async fn retract(&self, transfers: &[Transfer]) {
        self.write(transfers, true).await;
    }

    async fn write(&self, transfers: &[Transfer], retracted: bool) {
        let _writing = self.writing.lock().await;
        let seq = self.seq.load(Ordering::Relaxed) + 1;
        for table in TRANSFER_TABLES {
            let mut insert = self.client.insert::<TransferRow>(table).await.unwrap();
            for transfer in transfers {
                let row = TransferRow::new(transfer, transfer.id.log_index, seq, retracted);
                insert.write(&row).await.unwrap();
            }
            insert.end().await.unwrap();
        }
        let numbers = transfers.iter().map(|transfer| transfer.block_number);
        let (first, last) = (numbers.clone().min().unwrap(), numbers.max().unwrap());
        let rows = u64::try_from(transfers.len()).unwrap();
        let (added, retracted) = if retracted { (0, rows) } else { (rows, 0) };
        self.commit(first, last.max(self.tip()), added, retracted)
            .await;
    }

    /// So many rows of other payments, made inside ClickHouse, in blocks far above, as one batch.
    pub async fn fill(&self, rows: u64) {
        let _writing = self.writing.lock().await;
        let seq = self.seq.load(Ordering::Relaxed) + 1;
        let first = self.tip() + 1;
        for offset in (0..rows).step_by(usize::try_from(ROWS_AT_ONCE).unwrap()) {
            let count = ROWS_AT_ONCE.min(rows - offset);
            let select = format!(
                "SELECT 31337, {first} + intDiv(number, 100), number % 100, SHA256(concat('b', toString(intDiv(number, 100)))), \
                 now() - 3600, SHA256(toString(number)), number % 100, unhex('8ccedbae4916b79da7f3f612efb2eb93a2bfd6cf'), \
                 substring(SHA256(toString(cityHash64(number) % 5000)), 1, 20), substring(SHA256(toString(cityHash64(number) % 4999)), 1, 20), \
                 toUInt256(cityHash64(number)) * 1000, SHA256(concat('m', toString(number))), 'payment', {seq}, 0 FROM numbers({offset}, {count})"
            );
            for table in TRANSFER_TABLES {
                let query = format!("INSERT INTO {table} {select}");
                self.client.query(&query).execute().await.unwrap();
            }
        }
        self.commit(first, first + rows / 100, rows, 0).await;
    }

    /// Keeps adding empty blocks, as a chain does.
    pub fn beat(self: &Arc<Self>) -> Heartbeat {
        let index = Arc::clone(self);
        Heartbeat(tokio::spawn(async move {
            loop {
                index.add_empty().await;
                tokio::time::sleep(BLOCK_TIME).await;
            }
        }))
    }

    async fn add_empty(&self) {
        let _writing = self.writing.lock().await;
        let block = self.tip() + 1;
        self.commit(block, block, 0, 0).await;
    }

    /// Waits until no merge has been running for a second.
    pub async fn merged(&self) {
        let (began, mut quiet) = (std::time::Instant::now(), 0);
        while quiet < 10 && began.elapsed() < MERGES_WITHIN {
            let query = "SELECT count() FROM system.merges";
            let running: u64 = self.client.query(query).fetch_one().await.unwrap();
            quiet = if running == 0 { quiet + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Gives the disk back.
    pub async fn drop_rows(&self) {
        let query = format!("DROP DATABASE {} SYNC", self.database);
        let client = self.client.clone().with_database("default");
        client.query(&query).execute().await.unwrap();
    }

    async fn commit(&self, from_block: u64, to_block: u64, rows: u64, retracted: u64) {
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        self.tip.store(to_block, Ordering::Relaxed);
        let row = CommitRow {
            chain_id: Network::DEVNET.chain_id(),
            seq,
            from_block,
            to_block,
            tip_number: to_block,
            tip_hash: block_hash(to_block).0,
            tip_parent: [0; 32],
            tip_time: u32::try_from(now()).unwrap(),
            finalized: to_block.saturating_sub(64),
            rows,
            retracted,
            written_at: i64::try_from(now()).unwrap() * 1_000,
        };
        let mut insert = self.client.insert::<CommitRow>("commits").await.unwrap();
        insert.write(&row).await.unwrap();
        insert.end().await.unwrap();
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}
