//! How far each consumer of the outbox has been told, and what may go because of that.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{LedgerError, columns, events};

/// Old events that go in one change of the ledger.
const PRUNED_AT_ONCE: i64 = 1_000;

/// Who is told of every event, and remembers how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    /// Rows in ClickHouse.
    ClickHouse,
    /// Deliveries to webhooks.
    Webhooks,
}

impl Consumer {
    pub(crate) const ALL: [Self; 2] = [Self::ClickHouse, Self::Webhooks];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ClickHouse => "clickhouse",
            Self::Webhooks => "webhooks",
        }
    }
}

/// How far a consumer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// It has been told of every event up to this one.
    pub(crate) told: u64,
    /// The last event of the batch that it may or may not have got.
    pub(crate) telling: Option<u64>,
}

pub(crate) async fn get(
    conn: &mut SqliteConnection,
    consumer: Consumer,
) -> Result<Cursor, LedgerError> {
    let (told, telling): (i64, Option<i64>) =
        sqlx::query_as("SELECT told, telling FROM event_cursors WHERE consumer = ?")
            .bind(consumer.as_str())
            .fetch_one(conn)
            .await?;
    Ok(Cursor {
        told: columns::number(told)?,
        telling: telling.map(columns::number).transpose()?,
    })
}

pub(crate) async fn set(
    conn: &mut SqliteConnection,
    consumer: Consumer,
    cursor: Cursor,
) -> Result<(), LedgerError> {
    let telling = cursor.telling.map(columns::number_column).transpose()?;
    sqlx::query("UPDATE event_cursors SET told = ?, telling = ? WHERE consumer = ?")
        .bind(columns::number_column(cursor.told)?)
        .bind(telling)
        .bind(consumer.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

/// How many events a consumer has yet to be told of, and since when the oldest of them waits.
pub(crate) async fn backlog(
    conn: &mut SqliteConnection,
    consumer: Consumer,
) -> Result<(u64, Option<Timestamp>), LedgerError> {
    let cursor = get(conn, consumer).await?;
    let newest = events::newest(conn).await?;
    let oldest: Option<i64> =
        sqlx::query_scalar("SELECT at FROM events WHERE number > ? ORDER BY number LIMIT 1")
            .bind(columns::number_column(cursor.told)?)
            .fetch_optional(conn)
            .await?;
    let oldest = oldest.map(columns::time).transpose()?;
    Ok((newest.saturating_sub(cursor.told), oldest))
}

/// Takes away some events that are old and that everyone has been told of. Answers how many.
pub(crate) async fn prune(conn: &mut SqliteConnection, now: Timestamp) -> Result<u64, LedgerError> {
    let end = now.saturating_sub(events::KEPT).unwrap_or(Timestamp::MIN);
    let done = sqlx::query(
        "DELETE FROM events WHERE at < ?1 AND number IN (SELECT number FROM events \
         WHERE number <= (SELECT min(told) FROM event_cursors) ORDER BY number LIMIT ?2)",
    )
    .bind(end.as_millisecond())
    .bind(PRUNED_AT_ONCE)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
