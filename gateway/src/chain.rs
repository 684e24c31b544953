//! The chain, as one JSON-RPC endpoint tells it: reads, simulation, raw transactions.
//!
//! Reads may be repeated and are; a transaction is handed over as the same bytes every time. Every
//! call has a deadline. What a failed hand-over means is for the caller: it may have arrived.

use std::{fmt, future::IntoFuture, time::Duration};

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    network::TransactionBuilder,
    primitives::{Address, B256, U256},
    providers::{Provider, ProviderBuilder, RootProvider},
    rpc::{client::ClientBuilder, types::TransactionRequest},
    sol_types::SolCall,
    transports::{RpcError, TransportErrorKind},
};
use thiserror::Error;
use url::Url;
use x402_schemas::amount::Amount;

use traced::TraceLayer;

/// Everything around one payment.
pub(crate) mod around;

/// What treasuries hold.
pub(crate) mod holdings;

/// Each request to the endpoint names the trace that it belongs to.
mod traced;

/// The longest that one JSON-RPC call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The parts of MNEE's interface that the gateway uses.
pub(crate) mod token {
    alloy::sol! {
        function decimals() external view returns (uint8);
        function paused() external view returns (bool);
        function blacklisted(address account) external view returns (bool);
        function frozen(address account) external view returns (bool);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function approve(address spender, uint256 amount) external returns (bool);
        function transferFrom(address from, address to, uint256 amount) external returns (bool);

        error tokenPaused();
        error blacklistedAddress();
        error frozenAddress();
    }
}

type Transport = RpcError<TransportErrorKind>;

/// A connection to the chain. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Chain {
    provider: RootProvider,
    token: Address,
    max_fee_wei: u128,
}

/// Why the chain could not be asked.
#[derive(Debug, Error)]
pub enum ChainError {
    /// The endpoint answered with an error, or not at all.
    #[error("the chain's endpoint failed to answer {call}")]
    Rpc {
        /// Which call.
        call: &'static str,
        /// Why.
        #[source]
        source: RpcError<TransportErrorKind>,
    },
    /// No answer in time.
    #[error("the chain's endpoint did not answer {0} in {seconds} s", seconds = CALL_TIMEOUT.as_secs())]
    Timeout(&'static str),
    /// The token answered what no MNEE answers.
    #[error("the token's answer to {call} cannot be read; is it the right contract?")]
    Token {
        /// Which call.
        call: &'static str,
        /// Why.
        #[source]
        source: alloy::sol_types::Error,
    },
    /// The endpoint has no block at all.
    #[error("the chain has no latest block")]
    NoBlock,
}

/// What one gas costs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fees {
    pub(crate) max_fee_per_gas: u128,
    pub(crate) max_priority_fee_per_gas: u128,
}

/// A block to read at, so that several reads see one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) number: u64,
    pub(crate) base_fee: u128,
}

/// What the chain knows of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing.
    No,
    /// It waits to be mined.
    Waiting,
    /// It is in this block, and did what it was meant to or not.
    Mined {
        block_number: u64,
        succeeded: bool,
        /// What its gas cost, in wei.
        gas_wei: Amount,
    },
}

/// What became of handing a transaction over.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The node has it, from now or from before.
    Taken,
    /// A transaction with its nonce is on the chain: most likely this very one.
    NonceUsed(String),
    /// The node would not take it. It may have arrived some other way.
    Refused(String),
    /// Nobody knows.
    Unknown(ChainError),
}

/// What a transaction would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Simulation {
    /// It would succeed with this gas.
    Succeeds { gas: u64 },
    /// It would revert.
    Reverts {
        selector: Option<[u8; 4]>,
        reason: String,
    },
}

impl Chain {
    pub(crate) fn connect(rpc_url: Url, token: Address, max_fee_wei: u128) -> Self {
        let client = ClientBuilder::default().layer(TraceLayer).http(rpc_url);
        let provider = ProviderBuilder::default().connect_client(client);
        Self {
            provider,
            token,
            max_fee_wei,
        }
    }

    /// The token contract.
    pub(crate) const fn token(&self) -> Address {
        self.token
    }

    /// The most that may be bid for one gas, in wei.
    pub(crate) const fn max_fee_wei(&self) -> u128 {
        self.max_fee_wei
    }

    pub(crate) async fn chain_id(&self) -> Result<u64, ChainError> {
        within("eth_chainId", self.provider.get_chain_id()).await
    }

    /// The latest block.
    pub(crate) async fn latest(&self) -> Result<At, ChainError> {
        let call = self
            .provider
            .get_block(BlockId::Number(BlockNumberOrTag::Latest));
        let block = within("eth_getBlockByNumber", call.into_future())
            .await?
            .ok_or(ChainError::NoBlock)?;
        Ok(At {
            number: block.header.number,
            base_fee: u128::from(block.header.base_fee_per_gas.unwrap_or_default()),
        })
    }

