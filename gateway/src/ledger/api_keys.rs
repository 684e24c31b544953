//! Hashes of API keys. Which key is whose; a key itself never comes here.

use alloy::primitives::B256;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_service::api_key::KeyKind;

use super::{LedgerError, columns};

/// Whose key it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder<'a> {
    Owner,
    Agent(&'a str),
    Provider(&'a str),
}

/// A key that is valid now.
#[derive(Clone, Debug)]
pub(crate) struct ValidKey {
    pub(crate) hash: B256,
    pub(crate) kind: KeyKind,
    pub(crate) workspace_id: String,
    pub(crate) agent_id: Option<String>,
}

type Row = (Vec<u8>, String, Option<String>, Option<String>);

pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    key_id: &str,
    hash: B256,
    workspace_id: &str,
    holder: Holder<'_>,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let (agent_id, provider_id) = match holder {
        Holder::Owner => (None, None),
        Holder::Agent(id) => (Some(id), None),
        Holder::Provider(id) => (None, Some(id)),
    };
    sqlx::query(
        "INSERT INTO api_keys (key_id, hash, workspace_id, agent_id, provider_id, created_at) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(key_id)
    .bind(hash.as_slice())
    .bind(workspace_id)
    .bind(agent_id)
    .bind(provider_id)
    .bind(now.as_millisecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// The key of that id, unless it has ended.
pub(crate) async fn find_valid(
    conn: &mut SqliteConnection,
    key_id: &str,
) -> Result<Option<ValidKey>, LedgerError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT hash, workspace_id, agent_id, provider_id FROM api_keys WHERE key_id = ? AND ended_at IS NULL",
    )
    .bind(key_id)
    .fetch_optional(conn)
    .await?;
    let Some((hash, workspace_id, agent_id, provider_id)) = row else {
        return Ok(None);
    };
    let kind = match (&agent_id, &provider_id) {
        (Some(_), _) => KeyKind::Agent,
        (None, Some(_)) => KeyKind::Provider,
        (None, None) => KeyKind::Owner,
    };
    Ok(Some(ValidKey {
        hash: columns::hash(&hash)?,
        kind,
        workspace_id,
        agent_id,
    }))
}

/// Ends every key of an agent at once.
pub(crate) async fn end_of_agent(
    conn: &mut SqliteConnection,
    agent_id: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE api_keys SET ended_at = ? WHERE agent_id = ? AND ended_at IS NULL")
        .bind(now.as_millisecond())
        .bind(agent_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends every key of a provider at once.
pub(crate) async fn end_of_provider(
    conn: &mut SqliteConnection,
    provider_id: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE api_keys SET ended_at = ? WHERE provider_id = ? AND ended_at IS NULL")
        .bind(now.as_millisecond())
        .bind(provider_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Valid keys of providers: (provider, key id, hash).
pub(crate) async fn of_providers(
    conn: &mut SqliteConnection,
) -> Result<Vec<(String, String, B256)>, LedgerError> {
    let rows: Vec<(String, String, Vec<u8>)> = sqlx::query_as(
        "SELECT provider_id, key_id, hash FROM api_keys \
         WHERE provider_id IS NOT NULL AND ended_at IS NULL ORDER BY provider_id, key_id",
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(provider, key_id, hash)| Ok((provider, key_id, columns::hash(&hash)?)))
        .collect()
}
