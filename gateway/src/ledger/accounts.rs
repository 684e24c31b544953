//! Who spends and who is paid, as spend is looked at by.

use sqlx::{FromRow, SqliteConnection};

use super::LedgerError;

/// A workspace, an agent or a provider, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Account {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) workspace_id: String,
    pub(crate) name: String,
    /// Of a workspace.
    pub(crate) monthly_budget: Option<String>,
    /// JSON.
    pub(crate) policy: Option<String>,
    /// Neither paused nor revoked.
    pub(crate) is_active: bool,
}

/// All that there are or were.
pub(crate) async fn all(conn: &mut SqliteConnection) -> Result<Vec<Account>, LedgerError> {
    Ok(sqlx::query_as(
        "SELECT 'workspace' AS kind, id, id AS workspace_id, name, monthly_budget, policy, paused_at IS NULL AS is_active \
         FROM workspaces UNION ALL \
         SELECT 'agent', id, workspace_id, name, NULL, policy, paused_at IS NULL AND revoked_at IS NULL FROM agents UNION ALL \
         SELECT 'provider', id, workspace_id, name, NULL, NULL, revoked_at IS NULL FROM providers",
    )
    .fetch_all(conn)
    .await?)
}
