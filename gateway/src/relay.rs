//! `POST /treasury/relay`: sends what the treasury signed on its own machine, so that an owner needs no
//! chain endpoint: an approval of the workspace's spender, or ether for it, and nothing else.

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
    permissions::ManagingTreasury,
    principal::Member,
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
pub(crate) enum NotRelayed {
    #[error("rawTransaction is no signed EIP-1559 transaction")]
    Form,
    #[error("the transaction is for another chain")]
    Chain,
    #[error("the transaction is not signed by the workspace's treasury")]
    Signer,
    #[error(
        "the transaction is neither a call of the token without value nor ether for the spender"
    )]
    Target,
    #[error("the transaction is not an approve() of the workspace's spender")]
    Call,
}

/// Why a transaction is not relayed.
#[derive(Debug, Error)]
pub(crate) enum RelayError {
    #[error("the workspace has no treasury; attach one with POST /treasury")]
    NoTreasury,
    #[error("{0}; only an approval of the workspace's spender, or ether for it, is relayed")]
    NotRelayed(#[from] NotRelayed),
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
            Self::NotRelayed(_) => {
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

/// Sends an approval of the workspace's spender, or ether for it, that the treasury signed.
#[utoipa::path(post, path = "/treasury/relay", tag = "owner", request_body = RelayTransaction,
    responses(
        (status = 200, body = TransactionRelayed),
        (status = 400, body = ErrorBody, description = "INVALID_REQUEST, NOT_AN_APPROVAL"),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an owner"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no treasury is attached"),
        (status = 409, body = ErrorBody, description = "TRANSACTION_REFUSED: the chain's own words are in the message"),
        (status = 503, body = ErrorBody, description = "CHAIN_UNAVAILABLE"),
    ), security(("owner" = [])))]
