//! Where workspaces want to be told of events.

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use x402_schemas::api::events::EventKind;

use super::{LedgerError, columns};

/// A webhook. Its secrets are encrypted.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) workspace_id: String,
    pub(crate) url: String,
    /// Empty for all.
    pub(crate) kinds: Vec<EventKind>,
    pub(crate) secret: Vec<u8>,
    /// The one before, and until when it signs too.
    pub(crate) former: Option<(Vec<u8>, Timestamp)>,
    /// It is told of later events only.
    pub(crate) after_event: u64,
    pub(crate) created_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    id: String,
    workspace_id: String,
    url: String,
    kinds: String,
    secret: Vec<u8>,
    former_secret: Option<Vec<u8>>,
    former_until: Option<i64>,
    after_event: i64,
    created_at: i64,
}

impl Row {
    fn read(self) -> Result<Webhook, LedgerError> {
        let until = self.former_until.map(columns::time).transpose()?;
        Ok(Webhook {
            id: self.id,
            workspace_id: self.workspace_id,
            url: self.url,
            kinds: serde_json::from_str(&self.kinds)
                .map_err(|_| LedgerError::Unreadable("kinds of events"))?,
            secret: self.secret,
            former: self.former_secret.zip(until),
            after_event: columns::number(self.after_event)?,
            created_at: columns::time(self.created_at)?,
        })
    }
}

pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    webhook: &Webhook,
) -> Result<(), LedgerError> {
    let kinds = serde_json::to_string(&webhook.kinds)
        .map_err(|_| LedgerError::Unreadable("kinds of events"))?;
    sqlx::query(
        "INSERT INTO webhooks (id, workspace_id, url, kinds, secret, after_event, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&webhook.id)
    .bind(&webhook.workspace_id)
    .bind(&webhook.url)
    .bind(kinds)
    .bind(&webhook.secret)
    .bind(columns::number_column(webhook.after_event)?)
    .bind(webhook.created_at.as_millisecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// The webhook of that id, whoever's.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    id: &str,
) -> Result<Option<Webhook>, LedgerError> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM webhooks WHERE id = ?")
        .bind(id)
        .fetch_optional(conn)
        .await?;
    row.map(Row::read).transpose()
}

/// The workspace's webhooks, oldest first.
pub(crate) async fn list(
    conn: &mut SqliteConnection,
    workspace_id: &str,
) -> Result<Vec<Webhook>, LedgerError> {
    let rows: Vec<Row> =
        sqlx::query_as("SELECT * FROM webhooks WHERE workspace_id = ? ORDER BY created_at, id")
            .bind(workspace_id)
            .fetch_all(conn)
            .await?;
    rows.into_iter().map(Row::read).collect()
}

/// Gives a webhook a new secret; the one before signs too until a moment.
pub(crate) async fn rotate(
    conn: &mut SqliteConnection,
    id: &str,
    secret: &[u8],
    former_until: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query(
        "UPDATE webhooks SET former_secret = secret, former_until = ?, secret = ? WHERE id = ?",
    )
    .bind(former_until.as_millisecond())
    .bind(secret)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes a webhook away with all that is on its way to it.
pub(crate) async fn delete(conn: &mut SqliteConnection, id: &str) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM webhooks WHERE id = ?")
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}
