//! A payment that waits too long is bid higher for: the same transaction with the same nonce, so that a
//! block can hold only one of the two. Like the first it is durable before it is sent.

use alloy::{
    consensus::{Transaction, TxEip1559, TxEnvelope},
    eips::eip2718::Decodable2718,
    primitives::{Bytes, U256},
};
use thiserror::Error;
use x402_schemas::{amount::Amount, payment::PaymentStatus};
use x402_service::clock;

use crate::{
    chain::{ChainError, Fees},
    fault,
    gateway::Gateway,
    ledger::{
        LedgerError,
        transitions::{self, Replacement},
        under_way::Unsettled,
        workspaces,
    },
    spender::{Spender, SpenderError},
};

/// The most transactions that one payment may have.
const MAX_TRANSACTIONS: usize = 10;
/// Nodes take a replacement that bids a tenth more; an eighth is on the safe side.
const BUMP_DIVISOR: u128 = 8;

/// Why nothing was replaced.
#[derive(Debug, Error)]
pub(crate) enum ReplaceError {
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("the chain could not be asked")]
    Chain(#[from] ChainError),
    #[error("the spender could not sign")]
    Spender(#[from] SpenderError),
    #[error("the stored transaction is not one of ours")]
    Unreadable,
    #[error("the spender has too little gas money to bid {0} wei for one gas")]
    GasMoney(u128),
    #[error("the gateway's ceiling for fees does not allow a higher bid")]
    Ceiling,
}

/// Replaces the transaction of a payment that is stuck, and returns what to send. `None`: it is not
/// stuck, or has moved on.
pub(crate) async fn replace_if_stuck(
    gateway: &Gateway,
    one: &Unsettled,
) -> Result<Option<Bytes>, ReplaceError> {
    let payment = &one.payment;
    let waited = clock::now().duration_since(payment.updated_at);
    let may_be = payment.status == PaymentStatus::Broadcast
        && waited >= gateway.stuck_after
        && one.replaced.len() < MAX_TRANSACTIONS;
    if !may_be {
        return Ok(None);
    }
    let workspace = {
        let mut conn = gateway.ledger.read().await?;
        workspaces::get(&mut conn, &payment.workspace_id).await?
    };
    let spender = Spender::of_workspace(&gateway.seed, workspace.number)?;
    let before = decode(&one.raw).ok_or(ReplaceError::Unreadable)?;
    let at = gateway.chain.latest().await?;
    let is_next = gateway.chain.mined(spender.address(), at).await? == before.nonce;
    if !is_next && before.max_fee_per_gas >= at.base_fee {
        // It waits for those before it.
        return Ok(None);
    }
    let ceiling = gateway.chain.max_fee_wei();
    let bid = higher(&before, gateway.chain.fees().await?, ceiling).ok_or(ReplaceError::Ceiling)?;
    let most = u128::from(before.gas_limit).saturating_mul(bid.max_fee_per_gas);
    let gas_wei = Amount::from_base_units(U256::from(most));
    if gateway.chain.gas_wei(spender.address(), at).await? < gas_wei {
        return Err(ReplaceError::GasMoney(bid.max_fee_per_gas));
    }
    let transaction = spender.sign(TxEip1559 {
        max_fee_per_gas: bid.max_fee_per_gas,
        max_priority_fee_per_gas: bid.max_priority_fee_per_gas,
        ..before
    })?;
    let replacement = Replacement {
        transaction: &transaction,
        gas_wei,
        max_fee_per_gas: bid.max_fee_per_gas,
    };
    let mut change = gateway.ledger.write().await?;
    let replaced = transitions::replace(&mut change, payment, replacement, clock::now()).await?;
    change.commit().await.map_err(LedgerError::from)?;
    fault::point!("replaced");
    if replaced {
        gateway.metrics.replaced();
    }
    Ok(replaced.then_some(transaction.raw))
}

/// A transaction of ours, from its bytes.
pub(crate) fn decode(raw: &Bytes) -> Option<TxEip1559> {
    let envelope = TxEnvelope::decode_2718(&mut raw.as_ref()).ok()?;
    envelope.as_eip1559().map(|signed| signed.tx().clone())
}

/// What to bid instead: what the chain asks for now, and enough more than before that nodes take it.
/// `None`: the ceiling is lower than that.
fn higher(before: &impl Transaction, now: Fees, ceiling: u128) -> Option<Fees> {
    let enough = |bid: u128| {
        bid.checked_add(bid.checked_div(BUMP_DIVISOR)?)?
            .checked_add(1)
    };
    let least = enough(before.max_fee_per_gas())?;
    let least_tip = enough(before.max_priority_fee_per_gas().unwrap_or_default())?;
    let max_fee_per_gas = now.max_fee_per_gas.max(least);
    let max_priority_fee_per_gas = now.max_priority_fee_per_gas.max(least_tip);
    let fits = max_fee_per_gas <= ceiling && max_priority_fee_per_gas <= max_fee_per_gas;
    fits.then_some(Fees {
        max_fee_per_gas,
        max_priority_fee_per_gas,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(before: (u128, u128), now: (u128, u128), ceiling: u128) -> Option<(u128, u128)> {
        let before = TxEip1559 {
            max_fee_per_gas: before.0,
            max_priority_fee_per_gas: before.1,
            ..TxEip1559::default()
        };
        let now = Fees {
            max_fee_per_gas: now.0,
            max_priority_fee_per_gas: now.1,
        };
        higher(&before, now, ceiling).map(|bid| (bid.max_fee_per_gas, bid.max_priority_fee_per_gas))
    }

    #[test]
    fn a_higher_bid_is_what_the_chain_asks_and_at_least_an_eighth_more() {
        assert_eq!(outcome((80, 8), (500, 20), 1_000), Some((500, 20)));
        assert_eq!(outcome((80, 8), (80, 8), 1_000), Some((91, 10)));
        assert_eq!(outcome((80, 0), (80, 0), 1_000), Some((91, 1)));
    }

    #[test]
    fn no_bid_passes_the_ceiling() {
        assert_eq!(outcome((80, 8), (80, 8), 91), Some((91, 10)));
        assert_eq!(outcome((80, 8), (80, 8), 90), None);
        assert_eq!(outcome((80, 8), (91, 8), 90), None);
        assert_eq!(outcome((u128::MAX, 8), (1, 1), u128::MAX), None);
    }
}
