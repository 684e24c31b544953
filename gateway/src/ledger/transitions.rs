//! Every step of a payment from one status to the next, and nothing else writes a status.
//!
//! A step is written down with its time and reason, moves the money between the accounts that the two
//! statuses stand for, and holds or releases it against limits: all in the caller's change of the
//! ledger, and the event that tells of it is written last. Each function answers whether the step was
//! taken: `false` means that the payment has moved on meanwhile, and nothing was written.

use alloy::primitives::{Address, B256};
use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::{amount::Amount, api::events::EventKind, payment::PaymentStatus};

use super::{
    LedgerError,
    advance::{Step, advance, end, tell},
    columns, events, issued_proofs,
    payments::{self, Failure, Payment, Place},
    quotes::Quote,
    replaced, steps,
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

/// What takes the place of a payment's transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replacement<'a> {
    pub(crate) transaction: &'a SignedTransaction,
    /// The most that it may cost.
    pub(crate) gas_wei: Amount,
    pub(crate) max_fee_per_gas: u128,
}

/// Quoted → reserved, awaiting approval or denied, as the payment's status says.
pub(crate) async fn create(
    conn: &mut SqliteConnection,
    payment: &Payment,
    quote: &Quote,
) -> Result<(), LedgerError> {
    payments::insert(conn, payment, &quote.id).await?;
    let (id, at) = (&payment.id, payment.created_at);
    let quoted = PaymentStatus::Quoted;
    let step = steps::record(conn, id, quoted, "POST /quote allowed it", quote.created_at).await?;
    events::of_step(conn, step, EventKind::PaymentQuoted).await?;
    let failure = payment.failure.as_ref().map(Failure::to_string);
    let reason = match (payment.status, &failure) {
        (_, Some(failure)) => failure.as_str(),
        (PaymentStatus::AwaitingApproval, None) => "policy wants an owner's approval",
        (_, None) => "policy allows it",
    };
    let step = Step {
        to: payment.status,
        reason,
        at,
    };
    let taken = advance(conn, id, &[quoted], step).await?;
    tell(conn, taken, EventKind::of(payment.status))
        .await
        .map(drop)
}

/// Awaiting approval → reserved: an owner has approved it. It counts from here on.
pub(crate) async fn approve(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let step = Step {
        to: PaymentStatus::Reserved,
        reason: "an owner has approved it",
        at: now,
    };
    let taken = advance(conn, id, &[PaymentStatus::AwaitingApproval], step).await?;
    tell(conn, taken, EventKind::PaymentReserved).await
}

/// Awaiting approval → denied: an owner has rejected it. Nothing was held.
pub(crate) async fn reject(
    conn: &mut SqliteConnection,
    id: &str,
    failure: &Failure,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let from = [PaymentStatus::AwaitingApproval];
    let taken = end(conn, id, &from, PaymentStatus::Denied, failure, now).await?;
    tell(conn, taken, EventKind::PaymentDenied).await
}

/// Awaiting approval → expired: no owner has approved it in time. Nothing was held.
pub(crate) async fn expire(
    conn: &mut SqliteConnection,
    id: &str,
    failure: &Failure,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let from = [PaymentStatus::AwaitingApproval];
    let taken = end(conn, id, &from, PaymentStatus::Expired, failure, now).await?;
    tell(conn, taken, EventKind::PaymentExpired).await
}

/// Reserved → reserved: a restart drives it on.
pub(crate) async fn resume(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let step = Step {
        to: PaymentStatus::Reserved,
        reason: "the gateway has restarted and drives it on",
        at: now,
    };
    let taken = advance(conn, id, &[PaymentStatus::Reserved], step).await?;
    tell(conn, taken, EventKind::PaymentReserved).await
}

/// Reserved → signed. Must be committed before the transaction is sent anywhere.
pub(crate) async fn sign(
    conn: &mut SqliteConnection,
    id: &str,
    signed: Signed<'_>,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let reason = format!("nonce {}, {}", signed.nonce, signed.transaction.hash);
    let step = Step {
        to: PaymentStatus::Signed,
        reason: &reason,
        at: now,
    };
    let taken = advance(conn, id, &[PaymentStatus::Reserved], step).await?;
    if taken.is_none() {
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
    .execute(&mut *conn)
    .await?;
    tell(conn, taken, EventKind::PaymentSigned).await
}

/// Signed → broadcast: a node has taken it.
pub(crate) async fn broadcast(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let step = Step {
        to: PaymentStatus::Broadcast,
        reason: "a node has taken it",
        at: now,
    };
    let taken = advance(conn, id, &[PaymentStatus::Signed], step).await?;
    tell(conn, taken, EventKind::PaymentBroadcast).await
}

/// Broadcast → broadcast, with another transaction of the same nonce. Must be committed before that is
/// sent anywhere. The one before is kept: a block may hold it after all.
pub(crate) async fn replace(
    conn: &mut SqliteConnection,
    payment: &Payment,
    replacement: Replacement<'_>,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let Replacement {
        transaction,
        gas_wei,
        max_fee_per_gas,
    } = replacement;
    let id = &payment.id;
    let unchanged = payments::find(conn, id)
        .await?
        .is_some_and(|found| found.tx_hash == payment.tx_hash);
    let reason = format!(
        "waited too long; replaced by {}, which bids {max_fee_per_gas} wei",
        transaction.hash
    );
    let step = Step {
        to: PaymentStatus::Broadcast,
        reason: &reason,
        at: now,
    };
    if !unchanged {
        return Ok(false);
    }
    let taken = advance(conn, id, &[PaymentStatus::Broadcast], step).await?;
    if taken.is_none() {
        return Ok(false);
    }
    replaced::keep(conn, id, now).await?;
    sqlx::query("UPDATE payments SET raw_tx = ?, tx_hash = ?, gas_wei = ? WHERE id = ?")
        .bind(transaction.raw.as_ref())
        .bind(transaction.hash.as_slice())
        .bind(columns::amount_text(gas_wei))
        .bind(id)
        .execute(&mut *conn)
        .await?;
    tell(conn, taken, EventKind::PaymentReplaced).await
}

