//! Payments short of their end: what waits for an owner, what recovery and settlement look after, what the
//! chain's state does not show yet.

use alloy::primitives::{Address, B256, Bytes};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use x402_schemas::{amount::Amount, payment::PaymentStatus};

use super::{
    LedgerError, columns,
    payments::{Payment, Row, read_all},
    replaced,
};
use crate::origin::Signer;

/// What is under way from one spender and not yet part of the chain's state at some block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// MNEE leaving the treasury.
    pub(crate) amount: Amount,
    /// The most gas money that it may cost, in wei.
    pub(crate) gas_wei: Amount,
}

/// A signed payment that the index has not settled.
#[derive(Clone, Debug)]
pub(crate) struct Unsettled {
    pub(crate) payment: Payment,
    /// Its newest transaction, which may have to be sent again.
    pub(crate) raw: Bytes,
    /// Those before it, newest first.
    pub(crate) replaced: Vec<B256>,
}

/// A payment that is reserved and not signed.
#[derive(Clone, Debug)]
pub(crate) struct Unsigned {
    pub(crate) payment: Payment,
    /// When its quote ends.
    pub(crate) quoted_until: Timestamp,
    /// Whose signature came with its invoice.
    pub(crate) signer: Signer,
}

#[derive(FromRow)]
struct Quoted {
    expires_at: i64,
    signed_by: Option<String>,
    #[sqlx(flatten)]
    row: Row,
}

/// A payment that a change of the index may concern.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) payment: Payment,
    /// Every transaction that it has had.
    pub(crate) hashes: Vec<B256>,
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

/// Signed payments that the index has not settled, oldest change first, with their bytes.
pub(crate) async fn unsettled(
    conn: &mut SqliteConnection,
    limit: u32,
) -> Result<Vec<Unsettled>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM payments WHERE status IN ('signed', 'broadcast', 'included') ORDER BY workspace_id, nonce LIMIT ?",
    )
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    let mut replaced = replaced::of_watched(conn).await?;
    rows.into_iter()
        .map(|mut row| {
            let raw = row
                .raw_tx
                .take()
                .ok_or(LedgerError::Unreadable("signed transaction"))?;
            let payment = row.read()?;
            Ok(Unsettled {
                replaced: replaced.remove(&payment.id).unwrap_or_default(),
                payment,
                raw: raw.into(),
            })
        })
        .collect()
}

/// Every payment that a change of the index may concern: signed, or settled in a block not yet final.
pub(crate) async fn watched(conn: &mut SqliteConnection) -> Result<Vec<Watched>, LedgerError> {
    let mut payments = read_all(
        sqlx::query_as(
            "SELECT * FROM payments WHERE status IN ('signed', 'broadcast', 'included') ORDER BY created_at",
        )
        .fetch_all(&mut *conn)
        .await?,
    )?;
    payments.extend(read_all(
        sqlx::query_as("SELECT * FROM payments WHERE status = 'settled' AND final = 0")
            .fetch_all(&mut *conn)
            .await?,
    )?);
    with_hashes(conn, payments).await
}

/// Those of them that have one of these transactions.
pub(crate) async fn watched_of(
    conn: &mut SqliteConnection,
    tx_hashes: &[B256],
) -> Result<Vec<Watched>, LedgerError> {
    let hashes: Vec<String> = tx_hashes.iter().map(|hash| format!("{hash:x}")).collect();
    let hashes =
        serde_json::to_string(&hashes).map_err(|_| LedgerError::Unreadable("transaction"))?;
    let payments = read_all(
        sqlx::query_as(
            "WITH hashes AS MATERIALIZED (SELECT unhex(value) AS hash FROM json_each(?)) \
             SELECT * FROM payments WHERE id IN (SELECT id FROM payments WHERE tx_hash IN hashes UNION ALL \
             SELECT payment_id FROM replaced_transactions WHERE tx_hash IN hashes) \
             AND (status IN ('signed', 'broadcast', 'included') OR status = 'settled' AND final = 0)",
        )
        .bind(hashes)
        .fetch_all(&mut *conn)
        .await?,
    )?;
    with_hashes(conn, payments).await
}

async fn with_hashes(
    conn: &mut SqliteConnection,
    payments: Vec<Payment>,
) -> Result<Vec<Watched>, LedgerError> {
    let mut replaced = replaced::of_watched(conn).await?;
    let watch = |payment: Payment| {
        let mut hashes = replaced.remove(&payment.id).unwrap_or_default();
        hashes.extend(payment.tx_hash);
        Watched { payment, hashes }
    };
    Ok(payments.into_iter().map(watch).collect())
}

/// Settled payments that are watched although their block is at most this one.
pub(crate) async fn final_by(
    conn: &mut SqliteConnection,
    block_number: u64,
    limit: u32,
) -> Result<Vec<String>, LedgerError> {
    Ok(sqlx::query_scalar(
        "SELECT id FROM payments WHERE status = 'settled' AND final = 0 AND block_number <= ? LIMIT ?",
    )
    .bind(columns::number_column(block_number)?)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// Payments that have ended on the chain since a moment and whose gas is not recorded yet.
pub(crate) async fn unpriced(
    conn: &mut SqliteConnection,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<Payment>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM payments WHERE status IN ('settled', 'reverted') AND gas_paid_wei IS NULL AND updated_at >= ? LIMIT ?",
    )
    .bind(since.as_millisecond())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    read_all(rows)
}

/// Reserved payments with their quotes, after an id, in the order of their ids.
pub(crate) async fn unsigned(
    conn: &mut SqliteConnection,
    after: &str,
    limit: u32,
) -> Result<Vec<Unsigned>, LedgerError> {
    let rows: Vec<Quoted> = sqlx::query_as(
        "SELECT payments.*, quotes.expires_at, quotes.signed_by FROM payments JOIN quotes ON quotes.id = quote_id \
         WHERE status = 'reserved' AND payments.id > ? ORDER BY payments.id LIMIT ?",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|quoted| {
            Ok(Unsigned {
                payment: quoted.row.read()?,
                quoted_until: columns::time(quoted.expires_at)?,
                signer: Signer::remembered(quoted.signed_by),
            })
        })
        .collect()
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

/// What the chain's state does not show yet, if it has mined the spender's first `mined` transactions.
pub(crate) async fn in_flight(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    payer: Address,
    mined: u64,
) -> Result<InFlight, LedgerError> {
    let rows: Vec<(String, Option<String>, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT amount, gas_wei, payer FROM payments WHERE workspace_id = ? AND nonce >= ? AND status <> 'reverted'",
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
         WHERE status IN ('awaiting_approval', 'reserved', 'signed', 'broadcast', 'included') GROUP BY status",
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
