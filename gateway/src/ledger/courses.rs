//! How payments came to where an event left them: when each step was taken, and whether it was the last.
//!
//! Made of the events up to that one, so that it says the same whenever it is asked for. What went from the
//! outbox because it is old is missing: of a payment that waited a week for its approval, how it began.

use std::collections::HashMap;

use sqlx::{FromRow, SqliteConnection};
use x402_schemas::index::spend::Course;

use super::{LedgerError, columns};

#[derive(FromRow)]
struct Row {
    number: i64,
    quoted_at: i64,
    asked_at: i64,
    payer: Option<Vec<u8>>,
    reserved_at: Option<i64>,
    signed_at: Option<i64>,
    broadcast_at: Option<i64>,
    included_at: Option<i64>,
    settled_at: Option<i64>,
    final_number: Option<i64>,
    final_at: Option<i64>,
    void_number: Option<i64>,
    void_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<(u64, Course), LedgerError> {
        let payer = self.payer.filter(|_| self.signed_at.is_some());
        let treasury = payer.as_deref().map(columns::address).transpose()?;
        let ended = self.final_number.or(self.void_number);
        let course = Course {
            quoted_at: self.quoted_at,
            asked_at: Some(self.asked_at),
            treasury: treasury.unwrap_or_default().into_array(),
            reserved_at: self.reserved_at,
            signed_at: self.signed_at,
            broadcast_at: self.broadcast_at,
            included_at: self.included_at,
            settled_at: self.settled_at,
            ended_at: self.final_at.or(self.void_at),
            ended: ended.map(columns::number).transpose()?,
        };
        Ok((columns::number(self.number)?, course))
    }
}

/// Of each payment that events after one number up to another tell of, as of the newest of them. By its number.
pub(crate) async fn between(
    conn: &mut SqliteConnection,
    after: u64,
    last: u64,
) -> Result<HashMap<u64, Course>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT newest.number, quotes.created_at AS quoted_at, payments.created_at AS asked_at, payments.payer, \
         min(events.at) FILTER (WHERE kind = 'payment.reserved') AS reserved_at, \
         min(events.at) FILTER (WHERE kind = 'payment.signed') AS signed_at, \
         min(events.at) FILTER (WHERE kind = 'payment.broadcast') AS broadcast_at, \
         max(events.at) FILTER (WHERE kind = 'payment.included') AS included_at, \
         max(events.at) FILTER (WHERE kind = 'payment.settled') AS settled_at, \
         min(events.number) FILTER (WHERE kind = 'payment.final') AS final_number, \
         min(events.at) FILTER (WHERE kind = 'payment.final') AS final_at, \
         min(events.number) FILTER (WHERE kind IN \
         ('payment.denied', 'payment.expired', 'payment.failed', 'payment.reverted')) AS void_number, \
         min(events.at) FILTER (WHERE kind IN \
         ('payment.denied', 'payment.expired', 'payment.failed', 'payment.reverted')) AS void_at \
         FROM (SELECT payment_id, max(number) AS number FROM events \
         WHERE number > ? AND number <= ? AND payment_id IS NOT NULL GROUP BY payment_id) AS newest \
         JOIN payments ON payments.id = newest.payment_id JOIN quotes ON quotes.id = payments.quote_id \
         JOIN events ON events.payment_id = newest.payment_id AND events.number <= newest.number \
         GROUP BY newest.payment_id",
    )
    .bind(columns::number_column(after)?)
    .bind(columns::number_column(last)?)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}
