//! Payments: their rows and every look-up of them.

use alloy::primitives::{Address, B256, Bytes};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use x402_schemas::{amount::Amount, codes::PaymentError, invoice::Invoice, payment::PaymentStatus};

use super::{LedgerError, columns};

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
    /// The transaction, once signed.
    pub(crate) tx_hash: Option<B256>,
    /// Where the index has the transfer, once settled.
    pub(crate) place: Option<Place>,
    pub(crate) proof: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// Why a payment is void, in a code and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: PaymentError,
    pub(crate) detail: String,
}

/// Where on the chain a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) block_number: u64,
    pub(crate) block_hash: B256,
    pub(crate) log_index: u32,
}

/// What is under way from one spender and not yet part of the chain's state at some block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// MNEE leaving the treasury.
    pub(crate) amount: Amount,
    /// The most gas money that it may cost, in wei.
    pub(crate) gas_wei: Amount,
}

/// A signed payment whose transaction may have to be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Unsettled {
    pub(crate) payment: Payment,
    pub(crate) raw: Bytes,
}

#[derive(FromRow)]
struct Row {
    id: String,
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
    raw_tx: Option<Vec<u8>>,
    tx_hash: Option<Vec<u8>>,
    block_number: Option<i64>,
    block_hash: Option<Vec<u8>>,
    log_index: Option<i64>,
    proof: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn read(self) -> Result<Payment, LedgerError> {
        let failure = self
            .failure
            .map(|code| {
                Ok::<_, LedgerError>(Failure {
                    code: columns::parsed(&code, "failure code")?,
                    detail: self.failure_detail.unwrap_or_default(),
                })
            })
            .transpose()?;
        let place = match (self.block_number, self.block_hash, self.log_index) {
            (Some(number), Some(hash), Some(log_index)) => Some(Place {
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
            invoice: Invoice {
                id: columns::parsed(&self.invoice_id, "invoice id")?,
                pay_to: columns::address(&self.pay_to)?,
                amount: columns::amount(&self.amount)?,
                resource: columns::parsed(&self.resource, "resource")?,
            },
            memo: columns::hash(&self.memo)?,
            status: columns::parsed(&self.status, "status")?,
            failure,
            reserved_at: self.reserved_at.map(columns::time).transpose()?,
            approval_until: self.approval_until.map(columns::time).transpose()?,
            payer: self.payer.as_deref().map(columns::address).transpose()?,
            tx_hash: self.tx_hash.as_deref().map(columns::hash).transpose()?,
            place,
            proof: self.proof,
            created_at: columns::time(self.created_at)?,
            updated_at: columns::time(self.updated_at)?,
        })
    }
}

fn read_all(rows: Vec<Row>) -> Result<Vec<Payment>, LedgerError> {
    rows.into_iter().map(Row::read).collect()
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
         AND status NOT IN ('denied', 'expired', 'failed')",
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

/// Signed payments that the index has not settled, oldest change first, with their bytes.
pub(crate) async fn unsettled(
    conn: &mut SqliteConnection,
    limit: u32,
) -> Result<Vec<Unsettled>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM payments WHERE status IN ('signed', 'broadcast') ORDER BY workspace_id, nonce LIMIT ?",
    )
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|mut row| {
            let raw = row
                .raw_tx
                .take()
                .ok_or(LedgerError::Unreadable("signed transaction"))?;
            Ok(Unsettled {
                payment: row.read()?,
                raw: raw.into(),
            })
        })
        .collect()
}

/// Every payment that a change of the index may concern: signed, or settled in a block not yet final.
pub(crate) async fn watched(conn: &mut SqliteConnection) -> Result<Vec<Payment>, LedgerError> {
    let mut payments = read_all(
        sqlx::query_as(
            "SELECT * FROM payments WHERE status IN ('signed', 'broadcast') ORDER BY created_at",
        )
        .fetch_all(&mut *conn)
        .await?,
    )?;
    payments.extend(read_all(
        sqlx::query_as("SELECT * FROM payments WHERE status = 'settled' AND final = 0")
            .fetch_all(conn)
            .await?,
    )?);
    Ok(payments)
}

/// Payments that are reserved, and not signed, since before `since`: nobody is sending them.
pub(crate) async fn reserved_before(
    conn: &mut SqliteConnection,
    since: Timestamp,
) -> Result<Vec<String>, LedgerError> {
    Ok(
        sqlx::query_scalar("SELECT id FROM payments WHERE status = 'reserved' AND updated_at <= ?")
            .bind(since.as_millisecond())
            .fetch_all(conn)
            .await?,
    )
}

/// The workspace's payments that wait for an approval, oldest first.
pub(crate) async fn awaiting(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    limit: u32,
) -> Result<Vec<Payment>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM payments WHERE workspace_id = ? AND status = 'awaiting_approval' ORDER BY approval_until LIMIT ?",
    )
    .bind(workspace_id)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    read_all(rows)
}

/// How many of the workspace's payments wait for an approval.
pub(crate) async fn count_awaiting(
    conn: &mut SqliteConnection,
    workspace_id: &str,
) -> Result<i64, LedgerError> {
    Ok(sqlx::query_scalar(
        "SELECT count(*) FROM payments WHERE workspace_id = ? AND status = 'awaiting_approval'",
    )
    .bind(workspace_id)
    .fetch_one(conn)
    .await?)
}

/// Payments that nobody has approved in time.
pub(crate) async fn unapproved(
    conn: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Vec<String>, LedgerError> {
    Ok(sqlx::query_scalar(
        "SELECT id FROM payments WHERE status = 'awaiting_approval' AND approval_until <= ?",
    )
    .bind(now.as_millisecond())
    .fetch_all(conn)
    .await?)
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

/// What the chain's state does not show yet, if it has mined the spender's first `mined` transactions.
pub(crate) async fn in_flight(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    payer: Address,
    mined: u64,
) -> Result<InFlight, LedgerError> {
    let rows: Vec<(String, Option<String>, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT amount, gas_wei, payer FROM payments WHERE workspace_id = ? AND nonce >= ? AND status <> 'failed'",
    )
    .bind(workspace_id)
    .bind(columns::number_column(mined)?)
    .fetch_all(conn)
    .await?;
    let too_much = LedgerError::Imbalance("what is in flight passes 256 bits");
    let sum = rows.iter().try_fold(InFlight::default(), |sum, row| {
        let (amount, gas_wei, from) = row;
        let leaves_payer = from.as_deref() == Some(payer.as_slice());
        let amount = if leaves_payer {
            columns::amount(amount).ok()?
        } else {
            Amount::ZERO
        };
        let gas_wei = columns::amount(gas_wei.as_deref()?).ok()?;
        Some(InFlight {
            amount: sum.amount.checked_add(amount)?,
            gas_wei: sum.gas_wei.checked_add(gas_wei)?,
        })
    });
    sum.ok_or(too_much)
}

/// How many payments are in each status short of settled, and since when the oldest waits.
pub(crate) async fn open_counts(
    conn: &mut SqliteConnection,
) -> Result<Vec<(PaymentStatus, i64, Timestamp)>, LedgerError> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT status, count(*), min(created_at) FROM payments \
         WHERE status IN ('awaiting_approval', 'reserved', 'signed', 'broadcast') GROUP BY status",
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(status, count, oldest)| {
            Ok((
                columns::parsed(&status, "status")?,
                count,
                columns::time(oldest)?,
            ))
        })
        .collect()
}
