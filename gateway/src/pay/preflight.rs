//! Before signing: would the token move the money now? What it costs to be wrong is gas and a
//! reservation held until finality, so everything that can be known is asked first.
//!
//! All reads are at one block. Payments in flight are those that this block's count of the spender's
//! transactions does not include yet, so nothing is counted twice and nothing is forgotten.

use alloy::{
    primitives::{Address, B256, Bytes},
    sol_types::{SolCall, SolError},
};
use thiserror::Error;
use x402_schemas::{
    amount::Amount,
    codes::{PaymentError, PaymentFailure},
};

use crate::{
    chain::{ChainError, Fees, Simulation, token},
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
    pub(crate) state: State,
}

/// The chain's state around one payment, at one block.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) paused: bool,
    /// Which of treasury, payee and spender the issuer has blocked, if any.
    pub(crate) blocked: Option<Address>,
    pub(crate) balance: Amount,
    pub(crate) allowance: Amount,
    /// The spender's gas money.
    pub(crate) gas_wei: Amount,
    /// How many of the spender's transactions are mined.
    pub(crate) mined: u64,
    pub(crate) base_fee: u128,
    pub(crate) fees: Fees,
    pub(crate) simulation: Simulation,
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
    let state = state(gateway, payment, treasury, spender).await?;
    Ok(Observed {
        workspace_number: workspace.number,
        treasury,
        state,
    })
}

async fn state(
    gateway: &Gateway,
    payment: &Payment,
    treasury: Address,
    spender: Address,
) -> Result<State, ChainError> {
    let chain = &gateway.chain;
    let payee = payment.invoice.pay_to;
    let at = chain.latest().await?;
    let blacklisted = |account| chain.view(token::blacklistedCall { account }, at);
    let input = calldata(treasury, payee, payment.invoice.amount, payment.memo);
    let (paused, from_listed, to_listed, spender_listed, from_frozen) = futures::try_join!(
        chain.view(token::pausedCall {}, at),
        blacklisted(treasury),
        blacklisted(payee),
        blacklisted(spender),
        chain.view(token::frozenCall { account: treasury }, at),
    )?;
    let allowance = token::allowanceCall {
        owner: treasury,
        spender,
    };
    let (balance, allowance, gas_wei, mined, fees, simulation) = futures::try_join!(
        chain.view(token::balanceOfCall { account: treasury }, at),
        chain.view(allowance, at),
        chain.gas_wei(spender, at),
        chain.mined(spender, at),
        chain.fees(),
        chain.simulate(spender, input),
    )?;
    let blocked = [
        (from_listed || from_frozen, treasury),
        (to_listed, payee),
        (spender_listed, spender),
    ];
    Ok(State {
        paused,
        blocked: blocked
            .into_iter()
            .find_map(|(blocked, account)| blocked.then_some(account)),
        balance: Amount::from_base_units(balance),
        allowance: Amount::from_base_units(allowance),
        gas_wei,
        mined,
        base_fee: at.base_fee,
        fees,
        simulation,
    })
}

/// Whether the payment may be signed. The first obstacle is reported.
pub(crate) fn judge(state: &State, amount: Amount, in_flight: InFlight) -> Result<Gas, Failure> {
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
    let gas_money = state.gas_wei.saturating_sub(in_flight.gas_wei);
    if gas_money < needed.most_wei {
        return fail(
            PaymentFailure::WalletError,
            format!(
                "the spender's gas money is too little: {} wei more than what is in use is needed; send it some",
                needed.most_wei.to_base_text()
            ),
        );
    }
    Ok(needed)
}

/// The gas that the simulation asks for, within the limits.
fn gas(state: &State) -> Result<Gas, Failure> {
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
    if state.fees.max_fee_per_gas < state.base_fee {
        return Err(wallet(
            "gas costs more now than the gateway's ceiling; try again later".to_owned(),
        ));
    }
    let most = u128::from(limit)
        .checked_mul(state.fees.max_fee_per_gas)
        .ok_or_else(|| wallet("gas costs more than can be counted".to_owned()))?;
    Ok(Gas {
        limit,
        fees: state.fees,
        most_wei: Amount::from_base_units(alloy::primitives::U256::from(most)),
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
