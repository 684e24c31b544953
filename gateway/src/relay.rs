//! `POST /treasury/relay`: sends an approval that the treasury signed on its own machine, so that an
//! owner needs no chain endpoint. Relays that one kind of transaction and nothing else.

use std::sync::Arc;

use alloy::{
    consensus::{Transaction, TxEnvelope},
    eips::eip2718::Decodable2718,
    primitives::{Address, B256},
    sol_types::SolCall,
};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use thiserror::Error;
use x402_schemas::api::{
    ErrorBody,
    owner::{RelayTransaction, TransactionRelayed},
};
use x402_service::{json::StrictJson, problem::Problem};

use crate::{
    chain::{ChainError, Known, Sent, token},
    gateway::Gateway,
    ledger::{LedgerError, workspaces},
    principal::Owner,
    spender::{Spender, SpenderError},
};

/// What a relayed transaction has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) treasury: Address,
    pub(crate) spender: Address,
    pub(crate) token: Address,
    pub(crate) chain_id: u64,
}

/// Why a transaction is not one that is relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum NotAnApproval {
    #[error("rawTransaction is no signed EIP-1559 transaction")]
    Form,
    #[error("the transaction is for another chain")]
    Chain,
    #[error("the transaction is not signed by the workspace's treasury")]
    Signer,
    #[error("the transaction is not a call of the token without value")]
    Target,
    #[error("the transaction is not an approve() of the workspace's spender")]
    Call,
}

/// Why a transaction is not relayed.
#[derive(Debug, Error)]
pub(crate) enum RelayError {
    #[error("the workspace has no treasury; attach one with POST /treasury")]
    NoTreasury,
    #[error("{0}; only an approval of the workspace's spender is relayed")]
    NotAnApproval(#[from] NotAnApproval),
    #[error("the chain refuses the transaction: {0}")]
    Refused(String),
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("the spender could not be derived")]
    Spender(#[from] SpenderError),
    #[error("the chain could not be reached")]
    Chain(#[from] ChainError),
}

impl IntoResponse for RelayError {
    fn into_response(self) -> Response {
        let message = self.to_string();
        match self {
            Self::NoTreasury => Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", message),
            Self::NotAnApproval(_) => {
                Problem::new(StatusCode::BAD_REQUEST, "NOT_AN_APPROVAL", message)
            }
            Self::Refused(_) => Problem::new(StatusCode::CONFLICT, "TRANSACTION_REFUSED", message),
            Self::Ledger(error) => error.into(),
            Self::Spender(error) => error.into(),
            Self::Chain(error) => error.into(),
        }
        .into_response()
    }
}

/// Sends an approval of the workspace's spender that the treasury signed.
#[utoipa::path(post, path = "/treasury/relay", tag = "owner", request_body = RelayTransaction,
    responses(
        (status = 200, body = TransactionRelayed),
        (status = 400, body = ErrorBody, description = "INVALID_REQUEST, NOT_AN_APPROVAL"),
        (status = 401, body = ErrorBody, description = "UNAUTHORIZED"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no treasury is attached"),
        (status = 409, body = ErrorBody, description = "TRANSACTION_REFUSED: the chain's own words are in the message"),
        (status = 503, body = ErrorBody, description = "CHAIN_UNAVAILABLE"),
    ), security(("owner" = [])))]
pub(crate) async fn relay(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    StrictJson(request): StrictJson<RelayTransaction>,
) -> Result<Json<TransactionRelayed>, RelayError> {
    let workspace = {
        let mut conn = gateway.ledger.read().await?;
        workspaces::get(&mut conn, &owner.workspace_id).await?
    };
    let expected = Expected {
        treasury: workspace.treasury.ok_or(RelayError::NoTreasury)?,
        spender: Spender::of_workspace(&gateway.seed, workspace.number)?.address(),
        token: gateway.chain.token(),
        chain_id: gateway.network.chain_id(),
    };
    let tx_hash = check(&request.raw_transaction, expected)?;
    match gateway.chain.send(&request.raw_transaction).await {
        Sent::Taken => Ok(Json(TransactionRelayed { tx_hash })),
        Sent::NonceUsed(reason) => match gateway.chain.look_up(tx_hash).await? {
            // A repeated request: it is this very transaction that used the nonce.
            Known::Waiting | Known::Mined { .. } => Ok(Json(TransactionRelayed { tx_hash })),
            Known::No => Err(RelayError::Refused(reason)),
        },
        Sent::Refused(reason) => Err(RelayError::Refused(reason)),
        Sent::Unknown(error) => Err(RelayError::Chain(error)),
    }
}

/// The hash of an approval, or why it is none.
pub(crate) fn check(mut raw: &[u8], expected: Expected) -> Result<B256, NotAnApproval> {
    let envelope = TxEnvelope::decode_2718(&mut raw).map_err(|_| NotAnApproval::Form)?;
    let transaction = envelope.as_eip1559().ok_or(NotAnApproval::Form)?;
    if !raw.is_empty() {
        return Err(NotAnApproval::Form);
    }
    if transaction.chain_id() != Some(expected.chain_id) {
        return Err(NotAnApproval::Chain);
    }
    let signer = transaction
        .signature()
        .recover_address_from_prehash(&transaction.signature_hash())
        .map_err(|_| NotAnApproval::Signer)?;
    if signer != expected.treasury {
        return Err(NotAnApproval::Signer);
    }
    if transaction.to() != Some(expected.token) || !transaction.value().is_zero() {
        return Err(NotAnApproval::Target);
    }
    let call = token::approveCall::abi_decode_validate(transaction.input())
        .map_err(|_| NotAnApproval::Call)?;
    // Encoding it again leaves no room for bytes that the decoder ignores.
    let exact = call.abi_encode() == transaction.input().as_ref();
    if !exact || call.spender != expected.spender {
        return Err(NotAnApproval::Call);
    }
    Ok(*transaction.hash())
}
