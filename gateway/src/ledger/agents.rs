//! Agents and their policies.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::policy::Policy;

use super::{LedgerError, columns};

/// An agent.
#[derive(Clone, Debug)]
pub(crate) struct AgentRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) policy: Option<Policy>,
    pub(crate) paused_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
}

impl AgentRow {
    /// What it may spend; a revoked agent has no policy.
    pub(crate) const fn standing_policy(&self) -> Option<&Policy> {
        if self.revoked_at.is_some() {
            None
        } else {
            self.policy.as_ref()
        }
    }
}

type Row = (String, String, Option<String>, Option<i64>, Option<i64>);

fn read((id, name, policy, paused_at, revoked_at): Row) -> Result<AgentRow, LedgerError> {
    Ok(AgentRow {
        id,
        name,
        policy: policy.as_deref().map(columns::policy).transpose()?,
        paused_at: paused_at.map(columns::time).transpose()?,
        revoked_at: revoked_at.map(columns::time).transpose()?,
    })
}

pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    id: &str,
    name: &str,
    policy: Option<&Policy>,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO agents (id, workspace_id, name, policy, created_at) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(name)
    .bind(policy.map(columns::policy_text).transpose()?)
    .bind(now.as_millisecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// The workspace's agent of that id.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    id: &str,
) -> Result<Option<AgentRow>, LedgerError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, name, policy, paused_at, revoked_at FROM agents WHERE workspace_id = ? AND id = ?",
    )
    .bind(workspace_id)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map(read).transpose()
}

/// All of the workspace's agents, revoked ones included, oldest first.
pub(crate) async fn list(
    conn: &mut SqliteConnection,
    workspace_id: &str,
) -> Result<Vec<AgentRow>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, name, policy, paused_at, revoked_at FROM agents WHERE workspace_id = ? ORDER BY created_at, id",
    )
    .bind(workspace_id)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(read).collect()
}

/// How many the workspace has, revoked ones included.
pub(crate) async fn count(
    conn: &mut SqliteConnection,
    workspace_id: &str,
) -> Result<i64, LedgerError> {
    Ok(
        sqlx::query_scalar("SELECT count(*) FROM agents WHERE workspace_id = ?")
            .bind(workspace_id)
            .fetch_one(conn)
            .await?,
    )
}

pub(crate) async fn set_policy(
    conn: &mut SqliteConnection,
    id: &str,
    policy: &Policy,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE agents SET policy = ? WHERE id = ?")
        .bind(columns::policy_text(policy)?)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Pauses an agent since `since`, or lets it go on.
pub(crate) async fn set_paused(
    conn: &mut SqliteConnection,
    id: &str,
    since: Option<Timestamp>,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE agents SET paused_at = ? WHERE id = ?")
        .bind(since.map(Timestamp::as_millisecond))
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn revoke(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE agents SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL")
        .bind(now.as_millisecond())
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}
