//! Workspaces: made by the operator with their first owner, looked at and budgeted by their members.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use jiff::Timestamp;
use x402_schemas::{
    api::{
        ErrorBody,
        owner::{CreateWorkspace, SetBudget, SetWorkspacePolicy, WorkspaceCreated, WorkspaceView},
    },
    policy::Policy,
};
use x402_service::{api_key::random_id, clock, json::StrictJson, problem::Problem};

use crate::{
    gateway::{Gateway, checked_name},
    idempotency::{IdempotencyKey, Known},
    ledger::{
        LedgerError,
        held::{self, Span},
        workspaces,
    },
    members,
    permissions::{ManagingWorkspace, PausingWorkspace, Viewing},
    principal::{Member, Operator},
    spender::{Spender, SpenderError},
};

/// Makes a workspace and its owner's key.
#[utoipa::path(post, path = "/workspaces", tag = "operator", request_body = CreateWorkspace,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats get the same answer for a day")),
    responses(
        (status = 201, body = WorkspaceCreated),
        (status = 401, body = ErrorBody, description = "UNAUTHORIZED: not the operator's token"),
        (status = 409, body = ErrorBody, description = "IDEMPOTENCY_KEY_REUSED"),
    ), security(("operator" = [])))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Operator: Operator,
    key: IdempotencyKey,
    StrictJson(request): StrictJson<CreateWorkspace>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let attempt = key.attempt("operator", "POST /workspaces", &request, now)?;
    let name = checked_name(&request.name)?;
    let workspace_id = random_id("ws").map_err(LedgerError::from)?;
    let mut change = gateway.ledger.write().await?;
    if let Known::Answered(answer) = attempt.look(&gateway, &mut change).await? {
        return Ok(answer);
    }
    workspaces::insert(
        &mut change,
        &workspace_id,
        name,
        request.monthly_budget,
        now,
    )
    .await?;
    let owner = members::found(&gateway, &mut change, &workspace_id, now).await?;
    let created = WorkspaceCreated {
        workspace_id,
        member_id: owner.member_id,
        api_key: owner.api_key,
    };
    let answer = attempt
        .answer(&gateway, &mut change, StatusCode::CREATED, &created)
        .await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(answer)
}

/// The workspace, with what its agents spent in this UTC month.
#[utoipa::path(get, path = "/workspace", tag = "owner",
    responses(
        (status = 200, body = WorkspaceView),
    ), security(("owner" = [])))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Viewing>,
) -> Result<Json<WorkspaceView>, Problem> {
    view(&gateway, &member.workspace_id).await.map(Json)
}

/// Sets the workspace's budget for a UTC month. Holds from the next quote and payment on.
#[utoipa::path(put, path = "/workspace/budget", tag = "owner", request_body = SetBudget,
    responses(
        (status = 200, body = WorkspaceView),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an owner"),
    ), security(("owner" = [])))]
pub(crate) async fn set_budget(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingWorkspace>,
    StrictJson(request): StrictJson<SetBudget>,
) -> Result<Json<WorkspaceView>, Problem> {
    let mut change = gateway.ledger.write().await?;
    workspaces::set_budget(&mut change, &member.workspace_id, request.monthly_budget).await?;
    change.commit().await.map_err(LedgerError::from)?;
    view(&gateway, &member.workspace_id).await.map(Json)
}

/// Gives the workspace a policy that all of its agents together have to satisfy, or takes it away. Holds from the next
/// quote and payment on.
#[utoipa::path(put, path = "/workspace/policy", tag = "owner", request_body = SetWorkspacePolicy,
    responses(
        (status = 200, body = WorkspaceView),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an owner"),
    ), security(("owner" = [])))]
pub(crate) async fn set_policy(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingWorkspace>,
    StrictJson(request): StrictJson<SetWorkspacePolicy>,
) -> Result<Json<WorkspaceView>, Problem> {
    let policy = request.policy.as_ref();
    policy
        .map_or(Ok(()), Policy::check)
        .map_err(|error| Problem::invalid(error.to_string()))?;
    let mut change = gateway.ledger.write().await?;
    workspaces::set_policy(&mut change, &member.workspace_id, policy).await?;
    change.commit().await.map_err(LedgerError::from)?;
    view(&gateway, &member.workspace_id).await.map(Json)
}

/// Stops every agent of the workspace from being allowed anything new. What is under way goes on.
#[utoipa::path(post, path = "/workspace/pause", tag = "owner",
    responses(
        (status = 200, body = WorkspaceView),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin"),
    ), security(("owner" = [])))]
pub(crate) async fn pause(
    State(gateway): State<Arc<Gateway>>,
    member: Member<PausingWorkspace>,
) -> Result<Json<WorkspaceView>, Problem> {
    set_paused(&gateway, &member.workspace_id, Some(clock::now())).await
}

/// Lets a paused workspace go on.
#[utoipa::path(post, path = "/workspace/resume", tag = "owner",
    responses(
        (status = 200, body = WorkspaceView),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an owner"),
    ), security(("owner" = [])))]
pub(crate) async fn resume(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingWorkspace>,
) -> Result<Json<WorkspaceView>, Problem> {
    set_paused(&gateway, &member.workspace_id, None).await
}

async fn set_paused(
    gateway: &Gateway,
    workspace_id: &str,
    since: Option<Timestamp>,
) -> Result<Json<WorkspaceView>, Problem> {
    let mut change = gateway.ledger.write().await?;
    workspaces::set_paused(&mut change, workspace_id, since).await?;
    change.commit().await.map_err(LedgerError::from)?;
    view(gateway, workspace_id).await.map(Json)
}

async fn view(gateway: &Gateway, workspace_id: &str) -> Result<WorkspaceView, Problem> {
    let mut conn = gateway.ledger.read().await?;
    let workspace = workspaces::get(&mut conn, workspace_id).await?;
    let now = clock::now();
    let daily_spent = held::sum(&mut conn, &workspace.id, Span::Day, now).await?;
    let monthly_spent = held::sum(&mut conn, &workspace.id, Span::Month, now).await?;
    let spender = Spender::of_workspace(&gateway.seed, workspace.number)?.address();
    Ok(WorkspaceView {
        workspace_id: workspace.id,
        name: workspace.name,
        monthly_budget: workspace.monthly_budget,
        monthly_spent,
        daily_spent,
        policy: workspace.policy,
        paused_at: workspace.paused_at,
        spender,
        network: gateway.network,
        token: gateway.chain.token(),
    })
}

impl From<SpenderError> for Problem {
    fn from(error: SpenderError) -> Self {
        Self::internal(&error)
    }
}
