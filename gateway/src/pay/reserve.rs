//! The quote becomes a payment: decision and reservation in one change of the ledger, so that no
//! concurrency passes a limit and no invoice gets a second payment.

use x402_schemas::codes::{Denial, PaymentFailure};
use x402_schemas::payment::PaymentStatus;
use x402_service::{api_key::random_id, clock};

use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError,
        payments::{self, Payment},
        quotes,
        transitions::{self, Reserved},
    },
    principal::Agent,
    quote,
};

/// What became of asking to pay a quote.
#[derive(Debug)]
pub(crate) enum Reservation {
    /// A payment was made and has to be driven.
    New(Payment),
    /// There is one already, whatever its status.
    Known(Payment),
    /// There is none and will be none.
    Refused(Refusal),
}

/// Why there is no payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The quote is not there, or too old.
    Quote(PaymentFailure),
    /// Policy says no, now.
    Denied(Denial, String),
}

/// Reserves the quote's amount for the agent, or says why not.
pub(crate) async fn reserve(
    gateway: &Gateway,
    agent: &Agent,
    quote_id: &str,
) -> Result<Reservation, LedgerError> {
    let refused = |code| Ok(Reservation::Refused(Refusal::Quote(code)));
    let mut change = gateway.ledger.write().await?;
    // Taken under the lock, so that a day ends for all payments in the same order.
    let now = clock::now();
    let Some(quote) = quotes::find(&mut change, &agent.agent_id, quote_id).await? else {
        return refused(PaymentFailure::QuoteNotFound);
    };
    if let Some(payment) = payments::of_quote(&mut change, &quote.id).await? {
        return Ok(Reservation::Known(payment));
    }
    let existing = payments::of_invoice(&mut change, &agent.workspace_id, &quote.invoice).await?;
    if let Some(payment) = existing
        && payment.invoice == quote.invoice
        && payment.agent_id == agent.agent_id
    {
        return Ok(Reservation::Known(payment));
    }
    if now >= quote.expires_at {
        return refused(PaymentFailure::QuoteExpired);
    }
    let decision = quote::decide(
        &mut change,
        gateway.network,
        agent,
        &quote.invoice,
        quote.network,
        now,
    )
    .await?;
    if let Err((denial, message)) = decision {
        return Ok(Reservation::Refused(Refusal::Denied(denial, message)));
    }
    let payment = Payment {
        id: random_id("pay")?,
        workspace_id: agent.workspace_id.clone(),
        agent_id: agent.agent_id.clone(),
        memo: quote.invoice.hash(gateway.network, gateway.chain.token()),
        invoice: quote.invoice,
        status: PaymentStatus::Reserved,
        failure: None,
        payer: None,
        tx_hash: None,
        place: None,
        proof: None,
        created_at: now,
        updated_at: now,
    };
    let reserved = Reserved {
        payment: &payment,
        quote_id: &quote.id,
    };
    transitions::reserve(&mut change, reserved).await?;
    change.commit().await?;
    Ok(Reservation::New(payment))
}
