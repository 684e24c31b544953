//! What each workspace has reserved and spent, as of the newest event.

use std::collections::HashMap;

use sqlx::Connection;
use x402_schemas::amount::Amount;

use super::{Ledger, LedgerError, columns, events};

/// The sums of all workspaces at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    /// The newest event then.
    pub(crate) number: u64,
    pub(crate) of_workspaces: Vec<Total>,
}

/// The sums of one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) workspace_id: String,
    pub(crate) reserved: Amount,
    pub(crate) spent: Amount,
}

/// Read in one transaction, so that the sums are those of exactly these events. What is held is spent or
/// still reserved, and what is reserved is few payments, so the payments of all time need not be added up.
pub(crate) async fn now(ledger: &Ledger) -> Result<Totals, LedgerError> {
    let mut conn = ledger.read().await?;
    let mut snapshot = conn.begin().await?;
    let number = events::newest(&mut snapshot).await?;
    let held: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT workspaces.id, held.amount FROM workspaces \
         LEFT JOIN held ON held.holder = workspaces.id AND held.span = 'ever' ORDER BY workspaces.number",
    )
    .fetch_all(&mut *snapshot)
    .await?;
    let under_way: Vec<(String, String)> = sqlx::query_as(
        "SELECT workspace_id, amount FROM payments WHERE status IN ('reserved', 'signed', 'broadcast', 'included')",
    )
    .fetch_all(&mut *snapshot)
    .await?;
    let mut reserved: HashMap<String, Amount> = HashMap::new();
    for (workspace_id, amount) in under_way {
        let sum = reserved.entry(workspace_id).or_default();
        *sum = sum
            .checked_add(columns::amount(&amount)?)
            .ok_or(LedgerError::Imbalance("a sum passes 256 bits"))?;
    }
    let of_workspaces = held.into_iter().map(|(workspace_id, held)| {
        let reserved = reserved.remove(&workspace_id).unwrap_or_default();
        let held = held.map_or(Ok(Amount::ZERO), |text| columns::amount(&text))?;
        let spent = held
            .checked_sub(reserved)
            .ok_or(LedgerError::Imbalance("more is reserved than is held"))?;
        Ok(Total {
            workspace_id,
            reserved,
            spent,
        })
    });
    Ok(Totals {
        number,
        of_workspaces: of_workspaces.collect::<Result<_, LedgerError>>()?,
    })
}
