//! Public keys that providers' invoices are signed with, one for each of their API keys.

use alloy::primitives::B256;
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{LedgerError, columns};

pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    key_id: &str,
    public_key: B256,
) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO signing_keys (key_id, public_key) VALUES (?, ?)")
        .bind(key_id)
        .bind(public_key.as_slice())
        .execute(conn)
        .await?;
    Ok(())
}

/// Whose key that is and what its signatures are checked with, unless the API key has ended.
pub(crate) async fn find_valid(
    conn: &mut SqliteConnection,
    key_id: &str,
    now: Timestamp,
) -> Result<Option<(String, B256)>, LedgerError> {
    let row: Option<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT provider_id, public_key FROM signing_keys JOIN api_keys USING (key_id) \
         WHERE key_id = ? AND provider_id IS NOT NULL AND (ended_at IS NULL OR ended_at > ?)",
    )
    .bind(key_id)
    .bind(now.as_millisecond())
    .fetch_optional(conn)
    .await?;
    row.map(|(provider_id, key)| Ok((provider_id, columns::hash(&key)?)))
        .transpose()
}
