//! Hashes of API keys. Which key is whose; a key itself never comes here.

use alloy::primitives::B256;
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use x402_schemas::api::members::Role;

use super::{LedgerError, columns};

/// The most keys of a holder that are looked at for when it last used one.
const MAX_LOOKED_AT: i64 = 64;

/// Who is to hold a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder<'a> {
    Member(&'a str),
    Agent(&'a str),
    Provider(&'a str),
}

impl<'a> Holder<'a> {
    /// The id, which no two holders of any kind share.
    const fn id(self) -> &'a str {
        match self {
            Self::Member(id) | Self::Agent(id) | Self::Provider(id) => id,
        }
    }
}

/// Who holds a valid key.
#[derive(Clone, Debug)]
pub(crate) enum HeldBy {
    Member { id: String, role: Role },
    Agent(String),
    Provider,
}

/// A key that is valid now.
#[derive(Clone, Debug)]
pub(crate) struct ValidKey {
    pub(crate) hash: B256,
    pub(crate) workspace_id: String,
    pub(crate) held_by: HeldBy,
}

pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    key_id: &str,
    hash: B256,
    workspace_id: &str,
    holder: Holder<'_>,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let (member_id, agent_id, provider_id) = match holder {
        Holder::Member(id) => (Some(id), None, None),
        Holder::Agent(id) => (None, Some(id), None),
        Holder::Provider(id) => (None, None, Some(id)),
    };
    sqlx::query(
        "INSERT INTO api_keys (key_id, hash, workspace_id, member_id, agent_id, provider_id, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(key_id)
    .bind(hash.as_slice())
    .bind(workspace_id)
    .bind(member_id)
    .bind(agent_id)
    .bind(provider_id)
    .bind(now.as_millisecond())
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    hash: Vec<u8>,
    workspace_id: String,
    member_id: Option<String>,
    role: Option<String>,
    agent_id: Option<String>,
}

/// The key of that id, unless it has ended.
pub(crate) async fn find_valid(
    conn: &mut SqliteConnection,
    key_id: &str,
    now: Timestamp,
) -> Result<Option<ValidKey>, LedgerError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT hash, api_keys.workspace_id, member_id, role, agent_id \
         FROM api_keys LEFT JOIN members ON members.id = member_id \
         WHERE key_id = ? AND (ended_at IS NULL OR ended_at > ?) AND removed_at IS NULL",
    )
    .bind(key_id)
    .bind(now.as_millisecond())
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let held_by = match (row.member_id, row.role, row.agent_id) {
            (Some(id), Some(role), _) => HeldBy::Member {
                id,
                role: columns::parsed(&role, "role")?,
            },
            (_, _, Some(id)) => HeldBy::Agent(id),
            (_, _, None) => HeldBy::Provider,
        };
        Ok(ValidKey {
            hash: columns::hash(&row.hash)?,
            workspace_id: row.workspace_id,
            held_by,
        })
    })
    .transpose()
}

/// A valid key as its workspace sees it.
#[derive(Clone, Debug)]
pub(crate) struct KeyRow {
    pub(crate) key_id: String,
    pub(crate) holder_id: String,
    pub(crate) is_members: bool,
    pub(crate) is_providers: bool,
    pub(crate) created_at: Timestamp,
    /// In milliseconds, as last written.
    pub(crate) last_used_at: Option<i64>,
    pub(crate) ends_at: Option<Timestamp>,
}

type ValidRow = (String, String, bool, bool, i64, Option<i64>, Option<i64>);

/// The workspace's valid keys, oldest first.
pub(crate) async fn valid_of(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    now: Timestamp,
) -> Result<Vec<KeyRow>, LedgerError> {
    let rows: Vec<ValidRow> = sqlx::query_as(
        "SELECT key_id, holder_id, member_id IS NOT NULL, provider_id IS NOT NULL, created_at, last_used_at, ended_at \
         FROM api_keys WHERE workspace_id = ? AND (ended_at IS NULL OR ended_at > ?) ORDER BY created_at, key_id",
    )
    .bind(workspace_id)
    .bind(now.as_millisecond())
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(
            |(key_id, holder_id, is_members, is_providers, created_at, last_used_at, ended_at)| {
                Ok(KeyRow {
                    key_id,
                    holder_id,
                    is_members,
                    is_providers,
                    created_at: columns::time(created_at)?,
                    last_used_at,
                    ends_at: ended_at.map(columns::time).transpose()?,
                })
            },
        )
        .collect()
}