    /// A view of the token at a block.
    pub(crate) async fn view<C: SolCall>(&self, call: C, at: At) -> Result<C::Return, ChainError> {
        let request = TransactionRequest::default()
            .with_to(self.token)
            .with_input(call.abi_encode());
        let reply = self
            .provider
            .call(request)
            .block(BlockId::number(at.number));
        let bytes = within(C::SIGNATURE, reply.into_future()).await?;
        C::abi_decode_returns_validate(&bytes).map_err(|source| ChainError::Token {
            call: C::SIGNATURE,
            source,
        })
    }

    /// Gas money of an account at a block, in wei.
    pub(crate) async fn gas_wei(&self, account: Address, at: At) -> Result<Amount, ChainError> {
        let call = self.provider.get_balance(account).number(at.number);
        within("eth_getBalance", call.into_future())
            .await
            .map(Amount::from_base_units)
    }

    /// How many of an account's transactions are mined as of a block.
    pub(crate) async fn mined(&self, account: Address, at: At) -> Result<u64, ChainError> {
        self.mined_at(account, at.number).await
    }

    /// The same as of a block's number.
    pub(crate) async fn mined_at(&self, account: Address, number: u64) -> Result<u64, ChainError> {
        let call = self.provider.get_transaction_count(account).number(number);
        within("eth_getTransactionCount", call.into_future()).await
    }

    /// What one gas costs, within the ceiling. May be too little while the chain is busier than that.
    pub(crate) async fn fees(&self) -> Result<Fees, ChainError> {
        let estimate = within("eth_feeHistory", self.provider.estimate_eip1559_fees()).await?;
        Ok(self.bounded(estimate.max_fee_per_gas, estimate.max_priority_fee_per_gas))
    }

    fn bounded(&self, max_fee_per_gas: u128, max_priority_fee_per_gas: u128) -> Fees {
        let max_fee_per_gas = max_fee_per_gas.min(self.max_fee_wei);
        Fees {
            max_fee_per_gas,
            max_priority_fee_per_gas: max_priority_fee_per_gas.min(max_fee_per_gas),
        }
    }

    /// Hands a signed transaction over.
    pub(crate) async fn send(&self, raw: &[u8]) -> Sent {
        let call = async { self.provider.send_raw_transaction(raw).await.map(drop) };
        match within("eth_sendRawTransaction", call).await {
            Ok(()) => Sent::Taken,
            Err(ChainError::Rpc {
                source: RpcError::ErrorResp(refusal),
                ..
            }) => {
                let message = refusal.message.to_ascii_lowercase();
                let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
                if says(&["already known", "already imported", "known transaction"]) {
                    Sent::Taken
                } else if says(&["nonce too low"]) {
                    Sent::NonceUsed(refusal.message.into_owned())
                } else {
                    Sent::Refused(refusal.message.into_owned())
                }
            }
            Err(error) => Sent::Unknown(error),
        }
    }

    /// What the chain knows of a transaction.
    pub(crate) async fn look_up(&self, hash: B256) -> Result<Known, ChainError> {
        let transaction = within(
            "eth_getTransactionByHash",
            self.provider.get_transaction_by_hash(hash),
        )
        .await?;
        let Some(transaction) = transaction else {
            return Ok(Known::No);
        };
        if transaction.block_number.is_none() {
            return Ok(Known::Waiting);
        }
        let receipt = within(
            "eth_getTransactionReceipt",
            self.provider.get_transaction_receipt(hash),
        )
        .await?;
        Ok(receipt
            .and_then(|receipt| {
                Some(Known::Mined {
                    block_number: receipt.block_number?,
                    succeeded: receipt.status(),
                    gas_wei: gas_cost(receipt.gas_used, receipt.effective_gas_price),
                })
            })
            .unwrap_or(Known::Waiting))
    }
}

fn gas_cost(used: u64, price: u128) -> Amount {
    let wei = U256::from(used).saturating_mul(U256::from(price));
    Amount::from_base_units(wei)
}

async fn within<T>(
    call: &'static str,
    reply: impl IntoFuture<Output = Result<T, Transport>>,
) -> Result<T, ChainError> {
    match tokio::time::timeout(CALL_TIMEOUT, reply.into_future()).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(ChainError::Rpc { call, source }),
        Err(_) => Err(ChainError::Timeout(call)),
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl From<ChainError> for x402_service::problem::Problem {
    fn from(error: ChainError) -> Self {
        Self::unavailable(
            "CHAIN_UNAVAILABLE",
            "the chain's endpoint does not answer; try again",
            &error,
        )
    }
}
