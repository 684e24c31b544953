//! What the transactions of ended payments cost in gas, from their receipts.

use std::time::Duration;

use alloy::primitives::B256;
use futures::{StreamExt, stream};
use jiff::SignedDuration;
use x402_schemas::amount::Amount;
use x402_service::clock;

use crate::{
    chain::Known,
    gateway::Gateway,
    ledger::{
        LedgerError,
        payments::{self, Payment},
        under_way,
    },
};

/// Payments that are looked up in one round.
const MAX_PRICED: u32 = 200;
/// Questions to the chain that are open at once.
const CONCURRENCY: usize = 16;
/// How long a receipt is asked for; a node that has none by then has pruned it.
const ASKED_FOR: SignedDuration = SignedDuration::from_hours(1);
/// The longest that one round may take of the follower's time.
const ROUND_TIMEOUT: Duration = Duration::from_secs(5);

/// Records what is known by now. The rest is asked for again in the next round.
pub(crate) async fn record(gateway: &Gateway) -> Result<(), LedgerError> {
    let now = clock::now();
    let since = now.saturating_sub(ASKED_FOR).unwrap_or(now);
    let unpriced = {
        let mut conn = gateway.ledger.read().await?;
        under_way::unpriced(&mut conn, since, MAX_PRICED).await?
    };
    let looked_up = stream::iter(unpriced)
        .map(|payment| cost(gateway, payment))
        .buffer_unordered(CONCURRENCY)
        .take_until(tokio::time::sleep(ROUND_TIMEOUT))
        .filter_map(std::future::ready)
        .collect::<Vec<_>>();
    let costs = looked_up.await;
    if costs.is_empty() {
        return Ok(());
    }
    let mut change = gateway.ledger.write().await?;
    for (id, hash, wei) in &costs {
        payments::set_gas_paid(&mut change, id, *hash, *wei, now).await?;
    }
    change.commit().await?;
    for (_, _, wei) in costs {
        gateway.metrics.burnt(wei);
    }
    Ok(())
}

async fn cost(gateway: &Gateway, payment: Payment) -> Option<(String, B256, Amount)> {
    let hash = payment.tx_hash?;
    match gateway.chain.look_up(hash).await {
        Ok(Known::Mined { gas_wei, .. }) => Some((payment.id, hash, gas_wei)),
        Ok(Known::No | Known::Waiting) | Err(_) => None,
    }
}
