//! What the spenders have left for gas: looked at now and then, for metrics and for warnings in quotes.
//!
//! Only information: `/pay` asks the chain anew and decides by that.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy::primitives::{Address, U256};
use thiserror::Error;
use x402_schemas::amount::Amount;
use x402_service::logs::with_causes;

use crate::{
    chain::ChainError,
    gateway::Gateway,
    ledger::{LedgerError, workspaces},
    spender::{Spender, SpenderError},
};

/// How often some spenders are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Spenders that are looked at together, in one batch of requests; the next ones follow in the next round.
const MAX_TOGETHER: u32 = 200;
/// The gas limit of a payment: 70,000 to 80,000 through a proxy and a quarter on top.
const GAS_OF_PAYMENT: u64 = 100_000;

/// What was seen last, by workspace.
#[derive(Debug, Default)]
pub(crate) struct GasMoney {
    seen: Mutex<HashMap<String, Left>>,
}

/// What a spender has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) wei: Amount,
    /// Payments that it affords at the fee ceiling.
    pub(crate) payments: u64,
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

impl GasMoney {
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
        match look(&gateway, after).await {
            Ok(next) => after = next,
            Err(error) => tracing::warn!(
                error = with_causes(&error),
                "what the spenders have left for gas is not known"
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
async fn look(gateway: &Gateway, after: i64) -> Result<i64, LookError> {
    let paying = {
        let mut conn = gateway.ledger.read().await?;
        workspaces::paying(&mut conn, after, MAX_TOGETHER).await?
    };
    let spenders = paying
        .iter()
        .map(|(number, _)| Ok(Spender::of_workspace(&gateway.seed, *number)?.address()))
        .collect::<Result<Vec<Address>, SpenderError>>()?;
    if spenders.is_empty() {
        return Ok(0);
    }
    let money = gateway.chain.gas_wei_of(&spenders).await?;
    let ceiling = gateway.chain.max_fee_wei();
    let looked_at = paying.iter().zip(money).map(|((_, id), wei)| {
        let payments = affordable(wei, ceiling);
        (id.clone(), Left { wei, payments })
    });
    let all = gateway.gas_money.remember(looked_at);
    gateway.metrics.gas_money(&all);
    let is_last = u32::try_from(paying.len()).is_ok_and(|count| count < MAX_TOGETHER);
    let last = paying.last().map_or(0, |(number, _)| *number);
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

    #[test]
    fn a_spender_is_short_once_it_was_seen_to_afford_nothing() {
        let money = GasMoney::default();
        assert!(!money.is_short("ws"), "nothing is known of it");
        let left = |payments| Left {
            wei: Amount::ZERO,
            payments,
        };
        money.remember([("ws".to_owned(), left(0))]);
        assert!(money.is_short("ws"));
        money.remember([("ws".to_owned(), left(1))]);
        assert!(!money.is_short("ws"));
    }
}
