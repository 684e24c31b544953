//! What this ledger belongs to: network, token, master seed. Written once, compared at each start.

use sqlx::SqliteConnection;

use super::LedgerError;

/// Records `given` under `name` at first, and refuses anything else after that.
pub(crate) async fn agree(
    conn: &mut SqliteConnection,
    name: &'static str,
    given: &str,
) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO identity (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING")
        .bind(name)
        .bind(given)
        .execute(&mut *conn)
        .await?;
    let recorded: String = sqlx::query_scalar("SELECT value FROM identity WHERE name = ?")
        .bind(name)
        .fetch_one(conn)
        .await?;
    if recorded == given {
        Ok(())
    } else {
        Err(LedgerError::Foreign {
            name,
            recorded,
            given: given.to_owned(),
        })
    }
}

/// The ledger's own name, made with it.
pub(crate) async fn ledger_id(conn: &mut SqliteConnection) -> Result<String, LedgerError> {
    Ok(
        sqlx::query_scalar("SELECT value FROM identity WHERE name = 'ledger'")
            .fetch_one(conn)
            .await?,
    )
}
