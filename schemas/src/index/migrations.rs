//! Numbered migrations, one statement per file, applied in order and once each by the indexer.
//!
//! ClickHouse has no transactions: each statement is idempotent by itself (`IF NOT EXISTS`), so a
//! migration that was cut short is simply run again.

use clickhouse::{Client, Row, error::Error};
use serde::{Deserialize, Serialize};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../migrations/clickhouse/", $name, ".sql"))
    };
}

const MIGRATIONS: [(u32, &str); 32] = [
    (1, sql!("0001_transfers")),
    (2, sql!("0002_transfers_by_tx")),
    (3, sql!("0003_transfers_by_tx_mv")),
    (4, sql!("0004_blocks")),
    (5, sql!("0005_commits")),
    (6, sql!("0006_tip_parent")),
    (7, sql!("0007_commits_once")),
    (8, sql!("0008_payment_events")),
    (9, sql!("0009_payments")),
    (10, sql!("0010_payment_states")),
    (11, sql!("0011_payment_states_of_old_events")),
    (12, sql!("0012_payments")),
    (13, sql!("0013_closings")),
    (14, sql!("0014_closings_of_old_ledgers")),
    (15, sql!("0015_day_closings")),
    (16, sql!("0016_day_closings_of_old_ledgers")),
    (17, sql!("0017_closed_outcomes")),
    (18, sql!("0018_closed_hours")),
    (19, sql!("0019_closed_days")),
    (20, sql!("0020_open_outcomes")),
    (21, sql!("0021_open_payments")),
    (22, sql!("0022_outcomes")),
    (23, sql!("0023_spend")),
    (24, sql!("0024_denials")),
    (25, sql!("0025_spend_hourly")),
    (26, sql!("0026_spend_daily")),
    (27, sql!("0027_account_states")),
    (28, sql!("0028_accounts")),
    (29, sql!("0029_treasury_states")),
    (30, sql!("0030_ledger_sums")),
    (31, sql!("0031_no_view")),
    (32, sql!("0032_reconciliation")),
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
