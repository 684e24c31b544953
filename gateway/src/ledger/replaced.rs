//! Transactions that were replaced. Every hash that a payment ever had is kept, as any of them may be
//! the one that a block holds.

use std::collections::HashMap;

use alloy::primitives::B256;
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{LedgerError, columns};

/// Replaced transactions by their payments, newest first.
pub(crate) type Replaced = HashMap<String, Vec<B256>>;

/// Keeps a payment's transaction that is about to be replaced.
pub(super) async fn keep(
    conn: &mut SqliteConnection,
    payment_id: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO replaced_transactions (tx_hash, payment_id, raw_tx, replaced_at) \
         SELECT tx_hash, id, raw_tx, ? FROM payments WHERE id = ?",
    )
    .bind(now.as_millisecond())
    .bind(payment_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes a replaced transaction the payment's again, because a block holds it, and keeps the other.
/// Does nothing where it is the payment's already.
pub(super) async fn restore(
    conn: &mut SqliteConnection,
    payment_id: &str,
    tx_hash: B256,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let raw: Option<Vec<u8>> = sqlx::query_scalar(
        "DELETE FROM replaced_transactions WHERE payment_id = ? AND tx_hash = ? RETURNING raw_tx",
    )
    .bind(payment_id)
    .bind(tx_hash.as_slice())
    .fetch_optional(&mut *conn)
    .await?;
    let Some(raw) = raw else {
        return Ok(());
    };
    keep(conn, payment_id, now).await?;
    sqlx::query("UPDATE payments SET tx_hash = ?, raw_tx = ? WHERE id = ?")
        .bind(tx_hash.as_slice())
        .bind(raw)
        .bind(payment_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Those of payments that the index may still have something to say about.
pub(crate) async fn of_watched(conn: &mut SqliteConnection) -> Result<Replaced, LedgerError> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT payment_id, replaced_transactions.tx_hash FROM replaced_transactions \
         JOIN payments ON payments.id = payment_id \
         WHERE status IN ('signed', 'broadcast', 'included') OR status = 'settled' AND final = 0 \
         ORDER BY replaced_at DESC",
    )
    .fetch_all(conn)
    .await?;
    let mut replaced = Replaced::new();
    for (payment_id, hash) in rows {
        let hashes = replaced.entry(payment_id).or_default();
        hashes.push(columns::hash(&hash)?);
    }
    Ok(replaced)
}
