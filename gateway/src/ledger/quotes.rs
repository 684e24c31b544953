//! Quotes: what an agent was told, denials included.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::{
    codes::{Denial, PaymentError},
    invoice::Invoice,
    network::Network,
};

use super::{LedgerError, columns};
use crate::policy::replay::{Past, Was};

/// A quote that allowed a payment.
#[derive(Clone, Debug)]
pub(crate) struct Quote {
    pub(crate) id: String,
    pub(crate) workspace_id: String,
    pub(crate) agent_id: String,
    pub(crate) invoice: Invoice,
    pub(crate) network: Network,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

type Row = (
    String,
    String,
    String,
    String,
    Vec<u8>,
    String,
    String,
    String,
    i64,
    i64,
);

pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    quote: &Quote,
    description: Option<&str>,
    denial: Option<Denial>,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO quotes (id, workspace_id, agent_id, invoice_id, pay_to, amount, network, resource, \
         description, denial, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&quote.id)
    .bind(&quote.workspace_id)
    .bind(&quote.agent_id)
    .bind(quote.invoice.id.as_str())
    .bind(quote.invoice.pay_to.as_slice())
    .bind(columns::amount_text(quote.invoice.amount))
    .bind(quote.network.caip2())
    .bind(quote.invoice.resource.as_str())
    .bind(description)
    .bind(denial.map(Denial::as_str))
    .bind(quote.created_at.as_millisecond())
    .bind(quote.expires_at.as_millisecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// The agent's quote of that id. One that denied is not found: it gives nothing to pay.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    agent_id: &str,
    id: &str,
) -> Result<Option<Quote>, LedgerError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, workspace_id, agent_id, invoice_id, pay_to, amount, network, resource, created_at, \
         expires_at FROM quotes WHERE id = ? AND agent_id = ? AND denial IS NULL",
    )
    .bind(id)
    .bind(agent_id)
    .fetch_optional(conn)
    .await?;
    row.map(read).transpose()
}

fn read(row: Row) -> Result<Quote, LedgerError> {
    let (
        id,
        workspace_id,
        agent_id,
        invoice_id,
        pay_to,
        amount,
        network,
        resource,
        created_at,
        expires_at,
    ) = row;
    Ok(Quote {
        id,
        workspace_id,
        agent_id,
        invoice: columns::invoice(&invoice_id, &pay_to, &amount, &resource)?,
        network: columns::parsed(&network, "network")?,
        created_at: columns::time(created_at)?,
        expires_at: columns::time(expires_at)?,
    })
}

type DeniedRow = (String, String, Vec<u8>, String, String, String, String, i64);

/// The workspace's quotes that denied, made at or after a moment, oldest first.
pub(crate) async fn denied_since(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    moment: Timestamp,
    limit: u32,
) -> Result<Vec<Past>, LedgerError> {
    let rows: Vec<DeniedRow> = sqlx::query_as(
        "SELECT agent_id, invoice_id, pay_to, amount, network, resource, denial, created_at FROM quotes \
         WHERE workspace_id = ? AND denial IS NOT NULL AND created_at >= ? ORDER BY created_at LIMIT ?",
    )
    .bind(workspace_id)
    .bind(moment.as_millisecond())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(read_denied).collect()
}

fn read_denied(row: DeniedRow) -> Result<Past, LedgerError> {
    let (agent_id, invoice_id, pay_to, amount, network, resource, denial, at) = row;
    let denial = columns::parsed(&denial, "denial")?;
    Ok(Past {
        agent_id,
        invoice: columns::invoice(&invoice_id, &pay_to, &amount, &resource)?,
        network: columns::parsed(&network, "network")?,
        at: columns::time(at)?,
        was: Was::Not(PaymentError::Denied(denial)),
    })
}
