//! API keys: made for whoever is to hold them, listed, replaced with a grace, ended.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;
use x402_schemas::{
    api::{
        ErrorBody,
        keys::{KeyView, MAX_GRACE_SECONDS, RotateKey},
        members::Role,
        owner::Revoked,
    },
    invoice::InvoiceSigner,
};
use x402_service::{
    api_key::{ApiKey, KeyKind},
    clock,
    problem::Problem,
};

use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError,
        api_keys::{self, Holder, KeyRow},
        directory, members, signing_keys,
    },
    permissions::ManagingKeys,
    principal::Member,
};

/// The most keys of one holder that are valid at once.
const MAX_VALID: i64 = 8;

/// Valid keys of the workspace, oldest first. An owner sees the members' too, an admin those of agents and providers.
#[utoipa::path(get, path = "/keys", tag = "owner",
    responses(
        (status = 200, body = Vec<KeyView>),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin"),
    ), security(("owner" = [])))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingKeys>,
) -> Result<Json<Vec<KeyView>>, Problem> {
    let mut conn = gateway.ledger.read().await?;
    let rows = api_keys::valid_of(&mut conn, &member.workspace_id, clock::now()).await?;
    let views: Result<Vec<_>, LedgerError> = rows
        .into_iter()
        .filter(|row| may_manage(&member, row))
        .map(|row| view(&gateway, row))
        .collect();
    Ok(Json(views?))
}

/// Ends one key at once, be it within its grace or not. For a provider's key it answers when it has ended at every
/// verifier.
#[utoipa::path(post, path = "/keys/{id}/revoke", tag = "owner", params(("id" = String, Path)),
    responses(
        (status = 200, body = Revoked),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin, and an owner for a member's key"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no such key, or it has ended"),
        (status = 409, body = ErrorBody, description = "LAST_OWNER: it is the only owner's only key"),
    ), security(("owner" = [])))]
pub(crate) async fn revoke(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingKeys>,
    Path(id): Path<String>,
) -> Result<Json<Revoked>, Problem> {
    let now = clock::now();
    let mut change = gateway.ledger.write().await?;
    let rows = api_keys::valid_of(&mut change, &member.workspace_id, now).await?;
    let row = rows.iter().find(|row| row.key_id == id);
    let row = row.ok_or_else(|| Problem::not_found("key"))?;
    if !may_manage(&member, row) {
        return Err(member.lacks(Role::Owner));
    }
    if row.is_members {
        keep_an_owners_key(&mut change, &member.workspace_id, row, &rows).await?;
    }
    api_keys::end_one(&mut change, &id, now).await?;
    let seq = if row.is_providers {
        Some(directory::advance(&mut change).await?)
    } else {
        None
    };
    change.commit().await.map_err(LedgerError::from)?;
    if let Some(seq) = seq {
        gateway.publish_directory(seq);
        gateway.until_followed(seq).await?;
    }
    Ok(Json(Revoked { revoked_at: now }))
}

/// A member's key opens what its role does, so it is an owner's matter.
fn may_manage(member: &Member<ManagingKeys>, row: &KeyRow) -> bool {
    !row.is_members || member.role == Role::Owner
}

/// Refuses to end what is left of the only owner's keys: nobody could make another one.
async fn keep_an_owners_key(
    change: &mut SqliteConnection,
    workspace_id: &str,
    key: &KeyRow,
    keys: &[KeyRow],
) -> Result<(), Problem> {
    let holder = members::find(change, workspace_id, &key.holder_id).await?;
    let of_an_owner = holder.is_some_and(|holder| holder.role == Role::Owner);
    let has_another = keys.iter().any(|other| {
        other.holder_id == key.holder_id && other.key_id != key.key_id && other.ends_at.is_none()
    });
    if !of_an_owner
        || has_another
        || members::has_other_owner(change, workspace_id, &key.holder_id).await?
    {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::CONFLICT,
        "LAST_OWNER",
        "it is the last key of the last owner; rotate it instead",
    ))
}

/// Makes a key in the place of those that a holder has, which end now or after the grace.
pub(crate) async fn replace(
    gateway: &Gateway,
    change: &mut SqliteConnection,
    workspace_id: &str,
    holder: Holder<'_>,
    kind: KeyKind,
    request: RotateKey,
    now: Timestamp,
) -> Result<ApiKey, Problem> {
    if request.grace_seconds > MAX_GRACE_SECONDS {
        return Err(Problem::invalid(format!(
            "graceSeconds is at most {MAX_GRACE_SECONDS}"
        )));
    }
    let grace = SignedDuration::from_secs(i64::from(request.grace_seconds));
    let end = now.saturating_add(grace).unwrap_or(now);
    api_keys::end(change, holder, end).await?;
    // Every verifier has each valid key of every provider in memory.
    if api_keys::count_valid(change, holder, now).await? >= MAX_VALID {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "TOO_MANY",
            format!(
                "at most {MAX_VALID} keys of one holder are valid at once; rotate without a grace, or revoke some"
            ),
        ));
    }
    issue(gateway, change, workspace_id, holder, kind, now).await
}

/// Makes a key and remembers its hash, and of a provider's also what its invoices are checked with. The key itself is to be
/// shown now or never.
pub(crate) async fn issue(
    gateway: &Gateway,
    change: &mut SqliteConnection,
    workspace_id: &str,
    holder: Holder<'_>,
    kind: KeyKind,
    now: Timestamp,
) -> Result<ApiKey, Problem> {
    let key = ApiKey::generate(kind).map_err(LedgerError::from)?;
    let pepper = match holder {
        Holder::Member(_) | Holder::Agent(_) => &gateway.key_pepper,
        Holder::Provider(_) => &gateway.provider_key_pepper,
    };
    api_keys::insert(
        change,
        key.key_id(),
        key.hash(pepper),
        workspace_id,
        holder,
        now,
    )
    .await?;
    if let Holder::Provider(_) = holder {
        let signer =
            InvoiceSigner::of_api_key(&key.expose()).map_err(|error| Problem::internal(&error))?;
        signing_keys::insert(change, key.key_id(), signer.public_key()).await?;
    }
    Ok(key)
}

/// What a member's key is called when it is made. What it may do is the role's matter, not the key's.
pub(crate) const fn kind_of(role: Role) -> KeyKind {
    match role {
        Role::Owner => KeyKind::Owner,
        Role::Viewer | Role::Member | Role::Admin => KeyKind::Member,
    }
}

fn view(gateway: &Gateway, row: KeyRow) -> Result<KeyView, LedgerError> {
    Ok(KeyView {
        last_used_at: gateway.key_uses.last(&row.key_id, row.last_used_at)?,
        key_id: row.key_id,
        holder_id: row.holder_id,
        created_at: row.created_at,
        ends_at: row.ends_at,
    })
}
