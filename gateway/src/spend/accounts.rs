//! Workspaces, agents and providers with their limits, whenever something of them has changed.

use std::collections::HashMap;

use clickhouse::Client;
use x402_schemas::{
    amount::Amount,
    index::{spend::AccountRow, uint256},
    policy::Policy,
};
use x402_service::clock;

use super::{RecordError, rows};
use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError,
        accounts::{self, Account},
        columns,
    },
};

/// What was written last, by id. After a start everything is written once more.
#[derive(Debug, Default)]
pub(super) struct Accounts(HashMap<String, Account>);

impl Accounts {
    /// Writes those that are new or have changed.
    pub(super) async fn write(
        &mut self,
        gateway: &Gateway,
        client: &Client,
    ) -> Result<(), RecordError> {
        let all = {
            let mut conn = gateway.ledger.read().await?;
            accounts::all(&mut conn).await?
        };
        let changed: Vec<Account> = all
            .into_iter()
            .filter(|account| self.0.get(&account.id) != Some(account))
            .collect();
        let at = clock::now().as_millisecond();
        let rows = changed
            .iter()
            .map(|account| row(account, &gateway.ledger_id, at))
            .collect::<Result<Vec<_>, _>>()?;
        rows::insert(client, "account_states", &rows, None).await?;
        let written = changed.into_iter();
        self.0
            .extend(written.map(|account| (account.id.clone(), account)));
        Ok(())
    }
}

fn row(account: &Account, ledger: &str, at: i64) -> Result<AccountRow, LedgerError> {
    let policy = account.policy.as_deref().map(columns::policy).transpose()?;
    let budget = account.monthly_budget.as_deref().map(columns::amount);
    let budget = budget.transpose()?;
    let limit = |of: fn(&Policy) -> Amount| policy.as_ref().map(|policy| uint256(of(policy)));
    Ok(AccountRow {
        ledger: ledger.to_owned(),
        kind: account.kind.clone(),
        id: account.id.clone(),
        at,
        workspace_id: account.workspace_id.clone(),
        name: account.name.clone(),
        daily_limit: limit(|policy| policy.daily),
        monthly_limit: budget
            .map_or_else(|| limit(|policy| policy.monthly), |sum| Some(uint256(sum))),
        total_limit: policy.as_ref().and_then(|policy| policy.total).map(uint256),
        payment_limit: limit(|policy| policy.per_request),
        is_active: account.is_active,
    })
}