/// Signed or broadcast → included: a node has it in a block, and the index will tell.
pub(crate) async fn include(
    conn: &mut SqliteConnection,
    id: &str,
    block_number: u64,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let reason = format!("in block {block_number}");
    let step = Step {
        to: PaymentStatus::Included,
        reason: &reason,
        at: now,
    };
    let from = [PaymentStatus::Signed, PaymentStatus::Broadcast];
    let taken = advance(conn, id, &from, step).await?;
    tell(conn, taken, EventKind::PaymentIncluded).await
}

/// Included → broadcast: the node has it in no block any more.
pub(crate) async fn exclude(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let step = Step {
        to: PaymentStatus::Broadcast,
        reason: "its block is gone",
        at: now,
    };
    let taken = advance(conn, id, &[PaymentStatus::Included], step).await?;
    tell(conn, taken, EventKind::PaymentBroadcast).await
}

/// Signed, broadcast or included → settled, with its proof. What was not seen in a block before is now.
pub(crate) async fn settle(
    conn: &mut SqliteConnection,
    id: &str,
    place: Place,
    proof: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    include(conn, id, place.block_number, now).await?;
    let reason = format!("the index has it in block {}", place.block_number);
    let step = Step {
        to: PaymentStatus::Settled,
        reason: &reason,
        at: now,
    };
    let taken = advance(conn, id, &[PaymentStatus::Included], step).await?;
    if taken.is_none() {
        return Ok(false);
    }
    replaced::restore(conn, id, place.tx_hash, now).await?;
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
    tell(conn, taken, EventKind::PaymentSettled).await
}

/// Settled → broadcast: a reorg took the transfer away. The proof goes with it.
pub(crate) async fn unsettle(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let step = Step {
        to: PaymentStatus::Broadcast,
        reason: "a reorg has removed its block",
        at: now,
    };
    let taken = advance(conn, id, &[PaymentStatus::Settled], step).await?;
    if taken.is_none() {
        return Ok(false);
    }
    sqlx::query(
        "UPDATE payments SET block_number = NULL, block_hash = NULL, log_index = NULL, proof = NULL, final = 0, \
         gas_paid_wei = NULL WHERE id = ?",
    )
    .bind(id)
    .execute(&mut *conn)
    .await?;
    tell(conn, taken, EventKind::PaymentReorged).await
}

/// A settled payment's block is final: it needs no more watching.
pub(crate) async fn finalize(
    conn: &mut SqliteConnection,
    id: &str,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let done = sqlx::query(
        "UPDATE payments SET final = 1 WHERE id = ? AND status = 'settled' AND final = 0",
    )
    .bind(id)
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let kind = EventKind::PaymentFinal;
    events::of_payment(conn, id, kind, "its block is final", now).await?;
    Ok(true)
}

/// Reserved → failed: nothing was signed, so nothing can be paid. Releases the reservation.
pub(crate) async fn fail_unsigned(
    conn: &mut SqliteConnection,
    id: &str,
    failure: &Failure,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let from = [PaymentStatus::Reserved];
    let taken = end(conn, id, &from, PaymentStatus::Failed, failure, now).await?;
    tell(conn, taken, EventKind::PaymentFailed).await
}

/// Signed, broadcast or included → reverted: its transaction is final on the chain and moved nothing.
/// Releases the reservation. Nothing less than finality may come here.
pub(crate) async fn revert(
    conn: &mut SqliteConnection,
    id: &str,
    tx_hash: B256,
    failure: &Failure,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let from = [
        PaymentStatus::Signed,
        PaymentStatus::Broadcast,
        PaymentStatus::Included,
    ];
    let taken = end(conn, id, &from, PaymentStatus::Reverted, failure, now).await?;
    if taken.is_some() {
        replaced::restore(conn, id, tx_hash, now).await?;
    }
    tell(conn, taken, EventKind::PaymentReverted).await
}
