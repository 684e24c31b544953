//! `POST /quote`: may this agent pay this invoice?
//!
//! The answer is recorded, denials included. It reserves nothing: `/pay` decides again.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use thiserror::Error;
use x402_schemas::{
    api::agent::{QuoteAllowed, QuoteDenied, QuoteRequest},
    codes::{Denial, PaymentFailure},
    invoice::{Invoice, InvoiceError, Resource},
};
use x402_service::{api_key::random_id, clock, json::StrictJson, problem::Problem};

use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError,
        payments::{self, Payment},
        quotes::{self, Quote},
    },
    origin,
    policy::{Allowed, Denied, Known, Terms},
    principal::Agent,
    standing::{self, Question},
};

/// Characters of a description.
const MAX_DESCRIPTION: usize = 1_000;

/// Characters of a signature; one that is right has about a hundred.
const MAX_SIGNATURE: usize = 256;

/// Why there is no quote.
#[derive(Debug, Error)]
pub(crate) enum QuoteError {
    #[error("an invoice of nothing needs no payment")]
    ZeroAmount,
    #[error("the zero address cannot be paid")]
    ZeroPayee,
    #[error("a description has at most {MAX_DESCRIPTION} characters")]
    LongDescription,
    #[error("a signature has at most {MAX_SIGNATURE} characters")]
    LongSignature,
    #[error("{0}")]
    Resource(InvoiceError),
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
}

impl IntoResponse for QuoteError {
    fn into_response(self) -> Response {
        match self {
            Self::ZeroAmount
            | Self::ZeroPayee
            | Self::LongDescription
            | Self::LongSignature
            | Self::Resource(_) => Problem::invalid(self.to_string()).into_response(),
            Self::Ledger(error) => Problem::from(error).into_response(),
        }
    }
}

/// May I pay this invoice? A quote is good for 60 seconds by default and reserves nothing.
#[utoipa::path(post, path = "/quote", tag = "agent", request_body = QuoteRequest,
    responses(
        (status = 200, body = QuoteAllowed),
        (status = 403, body = QuoteDenied, description = "AGENT_DISABLED, AGENT_PAUSED, WORKSPACE_PAUSED, POLICY_EXPIRED, \
            OUTSIDE_ACTIVE_HOURS, PROVIDER_NOT_ALLOWED, RECIPIENT_NOT_REGISTERED, INVOICE_SIGNATURE_INVALID, INVOICE_NOT_SIGNED, NETWORK_NOT_ALLOWED, AGENT_REQUEST_LIMIT, WORKSPACE_REQUEST_LIMIT, \
            AGENT_DAILY_LIMIT, AGENT_MONTHLY_LIMIT, AGENT_ROLLING_LIMIT, AGENT_BUDGET_EXCEEDED, WORKSPACE_BUDGET_EXCEEDED, \
            RATE_LIMITED, DUPLICATE_PAYMENT, DUPLICATE_PURCHASE"),
    ), security(("agent" = [])))]
pub(crate) async fn quote(
    State(gateway): State<Arc<Gateway>>,
    agent: Agent,
    StrictJson(request): StrictJson<QuoteRequest>,
) -> Result<Response, QuoteError> {
    let invoice = invoice(&request)?;
    let description = request.description.as_deref();
    if description.is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
        return Err(QuoteError::LongDescription);
    }
    let signature = request.signature.as_deref();
    if signature.is_some_and(|text| text.len() > MAX_SIGNATURE) {
        return Err(QuoteError::LongSignature);
    }
    let now = clock::now();
    let hash = invoice.hash(request.network, gateway.chain.token());
    let mut conn = gateway.ledger.read().await?;
    let asked = Terms {
        invoice: &invoice,
        agent_id: &agent.agent_id,
    };
    let before = payments::of_invoice(&mut conn, &agent.workspace_id, &invoice).await?;
    let signer = origin::check(&mut conn, signature, hash, now).await?;
    let question = Question {
        agent: &agent,
        invoice: &invoice,
        network: request.network,
        now,
        signer: &signer,
        known: Known::of(before.as_ref().map(Payment::terms), asked),
        approved: false,
    };
    let decision = standing::decide(&mut conn, gateway.network, question).await?;
    drop(conn);
    let quote = Quote {
        id: random_id("qt").map_err(LedgerError::from)?,
        workspace_id: agent.workspace_id,
        agent_id: agent.agent_id,
        invoice,
        network: request.network,
        signer,
        created_at: now,
        expires_at: now.saturating_add(gateway.quote_ttl).unwrap_or(now),
    };
    let denial = decision.as_ref().err().map(|denied| denied.code);
    let mut change = gateway.ledger.write().await?;
    quotes::insert(&mut change, &quote, description, denial).await?;
    change.commit().await.map_err(LedgerError::from)?;
    let waits = decision
        .as_ref()
        .is_ok_and(|allowed| allowed.needs_approval);
    let outcome = denial.or(waits.then_some(Denial::ApprovalRequired));
    gateway.metrics.quoted(outcome);
    let short = gateway.funds.is_short(&quote.workspace_id);
    let warnings = short.then_some(PaymentFailure::InsufficientGas);
    Ok(answer(quote, decision, warnings.into_iter().collect()))
}

fn invoice(request: &QuoteRequest) -> Result<Invoice, QuoteError> {
    if request.amount.is_zero() {
        return Err(QuoteError::ZeroAmount);
    }
    if request.pay_to.is_zero() {
        return Err(QuoteError::ZeroPayee);
    }
    let method = request.method.as_deref().unwrap_or("GET");
    Ok(Invoice {
        id: request.invoice_id.clone(),
        pay_to: request.pay_to,
        amount: request.amount,
        resource: Resource::of(method, &request.provider_url).map_err(QuoteError::Resource)?,
    })
}

fn answer(
    quote: Quote,
    decision: Result<Allowed, Denied>,
    warnings: Vec<PaymentFailure>,
) -> Response {
    match decision {
        Ok(allowed) => Json(QuoteAllowed {
            allowed: true,
            quote_id: quote.id,
            expires_at: quote.expires_at,
            remaining: allowed.remaining,
            approval_required: allowed.needs_approval,
            warnings,
        })
        .into_response(),
        Err(Denied { code, message }) => {
            let denied = QuoteDenied {
                allowed: false,
                reason: code,
                message,
            };
            (StatusCode::FORBIDDEN, Json(denied)).into_response()
        }
    }
}
