//! Before signing: would the token move the money now? What it costs to be wrong is gas and a
//! reservation held until finality, so everything that can be known is asked first.
//!
//! All reads are at one block. Payments in flight are those that this block's count of the spender's
//! transactions does not include yet, so nothing is counted twice and nothing is forgotten.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::{SolCall, SolError},
};
use thiserror::Error;
use x402_schemas::{
    amount::Amount,
    codes::{PaymentError, PaymentFailure},
};

use crate::{
    chain::{
        ChainError, Fees, Simulation,
        around::{Around, Planned},
        token,
    },
    gateway::Gateway,
    ledger::{
        LedgerError,
        payments::{Failure, Payment},
        under_way::InFlight,
        workspaces,
    },
    spender::{Spender, SpenderError},
};

/// The most gas that a payment may take. A transfer through a proxy takes about 70,000.
const MAX_GAS: u64 = 300_000;

/// What was seen of the chain and the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// The workspace's place in the derivation.
    pub(crate) workspace_number: i64,
    pub(crate) treasury: Address,
    /// The most that may be bid for one gas.
    pub(crate) ceiling_wei: u128,
    pub(crate) around: Around,
}

/// What the payment's transaction may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gas {
    pub(crate) limit: u64,
    pub(crate) fees: Fees,
    /// Limit times the most per gas, in wei.
    pub(crate) most_wei: Amount,
}

/// Why nothing could be seen.
#[derive(Debug, Error)]
pub(crate) enum ObserveError {
    #[error("the workspace has no treasury")]
    NoTreasury,
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("the spender could not be derived")]
    Spender(#[from] SpenderError),
    #[error("the chain could not be asked")]
    Chain(#[from] ChainError),
}

/// The payment's calldata: the transfer's ABI encoding, then the invoice's hash.
pub(crate) fn calldata(treasury: Address, pay_to: Address, amount: Amount, memo: B256) -> Bytes {
    let transfer = token::transferFromCall {
        from: treasury,
        to: pay_to,
        amount: amount.base_units(),
    };
    let mut data = transfer.abi_encode();
    data.extend_from_slice(memo.as_slice());
    data.into()
}

/// Looks at the chain, all at one block.
pub(crate) async fn observe(
    gateway: &Gateway,
    payment: &Payment,
) -> Result<Observed, ObserveError> {
    let workspace = {
        let mut conn = gateway.ledger.read().await?;
        workspaces::get(&mut conn, &payment.workspace_id).await?
    };
    let treasury = workspace.treasury.ok_or(ObserveError::NoTreasury)?;
    let spender = Spender::of_workspace(&gateway.seed, workspace.number)?.address();
    let planned = Planned {
        treasury,
        payee: payment.invoice.pay_to,
        spender,
        calldata: calldata(
            treasury,
            payment.invoice.pay_to,
            payment.invoice.amount,
            payment.memo,
        ),
    };
    Ok(Observed {
        workspace_number: workspace.number,
        treasury,
        ceiling_wei: gateway.chain.max_fee_wei(),
        around: gateway.chain.around(&planned).await?,
    })
}

/// Whether the payment may be signed. The first obstacle is reported.
pub(crate) fn judge(
    observed: &Observed,
    amount: Amount,
    in_flight: InFlight,
) -> Result<Gas, Failure> {
    let state = &observed.around;
    let fail = |code, detail| Err(failure(code, detail));
    if state.paused {
        return fail(
            PaymentFailure::TokenPaused,
            "the issuer has paused the token; try again later".to_owned(),
        );
    }
    if let Some(account) = state.blocked {
        return fail(
            PaymentFailure::AccountBlocked,
            format!("the issuer has blocked {account}"),
        );
    }
    let spendable = state.balance.saturating_sub(in_flight.amount);
    if spendable < amount {
        return fail(
            PaymentFailure::InsufficientBalance,
            format!(
                "the treasury holds {} MNEE, {} of it on its way elsewhere; {amount} is needed",
                state.balance, in_flight.amount
            ),
        );
    }
    // An allowance of 2^256 - 1 is never used up, but less of it remains than any amount anyway.
    let allowed = state.allowance.saturating_sub(in_flight.amount);
    if allowed < amount {
        return fail(
            PaymentFailure::InsufficientAllowance,
            format!(
                "the treasury has approved {} MNEE to the spender, {} of it in use; {amount} is needed, approve more",
                state.allowance, in_flight.amount
            ),
        );
    }
    let needed = gas(state)?;
    // A payment that waits is bid more for, up to the ceiling: what it may come to has to be there.
    let most_wei = cost(
        needed.limit,
        observed.ceiling_wei.max(needed.fees.max_fee_per_gas),
    )?;
    let gas_money = state.gas_wei.saturating_sub(in_flight.gas_wei);
    if gas_money < most_wei {
        return fail(
            PaymentFailure::InsufficientGas,
            format!(
                "the spender has {} ether for gas, {} of it in use by payments on their way; a payment may cost {most_wei}: \
                 send it some with 'x402 wallet top-up'",
                state.gas_wei, in_flight.gas_wei
            ),
        );
    }
    Ok(needed)
}

/// So much gas at such a price, in wei.
fn cost(limit: u64, price: u128) -> Result<Amount, Failure> {
    let wei = U256::from(limit).checked_mul(U256::from(price));
    let too_much = || {
        failure(
            PaymentFailure::WalletError,
            "gas costs more than can be counted".to_owned(),
        )
    };
    wei.map(Amount::from_base_units).ok_or_else(too_much)
}

/// The gas that the simulation asks for, within the limits.
fn gas(state: &Around) -> Result<Gas, Failure> {
    let wallet = |detail| failure(PaymentFailure::WalletError, detail);
    let used = match &state.simulation {
        Simulation::Succeeds { gas } => *gas,
        Simulation::Reverts { selector, reason } => return Err(reverted(*selector, reason)),
    };
    // A quarter on top: the state may have moved on until it is mined.
    let limit = used.saturating_add(used.checked_div(4).unwrap_or(0));
    if limit > MAX_GAS {
        return Err(wallet(format!(
            "the payment would take {limit} gas; {MAX_GAS} is the most"
        )));
    }
    if state.fees.max_fee_per_gas < state.at.base_fee {
        return Err(wallet(
            "gas costs more now than the gateway's ceiling; try again later".to_owned(),
        ));
    }
    Ok(Gas {
        limit,
        fees: state.fees,
        most_wei: cost(limit, state.fees.max_fee_per_gas)?,
    })
}

fn reverted(selector: Option<[u8; 4]>, reason: &str) -> Failure {
    let code = match selector {
        Some(token::tokenPaused::SELECTOR) => PaymentFailure::TokenPaused,
        Some(token::blacklistedAddress::SELECTOR | token::frozenAddress::SELECTOR) => {
            PaymentFailure::AccountBlocked
        }
        Some(_) | None => PaymentFailure::WalletError,
    };
    let detail = format!("the token would refuse the transfer: {reason}");
    failure(code, detail)
}

const fn failure(code: PaymentFailure, detail: String) -> Failure {
    Failure {
        code: PaymentError::Failed(code),
        detail,
    }
}

#[cfg(test)]
mod tests;
