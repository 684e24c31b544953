//! What treasuries hold and what they leave their spenders, all at one block.

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Address, B256, U256},
    providers::Provider,
    rpc::client::BatchRequest,
};
use x402_schemas::amount::Amount;

use super::{
    Chain, ChainError,
    around::{Asked, ask, read, send},
    token, within,
};

/// A block that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    /// Unix seconds.
    pub(crate) time: u64,
}

/// What a treasury and its spender have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) balance: Amount,
    pub(crate) allowance: Amount,
    pub(crate) spender_gas_wei: Amount,
}

impl Chain {
    /// Looks at the latest block, for pairs of a treasury and its spender and in their order. The block is named by its
    /// hash, so what is seen belongs to it even if a reorg comes between.
    pub(crate) async fn holdings_of(
        &self,
        pairs: &[(Address, Address)],
    ) -> Result<(Seen, Vec<Holding>), ChainError> {
        let call = self
            .provider
            .get_block(BlockId::Number(BlockNumberOrTag::Latest));
        let header = within("eth_getBlockByNumber", call.into_future())
            .await?
            .ok_or(ChainError::NoBlock)?
            .header;
        let seen = Seen {
            number: header.number,
            hash: header.hash,
            time: header.timestamp,
        };
        let block = BlockId::hash(seen.hash);
        let mut batch = BatchRequest::new(self.provider.client());
        let mut asked = Vec::with_capacity(pairs.len());
        for &(owner, spender) in pairs {
            let balance = token::balanceOfCall { account: owner };
            let allowance = token::allowanceCall { owner, spender };
            let gas: Asked<U256> = ask(&mut batch, "eth_getBalance", &(spender, block))?;
            asked.push((
                self.view_in(&mut batch, &balance, block)?,
                self.view_in(&mut batch, &allowance, block)?,
                gas,
            ));
        }
        if !pairs.is_empty() {
            send(batch).await?;
        }
        let mut holdings = Vec::with_capacity(asked.len());
        for (balance, allowance, gas) in asked {
            let balance = read::<token::balanceOfCall>(balance).await?;
            let allowance = read::<token::allowanceCall>(allowance).await?;
            holdings.push(Holding {
                balance: Amount::from_base_units(balance),
                allowance: Amount::from_base_units(allowance),
                spender_gas_wei: Amount::from_base_units(gas.answered().await?),
            });
        }
        Ok((seen, holdings))
    }
}
