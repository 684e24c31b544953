//! Providers: made, registered otherwise, given a new key, revoked.
//!
//! A change, rotation or revocation answers once every verifier acts on it, so that it holds
//! when the caller reads the answer.

use std::{collections::HashSet, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use sqlx::SqliteConnection;
use x402_schemas::{
    api::{
        ErrorBody,
        confirmations::{Confirmations, MAX_CONFIRMATIONS},
        keys::RotateKey,
        owner::{CreateProvider, Payee, ProviderCreated, ProviderView, Registration, Revoked},
    },
    host::ProviderHost,
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
        api_keys::{self, Holder},
        directory, hosts, providers,
    },
    permissions::{ManagingProviders, Viewing},
    principal::Member,
};

/// The most providers of one workspace, revoked ones included.
const MAX_PROVIDERS: i64 = 10_000;
const MAX_HOSTS: usize = 20;
const PAYEES: std::ops::RangeInclusive<usize> = 1..=20;

/// Makes a provider, which can verify proofs of payments to its payees. Its hosts are paid at these payees only.
#[utoipa::path(post, path = "/providers", tag = "owner", request_body = CreateProvider,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats get the same answer for a day")),
    responses(
        (status = 201, body = ProviderCreated),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin"),
        (status = 409, body = ErrorBody, description = "PAYEE_TAKEN, HOST_TAKEN, TOO_MANY, IDEMPOTENCY_KEY_REUSED"),
    ), security(("owner" = [])))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingProviders>,
    key: IdempotencyKey,
    StrictJson(request): StrictJson<CreateProvider>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let attempt = key.attempt(&member.id, "POST /providers", &request, now)?;
    let name = checked_name(&request.name)?;
    check_payees(&request.payees)?;
    check_hosts(&request.hosts)?;
    let provider_id = random_id("prov").map_err(LedgerError::from)?;
    let mut change = gateway.ledger.write().await?;
    if let Known::Answered(answer) = attempt.look(&gateway, &mut change).await? {
        return Ok(answer);
    }
    if providers::count(&mut change, &member.workspace_id).await? >= MAX_PROVIDERS {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "TOO_MANY",
            format!("a workspace has at most {MAX_PROVIDERS} providers, revoked ones included"),
        ));
    }
    providers::insert(&mut change, &member.workspace_id, &provider_id, name, now).await?;
    let registration = Registration {
        payees: request.payees,
        hosts: request.hosts,
    };
    register(
        &mut change,
        &member.workspace_id,
        &provider_id,
        &registration,
    )
    .await?;
    let (workspace_id, holder) = (&member.workspace_id, Holder::Provider(&provider_id));
    let kind = KeyKind::Provider;
    let key = keys::issue(&gateway, &mut change, workspace_id, holder, kind, now).await?;
    let seq = directory::advance(&mut change).await?;
    let created = ProviderCreated {
        provider_id,
        api_key: key.expose(),
    };
    let answer = attempt
        .answer(&gateway, &mut change, StatusCode::CREATED, &created)
        .await?;
    change.commit().await.map_err(LedgerError::from)?;
    gateway.publish_directory(seq);
    Ok(answer)
}

/// All providers, revoked ones included, oldest first.
#[utoipa::path(get, path = "/providers", tag = "owner",
    responses(
        (status = 200, body = Vec<ProviderView>),
    ), security(("owner" = [])))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Viewing>,
) -> Result<Json<Vec<ProviderView>>, Problem> {
    let mut conn = gateway.ledger.read().await?;
    let rows = providers::list(&mut conn, &member.workspace_id).await?;
    let mut hosts = hosts::of_workspace(&mut conn, &member.workspace_id).await?;
    let views = rows
        .into_iter()
        .map(|row| ProviderView {
            hosts: hosts.remove(&row.id).unwrap_or_default(),
            provider_id: row.id,
            name: row.name,
            payees: row.payees.into_iter().map(Payee).collect(),
            confirmations: row.confirmations,
            revoked_at: row.revoked_at,
        })
        .collect();
    Ok(Json(views))
}

/// Replaces a provider's payees and hosts. Answers when every verifier acts on it.
#[utoipa::path(put, path = "/providers/{id}/registration", tag = "owner", params(("id" = String, Path)),
    request_body = Registration,
    responses(
        (status = 200, body = Registration),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no such provider, or it is revoked"),
        (status = 409, body = ErrorBody, description = "PAYEE_TAKEN, HOST_TAKEN"),
    ), security(("owner" = [])))]
pub(crate) async fn set_registration(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingProviders>,
    Path(id): Path<String>,
    StrictJson(registration): StrictJson<Registration>,
) -> Result<Json<Registration>, Problem> {
    check_payees(&registration.payees)?;
    check_hosts(&registration.hosts)?;
    let mut change = gateway.ledger.write().await?;
    let standing = providers::find(&mut change, &member.workspace_id, &id).await?;
    if standing != Some(None) {
        return Err(Problem::not_found("provider"));
    }
    providers::drop_payees(&mut change, &id).await?;
    hosts::forget(&mut change, &id).await?;
    register(&mut change, &member.workspace_id, &id, &registration).await?;
    let seq = directory::advance(&mut change).await?;
    change.commit().await.map_err(LedgerError::from)?;
    gateway.publish_directory(seq);
    gateway.until_followed(seq).await?;
    Ok(Json(registration))
}

