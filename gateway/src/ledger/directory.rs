//! The directory's number, and the verifiers that follow it.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{LedgerError, columns};

/// The directory's number now.
pub(crate) async fn seq(conn: &mut SqliteConnection) -> Result<u64, LedgerError> {
    let seq: i64 = sqlx::query_scalar("SELECT seq FROM directory")
        .fetch_one(conn)
        .await?;
    columns::number(seq)
}

/// Counts one change, in the transaction that makes it, and returns the new number.
pub(crate) async fn advance(conn: &mut SqliteConnection) -> Result<u64, LedgerError> {
    let seq: i64 = sqlx::query_scalar("UPDATE directory SET seq = seq + 1 RETURNING seq")
        .fetch_one(conn)
        .await?;
    columns::number(seq)
}

/// Names of verifiers that may act on an older directory.
pub(crate) async fn verifiers(conn: &mut SqliteConnection) -> Result<Vec<String>, LedgerError> {
    Ok(sqlx::query_scalar("SELECT name FROM verifiers")
        .fetch_all(conn)
        .await?)
}

/// Remembers a verifier, before it is told anything.
pub(crate) async fn add_verifier(
    conn: &mut SqliteConnection,
    name: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO verifiers (name, first_seen) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
    )
    .bind(name)
    .bind(now.as_millisecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a verifier whose lease has run out.
pub(crate) async fn remove_verifier(
    conn: &mut SqliteConnection,
    name: &str,
) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM verifiers WHERE name = ?")
        .bind(name)
        .execute(conn)
        .await?;
    Ok(())
}
