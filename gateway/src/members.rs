//! Members: made, given a role, given a new key, removed. By the workspace's owners, of whom one always remains.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use jiff::Timestamp;
use sqlx::{Sqlite, SqliteConnection, Transaction};
use x402_schemas::api::{
    ErrorBody,
    keys::RotateKey,
    members::{CreateMember, MemberCreated, MemberView, Role, SetRole},
};
use x402_service::{
    api_key::random_id,
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
        api_keys::{self, Holder},
        members::{self, MemberRow},
    },
    permissions::{ManagingMembers, Permission, Viewing},
    principal::Member,
};

/// The most members of one workspace, removed ones included.
const MAX_MEMBERS: i64 = 10_000;

/// Makes a member and its key.
#[utoipa::path(post, path = "/members", tag = "owner", request_body = CreateMember,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats get the same answer for a day")),
    responses(
        (status = 201, body = MemberCreated),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an owner"),
        (status = 409, body = ErrorBody, description = "TOO_MANY, IDEMPOTENCY_KEY_REUSED"),
    ), security(("owner" = [])))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    owner: Member<ManagingMembers>,
    key: IdempotencyKey,
    StrictJson(request): StrictJson<CreateMember>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let attempt = key.attempt(&owner.id, "POST /members", &request, now)?;
    let name = checked_name(&request.name)?;
    let member_id = new_id()?;
    let mut change = gateway.ledger.write().await?;
    still_owns(&mut change, &owner).await?;
    if let Known::Answered(answer) = attempt.look(&gateway, &mut change).await? {
        return Ok(answer);
    }
    if members::count(&mut change, &owner.workspace_id).await? >= MAX_MEMBERS {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "TOO_MANY",
            format!("a workspace has at most {MAX_MEMBERS} members, removed ones included"),
        ));
    }
    let (workspace_id, role) = (&owner.workspace_id, request.role);
    members::insert(&mut change, workspace_id, &member_id, name, role, now).await?;
    let holder = Holder::Member(&member_id);
    let kind = keys::kind_of(role);
    let key = keys::issue(&gateway, &mut change, workspace_id, holder, kind, now).await?;
    let created = MemberCreated {
        member_id,
        role,
        api_key: key.expose(),
    };
    let answer = attempt
        .answer(&gateway, &mut change, StatusCode::CREATED, &created)
        .await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(answer)
}

/// All members, removed ones included, oldest first.
#[utoipa::path(get, path = "/members", tag = "owner",
    responses(
        (status = 200, body = Vec<MemberView>),
    ), security(("owner" = [])))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Viewing>,
) -> Result<Json<Vec<MemberView>>, Problem> {
    let mut conn = gateway.ledger.read().await?;
    let mut views = Vec::new();
    for row in members::list(&mut conn, &member.workspace_id).await? {
        views.push(view(&gateway, &mut conn, row).await?);
    }
    Ok(Json(views))
}

/// The member that is asking.
#[utoipa::path(get, path = "/members/me", tag = "owner",
    responses(
        (status = 200, body = MemberView),
    ), security(("owner" = [])))]
pub(crate) async fn show_me(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Viewing>,
) -> Result<Json<MemberView>, Problem> {
    let mut conn = gateway.ledger.read().await?;
    let row = standing(&mut conn, &member.workspace_id, &member.id).await?;
    Ok(Json(view(&gateway, &mut conn, row).await?))
}

/// Gives a member another role, which holds from its next request on.
#[utoipa::path(put, path = "/members/{id}/role", tag = "owner", params(("id" = String, Path)), request_body = SetRole,
    responses(
        (status = 200, body = MemberView),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an owner"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no such member, or it is removed"),
        (status = 409, body = ErrorBody, description = "LAST_OWNER"),
    ), security(("owner" = [])))]
pub(crate) async fn set_role(
    State(gateway): State<Arc<Gateway>>,
    owner: Member<ManagingMembers>,
    Path(id): Path<String>,
    StrictJson(request): StrictJson<SetRole>,
) -> Result<Json<MemberView>, Problem> {
    let mut change = gateway.ledger.write().await?;
    still_owns(&mut change, &owner).await?;
    let member = standing(&mut change, &owner.workspace_id, &id).await?;
    if request.role != Role::Owner {
        keep_an_owner(&mut change, &owner.workspace_id, &member).await?;
    }
    members::set_role(&mut change, &id, request.role).await?;
    let member = standing(&mut change, &owner.workspace_id, &id).await?;
    let view = view(&gateway, &mut change, member).await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(Json(view))
}

/// Gives a member a new key; the keys of before end at once, or after the grace.
#[utoipa::path(post, path = "/members/{id}/rotate", tag = "owner", request_body = Option<RotateKey>, params(("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats get the same answer for a day")),
    responses(
        (status = 200, body = MemberCreated),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an owner"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no such member, or it is removed"),
        (status = 409, body = ErrorBody, description = "TOO_MANY, IDEMPOTENCY_KEY_REUSED"),
    ), security(("owner" = [])))]
pub(crate) async fn rotate(
    State(gateway): State<Arc<Gateway>>,
    owner: Member<ManagingMembers>,
    key: IdempotencyKey,
    Path(id): Path<String>,
    OptionalJson(request): OptionalJson<RotateKey>,
) -> Result<Response, Problem> {
    let mut change = gateway.ledger.write().await?;
    still_owns(&mut change, &owner).await?;
    rotate_key_of(&gateway, change, &owner, key, &id, request).await
}

