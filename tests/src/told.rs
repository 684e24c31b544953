//! What the ledger says has happened against what ClickHouse was told of it, row for row.

use std::collections::HashMap;

use alloy::primitives::{U256, hex};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use x402_schemas::index::PaymentEventRow;

use crate::world::{World, eventually};

/// Types of events that are no step of a payment.
const NO_STEP: [&str; 3] = ["quote.denied", "payment.final", "payment.priced"];

/// A step as both sides know it: payment, status, reason, Unix milliseconds.
type Step = (String, String, String, i64);

/// A payment as both sides know it, by its id: status, failure, transaction, block, log, gas.
type Payments = HashMap<String, (String, String, String, u64, u32, String)>;

/// The ledger's file, read beside a gateway that may be running.
pub async fn ledger(world: &World) -> SqliteConnection {
    let path = world.options.data_dir.join("gateway/ledger.sqlite");
    let options = SqliteConnectOptions::new()
        .filename(path)
        .pragma("query_only", "on");
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// The same, to change it behind the gateway's back.
pub async fn ledger_to_write(world: &World) -> SqliteConnection {
    let path = world.options.data_dir.join("gateway/ledger.sqlite");
    let options = SqliteConnectOptions::new().filename(path);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// The test's database. `url` is the way to ClickHouse that the test takes itself.
pub fn clickhouse(world: &World, url: &str) -> clickhouse::Client {
    clickhouse::Client::default()
        .with_url(url)
        .with_database(&world.options.database)
}

/// Waits until ClickHouse has been told of everything and nothing new happens, then compares; returns how many events
/// there were.
pub async fn assert_told(world: &World, url: &str) -> usize {
    let (mut ledger, clickhouse) = (ledger(world).await, clickhouse(world, url));
    let (mut rows, mut told, mut expected) = (Vec::new(), Payments::new(), Payments::new());
    eventually("ClickHouse has been told of every event", async || {
        let before = newest_if_told(&mut ledger).await;
        let query = "SELECT ?fields FROM payment_events ORDER BY number";
        rows = clickhouse.query(query).fetch_all().await.unwrap();
        told = payments_told(&clickhouse).await;
        expected = payments(&mut ledger).await;
        before.is_some() && newest_if_told(&mut ledger).await == before
    })
    .await;
    // Without FINAL: no number twice, none missing.
    let numbers = rows.iter().map(|row: &PaymentEventRow| row.number);
    let all = 1..=u64::try_from(rows.len()).unwrap();
    assert!(numbers.eq(all), "{} rows", rows.len());
    assert!(!rows.is_empty());

    let (told_steps, mut steps) = (steps_told(&rows), steps(&mut ledger).await);
    // A step that was taken since belongs to the next comparison.
    steps.truncate(told_steps.len());
    assert_eq!(told_steps, steps);
    assert_eq!(denials_told(&rows), denials(&mut ledger).await);
    assert_eq!(told, expected);
    rows.len()
}

/// The ledger's newest event, if ClickHouse has acknowledged it.
async fn newest_if_told(ledger: &mut SqliteConnection) -> Option<i64> {
    let (newest, told): (i64, i64) = sqlx::query_as(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0), told FROM event_cursors \
         WHERE consumer = 'clickhouse'",
    )
    .fetch_one(ledger)
    .await
    .unwrap();
    (newest > 0 && newest == told).then_some(newest)
}

fn steps_told(rows: &[PaymentEventRow]) -> Vec<Step> {
    let steps = rows
        .iter()
        .filter(|row| !NO_STEP.contains(&row.r#type.as_str()));
    steps
        .map(|row| {
            let (id, status) = (row.payment_id.clone(), row.status.clone());
            (id, status, row.reason.clone(), row.at)
        })
        .collect()
}

async fn steps(ledger: &mut SqliteConnection) -> Vec<Step> {
    sqlx::query_as("SELECT payment_id, status, reason, at FROM payment_steps ORDER BY number")
        .fetch_all(ledger)
        .await
        .unwrap()
}

fn denials_told(rows: &[PaymentEventRow]) -> Vec<(String, String, String)> {
    let denials = rows.iter().filter(|row| row.r#type == "quote.denied");
    let mut denials: Vec<_> = denials
        .map(|row| {
            let (id, code) = (row.quote_id.clone(), row.code.clone());
            (id, code, row.invoice_id.clone())
        })
        .collect();
    denials.sort();
    denials
}

async fn denials(ledger: &mut SqliteConnection) -> Vec<(String, String, String)> {
    sqlx::query_as("SELECT id, denial, invoice_id FROM quotes WHERE denial IS NOT NULL ORDER BY id")
        .fetch_all(ledger)
        .await
        .unwrap()
}

/// Through the view that analysts ask.
async fn payments_told(clickhouse: &clickhouse::Client) -> Payments {
    let query = "SELECT payment_id, status, code, if(tx_hash = toFixedString('', 32), '', lower(hex(tx_hash))), \
                 block_number, log_index, toString(gas_wei) FROM payments";
    let rows: Vec<(String, String, String, String, u64, u32, String)> =
        clickhouse.query(query).fetch_all().await.unwrap();
    rows.into_iter()
        .map(|(id, status, code, hash, block, log, gas)| {
            (id, (status, code, hash, block, log, gas))
        })
        .collect()
}

#[expect(clippy::type_complexity, reason = "a row as it is stored")]
async fn payments(ledger: &mut SqliteConnection) -> Payments {
    let rows: Vec<(
        String,
        String,
        Option<String>,
        Option<Vec<u8>>,
        Option<i64>,
        Option<i64>,
        Option<String>,
    )> = sqlx::query_as(
        "SELECT id, status, failure, tx_hash, block_number, log_index, gas_paid_wei FROM payments",
    )
    .fetch_all(ledger)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(id, status, code, hash, block, log, gas)| {
            let number = |value: Option<i64>| u64::try_from(value.unwrap_or(0)).unwrap();
            let gas: U256 = gas.map_or(U256::ZERO, |text| text.parse().unwrap());
            let told = (
                status,
                code.unwrap_or_default(),
                hash.map(hex::encode).unwrap_or_default(),
                number(block),
                u32::try_from(number(log)).unwrap(),
                gas.to_string(),
            );
            (id, told)
        })
        .collect()
}
