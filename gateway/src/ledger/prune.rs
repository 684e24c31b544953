//! Removing what nobody needs any more: quotes that came to nothing, sums of hours that no limit looks at.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{LedgerError, columns};

/// Where a walk over the quotes that allowed has come to: when the last one ended, and its row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Walked {
    expired_at: i64,
    row: i64,
}

/// A page of quotes that allowed and have ended.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Those that nobody has asked to pay.
    pub(crate) unpaid: Vec<i64>,
    /// Where the next page begins; none when there is none.
    pub(crate) next: Option<Walked>,
}

/// Quotes that allowed, ended before a moment and come after the ones that were walked over. Those that
/// became payments are part of their history, and are walked over once.
pub(crate) async fn ended_quotes(
    conn: &mut SqliteConnection,
    walked: Walked,
    before: Timestamp,
    limit: u32,
) -> Result<Page, LedgerError> {
    let rows: Vec<(i64, i64, bool)> = sqlx::query_as(
        "SELECT expires_at, rowid, EXISTS (SELECT 1 FROM payments WHERE quote_id = quotes.id) FROM quotes \
         WHERE denial IS NULL AND (expires_at, rowid) > (?, ?) AND expires_at < ? ORDER BY expires_at, rowid LIMIT ?",
    )
    .bind(walked.expired_at)
    .bind(walked.row)
    .bind(before.as_millisecond())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let is_full = u32::try_from(rows.len()).is_ok_and(|count| count >= limit);
    let last = rows.last().map(|(expired_at, row, _)| Walked {
        expired_at: *expired_at,
        row: *row,
    });
    let unpaid = rows.iter().filter(|(.., paid)| !paid);
    Ok(Page {
        unpaid: unpaid.map(|(_, row, _)| *row).collect(),
        next: last.filter(|_| is_full),
    })
}

/// Removes quotes by their rows. One that became a payment meanwhile stays.
pub(crate) async fn remove_quotes(
    conn: &mut SqliteConnection,
    rows: &[i64],
) -> Result<(), LedgerError> {
    for row in rows {
        sqlx::query(
            "DELETE FROM quotes WHERE rowid = ? AND NOT EXISTS (SELECT 1 FROM payments WHERE quote_id = quotes.id)",
        )
        .bind(row)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Removes quotes that denied and ended before a moment, and tells how many.
pub(crate) async fn remove_denied(
    conn: &mut SqliteConnection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, LedgerError> {
    let removed = sqlx::query(
        "DELETE FROM quotes WHERE rowid IN \
         (SELECT rowid FROM quotes WHERE denial IS NOT NULL AND expires_at < ? ORDER BY expires_at LIMIT ?)",
    )
    .bind(before.as_millisecond())
    .bind(limit)
    .execute(conn)
    .await?;
    Ok(removed.rows_affected())
}

/// Removes sums of hours before a moment, and tells how many. The hour of a payment that may still be
/// released stays, and every hour after it.
pub(crate) async fn remove_hours(
    conn: &mut SqliteConnection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, LedgerError> {
    let oldest: Option<i64> = sqlx::query_scalar(
        "SELECT min(reserved_at) FROM (SELECT min(reserved_at) AS reserved_at FROM payments \
         WHERE status IN ('reserved', 'signed', 'broadcast', 'included') UNION ALL \
         SELECT min(reserved_at) FROM payments WHERE status = 'settled' AND final = 0)",
    )
    .fetch_one(&mut *conn)
    .await?;
    let before = match oldest.map(columns::time).transpose()? {
        Some(oldest) => before.min(oldest),
        None => before,
    };
    let before = columns::utc_hour(before);
    let removed = sqlx::query(
        "DELETE FROM held WHERE rowid IN (SELECT rowid FROM held WHERE span = 'hour' AND period < ? LIMIT ?)",
    )
    .bind(&before)
    .bind(limit)
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if removed > 0 {
        sqlx::query(
            "INSERT INTO pruned (span, before) VALUES ('hour', ?) \
             ON CONFLICT (span) DO UPDATE SET before = max(before, excluded.before)",
        )
        .bind(&before)
        .execute(conn)
        .await?;
    }
    Ok(removed)
}

/// The first hour whose sums are all there, if any were removed.
pub(crate) async fn hours_pruned_before(
    conn: &mut SqliteConnection,
) -> Result<Option<String>, LedgerError> {
    let query = "SELECT before FROM pruned WHERE span = 'hour'";
    Ok(sqlx::query_scalar(query).fetch_optional(conn).await?)
}
