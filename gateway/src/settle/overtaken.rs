//! Payments that can never be made any more: another transaction of their spender has used their nonce
//! for good, as after a reorg.
//!
//! Two facts decide, and no look-up of the transaction itself: a final block counts the nonce as used, and
//! the index, which covers that block, shows no transfer of any of the payment's transactions.

use alloy::primitives::Address;
use thiserror::Error;
use x402_schemas::index::Tip;

use crate::{
    chain::ChainError,
    gateway::Gateway,
    ledger::{LedgerError, under_way::Unsettled, workspaces},
    pay::replace,
    spender::{Spender, SpenderError},
};

/// Why it is not known.
#[derive(Debug, Error)]
pub(crate) enum OvertakenError {
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("the chain could not be asked")]
    Chain(#[from] ChainError),
    #[error("the spender could not be derived")]
    Spender(#[from] SpenderError),
}

/// Whether a final block, which the index covers, has the payment's nonce in another transaction. The
/// payment was looked for in the index at this tip before, and was not there.
pub(crate) async fn is_overtaken(
    gateway: &Gateway,
    one: &Unsettled,
    tip: Option<Tip>,
) -> Result<bool, OvertakenError> {
    let (Some(tip), Some(transaction)) = (tip, replace::decode(&one.raw)) else {
        return Ok(false);
    };
    let number = tip.finalized.min(tip.block_number);
    let spender = spender(gateway, &one.payment.workspace_id).await?;
    let used = gateway.chain.mined_at(spender, number).await?;
    Ok(used > transaction.nonce)
}

async fn spender(gateway: &Gateway, workspace_id: &str) -> Result<Address, OvertakenError> {
    let workspace = {
        let mut conn = gateway.ledger.read().await?;
        workspaces::get(&mut conn, workspace_id).await?
    };
    Ok(Spender::of_workspace(&gateway.seed, workspace.number)?.address())
}
