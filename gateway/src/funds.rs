//! What treasuries have left to pay with and spenders for gas: looked at now and then, for metrics and for warnings in
//! quotes.
//!
//! Only information: `/pay` asks the chain anew and decides by that.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy::primitives::U256;
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use x402_schemas::amount::Amount;
use x402_service::{clock, logs::with_causes};

use crate::{
    chain::ChainError,
    gateway::Gateway,
    ledger::{LedgerError, held, treasuries},
    policy::tally::earlier,
    spender::{self, SpenderError},
};

/// How often some workspaces are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Workspaces that are looked at together, in one batch of requests; the next ones follow in the next round.
const MAX_TOGETHER: u32 = 100;
/// The gas limit of a payment: 70,000 to 80,000 through a proxy and a quarter on top.
const GAS_OF_PAYMENT: u64 = 100_000;
/// A treasury is expected to spend on as it did in so much time, seconds.
const SPENT_IN_SECONDS: u32 = 7 * 24 * 60 * 60;

/// What was seen last, by workspace.
#[derive(Debug, Default)]
pub(crate) struct Funds {
    seen: Mutex<HashMap<String, Left>>,
}

/// What a workspace has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// The treasury's MNEE.
    pub(crate) balance: Amount,
    /// What the spender may move of it.
    pub(crate) allowance: Amount,
    /// What was spent lately, reservations included.
    spent: Amount,
    /// The spender's gas money.
    pub(crate) wei: Amount,
    /// Payments that it affords at the fee ceiling.
    pub(crate) payments: u64,
}

impl Left {
    /// How long the treasury lasts if it spends on as it did: what it has and may be moved, by what was spent. `None`: for
    /// ever.
    pub(crate) fn runway_seconds(&self) -> Option<u32> {
        let left = self.balance.min(self.allowance).base_units();
        let seconds = left
            .saturating_mul(U256::from(SPENT_IN_SECONDS))
            .checked_div(self.spent.base_units())?;
        Some(seconds.saturating_to())
    }
}

#[derive(Debug, Error)]
enum LookError {
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("a spender could not be derived")]
    Spender(#[from] SpenderError),
    #[error("the chain could not be asked")]
    Chain(#[from] ChainError),
}

impl Funds {
    /// Whether a workspace's spender was seen to afford no payment.
    pub(crate) fn is_short(&self, workspace_id: &str) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(workspace_id)
            .is_some_and(|left| left.payments == 0)
    }

    fn remember(&self, looked_at: impl IntoIterator<Item = (String, Left)>) -> Vec<Left> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(looked_at);
        seen.values().copied().collect()
    }
}

/// Looks until the process stops.
pub(crate) async fn watch(gateway: Arc<Gateway>) -> Result<(), Infallible> {
    let mut after = 0;
    while !gateway.stop.is_cancelled() {
        match look(&gateway, after, clock::now()).await {
            Ok(next) => after = next,
            Err(error) => tracing::warn!(
                error = with_causes(&error),
                "what treasuries and spenders have left is not known"
            ),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => (),
            () = gateway.stop.cancelled() => (),
        }
    }
    Ok(())
}

/// Looks at the workspaces that come after one, and returns after which the next round goes on.
async fn look(gateway: &Gateway, after: i64, now: Timestamp) -> Result<i64, LookError> {
    let since = earlier(now, SignedDuration::from_secs(SPENT_IN_SECONDS.into()));
    let mut spent = Vec::new();
    let paying = {
        let mut conn = gateway.ledger.read().await?;
        let paying = treasuries::paying(&mut conn, after, MAX_TOGETHER).await?;
        for (_, workspace_id, _) in &paying {
            spent.push(held::since(&mut conn, workspace_id, since).await?);
        }
        paying
    };
    let pairs = spender::pairs(&gateway.seed, &paying)?;
    let (_, found) = gateway.chain.holdings_of(&pairs).await?;
    let ceiling = gateway.chain.max_fee_wei();
    let looked_at = paying.iter().zip(found).zip(spent);
    let looked_at = looked_at.map(|(((_, workspace_id, _), found), spent)| {
        let left = Left {
            balance: found.balance,
            allowance: found.allowance,
            spent,
            wei: found.spender_gas_wei,
            payments: affordable(found.spender_gas_wei, ceiling),
        };
        (workspace_id.clone(), left)
    });
    let all = gateway.funds.remember(looked_at);
    gateway.metrics.funds.seen(&all, now);
    let is_last = u32::try_from(paying.len()).is_ok_and(|count| count < MAX_TOGETHER);
    let last = paying.last().map_or(0, |(number, ..)| *number);
    Ok(if is_last { 0 } else { last })
}

/// How many payments so much pays for, each at the most that it may bid.
fn affordable(wei: Amount, ceiling_wei: u128) -> u64 {
    let each = U256::from(GAS_OF_PAYMENT).saturating_mul(U256::from(ceiling_wei));
    wei.base_units()
        .checked_div(each)
        .map_or(u64::MAX, |count| count.saturating_to())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ether(text: &str) -> Amount {
        text.parse().unwrap()
    }

    #[test]
    fn what_a_spender_affords_is_counted_at_the_ceiling() {
        let gwei = 1_000_000_000;
        assert_eq!(affordable(ether("0.1"), 200 * gwei), 5);
        assert_eq!(affordable(ether("0.019999999999999999"), 200 * gwei), 0);
        assert_eq!(affordable(ether("0.02"), 200 * gwei), 1);
        assert_eq!(affordable(Amount::ZERO, 0), u64::MAX);
    }

    const WEEK: u32 = SPENT_IN_SECONDS;

    fn left(balance: &str, allowance: &str, spent: &str) -> Left {
        Left {
            balance: ether(balance),
            allowance: ether(allowance),
            spent: ether(spent),
            wei: Amount::ZERO,
            payments: 0,
        }
    }

    #[test]
    fn a_treasury_lasts_by_the_less_of_what_it_has_and_what_it_allows() {
        let lasts = |balance, allowance, spent| left(balance, allowance, spent).runway_seconds();
        assert_eq!(lasts("70", "100", "7"), Some(10 * WEEK));
        assert_eq!(lasts("100", "70", "7"), Some(10 * WEEK));
        assert_eq!(lasts("0", "70", "7"), Some(0));
        assert_eq!(lasts("70", "70", "0"), None);
        assert_eq!(
            lasts("70000000000", "70000000000", "0.000000000000000001"),
            Some(u32::MAX)
        );
    }

    #[test]
    fn a_spender_is_short_once_it_was_seen_to_afford_nothing() {
        let funds = Funds::default();
        assert!(!funds.is_short("ws"), "nothing is known of it");
        let seen = |payments| {
            let left = Left {
                payments,
                ..left("1", "1", "0")
            };
            [("ws".to_owned(), left)]
        };
        funds.remember(seen(0));
        assert!(funds.is_short("ws"));
        funds.remember(seen(1));
        assert!(!funds.is_short("ws"));
    }
}
