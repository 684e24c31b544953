//! The chain's state around one payment: everything at one block, in one batch of requests.

use alloy::{
    eips::BlockId,
    network::TransactionBuilder,
    primitives::{Address, Bytes, U64, U256},
    providers::{
        Provider,
        utils::{
            EIP1559_FEE_ESTIMATION_PAST_BLOCKS, EIP1559_FEE_ESTIMATION_REWARD_PERCENTILE,
            Eip1559Estimator,
        },
    },
    rpc::{
        client::{BatchRequest, Waiter},
        types::{FeeHistory, TransactionRequest},
    },
    sol_types::SolCall,
};
use x402_schemas::amount::Amount;

use super::{At, CALL_TIMEOUT, Chain, ChainError, Fees, Simulation, Transport, token};

/// A payment that may be made.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) treasury: Address,
    pub(crate) payee: Address,
    pub(crate) spender: Address,
    pub(crate) calldata: Bytes,
}

/// What is around it.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    pub(crate) at: At,
    pub(crate) paused: bool,
    /// Which of treasury, payee and spender the issuer has blocked, if any.
    pub(crate) blocked: Option<Address>,
    pub(crate) balance: Amount,
    pub(crate) allowance: Amount,
    /// The spender's gas money.
    pub(crate) gas_wei: Amount,
    /// How many of the spender's transactions are mined.
    pub(crate) mined: u64,
    pub(crate) fees: Fees,
    pub(crate) simulation: Simulation,
}

/// A question within a batch, with its name.
pub(super) struct Asked<T> {
    call: &'static str,
    answer: Waiter<T>,
}

impl Chain {
    /// Looks at the latest block. All of it is asked at once, so the payment waits for two answers
    /// instead of twelve.
    pub(crate) async fn around(&self, planned: &Planned) -> Result<Around, ChainError> {
        let at = self.latest().await?;
        let mut batch = BatchRequest::new(self.provider.client());
        let Planned {
            treasury,
            payee,
            spender,
            ref calldata,
        } = *planned;
        let block = BlockId::number(at.number);
        let blacklisted = |account| token::blacklistedCall { account };
        let paused = self.view_in(&mut batch, &token::pausedCall {}, block)?;
        let from_listed = self.view_in(&mut batch, &blacklisted(treasury), block)?;
        let to_listed = self.view_in(&mut batch, &blacklisted(payee), block)?;
        let spender_listed = self.view_in(&mut batch, &blacklisted(spender), block)?;
        let frozen = token::frozenCall { account: treasury };
        let frozen = self.view_in(&mut batch, &frozen, block)?;
        let balance = token::balanceOfCall { account: treasury };
        let balance = self.view_in(&mut batch, &balance, block)?;
        let allowance = token::allowanceCall {
            owner: treasury,
            spender,
        };
        let allowance = self.view_in(&mut batch, &allowance, block)?;
        let gas_wei: Asked<U256> = ask(&mut batch, "eth_getBalance", &(spender, block))?;
        let mined: Asked<U64> = ask(&mut batch, "eth_getTransactionCount", &(spender, block))?;
        let fees = (
            U64::from(EIP1559_FEE_ESTIMATION_PAST_BLOCKS),
            block,
            [EIP1559_FEE_ESTIMATION_REWARD_PERCENTILE],
        );
        let fees: Asked<FeeHistory> = ask(&mut batch, "eth_feeHistory", &fees)?;
        let transfer = TransactionRequest::default()
            .with_from(spender)
            .with_to(self.token)
            .with_input(calldata.clone());
        let gas: Asked<U64> = ask(&mut batch, "eth_estimateGas", &(transfer, block))?;
        send(batch).await?;

        let from_listed = read::<token::blacklistedCall>(from_listed).await?;
        let from_frozen = read::<token::frozenCall>(frozen).await?;
        let blocked = [
            (from_listed || from_frozen, treasury),
            (read::<token::blacklistedCall>(to_listed).await?, payee),
            (
                read::<token::blacklistedCall>(spender_listed).await?,
                spender,
            ),
        ];
        let balance = read::<token::balanceOfCall>(balance).await?;
        let allowance = read::<token::allowanceCall>(allowance).await?;
        Ok(Around {
            at,
            paused: read::<token::pausedCall>(paused).await?,
            blocked: blocked
                .into_iter()
                .find_map(|(blocked, account)| blocked.then_some(account)),
            balance: Amount::from_base_units(balance),
            allowance: Amount::from_base_units(allowance),
            gas_wei: Amount::from_base_units(gas_wei.answered().await?),
            mined: mined.answered().await?.saturating_to(),
            fees: self.within_ceiling(&fees.answered().await?, at),
            simulation: simulated(gas.answered().await)?,
        })
    }

