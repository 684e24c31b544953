//! Events on their way to webhooks.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use x402_schemas::api::{
    events::Event,
    webhooks::{DeliveryState, DeliveryView},
};

use super::{
    LedgerError, columns,
    events::{self, Told},
    webhooks::{self, Webhook},
};

/// An event that is to be sent to a webhook.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) number: i64,
    pub(crate) event: Event,
    pub(crate) attempts: u32,
    /// Since when it is tried.
    pub(crate) created_at: Timestamp,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempted {
    /// HTTP status of the answer, if there was one.
    pub(crate) status: Option<u16>,
    /// Why it did not arrive; none if it did.
    pub(crate) error: Option<String>,
    /// When to try again, if it did not.
    pub(crate) next_at: Option<Timestamp>,
    pub(crate) at: Timestamp,
}

/// Puts events on their way to the webhooks that want them. Answers how many deliveries that makes.
pub(crate) async fn plan(
    conn: &mut SqliteConnection,
    told: &[Told],
    now: Timestamp,
) -> Result<u64, LedgerError> {
    let mut by_workspace: HashMap<&str, Vec<Webhook>> = HashMap::new();
    let mut planned: u64 = 0;
    for one in told {
        let workspace_id = one.event.data.workspace_id.as_str();
        if !by_workspace.contains_key(workspace_id) {
            let theirs = webhooks::list(conn, workspace_id).await?;
            by_workspace.insert(workspace_id, theirs);
        }
        let theirs = by_workspace.get(workspace_id).into_iter().flatten();
        for webhook in theirs.filter(|webhook| wants(webhook, &one.event)) {
            sqlx::query(
                "INSERT INTO webhook_deliveries (webhook_id, event, next_at, created_at) VALUES (?, ?, ?3, ?3)",
            )
            .bind(&webhook.id)
            .bind(columns::number_column(one.event.number)?)
            .bind(now.as_millisecond())
            .execute(&mut *conn)
            .await?;
            planned = planned.saturating_add(1);
        }
    }
    Ok(planned)
}

fn wants(webhook: &Webhook, event: &Event) -> bool {
    let kinds = &webhook.kinds;
    event.number > webhook.after_event && (kinds.is_empty() || kinds.contains(&event.kind))
}

/// Webhooks that something is due to, those first that wait longest, at most `limit`.
pub(crate) async fn webhooks_due(
    conn: &mut SqliteConnection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<String>, LedgerError> {
    Ok(sqlx::query_scalar(
        "SELECT id FROM (SELECT id, (SELECT min(next_at) FROM webhook_deliveries \
         WHERE webhook_id = webhooks.id AND next_at IS NOT NULL) AS due FROM webhooks) WHERE due <= ? ORDER BY due LIMIT ?",
    )
    .bind(now.as_millisecond())
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

#[derive(FromRow)]
struct Row {
    number: i64,
    event: i64,
    attempts: i64,
    created_at: i64,
}

/// What is due to a webhook, those first that wait longest.
pub(crate) async fn due(
    conn: &mut SqliteConnection,
    webhook_id: &str,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Delivery>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT number, event, attempts, created_at FROM webhook_deliveries \
         WHERE webhook_id = ? AND next_at <= ? ORDER BY next_at, number LIMIT ?",
    )
    .bind(webhook_id)
    .bind(now.as_millisecond())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(&mut *conn)
    .await?;
    let mut due = Vec::with_capacity(rows.len());
    for row in rows {
        due.push(Delivery {
            number: row.number,
            event: events::get(conn, columns::number(row.event)?).await?.event,
            attempts: u32::try_from(row.attempts)
                .map_err(|_| LedgerError::Unreadable("count of attempts"))?,
            created_at: columns::time(row.created_at)?,
        });
    }
    Ok(due)
}

/// Writes down what became of an attempt. A webhook that was deleted meanwhile has none.
pub(crate) async fn record(
    conn: &mut SqliteConnection,
    number: i64,
    attempted: &Attempted,
) -> Result<(), LedgerError> {
    let outcome = match (&attempted.error, attempted.next_at) {
        (None, _) => Some("delivered"),
        (Some(_), None) => Some("failed"),
        (Some(_), Some(_)) => None,
    };
    let next_at = attempted.next_at.filter(|_| outcome.is_none());
    sqlx::query(
        "UPDATE webhook_deliveries SET attempts = attempts + 1, next_at = ?, outcome = ?, last_status = ?, \
         last_error = ?, last_at = ? WHERE number = ?",
    )
    .bind(next_at.map(Timestamp::as_millisecond))
    .bind(outcome)
    .bind(attempted.status)
    .bind(&attempted.error)
    .bind(attempted.at.as_millisecond())
    .bind(number)
    .execute(conn)
    .await?;
    Ok(())
}

/// How much is on its way to a webhook.
pub(crate) async fn waiting(
    conn: &mut SqliteConnection,
    webhook_id: &str,
) -> Result<u64, LedgerError> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = ? AND next_at IS NOT NULL",
    )
    .bind(webhook_id)
    .fetch_one(conn)
    .await?;
    columns::number(count)
}

/// How much is on its way to all webhooks.
pub(crate) async fn waiting_in_all(conn: &mut SqliteConnection) -> Result<u64, LedgerError> {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM webhook_deliveries WHERE next_at IS NOT NULL")
            .fetch_one(conn)
            .await?;
    columns::number(count)
}

#[derive(FromRow)]
struct ViewRow {
    event: i64,
    kind: String,
    attempts: i64,
    next_at: Option<i64>,
    outcome: Option<String>,
    last_status: Option<i64>,
    last_error: Option<String>,
    last_at: Option<i64>,
}

/// The webhook's newest deliveries, newest first.
pub(crate) async fn newest(
    conn: &mut SqliteConnection,
    webhook_id: &str,
    message_id: impl Fn(u64) -> String,
    limit: u32,
) -> Result<Vec<DeliveryView>, LedgerError> {
    let rows: Vec<ViewRow> = sqlx::query_as(
        "SELECT event, kind, attempts, next_at, outcome, last_status, last_error, last_at FROM webhook_deliveries \
         JOIN events ON events.number = event WHERE webhook_id = ? ORDER BY webhook_deliveries.number DESC LIMIT ?",
    )
    .bind(webhook_id)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let view = |row: ViewRow| {
        let event = columns::number(row.event)?;
        Ok(DeliveryView {
            event,
            kind: columns::parsed(&row.kind, "kind of event")?,
            message_id: message_id(event),
            state: match row.outcome.as_deref() {
                None => DeliveryState::Waiting,
                Some("delivered") => DeliveryState::Delivered,
                Some(_) => DeliveryState::Failed,
            },
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            last_status: row.last_status.and_then(|status| status.try_into().ok()),
            last_error: row.last_error,
            last_at: row.last_at.map(columns::time).transpose()?,
            next_at: row.next_at.map(columns::time).transpose()?,
        })
    };
    rows.into_iter().map(view).collect()
}
