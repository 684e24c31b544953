//! Proof keys by their number in the derivation. Private halves are derived, never stored.

use jiff::Timestamp;
use jsonwebtoken::jwk::Jwk;
use sqlx::SqliteConnection;

use super::LedgerError;

/// The number of the key that signs now, or `None` before the first.
pub(crate) async fn signing(conn: &mut SqliteConnection) -> Result<Option<i64>, LedgerError> {
    Ok(sqlx::query_scalar(
        "SELECT number FROM proof_keys WHERE published_until IS NULL ORDER BY number LIMIT 1",
    )
    .fetch_optional(conn)
    .await?)
}

/// The number that the next key takes.
pub(crate) async fn next_number(conn: &mut SqliteConnection) -> Result<i64, LedgerError> {
    let last: Option<i64> = sqlx::query_scalar("SELECT max(number) FROM proof_keys")
        .fetch_one(conn)
        .await?;
    Ok(last.unwrap_or(0).saturating_add(1))
}

/// Publishes a key.
pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    number: i64,
    kid: &str,
    jwk: &Jwk,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let jwk = serde_json::to_string(jwk).map_err(|_| LedgerError::Unreadable("proof key"))?;
    sqlx::query("INSERT INTO proof_keys (number, kid, jwk, created_at) VALUES (?, ?, ?, ?)")
        .bind(number)
        .bind(kid)
        .bind(jwk)
        .bind(now.as_millisecond())
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends the signing of every key before `number`; they stay published until `until`.
pub(crate) async fn retire_before(
    conn: &mut SqliteConnection,
    number: i64,
    until: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query(
        "UPDATE proof_keys SET published_until = ? WHERE number < ? AND published_until IS NULL",
    )
    .bind(until.as_millisecond())
    .bind(number)
    .execute(conn)
    .await?;
    Ok(())
}

/// Every key that a living proof may be signed with.
pub(crate) async fn published(
    conn: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Vec<Jwk>, LedgerError> {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT jwk FROM proof_keys WHERE published_until IS NULL OR published_until > ? ORDER BY number",
    )
    .bind(now.as_millisecond())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|jwk| serde_json::from_str(jwk).map_err(|_| LedgerError::Unreadable("proof key")))
        .collect()
}
