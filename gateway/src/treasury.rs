//! The treasury: attached by its own signature over the workspace, shown as the chain has it.

use std::sync::Arc;

use alloy::primitives::{Address, Signature, U256};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use thiserror::Error;
use x402_schemas::{
    amount::Amount,
    api::{
        ErrorBody,
        owner::{AttachTreasury, TreasuryView, attachment_hash},
    },
};
use x402_service::{clock, json::StrictJson, problem::Problem};

use crate::{
    chain::token,
    gateway::Gateway,
    ledger::{LedgerError, treasuries, workspaces},
    permissions::{ManagingTreasury, Viewing},
    principal::Member,
    spender::Spender,
};

/// Why a treasury is not attached.
#[derive(Debug, Error)]
pub(crate) enum AttachError {
    #[error(
        "the signature is not the treasury's over this workspace; sign with 'x402 wallet attach'"
    )]
    WrongSignature,
    #[error("{0} belongs to another workspace, and an address belongs to one workspace for ever")]
    Taken(Address),
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("the treasury is attached but cannot be shown")]
    View(Problem),
}

impl IntoResponse for AttachError {
    fn into_response(self) -> Response {
        let message = self.to_string();
        match self {
            Self::WrongSignature => {
                Problem::new(StatusCode::BAD_REQUEST, "INVALID_SIGNATURE", message).into_response()
            }
            Self::Taken(_) => {
                Problem::new(StatusCode::CONFLICT, "TREASURY_TAKEN", message).into_response()
            }
            Self::Ledger(error) => Problem::from(error).into_response(),
            Self::View(problem) => problem.into_response(),
        }
    }
}

/// Pays from this address from now on. Signed by its key over the workspace, so nobody attaches what
/// is not theirs.
#[utoipa::path(post, path = "/treasury", tag = "owner", request_body = AttachTreasury,
    responses(
        (status = 200, body = TreasuryView),
        (status = 400, body = ErrorBody, description = "INVALID_REQUEST, INVALID_SIGNATURE"),
        (status = 403, body = ErrorBody, description = "ROLE_REQUIRED: takes an owner"),
        (status = 409, body = ErrorBody, description = "TREASURY_TAKEN"),
        (status = 503, body = ErrorBody, description = "CHAIN_UNAVAILABLE: attached, but cannot be shown now"),
    ), security(("owner" = [])))]
pub(crate) async fn attach(
    State(gateway): State<Arc<Gateway>>,
    member: Member<ManagingTreasury>,
    StrictJson(request): StrictJson<AttachTreasury>,
) -> Result<Json<TreasuryView>, AttachError> {
    let token = gateway.chain.token();
    let hash = attachment_hash(
        &member.workspace_id,
        request.address,
        gateway.network,
        token,
    );
    let signer = Signature::from_raw(&request.signature)
        .and_then(|signature| signature.recover_address_from_prehash(&hash))
        .map_err(|_| AttachError::WrongSignature)?;
    if signer != request.address {
        return Err(AttachError::WrongSignature);
    }
    let mut change = gateway.ledger.write().await?;
    let attached =
        treasuries::attach(&mut change, &member.workspace_id, signer, clock::now()).await?;
    if !attached {
        return Err(AttachError::Taken(signer));
    }
    change.commit().await.map_err(LedgerError::from)?;
    view(&gateway, &member.workspace_id)
        .await
        .map(Json)
        .map_err(AttachError::View)
}

/// The treasury as the chain has it now, with all that signing an approval needs.
#[utoipa::path(get, path = "/treasury", tag = "owner",
    responses(
        (status = 200, body = TreasuryView),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: none is attached"),
        (status = 503, body = ErrorBody, description = "CHAIN_UNAVAILABLE"),
    ), security(("owner" = [])))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Viewing>,
) -> Result<Json<TreasuryView>, Problem> {
    view(&gateway, &member.workspace_id).await.map(Json)
}

async fn view(gateway: &Gateway, workspace_id: &str) -> Result<TreasuryView, Problem> {
    let workspace = {
        let mut conn = gateway.ledger.read().await?;
        workspaces::get(&mut conn, workspace_id).await?
    };
    let Some(address) = workspace.treasury else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "the workspace has no treasury yet; attach one with POST /treasury",
        ));
    };
    let spender = Spender::of_workspace(&gateway.seed, workspace.number)?.address();
    let chain = &gateway.chain;
    let at = chain.latest().await?;
    let allowance = token::allowanceCall {
        owner: address,
        spender,
    };
    let (balance, allowance, spender_gas, gas, nonce, fees): (U256, U256, _, _, _, _) = futures::try_join!(
        chain.view(token::balanceOfCall { account: address }, at),
        chain.view(allowance, at),
        chain.gas_wei(spender, at),
        chain.gas_wei(address, at),
        chain.mined(address, at),
        chain.fees(),
    )?;
    Ok(TreasuryView {
        address,
        balance: Amount::from_base_units(balance),
        allowance: Amount::from_base_units(allowance),
        spender,
        spender_gas_wei: spender_gas.to_base_text(),
        nonce,
        gas_wei: gas.to_base_text(),
        max_fee_per_gas_wei: fees.max_fee_per_gas.to_string(),
        max_priority_fee_per_gas_wei: fees.max_priority_fee_per_gas.to_string(),
        network: gateway.network,
        token: chain.token(),
    })
}
