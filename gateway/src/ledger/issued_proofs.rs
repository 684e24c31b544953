//! Digests of issued proofs, numbered in the order of their transactions.

use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;
use x402_schemas::{
    api::issued::{IssuedProof, MAX_ISSUED},
    proof,
};

use super::{LedgerError, columns};

/// Proofs live for 24 hours; a verifier whose clock is behind may still be asked about them.
const KEPT: SignedDuration = SignedDuration::from_hours(25);

/// Old digests that go with each new one: more than one, so that they never pile up.
const PRUNED_EACH: i64 = 4;

/// Numbers a proof, in the transaction that stores it.
pub(crate) async fn record(
    conn: &mut SqliteConnection,
    proof: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO issued_proofs (digest, issued_at) VALUES (?, ?)")
        .bind(proof::digest(proof).as_slice())
        .bind(now.as_millisecond())
        .execute(&mut *conn)
        .await?;
    let end = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
    sqlx::query(
        "DELETE FROM issued_proofs WHERE issued_at < ? AND number IN \
         (SELECT number FROM issued_proofs ORDER BY number LIMIT ?)",
    )
    .bind(end.as_millisecond())
    .bind(PRUNED_EACH)
    .execute(conn)
    .await?;
    Ok(())
}

/// The newest number that was ever given; 0 for none.
pub(crate) async fn newest(conn: &mut SqliteConnection) -> Result<u64, LedgerError> {
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'issued_proofs'")
            .fetch_optional(conn)
            .await?;
    columns::number(newest.unwrap_or(0))
}

/// The oldest of those after `after`, in order.
pub(crate) async fn after(
    conn: &mut SqliteConnection,
    after: u64,
) -> Result<Vec<IssuedProof>, LedgerError> {
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT number, digest FROM issued_proofs WHERE number > ? ORDER BY number LIMIT ?",
    )
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .bind(i64::try_from(MAX_ISSUED).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(number, digest)| {
            Ok(IssuedProof {
                number: columns::number(number)?,
                digest: columns::hash(&digest)?,
            })
        })
        .collect()
}
