//! Quotes: what an agent was told, denials included.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use x402_schemas::{codes::Denial, invoice::Invoice, network::Network};

use super::{LedgerError, columns, events};
use crate::origin::Signer;

/// A quote that allowed a payment.
#[derive(Clone, Debug)]
pub(crate) struct Quote {
    pub(crate) id: String,
    pub(crate) workspace_id: String,
    pub(crate) agent_id: String,
    pub(crate) invoice: Invoice,
    pub(crate) network: Network,
    /// Whose signature came with the invoice. That it was wrong is not kept: it is why the quote denies.
    pub(crate) signer: Signer,
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
    Option<String>,
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
         description, denial, signed_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
    .bind(quote.signer.by())
    .bind(quote.created_at.as_millisecond())
    .bind(quote.expires_at.as_millisecond())
    .execute(&mut *conn)
    .await?;
    match denial {
        Some(denial) => events::of_denial(conn, quote, denial).await,
        None => Ok(()),
    }
}

/// The agent's quote of that id. One that denied is not found: it gives nothing to pay.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    agent_id: &str,
    id: &str,
) -> Result<Option<Quote>, LedgerError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, workspace_id, agent_id, invoice_id, pay_to, amount, network, resource, signed_by, created_at, \
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
        signed_by,
        created_at,
        expires_at,
    ) = row;
    Ok(Quote {
        id,
        workspace_id,
        agent_id,
        invoice: columns::invoice(&invoice_id, &pay_to, &amount, &resource)?,
        network: columns::parsed(&network, "network")?,
        signer: Signer::remembered(signed_by),
        created_at: columns::time(created_at)?,
        expires_at: columns::time(expires_at)?,
    })
}

/// Whose signature came with the invoice of a payment.
pub(crate) async fn signer_of_payment(
    conn: &mut SqliteConnection,
    payment_id: &str,
) -> Result<Option<String>, LedgerError> {
    let signer: Option<Option<String>> = sqlx::query_scalar(
        "SELECT signed_by FROM quotes WHERE id = (SELECT quote_id FROM payments WHERE id = ?)",
    )
    .bind(payment_id)
    .fetch_optional(conn)
    .await?;
    Ok(signer.flatten())
}

/// The same of the workspace's payments that were asked for at or after a moment, by payment.
pub(crate) async fn signers_since(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    moment: Timestamp,
    limit: u32,
) -> Result<HashMap<String, String>, LedgerError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT payments.id, signed_by FROM payments JOIN quotes ON quotes.id = quote_id \
         WHERE payments.workspace_id = ? AND payments.created_at >= ? AND signed_by IS NOT NULL LIMIT ?",
    )
    .bind(workspace_id)
    .bind(moment.as_millisecond())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

#[derive(FromRow)]
struct DeniedRow {
    agent_id: String,
    invoice_id: String,
    pay_to: Vec<u8>,
    amount: String,
    network: String,
    resource: String,
    denial: String,
    signed_by: Option<String>,
    created_at: i64,
}

/// What was asked for and denied, and whose signature came with it.
#[derive(Clone, Debug)]
pub(crate) struct DeniedQuote {
    pub(crate) agent_id: String,
    pub(crate) invoice: Invoice,
    pub(crate) network: Network,
    pub(crate) signer: Signer,
    pub(crate) denial: Denial,
    pub(crate) at: Timestamp,
}

/// The workspace's quotes that denied, made at or after a moment, oldest first.
pub(crate) async fn denied_since(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    moment: Timestamp,
    limit: u32,
) -> Result<Vec<DeniedQuote>, LedgerError> {
    let rows: Vec<DeniedRow> = sqlx::query_as(
        "SELECT agent_id, invoice_id, pay_to, amount, network, resource, denial, signed_by, created_at FROM quotes \
         WHERE workspace_id = ? AND denial IS NOT NULL AND created_at >= ? ORDER BY created_at LIMIT ?",
    )
    .bind(workspace_id)
    .bind(moment.as_millisecond())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(read_denied).collect()
}

fn read_denied(row: DeniedRow) -> Result<DeniedQuote, LedgerError> {
    let denial = columns::parsed(&row.denial, "denial")?;
    Ok(DeniedQuote {
        agent_id: row.agent_id,
        invoice: columns::invoice(&row.invoice_id, &row.pay_to, &row.amount, &row.resource)?,
        network: columns::parsed(&row.network, "network")?,
        signer: if denial == Denial::InvoiceSignatureInvalid {
            Signer::Unknown
        } else {
            Signer::remembered(row.signed_by)
        },
        denial,
        at: columns::time(row.created_at)?,
    })
}
