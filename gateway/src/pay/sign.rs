//! The next nonce, the signature and their record, in one change of the ledger. Only what is recorded
//! is ever sent, so a crash at any point leaves either nothing or bytes that can be sent again.

use alloy::{
    consensus::TxEip1559,
    primitives::{Bytes, TxKind, U256},
};
use thiserror::Error;
use x402_service::clock;

use super::preflight::{self, Gas, Observed};
use crate::{
    fault,
    gateway::Gateway,
    ledger::{
        LedgerError,
        payments::{Failure, Payment},
        transitions::{self, Signed},
        under_way, workspaces,
    },
    spender::{Spender, SpenderError},
};

/// Why nothing was signed.
#[derive(Debug, Error)]
pub(crate) enum SignError {
    #[error("the payment would not go through")]
    Refused(Failure),
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("the spender could not sign")]
    Spender(#[from] SpenderError),
    #[error("the spender has used every nonce")]
    NoNonce,
}

/// Signs the payment and records it; the bytes may be sent once this returns. `None`: the payment is
/// not reserved any more.
pub(crate) async fn sign(
    gateway: &Gateway,
    payment: &Payment,
    observed: &Observed,
) -> Result<Option<Bytes>, SignError> {
    let Observed {
        treasury, around, ..
    } = observed;
    let spender = Spender::of_workspace(&gateway.seed, observed.workspace_number)?;
    let mut change = gateway.ledger.write().await?;
    let in_flight =
        under_way::in_flight(&mut change, &payment.workspace_id, *treasury, around.mined).await?;
    let gas = preflight::judge(observed, payment.invoice.amount, in_flight)
        .map_err(SignError::Refused)?;
    let workspace = workspaces::get(&mut change, &payment.workspace_id).await?;
    let nonce = workspace.next_nonce.max(around.mined);
    let next_nonce = nonce.checked_add(1).ok_or(SignError::NoNonce)?;
    let transaction = spender.sign(transaction(gateway, payment, observed, nonce, gas))?;
    let signed = Signed {
        payer: *treasury,
        nonce,
        transaction: &transaction,
        gas_wei: gas.most_wei,
    };
    if !transitions::sign(&mut change, &payment.id, signed, clock::now()).await? {
        return Ok(None);
    }
    workspaces::set_next_nonce(&mut change, &payment.workspace_id, next_nonce).await?;
    fault::point!("signing");
    change.commit().await.map_err(LedgerError::from)?;
    fault::point!("signed");
    Ok(Some(transaction.raw))
}

fn transaction(
    gateway: &Gateway,
    payment: &Payment,
    observed: &Observed,
    nonce: u64,
    gas: Gas,
) -> TxEip1559 {
    TxEip1559 {
        chain_id: gateway.network.chain_id(),
        nonce,
        gas_limit: gas.limit,
        max_fee_per_gas: gas.fees.max_fee_per_gas,
        max_priority_fee_per_gas: gas.fees.max_priority_fee_per_gas,
        to: TxKind::Call(gateway.chain.token()),
        value: U256::ZERO,
        access_list: alloy::eips::eip2930::AccessList::default(),
        input: preflight::calldata(
            observed.treasury,
            payment.invoice.pay_to,
            payment.invoice.amount,
            payment.memo,
        ),
    }
}
