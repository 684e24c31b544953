//! Payments that are open when the gateway starts: copies of one that has settled, put into the ledger by hand as if they
//! had been sent and nothing had been heard of them.

use sqlx::{
    ConnectOptions, Executor,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use x402_tests::world::World;

/// Adds so many, each with this transaction.
pub(crate) async fn add(world: &World, count: u64, raw: &[u8]) {
    let mut conn = SqliteConnectOptions::new()
        .filename(world.options.data_dir.join("gateway/ledger.sqlite"))
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true)
        .connect()
        .await
        .unwrap();
    let raw = alloy::primitives::hex::encode(raw);
    let text = format!(
        "BEGIN;
        CREATE TEMP TABLE numbers AS
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n;
        CREATE TEMP TABLE model AS SELECT * FROM payments WHERE status = 'settled' ORDER BY created_at LIMIT 1;
        INSERT INTO quotes (id, workspace_id, agent_id, invoice_id, pay_to, amount, network, resource, created_at, expires_at)
            SELECT 'qt_open_' || i, workspace_id, agent_id, 'inv_open_' || i, pay_to, amount, 'eip155:31337', resource,
                   created_at, updated_at FROM model, numbers;
        INSERT INTO payments (id, workspace_id, agent_id, quote_id, invoice_id, pay_to, amount, resource, memo, status,
                reserved_at, payer, nonce, raw_tx, tx_hash, gas_wei, created_at, updated_at)
            SELECT 'pay_open_' || i, workspace_id, agent_id, 'qt_open_' || i, 'inv_open_' || i, pay_to, amount, resource, memo,
                   'broadcast', reserved_at, payer, 1000000 + i, x'{raw}', randomblob(32), printf('%078d', 1), created_at, updated_at
            FROM model, numbers;
        INSERT INTO payment_steps (payment_id, status, reason, at)
            SELECT 'pay_open_' || i, step, 'by the bench', updated_at
            FROM numbers, (SELECT 'quoted' AS step UNION ALL SELECT 'reserved' UNION ALL SELECT 'signed' UNION ALL
                           SELECT 'broadcast'), model;
        COMMIT;"
    );
    conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(text)))
        .await
        .unwrap();
}
