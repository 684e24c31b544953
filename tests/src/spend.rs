//! What ClickHouse says was spent, against the ledger.

use alloy::primitives::U256;
use sqlx::SqliteConnection;

use crate::{
    told,
    world::{World, eventually},
};

/// What each way of asking says was spent by everyone: how many payments, and how much together.
pub const SUMS: [&str; 4] = [
    "SELECT count(), toString(sum(amount)) FROM spend",
    "SELECT count(), toString(sum(amount)) FROM outcomes WHERE outcome = 'spent'",
    "SELECT sum(payments), toString(sum(amount)) FROM spend_hourly",
    "SELECT sum(payments), toString(sum(amount)) FROM spend_daily",
];

/// A row of `reconciliation`: what differs, of what, expected, found.
pub type Difference = (String, String, String, String);

/// What differs now.
pub async fn differences(clickhouse: &clickhouse::Client) -> Vec<Difference> {
    let query = "SELECT difference, subject, expected, found FROM reconciliation ORDER BY ALL";
    clickhouse.query(query).fetch_all().await.unwrap()
}

/// Waits until ClickHouse has the ledger's sums of now and everything that can be closed is. Then nothing differs, and
/// every way of asking says what the ledger says. Returns how many payments were spent.
pub async fn assert_reconciled(world: &World, url: &str) -> u64 {
    let (mut ledger, clickhouse) = (told::ledger(world).await, told::clickhouse(world, url));
    eventually("the ledger's sums are in ClickHouse", async || {
        let newest = newest_event(&mut ledger).await;
        let summed: Vec<u64> = clickhouse
            .query("SELECT DISTINCT number FROM ledger_sums FINAL")
            .fetch_all()
            .await
            .unwrap();
        let closed: u64 = clickhouse
            .query("SELECT max(up_to) FROM closings")
            .fetch_one()
            .await
            .unwrap();
        summed == [newest] && closed == newest
    })
    .await;
    assert_eq!(differences(&clickhouse).await, []);
    let spent = spent(&mut ledger).await;
    for sum in SUMS {
        let said: (u64, String) = clickhouse.query(sum).fetch_one().await.unwrap();
        assert_eq!(said, spent, "{sum}");
    }
    spent.0
}

async fn newest_event(ledger: &mut SqliteConnection) -> u64 {
    let query = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)";
    let newest: i64 = sqlx::query_scalar(query).fetch_one(ledger).await.unwrap();
    u64::try_from(newest).unwrap()
}

/// Settled payments of the ledger, and their sum in base units.
async fn spent(ledger: &mut SqliteConnection) -> (u64, String) {
    let amounts: Vec<String> =
        sqlx::query_scalar("SELECT amount FROM payments WHERE status = 'settled'")
            .fetch_all(ledger)
            .await
            .unwrap();
    let sum: U256 = amounts
        .iter()
        .map(|text| text.parse::<U256>().unwrap())
        .sum();
    (u64::try_from(amounts.len()).unwrap(), sum.to_string())
}
