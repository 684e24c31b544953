//! Agents: made, given a policy, given a new key, revoked.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::{
    api::{
        ErrorBody,
        keys::RotateKey,
        owner::{AgentCreated, AgentView, CreateAgent, Revoked},
    },
    policy::Policy,
};
use x402_service::{
    api_key::{KeyKind, random_id},
    clock,
    json::{OptionalJson, StrictJson},
    problem::Problem,
};

use crate::{
    gateway::{Gateway, checked_name},
    idempotency::{IdempotencyKey, Known},
    keys,
    ledger::{
        LedgerError,
        agents::{self, AgentRow},
        api_keys::{self, Holder},
        held::{self, Span},
    },
    permissions::{ManagingAgents, PausingAgents, Viewing},
    principal::Member,
};

/// The most agents of one workspace, revoked ones included.
const MAX_AGENTS: i64 = 10_000;

/// Makes an agent. Without a policy it may pay nothing.
#[utoipa::path(post, path = "/agents", tag = "owner", request_body = CreateAgent,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats get the same answer for a day")),
    responses(
        (status = 201, body = AgentCreated),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin"),
        (status = 409, body = ErrorBody, description = "TOO_MANY, IDEMPOTENCY_KEY_REUSED"),
    ), security(("owner" = [])))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingAgents>,
    key: IdempotencyKey,
    StrictJson(request): StrictJson<CreateAgent>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let attempt = key.attempt(&member.id, "POST /agents", &request, now)?;
    let name = checked_name(&request.name)?;
    request.policy.as_ref().map_or(Ok(()), check)?;
    let agent_id = random_id("ag").map_err(LedgerError::from)?;
    let mut change = gateway.ledger.write().await?;
    if let Known::Answered(answer) = attempt.look(&gateway, &mut change).await? {
        return Ok(answer);
    }
    if agents::count(&mut change, &member.workspace_id).await? >= MAX_AGENTS {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "TOO_MANY",
            format!("a workspace has at most {MAX_AGENTS} agents, revoked ones included"),
        ));
    }
    let policy = request.policy.as_ref();
    agents::insert(
        &mut change,
        &member.workspace_id,
        &agent_id,
        name,
        policy,
        now,
    )
    .await?;
    let (workspace_id, holder) = (&member.workspace_id, Holder::Agent(&agent_id));
    let kind = KeyKind::Agent;
    let key = keys::issue(&gateway, &mut change, workspace_id, holder, kind, now).await?;
    let created = AgentCreated {
        agent_id,
        api_key: key.expose(),
    };
    let answer = attempt
        .answer(&gateway, &mut change, StatusCode::CREATED, &created)
        .await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(answer)
}

/// All agents, revoked ones included, oldest first.
#[utoipa::path(get, path = "/agents", tag = "owner",
    responses(
        (status = 200, body = Vec<AgentView>),
    ), security(("owner" = [])))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Viewing>,
) -> Result<Json<Vec<AgentView>>, Problem> {
    let now = clock::now();
    let mut conn = gateway.ledger.read().await?;
    let mut views = Vec::new();
    for agent in agents::list(&mut conn, &member.workspace_id).await? {
        views.push(view(&gateway, &mut conn, agent, now).await?);
    }
    Ok(Json(views))
}

/// Replaces an agent's policy. Holds from the next quote and payment on.
#[utoipa::path(put, path = "/agents/{id}/policy", tag = "owner", request_body = Policy,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = AgentView),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND"),
    ), security(("owner" = [])))]
pub(crate) async fn set_policy(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingAgents>,
    Path(id): Path<String>,
    StrictJson(policy): StrictJson<Policy>,
) -> Result<Json<AgentView>, Problem> {
    check(&policy)?;
    let mut change = gateway.ledger.write().await?;
    standing(&mut change, &member.workspace_id, &id).await?;
    agents::set_policy(&mut change, &id, &policy).await?;
    let agent = standing(&mut change, &member.workspace_id, &id).await?;
    let view = view(&gateway, &mut change, agent, clock::now()).await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(Json(view))
}

/// Stops an agent from being allowed anything new. What is under way goes on.
#[utoipa::path(post, path = "/agents/{id}/pause", tag = "owner", params(("id" = String, Path)),
    responses(
        (status = 200, body = AgentView),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes a member"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no such agent, or it is revoked"),
    ), security(("owner" = [])))]
pub(crate) async fn pause(
    State(gateway): State<Arc<Gateway>>,
    member: Member<PausingAgents>,
    Path(id): Path<String>,
) -> Result<Json<AgentView>, Problem> {
    set_paused(&gateway, &member.workspace_id, &id, Some(clock::now())).await
}

