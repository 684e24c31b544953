//! Reserved and spent together, for each limit that is kept.
//!
//! A payment counts from its reservation on, in the UTC day and month of its creation, until it has
//! failed. Written in the same transaction as the payment, so the sums always equal the payments.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::amount::Amount;

use super::{LedgerError, columns};
use crate::policy::Spent;

/// Whose limits a payment counts against, and when it was created.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account<'a> {
    pub(crate) workspace_id: &'a str,
    pub(crate) agent_id: &'a str,
    pub(crate) created_at: Timestamp,
}

impl Account<'_> {
    /// (holder, period) of each limit.
    fn limits(&self) -> [(&str, String); 3] {
        let (day, month) = (
            columns::utc_day(self.created_at),
            columns::utc_month(self.created_at),
        );
        [
            (self.agent_id, day),
            (self.agent_id, month.clone()),
            (self.workspace_id, month),
        ]
    }
}

/// What already counts against each limit.
pub(crate) async fn spent(
    conn: &mut SqliteConnection,
    account: Account<'_>,
) -> Result<Spent, LedgerError> {
    let [agent_day, agent_month, workspace_month] = account.limits();
    Ok(Spent {
        agent_day: held(conn, agent_day.0, &agent_day.1).await?,
        agent_month: held(conn, agent_month.0, &agent_month.1).await?,
        workspace_month: held(conn, workspace_month.0, &workspace_month.1).await?,
    })
}

/// Counts a new payment.
pub(crate) async fn hold(
    conn: &mut SqliteConnection,
    account: Account<'_>,
    amount: Amount,
) -> Result<(), LedgerError> {
    for (holder, period) in account.limits() {
        let sum = held(conn, holder, &period)
            .await?
            .checked_add(amount)
            .ok_or(LedgerError::Imbalance("a sum passes 256 bits"))?;
        store(conn, holder, &period, sum).await?;
    }
    Ok(())
}

/// Stops counting a payment that failed.
pub(crate) async fn release(
    conn: &mut SqliteConnection,
    account: Account<'_>,
    amount: Amount,
) -> Result<(), LedgerError> {
    for (holder, period) in account.limits() {
        let sum = held(conn, holder, &period)
            .await?
            .checked_sub(amount)
            .ok_or(LedgerError::Imbalance("more is released than was held"))?;
        store(conn, holder, &period, sum).await?;
    }
    Ok(())
}

async fn held(
    conn: &mut SqliteConnection,
    holder: &str,
    period: &str,
) -> Result<Amount, LedgerError> {
    let text: Option<String> =
        sqlx::query_scalar("SELECT amount FROM held WHERE holder = ? AND period = ?")
            .bind(holder)
            .bind(period)
            .fetch_optional(conn)
            .await?;
    text.map_or(Ok(Amount::ZERO), |text| columns::amount(&text))
}

async fn store(
    conn: &mut SqliteConnection,
    holder: &str,
    period: &str,
    amount: Amount,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO held (holder, period, amount) VALUES (?, ?, ?) \
         ON CONFLICT (holder, period) DO UPDATE SET amount = excluded.amount",
    )
    .bind(holder)
    .bind(period)
    .bind(columns::amount_text(amount))
    .execute(conn)
    .await?;
    Ok(())
}
