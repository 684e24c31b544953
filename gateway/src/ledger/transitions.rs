//! Every step of a payment from one status to the next. Nothing else writes a status.
//!
//! Each function takes a connection inside a change of the ledger and answers whether the step was
//! taken: `false` means that the payment has moved on meanwhile, and nothing was written.

use alloy::primitives::Address;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::{amount::Amount, payment::PaymentStatus};

use super::{
    LedgerError, columns, held, issued_proofs,
    payments::{self, Failure, Payment, Place},
};
use crate::spender::SignedTransaction;

/// What signing adds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) payer: Address,
    pub(crate) nonce: u64,
    pub(crate) transaction: &'a SignedTransaction,
    /// The most that it may cost.
    pub(crate) gas_wei: Amount,
}

/// Quoted → reserved, awaiting approval or denied, as the payment's status says. A reserved one counts
/// against every limit from here on.
pub(crate) async fn create(
    conn: &mut SqliteConnection,
    payment: &Payment,
    quote_id: &str,
) -> Result<(), LedgerError> {
    let Payment { id, invoice, .. } = payment;
    let failure = payment.failure.as_ref();
    sqlx::query(
        "INSERT INTO payments (id, workspace_id, agent_id, quote_id, invoice_id, pay_to, amount, resource, memo, \
         status, failure, failure_detail, reserved_at, approval_until, created_at, updated_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
    .bind(payment.status.as_str())
    .bind(failure.map(|failure| failure.code.as_str()))
    .bind(failure.map(|failure| failure.detail.as_str()))
    .bind(payment.reserved_at.map(Timestamp::as_millisecond))
    .bind(payment.approval_until.map(Timestamp::as_millisecond))
    .bind(payment.created_at.as_millisecond())
    .bind(payment.updated_at.as_millisecond())
    .execute(&mut *conn)
    .await?;
    match account(payment) {
        Some(account) => held::hold(conn, account, invoice.amount).await,
        None => Ok(()),
    }
}

/// Awaiting approval → reserved: an owner has approved it. It counts from here on.
pub(crate) async fn approve(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    if step(conn, id, PaymentStatus::Reserved, now)
        .await?
        .is_none()
    {
        return Ok(false);
    }
    sqlx::query("UPDATE payments SET reserved_at = ? WHERE id = ?")
        .bind(now.as_millisecond())
        .bind(id)
        .execute(&mut *conn)
        .await?;
    let payment = payments::find(conn, id)
        .await?
        .ok_or(LedgerError::Unreadable("payment"))?;
    let account = account(&payment).ok_or(LedgerError::Unreadable("reservation"))?;
    held::hold(conn, account, payment.invoice.amount).await?;
    Ok(true)
}

/// Awaiting approval → denied: an owner has rejected it. Nothing was held.
pub(crate) async fn reject(
    conn: &mut SqliteConnection,
    id: &str,
    failure: &Failure,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let from = [PaymentStatus::AwaitingApproval];
    end(conn, id, &from, PaymentStatus::Denied, failure, now).await
}

/// Awaiting approval → expired: no owner has approved it in time. Nothing was held.
pub(crate) async fn expire(
    conn: &mut SqliteConnection,
    id: &str,
    failure: &Failure,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let from = [PaymentStatus::AwaitingApproval];
    end(conn, id, &from, PaymentStatus::Expired, failure, now).await
}

/// Reserved → signed. Must be committed before the transaction is sent anywhere.
pub(crate) async fn sign(
    conn: &mut SqliteConnection,
    id: &str,
    signed: Signed<'_>,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    if step(conn, id, PaymentStatus::Signed, now).await?.is_none() {
        return Ok(false);
    }
    sqlx::query(
        "UPDATE payments SET payer = ?, nonce = ?, raw_tx = ?, tx_hash = ?, gas_wei = ? WHERE id = ?",
    )
    .bind(signed.payer.as_slice())
    .bind(columns::number_column(signed.nonce)?)
    .bind(signed.transaction.raw.as_ref())
    .bind(signed.transaction.hash.as_slice())
    .bind(columns::amount_text(signed.gas_wei))
    .bind(id)
    .execute(conn)
    .await?;
    Ok(true)
}

/// Signed → broadcast: a node has taken it.
pub(crate) async fn broadcast(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let Some(payment) = payments::find(conn, id).await? else {
        return Ok(false);
    };
    // Settled steps back too, but only because a reorg says so.
    if payment.status != PaymentStatus::Signed {
        return Ok(false);
    }
    Ok(step(conn, id, PaymentStatus::Broadcast, now)
        .await?
        .is_some())
}

