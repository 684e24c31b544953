//! Workspaces, their budgets and the next nonce of their spenders.

use alloy::primitives::Address;
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use x402_schemas::{amount::Amount, policy::Policy};

use super::{LedgerError, columns};

/// A workspace.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// Its place in the derivation of spenders.
    pub(crate) number: i64,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) monthly_budget: Amount,
    /// The attached treasury that pays now.
    pub(crate) treasury: Option<Address>,
    /// For all of its agents together, besides the budget.
    pub(crate) policy: Option<Policy>,
    pub(crate) paused_at: Option<Timestamp>,
    /// The spender's next nonce, as far as this ledger has signed.
    pub(crate) next_nonce: u64,
}

#[derive(FromRow)]
struct Row {
    number: i64,
    id: String,
    name: String,
    monthly_budget: String,
    treasury: Option<Vec<u8>>,
    policy: Option<String>,
    paused_at: Option<i64>,
    next_nonce: i64,
}

impl Row {
    fn read(self) -> Result<Workspace, LedgerError> {
        let treasury = self.treasury.as_deref();
        Ok(Workspace {
            number: self.number,
            id: self.id,
            name: self.name,
            monthly_budget: columns::amount(&self.monthly_budget)?,
            treasury: treasury.map(columns::address).transpose()?,
            policy: self.policy.as_deref().map(columns::policy).transpose()?,
            paused_at: self.paused_at.map(columns::time).transpose()?,
            next_nonce: columns::number(self.next_nonce)?,
        })
    }
}

pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    id: &str,
    name: &str,
    monthly_budget: Amount,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO workspaces (id, name, monthly_budget, created_at) VALUES (?, ?, ?, ?)",
    )
    .bind(id)
    .bind(name)
    .bind(columns::amount_text(monthly_budget))
    .bind(now.as_millisecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// The workspace, which a key or row already names; its absence is a broken ledger.
pub(crate) async fn get(conn: &mut SqliteConnection, id: &str) -> Result<Workspace, LedgerError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT number, id, name, monthly_budget, treasury, policy, paused_at, next_nonce FROM workspaces WHERE id = ?",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map_or(Err(LedgerError::Unreadable("workspace")), Row::read)
}

/// Whether there is any, so that a missing seed is noticed.
pub(crate) async fn any(conn: &mut SqliteConnection) -> Result<bool, LedgerError> {
    Ok(
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM workspaces)")
            .fetch_one(conn)
            .await?,
    )
}

pub(crate) async fn set_budget(
    conn: &mut SqliteConnection,
    id: &str,
    monthly_budget: Amount,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE workspaces SET monthly_budget = ? WHERE id = ?")
        .bind(columns::amount_text(monthly_budget))
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives the workspace a policy, or takes it away.
pub(crate) async fn set_policy(
    conn: &mut SqliteConnection,
    id: &str,
    policy: Option<&Policy>,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE workspaces SET policy = ? WHERE id = ?")
        .bind(policy.map(columns::policy_text).transpose()?)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Pauses a workspace since `since`, or lets it go on.
pub(crate) async fn set_paused(
    conn: &mut SqliteConnection,
    id: &str,
    since: Option<Timestamp>,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE workspaces SET paused_at = ? WHERE id = ?")
        .bind(since.map(Timestamp::as_millisecond))
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn set_next_nonce(
    conn: &mut SqliteConnection,
    id: &str,
    next_nonce: u64,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE workspaces SET next_nonce = ? WHERE id = ?")
        .bind(columns::number_column(next_nonce)?)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}