/// Gives a provider its payees and hosts, unless somebody has one of them.
async fn register(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    provider_id: &str,
    Registration { payees, hosts }: &Registration,
) -> Result<(), Problem> {
    let taken = |code, message| Err(Problem::new(StatusCode::CONFLICT, code, message));
    for Payee(address) in payees {
        if !providers::add_payee(conn, workspace_id, provider_id, *address).await? {
            let message = format!("{address} belongs to another provider");
            return taken("PAYEE_TAKEN", message);
        }
    }
    for host in hosts {
        if !hosts::add(conn, provider_id, host).await? {
            let message = format!("{host}, or some of what it means, belongs to another provider");
            return taken("HOST_TAKEN", message);
        }
    }
    Ok(())
}

/// Sets how settled payments to a provider must be before they verify; a request to the verifier may
/// ask for more. Answers when every verifier acts on it.
#[utoipa::path(put, path = "/providers/{id}/confirmations", tag = "owner", params(("id" = String, Path)),
    request_body = Confirmations,
    responses(
        (status = 200, body = Confirmations),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no such provider, or it is revoked"),
    ), security(("owner" = [])))]
pub(crate) async fn set_confirmations(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingProviders>,
    Path(id): Path<String>,
    StrictJson(confirmations): StrictJson<Confirmations>,
) -> Result<Json<Confirmations>, Problem> {
    if !confirmations.is_valid() {
        return Err(Problem::invalid(format!(
            "minConfirmations is 1 to {MAX_CONFIRMATIONS}"
        )));
    }
    let mut change = gateway.ledger.write().await?;
    let standing = providers::find(&mut change, &member.workspace_id, &id).await?;
    if standing != Some(None) {
        return Err(Problem::not_found("provider"));
    }
    providers::set_confirmations(&mut change, &id, confirmations).await?;
    let seq = directory::advance(&mut change).await?;
    change.commit().await.map_err(LedgerError::from)?;
    gateway.publish_directory(seq);
    gateway.until_followed(seq).await?;
    Ok(Json(confirmations))
}

/// Gives a provider a new key. Answers when every verifier knows it, and knows when the keys of before end: at once,
/// or after the grace.
#[utoipa::path(post, path = "/providers/{id}/rotate", tag = "owner", request_body = Option<RotateKey>, params(("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats get the same answer for a day")),
    responses(
        (status = 200, body = ProviderCreated),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no such provider, or it is revoked"),
        (status = 409, body = ErrorBody, description = "TOO_MANY, IDEMPOTENCY_KEY_REUSED"),
    ), security(("owner" = [])))]
pub(crate) async fn rotate(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingProviders>,
    key: IdempotencyKey,
    Path(id): Path<String>,
    OptionalJson(request): OptionalJson<RotateKey>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let attempt = key.attempt(&member.id, "POST /providers/rotate", &(&id, request), now)?;
    let mut change = gateway.ledger.write().await?;
    if let Known::Answered(answer) = attempt.look(&gateway, &mut change).await? {
        return Ok(answer);
    }
    let standing = providers::find(&mut change, &member.workspace_id, &id).await?;
    if standing != Some(None) {
        return Err(Problem::not_found("provider"));
    }
    let (workspace_id, holder) = (&member.workspace_id, Holder::Provider(&id));
    let kind = KeyKind::Provider;
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
    let seq = directory::advance(&mut change).await?;
    let created = ProviderCreated {
        provider_id: id,
        api_key: key.expose(),
    };
    let answer = attempt
        .answer(&gateway, &mut change, StatusCode::OK, &created)
        .await?;
    change.commit().await.map_err(LedgerError::from)?;
    gateway.publish_directory(seq);
    gateway.until_followed(seq).await?;
    Ok(answer)
}

/// Ends a provider and all of its keys. Answers when it has ended at every verifier.
#[utoipa::path(post, path = "/providers/{id}/revoke", tag = "owner", params(("id" = String, Path)),
    responses(
        (status = 200, body = Revoked),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an admin"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND"),
    ), security(("owner" = [])))]
pub(crate) async fn revoke(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingProviders>,
    Path(id): Path<String>,
) -> Result<Json<Revoked>, Problem> {
    let now = clock::now();
    let mut change = gateway.ledger.write().await?;
    providers::find(&mut change, &member.workspace_id, &id)
        .await?
        .ok_or_else(|| Problem::not_found("provider"))?;
    providers::revoke(&mut change, &id, now).await?;
    api_keys::end(&mut change, Holder::Provider(&id), now).await?;
    let recorded = providers::find(&mut change, &member.workspace_id, &id).await?;
    let seq = directory::advance(&mut change).await?;
    change.commit().await.map_err(LedgerError::from)?;
    gateway.publish_directory(seq);
    gateway.until_followed(seq).await?;
    Ok(Json(Revoked {
        revoked_at: recorded.flatten().unwrap_or(now),
    }))
}

fn check_hosts(hosts: &[ProviderHost]) -> Result<(), Problem> {
    let distinct: HashSet<_> = hosts.iter().collect();
    if hosts.len() > MAX_HOSTS || distinct.len() != hosts.len() {
        return Err(Problem::invalid(format!(
            "a provider has at most {MAX_HOSTS} hosts, each once"
        )));
    }
    Ok(())
}

fn check_payees(payees: &[Payee]) -> Result<(), Problem> {
    let distinct: HashSet<_> = payees.iter().collect();
    if !PAYEES.contains(&payees.len()) || distinct.len() != payees.len() {
        return Err(Problem::invalid("a provider has 1 to 20 payees, each once"));
    }
    if payees.iter().any(|Payee(address)| address.is_zero()) {
        return Err(Problem::invalid("the zero address cannot be paid"));
    }
    Ok(())
}