/// Signed or broadcast → settled, with its proof.
pub(crate) async fn settle(
    conn: &mut SqliteConnection,
    id: &str,
    place: Place,
    proof: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    if step(conn, id, PaymentStatus::Settled, now).await?.is_none() {
        return Ok(false);
    }
    sqlx::query(
        "UPDATE payments SET block_number = ?, block_hash = ?, log_index = ?, proof = ?, final = 0 WHERE id = ?",
    )
    .bind(columns::number_column(place.block_number)?)
    .bind(place.block_hash.as_slice())
    .bind(i64::from(place.log_index))
    .bind(proof)
    .bind(id)
    .execute(&mut *conn)
    .await?;
    issued_proofs::record(conn, proof, now).await?;
    Ok(true)
}

/// Settled → broadcast: a reorg took the transfer away. The proof goes with it.
pub(crate) async fn unsettle(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let Some(payment) = payments::find(conn, id).await? else {
        return Ok(false);
    };
    if payment.status != PaymentStatus::Settled
        || step(conn, id, PaymentStatus::Broadcast, now)
            .await?
            .is_none()
    {
        return Ok(false);
    }
    sqlx::query(
        "UPDATE payments SET block_number = NULL, block_hash = NULL, log_index = NULL, proof = NULL, final = 0 \
         WHERE id = ?",
    )
    .bind(id)
    .execute(conn)
    .await?;
    Ok(true)
}

/// A settled payment's block is final: it needs no more watching.
pub(crate) async fn finalize(conn: &mut SqliteConnection, id: &str) -> Result<bool, LedgerError> {
    let done = sqlx::query(
        "UPDATE payments SET final = 1 WHERE id = ? AND status = 'settled' AND final = 0",
    )
    .bind(id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Reserved → failed: nothing was signed, so nothing can be paid. Releases the reservation.
pub(crate) async fn fail_unsigned(
    conn: &mut SqliteConnection,
    id: &str,
    failure: &Failure,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let from = [PaymentStatus::Reserved];
    end(conn, id, &from, PaymentStatus::Failed, failure, now).await
}

/// Signed or broadcast → failed: its transaction is final on the chain and moved nothing. Releases
/// the reservation. Nothing less than finality may come here.
pub(crate) async fn fail_reverted(
    conn: &mut SqliteConnection,
    id: &str,
    failure: &Failure,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let from = [PaymentStatus::Signed, PaymentStatus::Broadcast];
    end(conn, id, &from, PaymentStatus::Failed, failure, now).await
}

/// Makes a payment void, with the reason, and releases what it held.
async fn end(
    conn: &mut SqliteConnection,
    id: &str,
    from: &[PaymentStatus],
    end: PaymentStatus,
    failure: &Failure,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let Some(payment) = payments::find(conn, id).await? else {
        return Ok(false);
    };
    if !from.contains(&payment.status) || step(conn, id, end, now).await?.is_none() {
        return Ok(false);
    }
    sqlx::query("UPDATE payments SET failure = ?, failure_detail = ? WHERE id = ?")
        .bind(failure.code.as_str())
        .bind(&failure.detail)
        .bind(id)
        .execute(&mut *conn)
        .await?;
    if let Some(account) = account(&payment) {
        held::release(conn, account, payment.invoice.amount).await?;
    }
    Ok(true)
}

/// Takes the step if [`PaymentStatus::may_become`] allows it, and says from where.
async fn step(
    conn: &mut SqliteConnection,
    id: &str,
    next: PaymentStatus,
    now: Timestamp,
) -> Result<Option<PaymentStatus>, LedgerError> {
    let status: Option<String> = sqlx::query_scalar("SELECT status FROM payments WHERE id = ?")
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(status) = status else {
        return Ok(None);
    };
    let status: PaymentStatus = columns::parsed(&status, "status")?;
    if !status.may_become(next) {
        return Ok(None);
    }
    sqlx::query("UPDATE payments SET status = ?, updated_at = ? WHERE id = ?")
        .bind(next.as_str())
        .bind(now.as_millisecond())
        .bind(id)
        .execute(conn)
        .await?;
    Ok(Some(status))
}

/// Whose limits it counts against, if it counts.
fn account(payment: &Payment) -> Option<held::Account<'_>> {
    Some(held::Account {
        workspace_id: &payment.workspace_id,
        agent_id: &payment.agent_id,
        reserved_at: payment.reserved_at?,
    })
}
