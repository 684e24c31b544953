//! Payments: their rows, and look-ups of them by what they are. Those by what is still to be done with
//! them are in `under_way`.

use std::fmt;

use alloy::primitives::{Address, B256};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use x402_schemas::{
    amount::Amount, api::events::EventKind, codes::PaymentError, invoice::Invoice,
    payment::PaymentStatus,
};

use super::{LedgerError, columns, events};
use crate::policy::Terms;

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) id: String,
    pub(crate) workspace_id: String,
    pub(crate) agent_id: String,
    pub(crate) invoice: Invoice,
    /// The invoice's hash, which the calldata carries.
    pub(crate) memo: B256,
    pub(crate) status: PaymentStatus,
    /// Why it is void, if it is.
    pub(crate) failure: Option<Failure>,
    /// Since when it counts against limits.
    pub(crate) reserved_at: Option<Timestamp>,
    /// Until when an owner may approve it, if one has to.
    pub(crate) approval_until: Option<Timestamp>,
    /// The treasury, once signed.
    pub(crate) payer: Option<Address>,
    /// The newest transaction, once signed; the one in the block, once settled.
    pub(crate) tx_hash: Option<B256>,
    /// What the transaction cost in gas, in wei, once that is known.
    pub(crate) gas_paid_wei: Option<Amount>,
    /// Where the index has the transfer, once settled.
    pub(crate) place: Option<Place>,
    pub(crate) proof: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl Payment {
    /// What is paid, and for whom.
    pub(crate) fn terms(&self) -> Terms<'_> {
        Terms {
            invoice: &self.invoice,
            agent_id: &self.agent_id,
        }
    }
}

/// Why a payment is void, in a code and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: PaymentError,
    pub(crate) detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

/// Where on the chain a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) tx_hash: B256,
    pub(crate) block_number: u64,
    pub(crate) block_hash: B256,
    pub(crate) log_index: u32,
}

#[derive(FromRow)]
pub(super) struct Row {
    pub(super) id: String,
    workspace_id: String,
    agent_id: String,
    invoice_id: String,
    pay_to: Vec<u8>,
    amount: String,
    resource: String,
    memo: Vec<u8>,
    status: String,
    failure: Option<String>,
    failure_detail: Option<String>,
    reserved_at: Option<i64>,
    approval_until: Option<i64>,
    payer: Option<Vec<u8>>,
    pub(super) raw_tx: Option<Vec<u8>>,
    tx_hash: Option<Vec<u8>>,
    block_number: Option<i64>,
    block_hash: Option<Vec<u8>>,
    log_index: Option<i64>,
    proof: Option<String>,
    gas_paid_wei: Option<String>,
    created_at: i64,
    updated_at: i64,
}

#[derive(FromRow)]
struct Numbered {
    number: i64,
    #[sqlx(flatten)]
    row: Row,
}

impl Row {
    pub(super) fn read(self) -> Result<Payment, LedgerError> {
        let failure = self
            .failure
            .map(|code| {
                Ok::<_, LedgerError>(Failure {
                    code: columns::parsed(&code, "failure code")?,
                    detail: self.failure_detail.unwrap_or_default(),
                })
            })
            .transpose()?;
        let tx_hash = self.tx_hash.as_deref().map(columns::hash).transpose()?;
        let place = match (tx_hash, self.block_number, self.block_hash, self.log_index) {
            (Some(tx_hash), Some(number), Some(hash), Some(log_index)) => Some(Place {
                tx_hash,
                block_number: columns::number(number)?,
                block_hash: columns::hash(&hash)?,
                log_index: u32::try_from(log_index)
                    .map_err(|_| LedgerError::Unreadable("log index"))?,
            }),
            _ => None,
        };
        Ok(Payment {
            id: self.id,
            workspace_id: self.workspace_id,
            agent_id: self.agent_id,
            invoice: columns::invoice(
                &self.invoice_id,
                &self.pay_to,
                &self.amount,
                &self.resource,
            )?,
            memo: columns::hash(&self.memo)?,
            status: columns::parsed(&self.status, "status")?,
            failure,
            reserved_at: self.reserved_at.map(columns::time).transpose()?,
            approval_until: self.approval_until.map(columns::time).transpose()?,
            payer: self.payer.as_deref().map(columns::address).transpose()?,
            tx_hash,
            gas_paid_wei: self
                .gas_paid_wei
                .as_deref()
                .map(columns::amount)
                .transpose()?,
            place,
            proof: self.proof,
            created_at: columns::time(self.created_at)?,
            updated_at: columns::time(self.updated_at)?,
        })
    }
}

pub(super) fn read_all(rows: Vec<Row>) -> Result<Vec<Payment>, LedgerError> {
    rows.into_iter().map(Row::read).collect()
}

