//! Members of workspaces and their roles.

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use x402_schemas::api::members::Role;

use super::{LedgerError, columns};

/// A member.
#[derive(Clone, Debug)]
pub(crate) struct MemberRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) created_at: Timestamp,
    pub(crate) removed_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    name: String,
    role: String,
    created_at: i64,
    removed_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<MemberRow, LedgerError> {
        Ok(MemberRow {
            id: self.id,
            name: self.name,
            role: columns::parsed(&self.role, "role")?,
            created_at: columns::time(self.created_at)?,
            removed_at: self.removed_at.map(columns::time).transpose()?,
        })
    }
}

pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    id: &str,
    name: &str,
    role: Role,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO members (id, workspace_id, name, role, created_at) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(name)
    .bind(role.as_str())
    .bind(now.as_millisecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// The workspace's member of that id.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    id: &str,
) -> Result<Option<MemberRow>, LedgerError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, name, role, created_at, removed_at FROM members WHERE workspace_id = ? AND id = ?",
    )
    .bind(workspace_id)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map(Row::read).transpose()
}

/// All of the workspace's members, removed ones included, oldest first.
pub(crate) async fn list(
    conn: &mut SqliteConnection,
    workspace_id: &str,
) -> Result<Vec<MemberRow>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, name, role, created_at, removed_at FROM members WHERE workspace_id = ? ORDER BY created_at, id",
    )
    .bind(workspace_id)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// How many the workspace has had, removed ones included.
pub(crate) async fn count(
    conn: &mut SqliteConnection,
    workspace_id: &str,
) -> Result<i64, LedgerError> {
    Ok(
        sqlx::query_scalar("SELECT count(*) FROM members WHERE workspace_id = ?")
            .bind(workspace_id)
            .fetch_one(conn)
            .await?,
    )
}

/// Whether the workspace has an owner besides this member who holds a key that does not end by itself.
pub(crate) async fn has_other_owner(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    id: &str,
) -> Result<bool, LedgerError> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM members JOIN api_keys ON member_id = id \
         WHERE members.workspace_id = ? AND id <> ? AND role = ? AND removed_at IS NULL AND ended_at IS NULL)",
    )
    .bind(workspace_id)
    .bind(id)
    .bind(Role::Owner.as_str())
    .fetch_one(conn)
    .await?)
}

pub(crate) async fn set_role(
    conn: &mut SqliteConnection,
    id: &str,
    role: Role,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE members SET role = ? WHERE id = ?")
        .bind(role.as_str())
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn remove(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE members SET removed_at = ? WHERE id = ? AND removed_at IS NULL")
        .bind(now.as_millisecond())
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}