    pub(super) fn view_in<C: SolCall>(
        &self,
        batch: &mut BatchRequest<'_>,
        call: &C,
        block: BlockId,
    ) -> Result<Asked<Bytes>, ChainError> {
        let request = TransactionRequest::default()
            .with_to(self.token)
            .with_input(call.abi_encode());
        let asked = ask(batch, "eth_call", &(request, block))?;
        Ok(Asked {
            call: C::SIGNATURE,
            ..asked
        })
    }

    /// As alloy estimates them, from a history that was asked for with the rest.
    fn within_ceiling(&self, history: &FeeHistory, at: At) -> Fees {
        let base_fee = history.latest_block_base_fee().filter(|fee| *fee != 0);
        let rewards = history.reward.as_deref().unwrap_or_default();
        let estimate =
            Eip1559Estimator::default().estimate(base_fee.unwrap_or(at.base_fee), rewards);
        self.bounded(estimate.max_fee_per_gas, estimate.max_priority_fee_per_gas)
    }
}

impl<T: alloy::rpc::json_rpc::RpcRecv> Asked<T> {
    pub(super) async fn answered(self) -> Result<T, ChainError> {
        let call = self.call;
        self.answer
            .await
            .map_err(|source| ChainError::Rpc { call, source })
    }
}

pub(super) fn ask<T: alloy::rpc::json_rpc::RpcRecv>(
    batch: &mut BatchRequest<'_>,
    call: &'static str,
    params: &impl alloy::rpc::json_rpc::RpcSend,
) -> Result<Asked<T>, ChainError> {
    let answer = batch.add_call(call, params);
    let answer = answer.map_err(|source| ChainError::Rpc { call, source })?;
    Ok(Asked { call, answer })
}

pub(super) async fn send(batch: BatchRequest<'_>) -> Result<(), ChainError> {
    let call = "a batch of requests";
    match tokio::time::timeout(CALL_TIMEOUT, batch.send()).await {
        Ok(sent) => sent.map_err(|source| ChainError::Rpc { call, source }),
        Err(_) => Err(ChainError::Timeout(call)),
    }
}

pub(super) async fn read<C: SolCall>(asked: Asked<Bytes>) -> Result<C::Return, ChainError> {
    let bytes = asked.answered().await?;
    C::abi_decode_returns_validate(&bytes).map_err(|source| ChainError::Token {
        call: C::SIGNATURE,
        source,
    })
}

fn simulated(gas: Result<U64, ChainError>) -> Result<Simulation, ChainError> {
    match gas {
        Ok(gas) => Ok(Simulation::Succeeds {
            gas: gas.saturating_to(),
        }),
        Err(ChainError::Rpc {
            source: Transport::ErrorResp(refusal),
            ..
        }) => {
            let data = refusal.as_revert_data().unwrap_or_default();
            Ok(Simulation::Reverts {
                selector: data.get(..4).and_then(|bytes| bytes.try_into().ok()),
                reason: refusal.message.into_owned(),
            })
        }
        Err(error) => Err(error),
    }
}
