//! `GET /payments`: where payments stand. An agent sees its own, a member all of the workspace's.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use x402_schemas::{
    amount::Amount,
    api::{ErrorBody, agent::PaymentView},
    network::Network,
};
use x402_service::{json::StrictQuery, problem::Problem};

use crate::{
    gateway::Gateway,
    ledger::{
        payments::{self, Payment},
        steps,
    },
    permissions::Viewing,
    principal::{Member, Reader},
};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// The query of `GET /payments`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many; 50 when absent, 200 at most.
    limit: Option<u32>,
    /// Only payments older than this one: the last id of the page before.
    before: Option<String>,
}

/// Where a payment stands, and how it came there.
#[utoipa::path(get, path = "/payments/{id}", tag = "agent", params(("id" = String, Path)),
    responses(
        (status = 200, body = PaymentView),
        (status = 404, body = ErrorBody, description = "NOT_FOUND"),
    ), security(("agent" = []), ("owner" = [])))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    reader: Reader,
    Path(id): Path<String>,
) -> Result<Json<PaymentView>, Problem> {
    let mut conn = gateway.ledger.read().await?;
    let payment = payments::find(&mut conn, &id)
        .await?
        .filter(|payment| may_see(&reader, payment))
        .ok_or_else(|| Problem::not_found("payment"))?;
    let history = steps::of_payment(&mut conn, &payment.id).await?;
    Ok(Json(PaymentView {
        history,
        ..view(payment, gateway.network)
    }))
}

/// The workspace's payments, newest first.
#[utoipa::path(get, path = "/payments", tag = "owner", params(PageQuery),
    responses(
        (status = 200, body = Vec<PaymentView>),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no payment of yours has the id `before`"),
    ), security(("owner" = [])))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Viewing>,
    StrictQuery(query): StrictQuery<PageQuery>,
) -> Result<Json<Vec<PaymentView>>, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::invalid(format!("limit is 1 to {MAX_LIMIT}")));
    }
    let mut conn = gateway.ledger.read().await?;
    let before = match query.before {
        None => None,
        Some(id) => Some(
            payments::find(&mut conn, &id)
                .await?
                .filter(|payment| payment.workspace_id == member.workspace_id)
                .ok_or_else(|| Problem::not_found("payment"))?,
        ),
    };
    let page = payments::page(&mut conn, &member.workspace_id, before.as_ref(), limit).await?;
    let views = page
        .into_iter()
        .map(|payment| view(payment, gateway.network))
        .collect();
    Ok(Json(views))
}

/// Whether a payment is the reader's to look at.
pub(crate) fn may_see(reader: &Reader, payment: &Payment) -> bool {
    match reader {
        Reader::Member(member) => payment.workspace_id == member.workspace_id,
        Reader::Agent(agent) => {
            payment.workspace_id == agent.workspace_id && payment.agent_id == agent.agent_id
        }
    }
}

/// What is shown of a payment.
pub(crate) fn view(payment: Payment, network: Network) -> PaymentView {
    let (error, message) = payment
        .failure
        .map(|failure| (failure.code, failure.detail))
        .unzip();
    PaymentView {
        payment_id: payment.id,
        agent_id: payment.agent_id,
        status: payment.status,
        invoice_id: payment.invoice.id,
        amount: payment.invoice.amount,
        pay_to: payment.invoice.pay_to,
        network,
        resource: payment.invoice.resource,
        tx_hash: payment.tx_hash,
        gas_paid_wei: payment.gas_paid_wei.map(Amount::to_base_text),
        proof: payment.proof,
        error,
        message,
        approval_until: payment.approval_until,
        created_at: payment.created_at,
        updated_at: payment.updated_at,
        history: Vec::new(),
    }
}
