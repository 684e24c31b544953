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
use jiff::Timestamp;
use sqlx::SqliteConnection;
use thiserror::Error;
use x402_schemas::{
    api::{
        ErrorBody,
        agent::{QuoteAllowed, QuoteDenied, QuoteRequest, RemainingLimits},
    },
    codes::Denial,
    invoice::{Invoice, InvoiceError, Resource},
    network::Network,
};
use x402_service::{api_key::random_id, clock, json::StrictJson, problem::Problem};

use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError, agents, held, payments,
        quotes::{self, Quote},
        workspaces,
    },
    policy::{self, Ask, Known, Standing},
    principal::Agent,
};

/// Characters of a description.
const MAX_DESCRIPTION: usize = 1_000;

/// A decision and, where it is a denial, its words.
pub(crate) type Decision = Result<RemainingLimits, (Denial, String)>;

/// Why there is no quote.
#[derive(Debug, Error)]
pub(crate) enum QuoteError {
    #[error("an invoice of nothing needs no payment")]
    ZeroAmount,
    #[error("the zero address cannot be paid")]
    ZeroPayee,
    #[error("a description has at most {MAX_DESCRIPTION} characters")]
    LongDescription,
    #[error("{0}")]
    Resource(InvoiceError),
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
}

impl IntoResponse for QuoteError {
    fn into_response(self) -> Response {
        match self {
            Self::ZeroAmount | Self::ZeroPayee | Self::LongDescription | Self::Resource(_) => {
                Problem::invalid(self.to_string()).into_response()
            }
            Self::Ledger(error) => Problem::from(error).into_response(),
        }
    }
}

/// May I pay this invoice? A quote is good for 60 seconds by default and reserves nothing.
#[utoipa::path(post, path = "/quote", tag = "agent", request_body = QuoteRequest,
    responses(
        (status = 200, body = QuoteAllowed),
        (status = 403, body = QuoteDenied, description = "AGENT_DISABLED, PROVIDER_NOT_ALLOWED, NETWORK_NOT_ALLOWED, \
            AGENT_REQUEST_LIMIT, AGENT_DAILY_LIMIT, AGENT_MONTHLY_LIMIT, WORKSPACE_BUDGET_EXCEEDED, DUPLICATE_PAYMENT"),
        (status = 400, body = ErrorBody, description = "INVALID_REQUEST"),
        (status = 401, body = ErrorBody, description = "UNAUTHORIZED"),
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
    let now = clock::now();
    let mut conn = gateway.ledger.read().await?;
    let decision = decide(
        &mut conn,
        gateway.network,
        &agent,
        &invoice,
        request.network,
        now,
    )
    .await?;
    drop(conn);
    let quote = Quote {
        id: random_id("qt").map_err(LedgerError::from)?,
        workspace_id: agent.workspace_id,
        agent_id: agent.agent_id,
        invoice,
        network: request.network,
        expires_at: now.saturating_add(gateway.quote_ttl).unwrap_or(now),
    };
    let denial = decision.as_ref().err().map(|(denial, _)| *denial);
    let mut change = gateway.ledger.write().await?;
    quotes::insert(&mut change, &quote, description, denial, now).await?;
    change.commit().await.map_err(LedgerError::from)?;
    gateway.metrics.quoted(denial);
    Ok(answer(quote, decision))
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

/// Reads where the agent stands and asks the policy. Within a change of the ledger the decision
/// holds until that change commits; outside of one it is only information.
pub(crate) async fn decide(
    conn: &mut SqliteConnection,
    pays_on: Network,
    agent: &Agent,
    invoice: &Invoice,
    network: Network,
    now: Timestamp,
) -> Result<Decision, LedgerError> {
    let workspace = workspaces::get(conn, &agent.workspace_id).await?;
    let row = agents::find(conn, &agent.workspace_id, &agent.agent_id).await?;
    let account = held::Account {
        workspace_id: &agent.workspace_id,
        agent_id: &agent.agent_id,
        created_at: now,
    };
    let standing = Standing {
        policy: row.as_ref().and_then(agents::AgentRow::standing_policy),
        monthly_budget: workspace.monthly_budget,
        spent: held::spent(conn, account).await?,
        pays_on,
    };
    let known = match payments::of_invoice(conn, &agent.workspace_id, invoice).await? {
        None => Known::No,
        Some(payment) if payment.invoice == *invoice && payment.agent_id == agent.agent_id => {
            Known::SameTerms
        }
        Some(_) => Known::OtherTerms,
    };
    let ask = Ask {
        pay_to: invoice.pay_to,
        amount: invoice.amount,
        network,
        known,
    };
    Ok(policy::decide(&standing, &ask)
        .map_err(|denial| (denial, policy::explain(denial, &standing, &ask))))
}

fn answer(quote: Quote, decision: Decision) -> Response {
    match decision {
        Ok(remaining) => Json(QuoteAllowed {
            allowed: true,
            quote_id: quote.id,
            expires_at: quote.expires_at,
            remaining,
        })
        .into_response(),
        Err((reason, message)) => {
            let denied = QuoteDenied {
                allowed: false,
                reason,
                message,
            };
            (StatusCode::FORBIDDEN, Json(denied)).into_response()
        }
    }
}