/// Adds a payment as quoted. Its first steps follow in the same change of the ledger.
pub(super) async fn insert(
    conn: &mut SqliteConnection,
    payment: &Payment,
    quote_id: &str,
) -> Result<(), LedgerError> {
    let Payment { id, invoice, .. } = payment;
    let failure = payment.failure.as_ref();
    sqlx::query(
        "INSERT INTO payments (id, workspace_id, agent_id, quote_id, invoice_id, pay_to, amount, resource, memo, \
         status, failure, failure_detail, approval_until, created_at, updated_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'quoted', ?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(&payment.workspace_id)
    .bind(&payment.agent_id)
    .bind(quote_id)
    .bind(invoice.id.as_str())
    .bind(invoice.pay_to.as_slice())
    .bind(columns::amount_text(invoice.amount))
    .bind(invoice.resource.as_str())
    .bind(payment.memo.as_slice())
    .bind(failure.map(|failure| failure.code.as_str()))
    .bind(failure.map(|failure| failure.detail.as_str()))
    .bind(payment.approval_until.map(Timestamp::as_millisecond))
    .bind(payment.created_at.as_millisecond())
    .bind(payment.updated_at.as_millisecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes a status. Only a step may do this.
pub(super) async fn set_status(
    conn: &mut SqliteConnection,
    id: &str,
    status: PaymentStatus,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE payments SET status = ?, updated_at = ? WHERE id = ?")
        .bind(status.as_str())
        .bind(now.as_millisecond())
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes what a payment's transaction cost in gas, unless it has another transaction by now.
pub(crate) async fn set_gas_paid(
    conn: &mut SqliteConnection,
    id: &str,
    tx_hash: B256,
    wei: Amount,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let done = sqlx::query("UPDATE payments SET gas_paid_wei = ? WHERE id = ? AND tx_hash = ?")
        .bind(columns::amount_text(wei))
        .bind(id)
        .bind(tx_hash.as_slice())
        .execute(&mut *conn)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    let kind = EventKind::PaymentPriced;
    events::of_payment(conn, id, kind, "its gas is known", now).await
}

/// Writes since when a payment counts. Only a step may do this.
pub(super) async fn set_reserved_at(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE payments SET reserved_at = ? WHERE id = ?")
        .bind(now.as_millisecond())
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// The payment of that id, whoever's it is: the caller compares the workspace.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    id: &str,
) -> Result<Option<Payment>, LedgerError> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM payments WHERE id = ?")
        .bind(id)
        .fetch_optional(conn)
        .await?;
    row.map(Row::read).transpose()
}

/// What became of a quote.
pub(crate) async fn of_quote(
    conn: &mut SqliteConnection,
    quote_id: &str,
) -> Result<Option<Payment>, LedgerError> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM payments WHERE quote_id = ?")
        .bind(quote_id)
        .fetch_optional(conn)
        .await?;
    row.map(Row::read).transpose()
}

/// The one payment of an invoice that moves money or may still move it.
pub(crate) async fn of_invoice(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    invoice: &Invoice,
) -> Result<Option<Payment>, LedgerError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT * FROM payments WHERE workspace_id = ? AND invoice_id = ? AND pay_to = ? \
         AND status NOT IN ('denied', 'expired', 'failed', 'reverted')",
    )
    .bind(workspace_id)
    .bind(invoice.id.as_str())
    .bind(invoice.pay_to.as_slice())
    .fetch_optional(conn)
    .await?;
    row.map(Row::read).transpose()
}

/// A page of the workspace's payments, newest first, those older than `before` if it is given.
pub(crate) async fn page(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    before: Option<&Payment>,
    limit: u32,
) -> Result<Vec<Payment>, LedgerError> {
    let (created_at, id) = before.map_or((i64::MAX, ""), |payment| {
        (payment.created_at.as_millisecond(), payment.id.as_str())
    });
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM payments WHERE workspace_id = ? AND (created_at, id) < (?, ?) \
         ORDER BY created_at DESC, id DESC LIMIT ?",
    )
    .bind(workspace_id)
    .bind(created_at)
    .bind(id)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    read_all(rows)
}

/// Every workspace's payments after a row, in the order of their rows, not read yet.
pub(super) async fn page_of_all(
    conn: &mut SqliteConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, Row)>, LedgerError> {
    let rows: Vec<Numbered> = sqlx::query_as(
        "SELECT rowid AS number, * FROM payments WHERE rowid > ? ORDER BY rowid LIMIT ?",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.number, row.row)).collect())
}

/// The workspace's payments that were asked for at or after a moment, oldest first.
pub(crate) async fn asked_since(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    moment: Timestamp,
    limit: u32,
) -> Result<Vec<Payment>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM payments WHERE workspace_id = ? AND created_at >= ? ORDER BY created_at, id LIMIT ?",
    )
    .bind(workspace_id)
    .bind(moment.as_millisecond())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    read_all(rows)
}
