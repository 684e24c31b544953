//! Idempotency keys: what was asked with each, and the answer where it is kept.

use alloy::primitives::B256;
use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;

use super::{LedgerError, columns};

/// How long a key is remembered.
pub(crate) const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Old keys that go with each new one: more than one, so that they never pile up.
const PRUNED_EACH: i64 = 4;

/// What a key was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) request: B256,
    pub(crate) answer: Option<Vec<u8>>,
}

/// What this caller used the key for, unless that is too long ago.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    caller: &str,
    key: &str,
    now: Timestamp,
) -> Result<Option<Used>, LedgerError> {
    let row: Option<(Vec<u8>, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT request, answer FROM idempotency_keys WHERE caller = ? AND key = ? AND created_at > ?",
    )
    .bind(caller)
    .bind(key)
    .bind(begin(now).as_millisecond())
    .fetch_optional(conn)
    .await?;
    row.map(|(request, answer)| {
        Ok(Used {
            request: columns::hash(&request)?,
            answer,
        })
    })
    .transpose()
}

/// Remembers a key that is not found, in the change of the ledger that it stands for.
pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    caller: &str,
    key: &str,
    used: &Used,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query(
        "DELETE FROM idempotency_keys WHERE created_at <= ?1 AND (caller = ?2 AND key = ?3 OR rowid IN \
         (SELECT rowid FROM idempotency_keys ORDER BY created_at LIMIT ?4))",
    )
    .bind(begin(now).as_millisecond())
    .bind(caller)
    .bind(key)
    .bind(PRUNED_EACH)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "INSERT INTO idempotency_keys (caller, key, request, answer, created_at) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(caller)
    .bind(key)
    .bind(used.request.as_slice())
    .bind(used.answer.as_deref())
    .bind(now.as_millisecond())
    .execute(conn)
    .await?;
    Ok(())
}

fn begin(now: Timestamp) -> Timestamp {
    now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN)
}