/// Lets a paused agent go on.
#[utoipa::path(post, path = "/agents/{id}/resume", tag = "owner", params(("id" = String, Path)),
    responses(
        (status = 200, body = AgentView),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no such agent, or it is revoked"),
    ), security(("owner" = [])))]
pub(crate) async fn resume(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingAgents>,
    Path(id): Path<String>,
) -> Result<Json<AgentView>, Problem> {
    set_paused(&gateway, &member.workspace_id, &id, None).await
}

async fn set_paused(
    gateway: &Gateway,
    workspace_id: &str,
    id: &str,
    since: Option<Timestamp>,
) -> Result<Json<AgentView>, Problem> {
    let mut change = gateway.ledger.write().await?;
    standing(&mut change, workspace_id, id).await?;
    agents::set_paused(&mut change, id, since).await?;
    let agent = standing(&mut change, workspace_id, id).await?;
    let view = view(gateway, &mut change, agent, clock::now()).await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(Json(view))
}

/// Gives an agent a new key; the keys of before end at once, or after the grace.
#[utoipa::path(post, path = "/agents/{id}/rotate", tag = "owner", request_body = Option<RotateKey>, params(("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats get the same answer for a day")),
    responses(
        (status = 200, body = AgentCreated),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no such agent, or it is revoked"),
        (status = 409, body = ErrorBody, description = "TOO_MANY, IDEMPOTENCY_KEY_REUSED"),
    ), security(("owner" = [])))]
pub(crate) async fn rotate(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingAgents>,
    key: IdempotencyKey,
    Path(id): Path<String>,
    OptionalJson(request): OptionalJson<RotateKey>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let attempt = key.attempt(&member.id, "POST /agents/rotate", &(&id, request), now)?;
    let mut change = gateway.ledger.write().await?;
    if let Known::Answered(answer) = attempt.look(&gateway, &mut change).await? {
        return Ok(answer);
    }
    let agent = standing(&mut change, &member.workspace_id, &id).await?;
    let (workspace_id, holder) = (&member.workspace_id, Holder::Agent(&agent.id));
    let kind = KeyKind::Agent;
    let key = keys::replace(
        &gateway,
        &mut change,
        workspace_id,
        holder,
        kind,
        request,
        now,
    )
    .await?;
    let created = AgentCreated {
        agent_id: agent.id,
        api_key: key.expose(),
    };
    let answer = attempt
        .answer(&gateway, &mut change, StatusCode::OK, &created)
        .await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(answer)
}

/// Ends an agent and all of its keys at once. What it has under way is still driven to its end.
#[utoipa::path(post, path = "/agents/{id}/revoke", tag = "owner", params(("id" = String, Path)),
    responses(
        (status = 200, body = Revoked),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND"),
    ), security(("owner" = [])))]
pub(crate) async fn revoke(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingAgents>,
    Path(id): Path<String>,
) -> Result<Json<Revoked>, Problem> {
    let now = clock::now();
    let mut change = gateway.ledger.write().await?;
    let agent = agents::find(&mut change, &member.workspace_id, &id)
        .await?
        .ok_or_else(|| Problem::not_found("agent"))?;
    agents::revoke(&mut change, &agent.id, now).await?;
    api_keys::end(&mut change, Holder::Agent(&agent.id), now).await?;
    let recorded = agents::find(&mut change, &member.workspace_id, &id).await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(Json(Revoked {
        revoked_at: recorded.and_then(|agent| agent.revoked_at).unwrap_or(now),
    }))
}

/// The workspace's agent of that id, unless it is revoked.
async fn standing(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    id: &str,
) -> Result<AgentRow, Problem> {
    agents::find(conn, workspace_id, id)
        .await?
        .filter(|agent| agent.revoked_at.is_none())
        .ok_or_else(|| Problem::not_found("agent"))
}

async fn view(
    gateway: &Gateway,
    conn: &mut SqliteConnection,
    agent: AgentRow,
    now: Timestamp,
) -> Result<AgentView, LedgerError> {
    let holder = Holder::Agent(&agent.id);
    let last_used_at = gateway.key_uses.last_of(conn, holder).await?;
    let daily_spent = held::sum(conn, &agent.id, Span::Day, now).await?;
    let monthly_spent = held::sum(conn, &agent.id, Span::Month, now).await?;
    Ok(AgentView {
        agent_id: agent.id,
        name: agent.name,
        policy: agent.policy,
        daily_spent,
        monthly_spent,
        last_used_at,
        paused_at: agent.paused_at,
        revoked_at: agent.revoked_at,
    })
}

fn check(policy: &Policy) -> Result<(), Problem> {
    policy
        .check()
        .map_err(|error| Problem::invalid(error.to_string()))
}
