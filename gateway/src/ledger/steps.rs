//! The history of payments: each step with its time and reason. Rows are added and never changed.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::{api::agent::PaymentStep, payment::PaymentStatus};

use super::{LedgerError, columns};

/// Adds a step and returns its number.
pub(crate) async fn record(
    conn: &mut SqliteConnection,
    payment_id: &str,
    status: PaymentStatus,
    reason: &str,
    at: Timestamp,
) -> Result<i64, LedgerError> {
    Ok(sqlx::query_scalar(
        "INSERT INTO payment_steps (payment_id, status, reason, at) VALUES (?, ?, ?, ?) RETURNING number",
    )
    .bind(payment_id)
    .bind(status.as_str())
    .bind(reason)
    .bind(at.as_millisecond())
    .fetch_one(conn)
    .await?)
}

/// A payment's steps in the order in which they were taken.
pub(crate) async fn of_payment(
    conn: &mut SqliteConnection,
    payment_id: &str,
) -> Result<Vec<PaymentStep>, LedgerError> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT status, reason, at FROM payment_steps WHERE payment_id = ? ORDER BY number",
    )
    .bind(payment_id)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(status, reason, at)| {
            Ok(PaymentStep {
                status: columns::parsed(&status, "status")?,
                reason,
                at: columns::time(at)?,
            })
        })
        .collect()
}

/// A step, and whose it is.
pub(super) async fn get(
    conn: &mut SqliteConnection,
    number: i64,
) -> Result<(String, PaymentStep), LedgerError> {
    let (payment_id, status, reason, at): (String, String, String, i64) =
        sqlx::query_as("SELECT payment_id, status, reason, at FROM payment_steps WHERE number = ?")
            .bind(number)
            .fetch_one(conn)
            .await?;
    let step = PaymentStep {
        status: columns::parsed(&status, "status")?,
        reason,
        at: columns::time(at)?,
    };
    Ok((payment_id, step))
}
