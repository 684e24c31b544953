//! Workspaces: made by the operator, looked at and budgeted by their owners.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use x402_schemas::api::{
    ErrorBody,
    owner::{CreateWorkspace, SetBudget, WorkspaceCreated, WorkspaceView},
};
use x402_service::{
    api_key::{ApiKey, KeyKind, random_id},
    clock,
    json::StrictJson,
    problem::Problem,
};

use crate::{
    gateway::{Gateway, checked_name},
    ledger::{
        LedgerError,
        api_keys::{self, Holder},
        held, workspaces,
    },
    principal::{Operator, Owner},
    spender::{Spender, SpenderError},
};

/// Makes a workspace and its owner's key.
#[utoipa::path(post, path = "/workspaces", tag = "operator", request_body = CreateWorkspace,
    responses(
        (status = 201, body = WorkspaceCreated),
        (status = 400, body = ErrorBody, description = "INVALID_REQUEST"),
        (status = 401, body = ErrorBody, description = "UNAUTHORIZED: not the operator's token"),
    ), security(("operator" = [])))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Operator: Operator,
    StrictJson(request): StrictJson<CreateWorkspace>,
) -> Result<(StatusCode, Json<WorkspaceCreated>), Problem> {
    let name = checked_name(&request.name)?;
    let workspace_id = random_id("ws").map_err(LedgerError::from)?;
    let key = ApiKey::generate(KeyKind::Owner).map_err(LedgerError::from)?;
    let hash = key.hash(&gateway.key_pepper);
    let now = clock::now();
    let mut change = gateway.ledger.write().await?;
    workspaces::insert(
        &mut change,
        &workspace_id,
        name,
        request.monthly_budget,
        now,
    )
    .await?;
    api_keys::insert(
        &mut change,
        key.key_id(),
        hash,
        &workspace_id,
        Holder::Owner,
        now,
    )
    .await?;
    change.commit().await.map_err(LedgerError::from)?;
    let created = WorkspaceCreated {
        workspace_id,
        api_key: key.expose(),
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// The owner's workspace, with what its agents spent in this UTC month.
#[utoipa::path(get, path = "/workspace", tag = "owner",
    responses(
        (status = 200, body = WorkspaceView),
        (status = 401, body = ErrorBody, description = "UNAUTHORIZED"),
    ), security(("owner" = [])))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
) -> Result<Json<WorkspaceView>, Problem> {
    view(&gateway, &owner).await.map(Json)
}

/// Sets the workspace's budget for a UTC month. Holds from the next quote and payment on.
#[utoipa::path(put, path = "/workspace/budget", tag = "owner", request_body = SetBudget,
    responses(
        (status = 200, body = WorkspaceView),
        (status = 400, body = ErrorBody, description = "INVALID_REQUEST"),
        (status = 401, body = ErrorBody, description = "UNAUTHORIZED"),
    ), security(("owner" = [])))]
pub(crate) async fn set_budget(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    StrictJson(request): StrictJson<SetBudget>,
) -> Result<Json<WorkspaceView>, Problem> {
    let mut change = gateway.ledger.write().await?;
    workspaces::set_budget(&mut change, &owner.workspace_id, request.monthly_budget).await?;
    change.commit().await.map_err(LedgerError::from)?;
    view(&gateway, &owner).await.map(Json)
}

async fn view(gateway: &Gateway, owner: &Owner) -> Result<WorkspaceView, Problem> {
    let mut conn = gateway.ledger.read().await?;
    let workspace = workspaces::get(&mut conn, &owner.workspace_id).await?;
    let account = held::Account {
        workspace_id: &workspace.id,
        agent_id: "",
        created_at: clock::now(),
    };
    let spent = held::spent(&mut conn, account).await?;
    let spender = Spender::of_workspace(&gateway.seed, workspace.number)?.address();
    Ok(WorkspaceView {
        workspace_id: workspace.id,
        name: workspace.name,
        monthly_budget: workspace.monthly_budget,
        monthly_spent: spent.workspace_month,
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
