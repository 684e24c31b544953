//! Hosts of providers. No two providers have one in common at the same time.

use std::collections::HashMap;

use sqlx::SqliteConnection;
use x402_schemas::host::ProviderHost;

use super::{LedgerError, columns};

type Row = (String, String, bool, Option<u16>);

/// Gives a host to a provider. `false`: another provider has it, or some of what it means.
pub(crate) async fn add(
    conn: &mut SqliteConnection,
    provider_id: &str,
    host: &ProviderHost,
) -> Result<bool, LedgerError> {
    let name = host.pattern.host();
    let others: Vec<Row> = sqlx::query_as(
        "SELECT provider_id, host, below, port FROM hosts WHERE active = 1 AND provider_id <> ?1 \
         AND (host IN (SELECT value FROM json_each(?2)) OR (?3 AND host LIKE '%.' || ?4))",
    )
    .bind(provider_id)
    .bind(itself_and_above(name)?)
    .bind(host.pattern.is_below())
    .bind(name)
    .fetch_all(&mut *conn)
    .await?;
    for other in others {
        if read(&other)?.overlaps(host) {
            return Ok(false);
        }
    }
    sqlx::query("INSERT INTO hosts (provider_id, host, below, port) VALUES (?, ?, ?, ?)")
        .bind(provider_id)
        .bind(name)
        .bind(host.pattern.is_below())
        .bind(host.port)
        .execute(conn)
        .await?;
    Ok(true)
}

/// The provider that sells from a URL's host and port.
pub(crate) async fn provider_of(
    conn: &mut SqliteConnection,
    host: &str,
    port: u16,
) -> Result<Option<String>, LedgerError> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let candidates: Vec<Row> = sqlx::query_as(
        "SELECT provider_id, host, below, port FROM hosts WHERE active = 1 \
         AND host IN (SELECT value FROM json_each(?))",
    )
    .bind(itself_and_above(name)?)
    .fetch_all(conn)
    .await?;
    for candidate in candidates {
        if read(&candidate)?.matches(name, port) {
            return Ok(Some(candidate.0));
        }
    }
    Ok(None)
}

/// Hosts of the workspace's providers, by provider.
pub(crate) async fn of_workspace(
    conn: &mut SqliteConnection,
    workspace_id: &str,
) -> Result<HashMap<String, Vec<ProviderHost>>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT hosts.provider_id, host, below, port FROM hosts JOIN providers ON providers.id = hosts.provider_id \
         WHERE providers.workspace_id = ? ORDER BY hosts.rowid",
    )
    .bind(workspace_id)
    .fetch_all(conn)
    .await?;
    let mut hosts: HashMap<String, Vec<ProviderHost>> = HashMap::new();
    for row in rows {
        let host = read(&row)?;
        hosts.entry(row.0).or_default().push(host);
    }
    Ok(hosts)
}

/// Frees a provider's hosts for others.
pub(crate) async fn free(
    conn: &mut SqliteConnection,
    provider_id: &str,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE hosts SET active = 0 WHERE provider_id = ?")
        .bind(provider_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// The same, and the provider never had them.
pub(crate) async fn forget(
    conn: &mut SqliteConnection,
    provider_id: &str,
) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM hosts WHERE provider_id = ?")
        .bind(provider_id)
        .execute(conn)
        .await?;
    Ok(())
}

fn read((_, host, below, port): &Row) -> Result<ProviderHost, LedgerError> {
    let pattern = if *below {
        format!("*.{host}")
    } else {
        host.clone()
    };
    Ok(ProviderHost {
        pattern: columns::parsed(&pattern, "host")?,
        port: *port,
    })
}

/// A host and every name that it is below, as JSON: what it may be registered by.
fn itself_and_above(host: &str) -> Result<String, LedgerError> {
    let above = host
        .match_indices('.')
        .filter_map(|(dot, _)| host.get(dot.saturating_add(1)..));
    let names: Vec<&str> = std::iter::once(host).chain(above).collect();
    serde_json::to_string(&names).map_err(|_| LedgerError::Unreadable("host"))
}
