//! One backfill into an empty database: logs a second, CPU of both processes, memory; and whether the rows are right.

use std::time::{Duration, Instant};

use clickhouse::Client;
use serde::Deserialize;
use x402_tests::{process::Process, shared::Shared};

use crate::{
    chain::Shape,
    indexer::{Indexer, client},
    mock::Mock,
};

/// The longest wait for ClickHouse to have merged what it wants to merge.
const MERGES_WITHIN: Duration = Duration::from_secs(30);

/// A chain to be indexed.
pub(crate) struct Scenario<'a> {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) mock: &'a Mock,
}

/// What it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) logs_per_s: f64,
    pub(crate) rss_mb: f64,
    logs: f64,
    ours_cpu_s: f64,
    clickhouse_cpu_s: f64,
    merges_cpu_s: f64,
}

#[derive(Debug, PartialEq, Eq, clickhouse::Row, Deserialize)]
struct Sums {
    rows: u64,
    amount: String,
    memos: u64,
}

impl Measured {
    /// CPU seconds for a million logs: ours, ClickHouse's, and of the merges that it still made afterwards.
    pub(crate) fn cpu_s_per_m(&self) -> f64 {
        (self.ours_cpu_s + self.clickhouse_cpu_s + self.merges_cpu_s) / self.logs * 1e6
    }

    /// ClickHouse's part of them.
    pub(crate) fn clickhouse_cpu_s_per_m(&self) -> f64 {
        (self.clickhouse_cpu_s + self.merges_cpu_s) / self.logs * 1e6
    }

    fn print(&self, name: &str) {
        let per_m = |seconds: f64| seconds / self.logs * 1e6;
        println!(
            "{name:<15} {:>10.0} logs/s, CPU-s per 1 M logs: ours {:.2}, ClickHouse {:.2} and {:.2} for merges afterwards; peak {:.0} MB",
            self.logs_per_s,
            per_m(self.ours_cpu_s),
            per_m(self.clickhouse_cpu_s),
            per_m(self.merges_cpu_s),
            self.rss_mb
        );
    }
}

impl Scenario<'_> {
    pub(crate) async fn measure(&self, shared: &Shared) -> Measured {
        let database = format!("bench_{}", self.name);
        let clickhouse = Process(shared.clickhouse.id());
        let before = clickhouse.cpu_seconds();
        let mut indexer = Indexer::start(shared, &self.mock.url, &database, &[]);
        let total = self.shape.total();
        let ended = indexer.until("x402_indexer_rows_total", total).await;
        let ours_cpu_s = indexer.process().cpu_seconds();
        let rss_mb = indexer.process().peak_mb();
        let at_end = clickhouse.cpu_seconds();
        let seconds = ended.duration_since(self.mock.first_logs().unwrap());
        let client = client(shared, &database);
        merged(&client).await;
        let measured = Measured {
            logs_per_s: total as f64 / seconds.as_secs_f64(),
            rss_mb,
            logs: total as f64,
            ours_cpu_s,
            clickhouse_cpu_s: at_end - before,
            merges_cpu_s: clickhouse.cpu_seconds() - at_end,
        };
        self.check(&client).await;
        measured.print(self.name);
        let stopped = indexer.stop();
        println!(
            "                transactions read {}, stopped in {} ms",
            self.mock.transactions(),
            stopped.as_millis()
        );
        measured
    }

    /// A wrong index has no speed.
    async fn check(&self, client: &Client) {
        let memos = if self.shape.per_transaction == 1 {
            self.shape.total()
        } else {
            0
        };
        let expected = Sums {
            rows: self.shape.total(),
            amount: self.shape.sum(self.shape.blocks).to_string(),
            memos,
        };
        for table in ["transfers", "transfers_by_tx"] {
            let query = format!(
                "SELECT count() AS rows, toString(sum(amount)) AS amount, countIf(memo != toFixedString('', 32)) AS memos FROM {table}"
            );
            let found: Sums = client.query(&query).fetch_one().await.unwrap();
            assert_eq!(found, expected, "{table}");
        }
    }
}

/// Waits until no merge has been running for a second.
pub(crate) async fn merged(client: &Client) {
    let (began, mut quiet) = (Instant::now(), 0);
    while quiet < 10 && began.elapsed() < MERGES_WITHIN {
        let query = "SELECT count() FROM system.merges";
        let running: u64 = client.query(query).fetch_one().await.unwrap();
        quiet = if running == 0 { quiet + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
