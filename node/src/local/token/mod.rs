//! MNEE on the local chain.
//!
//! The committed token and proxy are put at any address, by default MNEE's own on mainnet, so that one configuration fits
//! both. Placing it again changes nothing. What its administrators can do is here too, so that tests and the demo can
//! make everything happen that may happen on mainnet. Each operation is first simulated: a refusal is reported with the
//! contract's reason and costs no transaction.

use std::{sync::Arc, time::Duration};

use alloy::{
    network::TransactionBuilder as _,
    primitives::{Address, B256, Bytes, U256, address, b256},
    providers::{Provider as _, RootProvider},
    rpc::types::{TransactionReceipt, TransactionRequest},
    sol_types::SolCall,
    transports::TransportError,
};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::Mutex;
use x402_schemas::amount::{Amount, DECIMALS};

use self::contract::refusal;
use super::chain::{self, Chain};

/// The declared interface and the committed artifacts.
mod contract;

pub use self::contract::MneeToken;

/// MNEE on Ethereum mainnet.
pub const MNEE_MAINNET: Address = address!("0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF");

/// The local token's administrator unless another is named: the last of the node's ten unlocked developer accounts.
pub const DEFAULT_ADMIN: Address = address!("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720");

/// EIP-1967: where a proxy keeps its implementation.
const IMPLEMENTATION_SLOT: B256 =
    b256!("0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
/// EIP-1967: where a proxy keeps its administrator.
const ADMIN_SLOT: B256 =
    b256!("0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103");

/// Gas for any call here; the dearest takes under a tenth. Naming it lets many operations share a block.
const CALL_GAS: u64 = 500_000;
/// Gas for deploying the implementation, which takes a third.
const DEPLOY_GAS: u64 = 5_000_000;
/// Time between two looks for a receipt.
const RECEIPT_POLL: Duration = Duration::from_millis(20);
/// Longest wait for a receipt: a few blocks of the slowest chain that anybody would watch.
const RECEIPT_WITHIN: Duration = Duration::from_mins(1);

/// The token on a local chain, with the powers of its administrator. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalToken {
    /// Where it is.
    pub address: Address,
    /// Its administrator, an unlocked account of the node.
    pub admin: Address,
    rpc: RootProvider,
    // The node picks nonces as transactions arrive; two at once could be given the same one.
    submitting: Arc<Mutex<()>>,
}