pub(crate) async fn relay(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingTreasury>,
    StrictJson(request): StrictJson<RelayTransaction>,
) -> Result<Json<TransactionRelayed>, RelayError> {
    let workspace = {
        let mut conn = gateway.ledger.read().await?;
        workspaces::get(&mut conn, &member.workspace_id).await?
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

/// The hash of an approval or a gift of ether, or why it is neither.
pub(crate) fn check(mut raw: &[u8], expected: Expected) -> Result<B256, NotRelayed> {
    let envelope = TxEnvelope::decode_2718(&mut raw).map_err(|_| NotRelayed::Form)?;
    let transaction = envelope.as_eip1559().ok_or(NotRelayed::Form)?;
    if !raw.is_empty() {
        return Err(NotRelayed::Form);
    }
    if transaction.chain_id() != Some(expected.chain_id) {
        return Err(NotRelayed::Chain);
    }
    let signer = transaction
        .signature()
        .recover_address_from_prehash(&transaction.signature_hash())
        .map_err(|_| NotRelayed::Signer)?;
    if signer != expected.treasury {
        return Err(NotRelayed::Signer);
    }
    let is_gift = transaction.to() == Some(expected.spender) && transaction.input().is_empty();
    if is_gift && !transaction.value().is_zero() {
        return Ok(*transaction.hash());
    }
    if transaction.to() != Some(expected.token) || !transaction.value().is_zero() {
        return Err(NotRelayed::Target);
    }
    let call = token::approveCall::abi_decode_validate(transaction.input())
        .map_err(|_| NotRelayed::Call)?;
    // Encoding it again leaves no room for bytes that the decoder ignores.
    let exact = call.abi_encode() == transaction.input().as_ref();
    if !exact || call.spender != expected.spender {
        return Err(NotRelayed::Call);
    }
    Ok(*transaction.hash())
}

#[cfg(test)]
mod tests {
    use alloy::{
        consensus::{SignableTransaction, TxEip1559},
        eips::eip2718::Encodable2718,
        network::TxSignerSync,
        primitives::{Bytes, TxKind, U256},
        signers::local::PrivateKeySigner,
    };

    use super::*;

    fn signer(byte: u8) -> PrivateKeySigner {
        PrivateKeySigner::from_bytes(&B256::repeat_byte(byte)).unwrap()
    }

    fn expected() -> Expected {
        Expected {
            treasury: signer(1).address(),
            spender: Address::repeat_byte(2),
            token: Address::repeat_byte(3),
            chain_id: 31_337,
        }
    }

    fn approval() -> TxEip1559 {
        let call = token::approveCall {
            spender: expected().spender,
            amount: U256::MAX,
        };
        TxEip1559 {
            chain_id: expected().chain_id,
            gas_limit: 60_000,
            to: TxKind::Call(expected().token),
            input: call.abi_encode().into(),
            ..TxEip1559::default()
        }
    }

    fn signed(mut transaction: TxEip1559, by: &PrivateKeySigner) -> Vec<u8> {
        let signature = by.sign_transaction_sync(&mut transaction).unwrap();
        TxEnvelope::from(transaction.into_signed(signature)).encoded_2718()
    }

    #[test]
    fn an_approval_of_the_spender_by_the_treasury_is_relayed() {
        assert!(check(&signed(approval(), &signer(1)), expected()).is_ok());
    }

    #[test]
    fn ether_for_the_spender_from_the_treasury_is_relayed() {
        let gift = TxEip1559 {
            to: TxKind::Call(expected().spender),
            value: U256::from(1),
            input: Bytes::new(),
            ..approval()
        };
        assert!(check(&signed(gift.clone(), &signer(1)), expected()).is_ok());
        let foreign = signed(gift.clone(), &signer(9));
        assert_eq!(check(&foreign, expected()), Err(NotRelayed::Signer));
        let changes: [fn(&mut TxEip1559); 3] = [
            |gift| gift.to = TxKind::Call(Address::repeat_byte(9)),
            |gift| gift.value = U256::ZERO,
            |gift| gift.input = Bytes::from(vec![0]),
        ];
        for change in changes {
            let mut altered = gift.clone();
            change(&mut altered);
            let refused = check(&signed(altered, &signer(1)), expected());
            assert_eq!(refused, Err(NotRelayed::Target));
        }
    }

    #[test]
    fn anything_else_is_not_relayed() {
        type Change = fn(&mut TxEip1559);
        let cases: [(NotRelayed, Change); 6] = [
            (NotRelayed::Chain, |transaction| transaction.chain_id = 1),
            (NotRelayed::Target, |transaction| {
                transaction.to = TxKind::Call(Address::ZERO);
            }),
            (NotRelayed::Target, |transaction| {
                transaction.value = U256::from(1);
            }),
            (NotRelayed::Target, |transaction| {
                transaction.to = TxKind::Create;
            }),
            (NotRelayed::Call, |transaction| {
                let transfer = token::transferFromCall {
                    from: Address::ZERO,
                    to: Address::ZERO,
                    amount: U256::MAX,
                };
                transaction.input = transfer.abi_encode().into();
            }),
            (NotRelayed::Call, |transaction| {
                let mut longer = transaction.input.to_vec();
                longer.push(0);
                transaction.input = Bytes::from(longer);
            }),
        ];
        for (reason, change) in cases {
            let mut altered = approval();
            change(&mut altered);
            assert_eq!(check(&signed(altered, &signer(1)), expected()), Err(reason));
        }
        let foreign = signed(approval(), &signer(9));
        assert_eq!(check(&foreign, expected()), Err(NotRelayed::Signer));
        assert_eq!(check(b"", expected()), Err(NotRelayed::Form));
        let mut longer = signed(approval(), &signer(1));
        longer.push(0);
        assert_eq!(check(&longer, expected()), Err(NotRelayed::Form));
    }

    #[test]
    fn another_spender_is_not_approved() {
        let other = Expected {
            spender: Address::repeat_byte(8),
            ..expected()
        };
        let approval = signed(approval(), &signer(1));
        assert_eq!(check(&approval, other), Err(NotRelayed::Call));
    }
}
