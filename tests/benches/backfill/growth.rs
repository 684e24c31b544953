//! An index that has grown: speed, restart and look-ups at a million rows and at many.
//!
//! The rows in between are made inside ClickHouse and merged, as those of a long history would be.

use std::{sync::Arc, time::Instant};

use clickhouse::Client;
use x402_schemas::index::TRANSFER_TABLES;
use x402_tests::shared::Shared;

use crate::{
    backfill::merged,
    chain::{Chain, Shape},
    indexer::{Indexer, client},
    mock::Mock,
};

/// A million logs before, half a million to measure with at each size, and some for the blocks that are not final yet.
const SHAPE: Shape = Shape {
    blocks: 4_200,
    every: 1,
    logs: 500,
    per_transaction: 5,
};
const FIRST: u64 = 2_000;
const STEP: u64 = 1_000;

const DATABASE: &str = "bench_growth";

/// Rows for one statement, so that ClickHouse holds few at a time.
const ROWS_AT_ONCE: u64 = 1_000_000;

/// Measures at a million rows and at `rows`.
pub(crate) async fn measure(shared: &Shared, rows: u64) {
    let mock = Mock::start(Arc::new(Chain::new(SHAPE)), FIRST);
    let client = client(shared, DATABASE);
    let mut indexer = Indexer::start(shared, &mock.url, DATABASE, &[]);
    indexer
        .until("x402_indexer_rows_total", FIRST * SHAPE.logs)
        .await;
    indexer.stop();
    step(shared, &client, &mock, FIRST + STEP).await;
    let there = (FIRST + STEP) * SHAPE.logs;
    for done in (0..rows.saturating_sub(there)).step_by(usize::try_from(ROWS_AT_ONCE).unwrap()) {
        fill(&client, done).await;
    }
    merged(&client).await;
    step(shared, &client, &mock, FIRST + 2 * STEP).await;
}

/// Restart, then a stretch of backfill.
async fn step(shared: &Shared, client: &Client, mock: &Mock, until: u64) {
    let query = "SELECT count() FROM transfers_by_tx";
    let rows: u64 = client.query(query).fetch_one().await.unwrap();
    let began = Instant::now();
    let mut indexer = Indexer::start(shared, &mock.url, DATABASE, &[]);
    let restarted = indexer.until("x402_indexer_indexed_block", 1).await;
    let began_rows = Instant::now();
    mock.grow_to(until);
    indexer
        .until("x402_indexer_rows_total", STEP * SHAPE.logs)
        .await;
    let logs_per_s = (STEP * SHAPE.logs) as f64 / began_rows.elapsed().as_secs_f64();
    println!(
        "at {rows:>9} rows: restart {} ms, then {logs_per_s:.0} logs/s",
        restarted.duration_since(began).as_millis()
    );
    indexer.stop();
    merged(client).await;
}

/// A million rows in blocks far above the measured ones, of the first batch: no commit to come will touch them. Hashes are
/// of a cheap kind, as only their being distinct and in no order matters.
async fn fill(client: &Client, offset: u64) {
    let hash = |what: &str| format!("concat(sipHash128({what}), sipHash128({what}, 1))");
    let account = |number: u64| format!("toFixedString(sipHash128(number % {number}), 20)");
    let select = format!(
        "SELECT 31337, 1000000000 + intDiv(number, 500), number % 500, {block_hash}, \
         1700000000, {tx_hash}, intDiv(number % 500, 5), unhex('8ccedbae4916b79da7f3f612efb2eb93a2bfd6cf'), \
         {sender}, {recipient}, toUInt256(cityHash64(number)) * 1000, '', 'payment', 1, 0 \
         FROM numbers({offset}, {ROWS_AT_ONCE})",
        block_hash = hash("intDiv(number, 500), 'block'"),
        tx_hash = hash("intDiv(number, 5), 'tx'"),
        sender = account(4_999),
        recipient = account(5_003),
    );
    for table in TRANSFER_TABLES {
        let query = format!("INSERT INTO {table} {select}");
        client.query(&query).execute().await.unwrap();
    }
}
