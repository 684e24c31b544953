//! Webhooks: made, listed, given a new secret, tested, taken away; and what became of what they were sent.

/// Where they may lead.
pub(crate) mod address;

/// Their secrets, and what those sign.
mod signature;

/// One attempt.
pub(crate) mod send;

/// When to try again.
mod retry;

/// Every attempt, until everything has arrived.
pub(crate) mod deliver;

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use x402_schemas::api::{
    ErrorBody,
    webhooks::{CreateWebhook, DeliveryView, TestDelivery, WebhookSecret, WebhookView},
};
use x402_service::{api_key::random_id, clock, json::StrictJson, problem::Problem};

use crate::{
    cipher::CipherError,
    gateway::Gateway,
    idempotency::{IdempotencyKey, Known},
    ledger::{
        LedgerError, deliveries, events,
        webhooks::{self, Webhook},
    },
    permissions::ManagingWebhooks,
    principal::Member,
};
use send::Message;
use signature::Secret;

/// Of the key that secrets are encrypted under.
pub(crate) const SECRETS: &str = "webhooks/secrets";
/// The most webhooks of one workspace.
const MAX_WEBHOOKS: usize = 10;
/// Deliveries that are shown.
const MAX_SHOWN: u32 = 100;
/// How long a former secret signs too, so that its receiver can change over.
const FORMER_SIGNS_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Has events sent to an endpoint from now on, signed with a secret that is shown this once.
#[utoipa::path(post, path = "/webhooks", tag = "owner", request_body = CreateWebhook,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats get the same answer for a day")),
    responses(
        (status = 201, body = WebhookSecret),
        (status = 400, body = ErrorBody, description = "INVALID_REQUEST, WEBHOOK_URL_REFUSED"),
        (status = 409, body = ErrorBody, description = "TOO_MANY, IDEMPOTENCY_KEY_REUSED"),
    ), security(("owner" = [])))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingWebhooks>,
    key: IdempotencyKey,
    StrictJson(request): StrictJson<CreateWebhook>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let attempt = key.attempt(&member.workspace_id, "POST /webhooks", &request, now)?;
    let url = gateway.webhooks.read(&request.url).map_err(|error| {
        let status = StatusCode::BAD_REQUEST;
        Problem::new(status, "WEBHOOK_URL_REFUSED", error.to_string())
    })?;
    let mut change = gateway.ledger.write().await?;
    if let Known::Answered(answer) = attempt.look(&gateway, &mut change).await? {
        return Ok(answer);
    }
    let theirs = webhooks::list(&mut change, &member.workspace_id).await?;
    if theirs.len() >= MAX_WEBHOOKS {
        let message = format!("a workspace has at most {MAX_WEBHOOKS} webhooks; delete one");
        return Err(Problem::new(StatusCode::CONFLICT, "TOO_MANY", message));
    }
    let id = random_id("wh").map_err(LedgerError::from)?;
    let secret = Secret::generate().map_err(LedgerError::from)?;
    let webhook = Webhook {
        secret: gateway
            .webhook_secrets
            .seal(id.as_bytes(), secret.bytes())?,
        workspace_id: member.workspace_id,
        url: url.into(),
        kinds: request.types,
        former: None,
        after_event: events::newest(&mut change).await?,
        created_at: now,
        id,
    };
    webhooks::insert(&mut change, &webhook).await?;
    let created = WebhookSecret {
        webhook_id: webhook.id,
        secret: secret.expose(),
    };
    let answer = attempt
        .answer(&gateway, &mut change, StatusCode::CREATED, &created)
        .await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(answer)
}

/// All webhooks, oldest first.
#[utoipa::path(get, path = "/webhooks", tag = "owner",
    responses(
        (status = 200, body = Vec<WebhookView>),
    ), security(("owner" = [])))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingWebhooks>,
) -> Result<Json<Vec<WebhookView>>, Problem> {
    let mut conn = gateway.ledger.read().await?;
    let mut views = Vec::new();
    for webhook in webhooks::list(&mut conn, &member.workspace_id).await? {
        views.push(WebhookView {
            waiting: deliveries::waiting(&mut conn, &webhook.id).await?,
            webhook_id: webhook.id,
            url: webhook.url,
            types: webhook.kinds,
            created_at: webhook.created_at,
        });
    }
    Ok(Json(views))
}

/// Takes a webhook away with all that is on its way to it.
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "owner", params(("id" = String, Path)),
    responses(
        (status = 204, description = "It is told nothing more"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND"),
    ), security(("owner" = [])))]
pub(crate) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingWebhooks>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let mut change = gateway.ledger.write().await?;
    let webhook = webhooks::find(&mut change, &id).await?;
    let webhook = owned(&member, webhook)?;
    webhooks::delete(&mut change, &webhook.id).await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A new secret. The one before signs too for 24 hours.