/// How many valid keys a holder has.
pub(crate) async fn count_valid(
    conn: &mut SqliteConnection,
    holder: Holder<'_>,
    now: Timestamp,
) -> Result<i64, LedgerError> {
    Ok(sqlx::query_scalar(
        "SELECT count(*) FROM api_keys WHERE holder_id = ? AND (ended_at IS NULL OR ended_at > ?)",
    )
    .bind(holder.id())
    .bind(now.as_millisecond())
    .fetch_one(conn)
    .await?)
}

/// The newest keys that a holder has had, and when each was last used, in milliseconds.
pub(crate) async fn uses(
    conn: &mut SqliteConnection,
    holder: Holder<'_>,
) -> Result<Vec<(String, Option<i64>)>, LedgerError> {
    Ok(
        sqlx::query_as("SELECT key_id, last_used_at FROM api_keys WHERE holder_id = ? ORDER BY created_at DESC LIMIT ?")
            .bind(holder.id())
            .bind(MAX_LOOKED_AT)
            .fetch_all(conn)
            .await?,
    )
}

/// Those of these keys that are providers', valid or not.
pub(crate) async fn providers_among(
    conn: &mut SqliteConnection,
    key_ids: &[String],
) -> Result<Vec<String>, LedgerError> {
    let key_ids = serde_json::to_string(key_ids).map_err(|_| LedgerError::Unreadable("key id"))?;
    Ok(sqlx::query_scalar(
        "SELECT key_id FROM api_keys WHERE key_id IN (SELECT value FROM json_each(?)) AND provider_id IS NOT NULL",
    )
    .bind(key_ids)
    .fetch_all(conn)
    .await?)
}

/// Writes when a key was last used, unless a later use is written.
pub(crate) async fn set_last_used(
    conn: &mut SqliteConnection,
    key_id: &str,
    at: i64,
) -> Result<(), LedgerError> {
    sqlx::query(
        "UPDATE api_keys SET last_used_at = ?1 WHERE key_id = ?2 AND coalesce(last_used_at, 0) < ?1",
    )
    .bind(at)
    .bind(key_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends one key.
pub(crate) async fn end_one(
    conn: &mut SqliteConnection,
    key_id: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE api_keys SET ended_at = ? WHERE key_id = ?")
        .bind(now.as_millisecond())
        .bind(key_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends every key of a holder at `end`, unless it ends sooner by itself.
pub(crate) async fn end(
    conn: &mut SqliteConnection,
    holder: Holder<'_>,
    end: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query(
        "UPDATE api_keys SET ended_at = ?1 WHERE holder_id = ?2 AND (ended_at IS NULL OR ended_at > ?1)",
    )
    .bind(end.as_millisecond())
    .bind(holder.id())
    .execute(conn)
    .await?;
    Ok(())
}

/// Valid keys of providers: (provider, key id, hash, when it ends by itself).
pub(crate) async fn of_providers(
    conn: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Vec<(String, String, B256, Option<Timestamp>)>, LedgerError> {
    let rows: Vec<(String, String, Vec<u8>, Option<i64>)> = sqlx::query_as(
        "SELECT provider_id, key_id, hash, ended_at FROM api_keys \
         WHERE provider_id IS NOT NULL AND (ended_at IS NULL OR ended_at > ?) ORDER BY provider_id, key_id",
    )
    .bind(now.as_millisecond())
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(provider, key_id, hash, ended_at)| {
            let ends_at = ended_at.map(columns::time).transpose()?;
            Ok((provider, key_id, columns::hash(&hash)?, ends_at))
        })
        .collect()
}
