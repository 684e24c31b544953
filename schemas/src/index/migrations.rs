//! Numbered migrations, one statement per file, applied in order and once each by the indexer.
//!
//! ClickHouse has no transactions: each statement is idempotent by itself (`IF NOT EXISTS`), so a
//! migration that was cut short is simply run again.

use clickhouse::{Client, Row, error::Error};
use serde::{Deserialize, Serialize};

const MIGRATIONS: [(u32, &str); 10] = [
    (
        1,
        include_str!("../../migrations/clickhouse/0001_transfers.sql"),
    ),
    (
        2,
        include_str!("../../migrations/clickhouse/0002_transfers_by_tx.sql"),
    ),
    (
        3,
        include_str!("../../migrations/clickhouse/0003_transfers_by_tx_mv.sql"),
    ),
    (
        4,
        include_str!("../../migrations/clickhouse/0004_blocks.sql"),
    ),
    (
        5,
        include_str!("../../migrations/clickhouse/0005_commits.sql"),
    ),
    (
        6,
        include_str!("../../migrations/clickhouse/0006_tip_parent.sql"),
    ),
    (
        7,
        include_str!("../../migrations/clickhouse/0007_commits_once.sql"),
    ),
    (
        8,
        include_str!("../../migrations/clickhouse/0008_payment_events.sql"),
    ),
    (
        9,
        include_str!("../../migrations/clickhouse/0009_payments.sql"),
    ),
    (
        31,
        include_str!("../../migrations/clickhouse/0031_no_view.sql"),
    ),
];

#[derive(Debug, Row, Serialize, Deserialize)]
struct MigrationRow {
    number: u32,
}

/// Brings `database` to the current schema, creating it if it is missing. Returns how many
/// migrations were applied. `client` is used with `database` whatever its own is.
pub async fn migrate(client: &Client, database: &str) -> Result<usize, Error> {
    // The server refuses any statement in a database that is not there yet.
    client
        .clone()
        .with_database("default")
        .query("CREATE DATABASE IF NOT EXISTS ?")
        .bind(clickhouse::sql::Identifier(database))
        .execute()
        .await?;
    let client = client.clone().with_database(database);
    client
        .query("CREATE TABLE IF NOT EXISTS schema_migrations (number UInt32) ENGINE = MergeTree ORDER BY number")
        .execute()
        .await?;
    let applied: Vec<u32> = client
        .query("SELECT number FROM schema_migrations")
        .fetch_all()
        .await?;
    let mut newly_applied: usize = 0;
    for (number, sql) in MIGRATIONS
        .into_iter()
        .filter(|(number, _)| !applied.contains(number))
    {
        // A question mark is a bind marker to the client; migrations have none.
        client.query(sql).execute().await?;
        let mut insert = client.insert::<MigrationRow>("schema_migrations").await?;
        insert.write(&MigrationRow { number }).await?;
        insert.end().await?;
        newly_applied = newly_applied.saturating_add(1);
    }
    Ok(newly_applied)
}