#[utoipa::path(post, path = "/webhooks/{id}/rotate", tag = "owner", params(("id" = String, Path)),
    responses(
        (status = 200, body = WebhookSecret),
        (status = 404, body = ErrorBody, description = "NOT_FOUND"),
    ), security(("owner" = [])))]
pub(crate) async fn rotate(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingWebhooks>,
    Path(id): Path<String>,
) -> Result<Json<WebhookSecret>, Problem> {
    let secret = Secret::generate().map_err(LedgerError::from)?;
    let until = clock::now().saturating_add(FORMER_SIGNS_FOR);
    let until = until.unwrap_or(Timestamp::MAX);
    let mut change = gateway.ledger.write().await?;
    let webhook = webhooks::find(&mut change, &id).await?;
    let webhook = owned(&member, webhook)?;
    let sealed = gateway
        .webhook_secrets
        .seal(webhook.id.as_bytes(), secret.bytes())?;
    webhooks::rotate(&mut change, &webhook.id, &sealed, until).await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok(Json(WebhookSecret {
        webhook_id: webhook.id,
        secret: secret.expose(),
    }))
}

/// What became of the last 100 events for this webhook, newest first. Kept for 7 days.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", tag = "owner", params(("id" = String, Path)),
    responses(
        (status = 200, body = Vec<DeliveryView>),
        (status = 404, body = ErrorBody, description = "NOT_FOUND"),
    ), security(("owner" = [])))]
pub(crate) async fn deliveries(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingWebhooks>,
    Path(id): Path<String>,
) -> Result<Json<Vec<DeliveryView>>, Problem> {
    let mut conn = gateway.ledger.read().await?;
    let webhook = webhooks::find(&mut conn, &id).await?;
    let webhook = owned(&member, webhook)?;
    let message_id = |number| gateway.message_id(number);
    let newest = deliveries::newest(&mut conn, &webhook.id, message_id, MAX_SHOWN).await?;
    Ok(Json(newest))
}

/// Sends a message of type `webhook.test` once, now, and tells what came of it.
#[utoipa::path(post, path = "/webhooks/{id}/test", tag = "owner", params(("id" = String, Path)),
    responses(
        (status = 200, body = TestDelivery),
        (status = 404, body = ErrorBody, description = "NOT_FOUND"),
    ), security(("owner" = [])))]
pub(crate) async fn test(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingWebhooks>,
    Path(id): Path<String>,
) -> Result<Json<TestDelivery>, Problem> {
    let webhook = {
        let mut conn = gateway.ledger.read().await?;
        webhooks::find(&mut conn, &id).await?
    };
    let webhook = owned(&member, webhook)?;
    let now = clock::now();
    let secrets = opened(&gateway, &webhook, now)?;
    let body = json!({
        "type": "webhook.test",
        "timestamp": now,
        "data": { "webhookId": webhook.id, "workspaceId": webhook.workspace_id },
    });
    let message = Message {
        id: random_id("test").map_err(LedgerError::from)?,
        body: body.to_string().into_bytes(),
    };
    let sent = gateway.webhooks.send(&webhook.url, &secrets, &message, now);
    let (status, error) = match sent.await {
        Ok(status) => (Some(status), None),
        Err(error) => (error.status(), Some(error.told())),
    };
    Ok(Json(TestDelivery {
        message_id: message.id,
        delivered: error.is_none(),
        status,
        error,
    }))
}

fn owned(member: &Member<ManagingWebhooks>, webhook: Option<Webhook>) -> Result<Webhook, Problem> {
    webhook
        .filter(|webhook| webhook.workspace_id == member.workspace_id)
        .ok_or_else(|| Problem::not_found("webhook"))
}

/// The secrets that sign now, the newest first.
fn opened(
    gateway: &Gateway,
    webhook: &Webhook,
    now: Timestamp,
) -> Result<Vec<Secret>, CipherError> {
    let former = webhook.former.as_ref().filter(|(_, until)| now < *until);
    let sealed = std::iter::once(&webhook.secret).chain(former.map(|(secret, _)| secret));
    sealed
        .map(|sealed| {
            let bytes = gateway
                .webhook_secrets
                .open(webhook.id.as_bytes(), sealed)?;
            Ok(Secret::from_bytes(bytes))
        })
        .collect()
}

impl Gateway {
    /// `webhook-id` of an event: the same in every attempt, and of no other gateway's event.
    fn message_id(&self, event: u64) -> String {
        format!("{}_{event}", self.ledger_id)
    }
}

impl From<CipherError> for Problem {
    fn from(error: CipherError) -> Self {
        Self::internal(&error)
    }
}