/// Gives the member that is asking a new key; the keys of before end at once, or after the grace.
#[utoipa::path(post, path = "/members/me/rotate", tag = "owner", request_body = Option<RotateKey>,
    params(("Idempotency-Key" = Option<String>, Header, description = "With another request it is refused for a day")),
    responses(
        (status = 200, body = MemberCreated),
        (status = 409, body = ErrorBody, description = "TOO_MANY, IDEMPOTENCY_KEY_REUSED"),
    ), security(("owner" = [])))]
pub(crate) async fn rotate_mine(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Viewing>,
    key: IdempotencyKey,
    OptionalJson(request): OptionalJson<RotateKey>,
) -> Result<Response, Problem> {
    let change = gateway.ledger.write().await?;
    rotate_key_of(&gateway, change, &member, key, &member.id, request).await
}

async fn rotate_key_of<P>(
    gateway: &Gateway,
    mut change: Transaction<'static, Sqlite>,
    caller: &Member<P>,
    key: IdempotencyKey,
    id: &str,
    request: RotateKey,
) -> Result<Response, Problem> {
    let now = clock::now();
    let body = (id, request);
    let attempt = key.attempt(&caller.id, "POST /members/rotate", &body, now)?;
    if let Known::Answered(answer) = attempt.look(gateway, &mut change).await? {
        return Ok(answer);
    }
    let workspace_id = &caller.workspace_id;
    let member = standing(&mut change, workspace_id, id).await?;
    let holder = Holder::Member(&member.id);
    let kind = keys::kind_of(member.role);
    let key = keys::replace(
        gateway,
        &mut change,
        workspace_id,
        holder,
        kind,
        request,
        now,
    )
    .await?;
    let created = MemberCreated {
        role: member.role,
        api_key: key.expose(),
        member_id: member.id,
    };
    let answer = attempt
        .answer(gateway, &mut change, StatusCode::OK, &created)
        .await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(answer)
}

/// Ends a membership and its keys at once. What the member has approved goes on.
#[utoipa::path(post, path = "/members/{id}/remove", tag = "owner", params(("id" = String, Path)),
    responses(
        (status = 200, body = MemberView),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an owner"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND"),
        (status = 409, body = ErrorBody, description = "LAST_OWNER"),
    ), security(("owner" = [])))]
pub(crate) async fn remove(
    State(gateway): State<Arc<Gateway>>,
    owner: Member<ManagingMembers>,
    Path(id): Path<String>,
) -> Result<Json<MemberView>, Problem> {
    let now = clock::now();
    let mut change = gateway.ledger.write().await?;
    still_owns(&mut change, &owner).await?;
    let member = find(&mut change, &owner.workspace_id, &id).await?;
    if member.removed_at.is_some() {
        return Ok(Json(view(&gateway, &mut change, member).await?));
    }
    keep_an_owner(&mut change, &owner.workspace_id, &member).await?;
    members::remove(&mut change, &id, now).await?;
    api_keys::end(&mut change, Holder::Member(&id), now).await?;
    let member = find(&mut change, &owner.workspace_id, &id).await?;
    let view = view(&gateway, &mut change, member).await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(Json(view))
}

/// Makes a workspace's first owner, in the change of the ledger that makes the workspace.
pub(crate) async fn found(
    gateway: &Gateway,
    change: &mut SqliteConnection,
    workspace_id: &str,
    now: Timestamp,
) -> Result<MemberCreated, Problem> {
    let (member_id, role) = (new_id()?, Role::Owner);
    members::insert(change, workspace_id, &member_id, role.as_str(), role, now).await?;
    let holder = Holder::Member(&member_id);
    let kind = keys::kind_of(role);
    let key = keys::issue(gateway, change, workspace_id, holder, kind, now).await?;
    Ok(MemberCreated {
        member_id,
        role,
        api_key: key.expose(),
    })
}

fn new_id() -> Result<String, LedgerError> {
    Ok(random_id("mem")?)
}

/// Refuses to take away the only owner who can act: nobody could make another one.
async fn keep_an_owner(
    change: &mut SqliteConnection,
    workspace_id: &str,
    member: &MemberRow,
) -> Result<(), Problem> {
    if member.role != Role::Owner
        || members::has_other_owner(change, workspace_id, &member.id).await?
    {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::CONFLICT,
        "LAST_OWNER",
        "a workspace keeps an owner; make another member one first",
    ))
}

/// Refuses a caller that has lost its role since it was asked who it is: a member that it made now would outlast it.
async fn still_owns(
    change: &mut SqliteConnection,
    owner: &Member<ManagingMembers>,
) -> Result<(), Problem> {
    let caller = find(change, &owner.workspace_id, &owner.id).await?;
    if caller.removed_at.is_some() {
        return Err(Problem::unauthorized());
    }
    if caller.role < ManagingMembers::LEAST {
        return Err(owner.lacks(ManagingMembers::LEAST));
    }
    Ok(())
}

/// The workspace's member of that id, unless it is removed.
async fn standing(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    id: &str,
) -> Result<MemberRow, Problem> {
    let member = find(conn, workspace_id, id).await?;
    if member.removed_at.is_some() {
        return Err(Problem::not_found("member"));
    }
    Ok(member)
}

async fn find(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    id: &str,
) -> Result<MemberRow, Problem> {
    members::find(conn, workspace_id, id)
        .await?
        .ok_or_else(|| Problem::not_found("member"))
}

async fn view(
    gateway: &Gateway,
    conn: &mut SqliteConnection,
    member: MemberRow,
) -> Result<MemberView, LedgerError> {
    let holder = Holder::Member(&member.id);
    let last_used_at = gateway.key_uses.last_of(conn, holder).await?;
    Ok(MemberView {
        member_id: member.id,
        name: member.name,
        role: member.role,
        created_at: member.created_at,
        last_used_at,
        removed_at: member.removed_at,
    })
}
