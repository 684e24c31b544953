//! One step of a payment, with all that belongs to it: its history, its postings, what is held, its
//! event. For `transitions` only, which says what steps there are.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::{api::events::EventKind, payment::PaymentStatus};

use super::{
    LedgerError, events, held,
    payments::{self, Failure, Payment},
    postings::{self, Account},
    steps,
};

/// Where a step leads, and why it is taken.
pub(super) struct Step<'a> {
    pub(super) to: PaymentStatus,
    pub(super) reason: &'a str,
    pub(super) at: Timestamp,
}

/// A step that was taken, by its number, and is still to be told.
#[must_use]
#[derive(Clone, Copy)]
pub(super) struct Taken(i64);

/// Makes a payment void, with the reason.
pub(super) async fn end(
    conn: &mut SqliteConnection,
    id: &str,
    from: &[PaymentStatus],
    end: PaymentStatus,
    failure: &Failure,
    now: Timestamp,
) -> Result<Option<Taken>, LedgerError> {
    let reason = failure.to_string();
    let step = Step {
        to: end,
        reason: &reason,
        at: now,
    };
    let taken = advance(conn, id, from, step).await?;
    if taken.is_none() {
        return Ok(None);
    }
    sqlx::query("UPDATE payments SET failure = ?, failure_detail = ? WHERE id = ?")
        .bind(failure.code.as_str())
        .bind(&failure.detail)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(taken)
}

/// Takes one step from one of these statuses, with all that belongs to it.
pub(super) async fn advance(
    conn: &mut SqliteConnection,
    id: &str,
    from: &[PaymentStatus],
    step: Step<'_>,
) -> Result<Option<Taken>, LedgerError> {
    let Some(payment) = payments::find(conn, id).await? else {
        return Ok(None);
    };
    if !from.contains(&payment.status) || !payment.status.may_become(step.to) {
        return Ok(None);
    }
    let number = steps::record(conn, id, step.to, step.reason, step.at).await?;
    payments::set_status(conn, id, step.to, step.at).await?;
    let (before, after) = (Account::of(payment.status), Account::of(step.to));
    if before == after {
        return Ok(Some(Taken(number)));
    }
    let amount = payment.invoice.amount;
    postings::transfer(conn, number, before, after, amount).await?;
    if before == Account::Available {
        payments::set_reserved_at(conn, id, step.at).await?;
        let counted = held::Account {
            reserved_at: step.at,
            ..account(&payment)
        };
        held::hold(conn, counted, amount).await?;
    }
    if after == Account::Available {
        held::release(conn, account(&payment), amount).await?;
    }
    Ok(Some(Taken(number)))
}

/// Writes the event of a step, after all that belongs to the step. Answers whether there was one.
pub(super) async fn tell(
    conn: &mut SqliteConnection,
    taken: Option<Taken>,
    kind: EventKind,
) -> Result<bool, LedgerError> {
    let Some(Taken(number)) = taken else {
        return Ok(false);
    };
    events::of_step(conn, number, kind).await?;
    Ok(true)
}

/// Whose limits it counts against.
fn account(payment: &Payment) -> held::Account<'_> {
    held::Account {
        workspace_id: &payment.workspace_id,
        agent_id: &payment.agent_id,
        reserved_at: payment.reserved_at.unwrap_or(payment.created_at),
    }
}
