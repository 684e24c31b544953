//! Providers and the addresses that they are paid at.

use std::collections::HashMap;

use alloy::primitives::Address;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::api::confirmations::Confirmations;

use super::{LedgerError, columns, hosts};

/// A provider.
#[derive(Clone, Debug)]
pub(crate) struct ProviderRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) payees: Vec<Address>,
    pub(crate) confirmations: Confirmations,
    pub(crate) revoked_at: Option<Timestamp>,
}

type Row = (String, String, Option<i64>, i64, bool);

pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    id: &str,
    name: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO providers (id, workspace_id, name, created_at) VALUES (?, ?, ?, ?)")
        .bind(id)
        .bind(workspace_id)
        .bind(name)
        .bind(now.as_millisecond())
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives an address to a provider. `false`: another provider has it, or another workspace had it.
pub(crate) async fn add_payee(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    provider_id: &str,
    address: Address,
) -> Result<bool, LedgerError> {
    let taken: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM payees WHERE address = ? AND (active = 1 OR workspace_id <> ?))",
    )
    .bind(address.as_slice())
    .bind(workspace_id)
    .fetch_one(&mut *conn)
    .await?;
    if taken {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO payees (provider_id, address, workspace_id) VALUES (?, ?, ?) \
         ON CONFLICT (provider_id, address) DO UPDATE SET active = 1",
    )
    .bind(provider_id)
    .bind(address.as_slice())
    .bind(workspace_id)
    .execute(conn)
    .await?;
    Ok(true)
}

/// Frees a provider's addresses for others of the same workspace.
pub(crate) async fn drop_payees(
    conn: &mut SqliteConnection,
    provider_id: &str,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE payees SET active = 0 WHERE provider_id = ?")
        .bind(provider_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether a provider that is not revoked is paid at an address.
pub(crate) async fn is_payee(
    conn: &mut SqliteConnection,
    provider_id: &str,
    address: Address,
) -> Result<bool, LedgerError> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM payees WHERE provider_id = ? AND address = ? AND active = 1)",
    )
    .bind(provider_id)
    .bind(address.as_slice())
    .fetch_one(conn)
    .await?)
}

/// The workspace's provider of that id: when it was revoked, if it was.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    id: &str,
) -> Result<Option<Option<Timestamp>>, LedgerError> {
    let row: Option<(Option<i64>,)> =
        sqlx::query_as("SELECT revoked_at FROM providers WHERE workspace_id = ? AND id = ?")
            .bind(workspace_id)
            .bind(id)
            .fetch_optional(conn)
            .await?;
    row.map(|(revoked_at,)| revoked_at.map(columns::time).transpose())
        .transpose()
}

/// How many the workspace has, revoked ones included.
pub(crate) async fn count(
    conn: &mut SqliteConnection,
    workspace_id: &str,
) -> Result<i64, LedgerError> {
    Ok(
        sqlx::query_scalar("SELECT count(*) FROM providers WHERE workspace_id = ?")
            .bind(workspace_id)
            .fetch_one(conn)
            .await?,
    )
}

/// All of the workspace's providers, oldest first.
pub(crate) async fn list(
    conn: &mut SqliteConnection,
    workspace_id: &str,
) -> Result<Vec<ProviderRow>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, name, revoked_at, min_confirmations, finalized FROM providers WHERE workspace_id = ? ORDER BY created_at, id",
    )
    .bind(workspace_id)
    .fetch_all(&mut *conn)
    .await?;
    // Of one that is revoked, all that it ever had.
    let payees: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT provider_id, address FROM payees JOIN providers ON providers.id = provider_id \
         WHERE payees.workspace_id = ? AND (active = 1 OR revoked_at IS NOT NULL) ORDER BY payees.rowid",
    )
    .bind(workspace_id)
    .fetch_all(conn)
    .await?;
    assemble(rows, payees)
}

/// Every provider that is not revoked, of all workspaces.
pub(crate) async fn list_valid(
    conn: &mut SqliteConnection,
) -> Result<Vec<ProviderRow>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, name, revoked_at, min_confirmations, finalized FROM providers WHERE revoked_at IS NULL ORDER BY id",
    )
    .fetch_all(&mut *conn)
    .await?;
    let payees: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT provider_id, address FROM payees WHERE active = 1")
            .fetch_all(conn)
            .await?;
    assemble(rows, payees)
}

/// Sets how settled payments to a provider must be.
pub(crate) async fn set_confirmations(
    conn: &mut SqliteConnection,
    id: &str,
    confirmations: Confirmations,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE providers SET min_confirmations = ?, finalized = ? WHERE id = ?")
        .bind(columns::number_column(confirmations.min_confirmations)?)
        .bind(confirmations.finalized)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Revokes a provider, frees its hosts and, for another of the same workspace, its addresses.
pub(crate) async fn revoke(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE providers SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL")
        .bind(now.as_millisecond())
        .bind(id)
        .execute(&mut *conn)
        .await?;
    drop_payees(conn, id).await?;
    hosts::free(conn, id).await
}

fn assemble(
    rows: Vec<Row>,
    payees: Vec<(String, Vec<u8>)>,
) -> Result<Vec<ProviderRow>, LedgerError> {
    let mut by_provider: HashMap<String, Vec<Address>> = HashMap::new();
    for (provider_id, address) in payees {
        by_provider
            .entry(provider_id)
            .or_default()
            .push(columns::address(&address)?);
    }
    rows.into_iter()
        .map(|(id, name, revoked_at, min_confirmations, finalized)| {
            Ok(ProviderRow {
                payees: by_provider.remove(&id).unwrap_or_default(),
                confirmations: Confirmations {
                    min_confirmations: columns::number(min_confirmations)?,
                    finalized,
                },
                revoked_at: revoked_at.map(columns::time).transpose()?,
                id,
                name,
            })
        })
        .collect()
}
