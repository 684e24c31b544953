//! Workspaces, their budgets and the next nonce of their spenders.

use alloy::primitives::Address;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::amount::Amount;

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
    /// The spender's next nonce, as far as this ledger has signed.
    pub(crate) next_nonce: u64,
}

type Row = (i64, String, String, String, Option<Vec<u8>>, i64);

fn read(row: Row) -> Result<Workspace, LedgerError> {
    let (number, id, name, monthly_budget, treasury, next_nonce) = row;
    Ok(Workspace {
        number,
        id,
        name,
        monthly_budget: columns::amount(&monthly_budget)?,
        treasury: treasury.as_deref().map(columns::address).transpose()?,
        next_nonce: columns::number(next_nonce)?,
    })
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
        "SELECT number, id, name, monthly_budget, treasury, next_nonce FROM workspaces WHERE id = ?",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map_or(Err(LedgerError::Unreadable("workspace")), read)
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