/// Why an operation on the local token did not happen.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The chain did not answer, or refused the request itself.
    #[error("the local chain could not do it")]
    Chain(#[from] TransportError),
    /// The contract refused.
    #[error("the token refused: {reason}")]
    Refused {
        /// The contract's error or text.
        reason: String,
        /// What it returned, for matching a selector.
        data: Bytes,
    },
    /// The transaction was mined and failed although its simulation passed.
    #[error("transaction {0} failed after a simulation that passed")]
    Reverted(B256),
    /// The transaction was not mined in time.
    #[error("transaction {0} has no receipt yet")]
    NotMined(B256),
    /// The address has other code than our proxy.
    #[error(
        "{0} already has other code: start the chain without its state file, or name another address"
    )]
    Occupied(Address),
    /// It was placed before, with another administrator.
    #[error("the token's administrator is {found}, not {wanted}")]
    OtherAdmin {
        /// Asked for.
        wanted: Address,
        /// Recorded in the token.
        found: Address,
    },
    /// It does not count as MNEE does.
    #[error("the token has {0} decimals instead of 18")]
    Decimals(u8),
    /// A committed artifact is not what the build writes.
    #[error("contract artifact {0} is unreadable: run `npm run build` in contracts/")]
    Artifact(&'static str),
    /// The contract's answer is not of the declared type.
    #[error("the token's answer could not be read")]
    Answer(#[from] alloy::sol_types::Error),
}

impl LocalToken {
    /// Makes sure that the token is at `address`, initialised and administered by `admin`.
    pub async fn place(
        chain: &Chain,
        address: Address,
        admin: Address,
    ) -> Result<Self, TokenError> {
        let token = Self {
            address,
            admin,
            rpc: chain.rpc().clone(),
            submitting: Arc::default(),
        };
        let proxy = contract::proxy_code()?;
        let here = token.rpc.get_code_at(address).await?;
        if !here.is_empty() && here != proxy {
            return Err(TokenError::Occupied(address));
        }
        token.place_implementation().await?;
        if here.is_empty() {
            token.set_slot(ADMIN_SLOT, admin.into_word()).await?;
            token
                .rpc
                .raw_request::<_, Value>("anvil_setCode".into(), (address, proxy))
                .await?;
        }
        let found = token.ask(MneeToken::adminCall {}).await?;
        if found.is_zero() {
            token
                .operate(MneeToken::initializeCall { firstAdmin: admin })
                .await?;
        } else if found != admin {
            return Err(TokenError::OtherAdmin {
                wanted: admin,
                found,
            });
        }
        let decimals = token.ask(MneeToken::decimalsCall {}).await?;
        if decimals == DECIMALS {
            Ok(token)
        } else {
            Err(TokenError::Decimals(decimals))
        }
    }

    /// Deploys the implementation and points the proxy's slot at it, unless it already points at the same code.
    async fn place_implementation(&self) -> Result<(), TokenError> {
        let slot = self
            .rpc
            .get_storage_at(self.address, IMPLEMENTATION_SLOT.into())
            .await?;
        let current = Address::from_word(slot.into());
        let wanted = contract::token_code()?;
        if !current.is_zero() && self.rpc.get_code_at(current).await? == wanted {
            return Ok(());
        }
        let implementation = self.deploy_implementation().await?;
        self.set_slot(IMPLEMENTATION_SLOT, implementation.into_word())
            .await
    }

    async fn set_slot(&self, slot: B256, value: B256) -> Result<(), TokenError> {
        self.rpc
            .raw_request::<_, Value>("anvil_setStorageAt".into(), (self.address, slot, value))
            .await?;
        Ok(())
    }

    /// Deploys another copy of the implementation, for [`upgrade_to`](Self::upgrade_to).
    pub async fn deploy_implementation(&self) -> Result<Address, TokenError> {
        let code = contract::token_creation()?;
        let request = TransactionRequest::default()
            .from(self.admin)
            .with_deploy_code(code);
        let receipt = self.send(request.gas_limit(DEPLOY_GAS)).await?;
        receipt
            .contract_address
            .ok_or(TokenError::Reverted(receipt.transaction_hash))
    }

    /// Switches the proxy to other code, with the `Upgraded` event.
    pub async fn upgrade_to(
        &self,
        implementation: Address,
    ) -> Result<TransactionReceipt, TokenError> {
        self.operate(MneeToken::upgradeToCall { implementation })
            .await
    }

    /// Creates tokens.
    pub async fn mint(
        &self,
        to: Address,
        amount: Amount,
    ) -> Result<TransactionReceipt, TokenError> {
        self.operate(MneeToken::mintCall {
            to,
            amount: amount.base_units(),
        })
        .await
    }

    /// Destroys tokens of the administrator.
    pub async fn burn(&self, amount: Amount) -> Result<TransactionReceipt, TokenError> {
        self.operate(MneeToken::burnCall {
            amount: amount.base_units(),
        })
        .await
    }

    /// Stops every movement.
    pub async fn pause(&self) -> Result<TransactionReceipt, TokenError> {
        self.operate(MneeToken::pauseCall {}).await
    }

    /// Ends [`pause`](Self::pause).
    pub async fn unpause(&self) -> Result<TransactionReceipt, TokenError> {
        self.operate(MneeToken::unpauseCall {}).await
    }

    /// Bars an account from paying and from being paid.
    pub async fn blacklist(&self, account: Address) -> Result<TransactionReceipt, TokenError> {
        self.operate(MneeToken::blacklistCall { account }).await
    }

    /// Ends [`blacklist`](Self::blacklist).
    pub async fn delist(&self, account: Address) -> Result<TransactionReceipt, TokenError> {
        self.operate(MneeToken::delistCall { account }).await
    }

    /// Bars an account from paying; it can still be paid.
    pub async fn freeze(&self, account: Address) -> Result<TransactionReceipt, TokenError> {
        self.operate(MneeToken::freezeCall { account }).await
    }

    /// Ends [`freeze`](Self::freeze).
    pub async fn unfreeze(&self, account: Address) -> Result<TransactionReceipt, TokenError> {
        self.operate(MneeToken::unfreezeCall { account }).await
    }

    /// Takes tokens from one account and gives them to another: a `Transfer` that is no payment.
    pub async fn confiscate(
        &self,
        victim: Address,
        to: Address,
        amount: Amount,
    ) -> Result<TransactionReceipt, TokenError> {
        self.operate(MneeToken::confiscateCall {
            victim,
            to,
            amount: amount.base_units(),
        })
        .await
    }

    /// Destroys all that an account holds.
    pub async fn burn_holdings(&self, account: Address) -> Result<TransactionReceipt, TokenError> {
        self.operate(MneeToken::burnHoldingsCall { account }).await
    }

    /// Sends on tokens that the token's own address holds: a `Transfer` that is no payment.
    pub async fn rescue(
        &self,
        to: Address,
        amount: Amount,
    ) -> Result<TransactionReceipt, TokenError> {
        self.operate(MneeToken::rescueCall {
            to,
            amount: amount.base_units(),
        })
        .await
    }

    /// What an account holds.
    pub async fn balance_of(&self, account: Address) -> Result<Amount, TokenError> {
        self.ask(MneeToken::balanceOfCall { account })
            .await
            .map(Amount::from_base_units)
    }

    /// Sets an account's ether and mines a block, without which a reorg of later blocks would undo it.
    pub async fn fund_gas(&self, account: Address, wei: U256) -> Result<(), TokenError> {
        self.rpc
            .raw_request::<_, Value>("anvil_setBalance".into(), (account, wei))
            .await?;
        Ok(chain::mine(&self.rpc, 1).await?)
    }

    /// Calls the token as `from`, an account that the node has unlocked, and waits for the receipt.
    pub async fn call_as(
        &self,
        from: Address,
        call: impl SolCall,
    ) -> Result<TransactionReceipt, TokenError> {
        let request = TransactionRequest::default()
            .from(from)
            .to(self.address)
            .with_input(call.abi_encode());
        self.send(request.gas_limit(CALL_GAS)).await
    }

    async fn operate(&self, call: impl SolCall) -> Result<TransactionReceipt, TokenError> {
        self.call_as(self.admin, call).await
    }

    /// Asks the token without a transaction.
    pub async fn ask<C: SolCall>(&self, call: C) -> Result<C::Return, TokenError> {
        let request = TransactionRequest::default()
            .to(self.address)
            .with_input(call.abi_encode());
        let answer = self.rpc.call(request).await.map_err(refusal)?;
        Ok(C::abi_decode_returns(&answer)?)
    }

    async fn send(&self, request: TransactionRequest) -> Result<TransactionReceipt, TokenError> {
        self.rpc.call(request.clone()).await.map_err(refusal)?;
        let hash: B256 = {
            let _alone = self.submitting.lock().await;
            self.rpc
                .raw_request("eth_sendTransaction".into(), (request,))
                .await?
        };
        let mined = async {
            loop {
                if let Some(receipt) = self.rpc.get_transaction_receipt(hash).await? {
                    return Ok::<_, TransportError>(receipt);
                }
                tokio::time::sleep(RECEIPT_POLL).await;
            }
        };
        let receipt = tokio::time::timeout(RECEIPT_WITHIN, mined)
            .await
            .map_err(|_| TokenError::NotMined(hash))??;
        if receipt.status() {
            Ok(receipt)
        } else {
            Err(TokenError::Reverted(hash))
        }
    }
}
