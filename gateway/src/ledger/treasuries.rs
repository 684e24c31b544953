//! Treasuries: an address belongs to the workspace that attached it first, for ever.

use alloy::primitives::Address;
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{LedgerError, columns};

/// Makes `address` the treasury that pays for the workspace. `false`: it belongs to another one.
pub(crate) async fn attach(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    address: Address,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    sqlx::query(
        "INSERT INTO treasuries (address, workspace_id, attached_at) VALUES (?, ?, ?) \
         ON CONFLICT (address) DO NOTHING",
    )
    .bind(address.as_slice())
    .bind(workspace_id)
    .bind(now.as_millisecond())
    .execute(&mut *conn)
    .await?;
    let holder: String =
        sqlx::query_scalar("SELECT workspace_id FROM treasuries WHERE address = ?")
            .bind(address.as_slice())
            .fetch_one(&mut *conn)
            .await?;
    if holder != workspace_id {
        return Ok(false);
    }
    sqlx::query("UPDATE workspaces SET treasury = ? WHERE id = ?")
        .bind(address.as_slice())
        .bind(workspace_id)
        .execute(conn)
        .await?;
    Ok(true)
}

/// Workspaces that pay now, with their numbers and treasuries: those after a number.
pub(crate) async fn paying(
    conn: &mut SqliteConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, String, Address)>, LedgerError> {
    let rows: Vec<(i64, String, Vec<u8>)> = sqlx::query_as(
        "SELECT number, id, treasury FROM workspaces WHERE number > ? AND treasury IS NOT NULL ORDER BY number LIMIT ?",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(number, id, treasury)| Ok((number, id, columns::address(&treasury)?)))
        .collect()
}
