//! Members' side: payments that wait for an approval. Nothing is held for them meanwhile; approving asks
//! the policy again, without the rule that made them wait, and reserves in the same change of the ledger.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::{
    api::{ErrorBody, agent::PaymentView, policy::Rejection},
    codes::{PaymentError, PaymentFailure},
    payment::PaymentStatus,
};
use x402_service::{clock, json::StrictJson, problem::Problem};

use crate::{
    fault,
    gateway::Gateway,
    ledger::{
        LedgerError,
        payments::{self, Failure, Payment},
        quotes, transitions, under_way,
    },
    origin::Signer,
    pay,
    payments::view,
    permissions::{Approving, Viewing},
    policy::{Denied, Known},
    principal::{Agent, Member},
    standing::{self, Question},
};

/// The most that are listed; the ones that expire first.
const MAX_LISTED: u32 = 1_000;
/// Characters of a rejection's reason.
const MAX_REASON: usize = 500;

/// Payments that wait for an approval, those first that expire first.
#[utoipa::path(get, path = "/approvals", tag = "owner",
    responses(
        (status = 200, body = Vec<PaymentView>),
    ), security(("owner" = [])))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Viewing>,
) -> Result<Json<Vec<PaymentView>>, Problem> {
    let mut conn = gateway.ledger.read().await?;
    let waiting = under_way::awaiting(&mut conn, &member.workspace_id, MAX_LISTED).await?;
    let views = waiting
        .into_iter()
        .map(|payment| view(payment, gateway.network))
        .collect();
    Ok(Json(views))
}

/// Lets a payment go on that waits for an approval. Every other rule has to hold still.
#[utoipa::path(post, path = "/payments/{id}/approve", tag = "owner", params(("id" = String, Path)),
    responses(
        (status = 200, body = PaymentView),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes a member. A denial: another rule is in the way; the payment waits on"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND"),
        (status = 409, body = ErrorBody, description = "NOT_AWAITING_APPROVAL"),
    ), security(("owner" = [])))]
pub(crate) async fn approve(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Approving>,
    Path(id): Path<String>,
) -> Result<Json<PaymentView>, Problem> {
    let mut change = gateway.ledger.write().await?;
    let now = clock::now();
    let payment = waiting(&mut change, &member.workspace_id, &id, now).await?;
    let agent = Agent {
        workspace_id: payment.workspace_id,
        agent_id: payment.agent_id,
    };
    let signer = Signer::remembered(quotes::signer_of_payment(&mut change, &id).await?);
    let question = Question {
        agent: &agent,
        invoice: &payment.invoice,
        network: gateway.network,
        now,
        signer: &signer,
        known: Known::No,
        approved: true,
    };
    let decision = standing::decide(&mut change, gateway.network, question).await?;
    if let Err(Denied { code, message }) = decision {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            code.as_str(),
            format!("{message}; the payment still waits for an approval"),
        ));
    }
    transitions::approve(&mut change, &id, now).await?;
    let payment = owned(&mut change, &member.workspace_id, &id).await?;
    change.commit().await.map_err(LedgerError::from)?;
    fault::point!("approved");
    gateway.metrics.stepped_to(PaymentStatus::Reserved);
    pay::start(&gateway, payment.clone());
    Ok(Json(view(payment, gateway.network)))
}

/// Ends a payment that waits for an approval.
#[utoipa::path(post, path = "/payments/{id}/reject", tag = "owner", params(("id" = String, Path)),
    request_body = Rejection,
    responses(
        (status = 200, body = PaymentView),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes a member"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND"),
        (status = 409, body = ErrorBody, description = "NOT_AWAITING_APPROVAL"),
    ), security(("owner" = [])))]
pub(crate) async fn reject(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Approving>,
    Path(id): Path<String>,
    StrictJson(rejection): StrictJson<Rejection>,
) -> Result<Json<PaymentView>, Problem> {
    let reason = rejection.reason.trim();
    if reason.chars().count() > MAX_REASON || reason.chars().any(char::is_control) {
        return Err(Problem::invalid(format!(
            "a reason has at most {MAX_REASON} characters, none of them a control character"
        )));
    }
    let mut change = gateway.ledger.write().await?;
    let now = clock::now();
    waiting(&mut change, &member.workspace_id, &id, now).await?;
    let failure = Failure {
        code: PaymentError::Failed(PaymentFailure::ApprovalRejected),
        detail: if reason.is_empty() {
            "a member has rejected it".to_owned()
        } else {
            format!("a member has rejected it: {reason}")
        },
    };
    transitions::reject(&mut change, &id, &failure, now).await?;
    let payment = owned(&mut change, &member.workspace_id, &id).await?;
    change.commit().await.map_err(LedgerError::from)?;
    gateway.metrics.stepped_to(PaymentStatus::Denied);
    gateway.metrics.failed(failure.code);
    gateway.waiters.wake(&id);
    Ok(Json(view(payment, gateway.network)))
}

/// The workspace's payment of that id, if it still waits.
async fn waiting(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    id: &str,
    now: Timestamp,
) -> Result<Payment, Problem> {
    let payment = owned(conn, workspace_id, id).await?;
    let in_time = payment.approval_until.is_some_and(|until| now < until);
    if payment.status == PaymentStatus::AwaitingApproval && in_time {
        return Ok(payment);
    }
    Err(Problem::new(
        StatusCode::CONFLICT,
        "NOT_AWAITING_APPROVAL",
        format!(
            "the payment is {} and waits for no approval, or its time is over",
            payment.status.as_str()
        ),
    ))
}

async fn owned(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    id: &str,
) -> Result<Payment, Problem> {
    payments::find(conn, id)
        .await?
        .filter(|payment| payment.workspace_id == workspace_id)
        .ok_or_else(|| Problem::not_found("payment"))
}
