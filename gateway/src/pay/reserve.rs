//! The quote becomes a payment: decision and reservation in one change of the ledger, so that no
//! concurrency passes a limit and no invoice gets a second payment.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::{
    codes::{Denial, PaymentError, PaymentFailure},
    payment::PaymentStatus,
};
use x402_service::{api_key::random_id, clock};

use crate::{
    fault,
    gateway::Gateway,
    idempotency::{Attempt, IdempotencyError},
    ledger::{
        LedgerError,
        payments::{self, Failure, Payment},
        quotes::{self, Quote},
        transitions, under_way,
    },
    policy::{Allowed, Denied, Known, Terms},
    principal::Agent,
    standing::{self, Question},
};

/// The most payments of a workspace that wait for an approval at once.
const MAX_AWAITING: i64 = 1_000;

/// What became of asking to pay a quote.
#[derive(Debug)]
pub(crate) enum Reservation {
    /// A payment was made: reserved, and has to be driven, or waiting for an approval, or denied.
    New(Payment),
    /// There is one already, whatever its status.
    Known(Payment),
    /// There is none and will be none: the quote is not there, or too old.
    Refused(PaymentFailure),
}

/// Reserves the quote's amount for the agent, or records why not.
pub(crate) async fn reserve(
    gateway: &Gateway,
    agent: &Agent,
    attempt: &Attempt,
    quote_id: &str,
) -> Result<Reservation, IdempotencyError> {
    let mut change = gateway.ledger.write().await?;
    attempt.bind(&mut change).await?;
    let reservation = reserve_in(gateway, &mut change, agent, quote_id).await?;
    fault::point!("reserving");
    change.commit().await.map_err(LedgerError::from)?;
    fault::point!("reserved");
    Ok(reservation)
}

async fn reserve_in(
    gateway: &Gateway,
    change: &mut SqliteConnection,
    agent: &Agent,
    quote_id: &str,
) -> Result<Reservation, LedgerError> {
    // Taken under the lock, so that a day ends for all payments in the same order.
    let now = clock::now();
    let Some(quote) = quotes::find(change, &agent.agent_id, quote_id).await? else {
        return Ok(Reservation::Refused(PaymentFailure::QuoteNotFound));
    };
    if let Some(payment) = payments::of_quote(change, &quote.id).await? {
        return Ok(Reservation::Known(payment));
    }
    let asked = Terms {
        invoice: &quote.invoice,
        agent_id: &agent.agent_id,
    };
    let before = payments::of_invoice(change, &agent.workspace_id, &quote.invoice).await?;
    let known = Known::of(before.as_ref().map(Payment::terms), asked);
    if let (Known::SameTerms, Some(payment)) = (known, before) {
        return Ok(Reservation::Known(payment));
    }
    if now >= quote.expires_at {
        return Ok(Reservation::Refused(PaymentFailure::QuoteExpired));
    }
    let question = Question {
        agent,
        invoice: &quote.invoice,
        network: quote.network,
        now,
        signer: &quote.signer,
        known,
        approved: false,
    };
    let decision = standing::decide(change, gateway.network, question).await?;
    let decision = bounded(change, agent, decision).await?;
    let payment = payment(gateway, &quote, decision, now)?;
    transitions::create(change, &payment, &quote).await?;
    Ok(Reservation::New(payment))
}

/// Approvals cost an owner's attention: an agent that asks for too many is denied.
async fn bounded(
    conn: &mut SqliteConnection,
    agent: &Agent,
    decision: Result<Allowed, Denied>,
) -> Result<Result<Allowed, Denied>, LedgerError> {
    let waits = decision
        .as_ref()
        .is_ok_and(|allowed| allowed.needs_approval);
    if waits && under_way::count_awaiting(conn, &agent.workspace_id).await? >= MAX_AWAITING {
        return Ok(Err(Denied {
            code: Denial::ApprovalRequired,
            message: format!(
                "an owner has to approve this amount and {MAX_AWAITING} payments wait for that already; see GET /approvals"
            ),
        }));
    }
    Ok(decision)
}

/// The payment that a decision makes of a quote.
fn payment(
    gateway: &Gateway,
    quote: &Quote,
    decision: Result<Allowed, Denied>,
    now: Timestamp,
) -> Result<Payment, LedgerError> {
    let until = now.saturating_add(gateway.approval_ttl).unwrap_or(now);
    let (status, reserved_at, approval_until, failure) = match decision {
        Ok(allowed) if allowed.needs_approval => {
            (PaymentStatus::AwaitingApproval, None, Some(until), None)
        }
        Ok(_) => (PaymentStatus::Reserved, Some(now), None, None),
        Err(Denied { code, message }) => {
            let failure = Failure {
                code: PaymentError::Denied(code),
                detail: message,
            };
            (PaymentStatus::Denied, None, None, Some(failure))
        }
    };
    Ok(Payment {
        id: random_id("pay")?,
        workspace_id: quote.workspace_id.clone(),
        agent_id: quote.agent_id.clone(),
        memo: quote.invoice.hash(gateway.network, gateway.chain.token()),
        invoice: quote.invoice.clone(),
        status,
        failure,
        reserved_at,
        approval_until,
        payer: None,
        tx_hash: None,
        gas_paid_wei: None,
        place: None,
        proof: None,
        created_at: now,
        updated_at: now,
    })
}
