//! What the chain says, through one JSON-RPC node.
//!
//! Reads only, retried while the node cannot be reached, each reply checked for what it can be checked for. A node
//! that does not know a block, contradicts itself or hides logs behind a positive bloom gets an error, never belief;
//! the caller asks again later. Nothing is remembered here between two reads.

use std::{collections::HashMap, sync::Arc, time::Duration};

use alloy::{
    primitives::{Address, B256, Bytes, U64, U256},
    rpc::types::Filter,
};
use futures::{StreamExt, TryStreamExt, stream};
use x402_schemas::network::Network;

use crate::{
    config::IndexerConfig,
    decode::{self, Call, Calls, TokenLog},
    metrics::{Method, Metrics},
};

mod reply;
mod rpc;

pub use reply::{Block, Inconsistency};
use reply::{BlockReply, LogReply, TransactionReply};
use rpc::Rpc;
pub use rpc::RpcFailure;

/// Where `finalized` is assumed on a chain or node that does not say: two epochs of Ethereum.
const FINALITY_BLOCKS: u64 = 64;

/// How often an empty reply for a block whose bloom may hold the token's logs is asked for again. One bloom in twelve is
/// positive by chance on mainnet, so this costs two requests every two or three minutes there.
const EMPTY_ASKS: u32 = 3;

/// The pause between those: time for a lagging replica to see the block.
const EMPTY_PAUSE: Duration = Duration::from_millis(25);

/// From this many transactions on, one request for the whole block is cheaper than one for each.
const WHOLE_BLOCK_TRANSACTIONS: usize = 8;

/// Requests in flight at a time for the transactions of one block.
const IN_FLIGHT: usize = 8;

/// Why the node's answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No connection, or the node is too busy; asked several times.
    #[error("the node does not answer {}; is the RPC URL right?", method.as_str())]
    Unreachable {
        /// What was asked.
        method: Method,
        /// What came back.
        #[source]
        failure: RpcFailure,
    },
    /// The node answered with an error, or with something that is no answer.
    #[error("the node refuses {}", method.as_str())]
    Refused {
        /// What was asked.
        method: Method,
        /// What came back.
        #[source]
        failure: RpcFailure,
    },
    /// The node does not know a block that must exist: it lags behind, or a reorg took the block away.
    #[error("the node does not know block {0}")]
    UnknownBlock(String),
    /// The node contradicts itself.
    #[error("the node's replies do not fit together")]
    Inconsistent(#[from] Inconsistency),
}

/// Reads the chain.
#[derive(Clone, Debug)]
pub struct Source {
    rpc: Rpc,
    token: Address,
}

impl Source {
    /// A source for the configured node and token.
    pub fn new(config: &IndexerConfig, metrics: Arc<Metrics>) -> Self {
        Self {
            rpc: Rpc::new(config.rpc_url.clone(), metrics),
            token: config.token,
        }
    }

    /// The network that the node is on.
    pub async fn network(&self) -> Result<Network, SourceError> {
        let chain_id: U64 = self.rpc.call(Method::ChainId, ()).await?;
        Ok(Network::from_chain_id(chain_id.wrapping_to()))
    }

    /// Whether there is a contract at the token's address.
    pub async fn has_code(&self) -> Result<bool, SourceError> {
        let code: Bytes = self
            .rpc
            .call(Method::GetCode, (self.token, "latest"))
            .await?;
        Ok(!code.is_empty())
    }

    /// The token's `decimals()`, or `None` if it has no such function.
    pub async fn decimals(&self) -> Result<Option<U256>, SourceError> {
        const DECIMALS: &str = "0x313ce567";
        let call = HashMap::from([
            ("to", self.token.to_string()),
            ("data", DECIMALS.to_owned()),
        ]);
        match self
            .rpc
            .call::<_, Bytes>(Method::Call, (call, "latest"))
            .await
        {
            Ok(word) => Ok(<[u8; 32]>::try_from(word.as_ref())
                .ok()
                .map(U256::from_be_bytes)),
            Err(SourceError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The newest block.
    pub async fn head(&self) -> Result<Block, SourceError> {
        let reply = self.block_by_tag("latest").await?;
        Ok(reply
            .ok_or_else(|| SourceError::UnknownBlock("latest".to_owned()))?
            .into())
    }

    /// The number of the finalized block, given the newest: what the node says, or 64 below.
    pub async fn finalized(&self, head: u64) -> Result<u64, SourceError> {
        match self.block_by_tag("finalized").await {
            Ok(Some(reply)) => Ok(Block::from(reply).header.number.min(head)),
            Ok(None) | Err(SourceError::Refused { .. }) => Ok(head.saturating_sub(FINALITY_BLOCKS)),
            Err(error) => Err(error),
        }
    }

    /// The canonical block of this number, which must exist.
    pub async fn block(&self, number: u64) -> Result<Block, SourceError> {
        let reply = self.block_by_tag(&format!("{number:#x}")).await?;
        let block: Block = reply
            .ok_or_else(|| SourceError::UnknownBlock(number.to_string()))?
            .into();
        block.must_be(number)?;
        Ok(block)
    }

    /// All logs that the token wrote in this very block, in order.
    pub async fn logs_of_block(&self, block: &Block) -> Result<Vec<TokenLog>, SourceError> {
        if !block.may_have_logs_of(self.token) {
            return Ok(Vec::new());
        }
        // Not by event: then a block in which the token only wrote approvals does not look like one whose logs are hidden.
        let filter = Filter::new()
            .address(self.token)
            .at_block_hash(block.header.hash);
        for ask in 0..EMPTY_ASKS {
            if ask > 0 {
                tokio::time::sleep(EMPTY_PAUSE).await;
            }
            let replies: Vec<LogReply> = self.rpc.call(Method::GetLogs, (&filter,)).await?;
            let logs = reply::of_block(self.token, &block.header, replies)?;
            if !logs.is_empty() {
                return Ok(logs);
            }
            self.rpc.metrics().empty_with_positive_bloom.inc();
        }
        Ok(Vec::new())
    }

    /// The token's transfers and control events in a range of finalized blocks, in order.
    pub async fn logs_of_range(&self, from: u64, to: u64) -> Result<Vec<TokenLog>, SourceError> {
        let filter = Filter::new()
            .address(self.token)
            .event_signature(decode::EVENTS.to_vec())
            .from_block(from)
            .to_block(to);
        let replies: Vec<LogReply> = self.rpc.call(Method::GetLogs, (&filter,)).await?;
        Ok(reply::of_range(self.token, from, to, replies)?)
    }

    /// The block with this hash, which must exist.
    pub async fn block_by_hash(&self, hash: B256) -> Result<Block, SourceError> {
        let reply: Option<BlockReply<B256>> =
            self.rpc.call(Method::GetBlockByHash, (hash, false)).await?;
        Ok(reply
            .ok_or_else(|| SourceError::UnknownBlock(hash.to_string()))?
            .into())
    }

    /// What these transactions of one block asked for.
    pub async fn calls(&self, block: B256, transactions: &[B256]) -> Result<Calls, SourceError> {
        if transactions.len() >= WHOLE_BLOCK_TRANSACTIONS {
            return self.calls_of_whole_block(block, transactions).await;
        }
        let calls: Vec<_> = transactions
            .iter()
            .map(|hash| self.call_of(block, *hash))
            .collect();
        stream::iter(calls)
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await
    }

    async fn call_of(&self, block: B256, hash: B256) -> Result<(B256, Call), SourceError> {
        let reply: Option<TransactionReply> =
            self.rpc.call(Method::GetTransaction, (hash,)).await?;
        let reply = reply.ok_or_else(|| SourceError::UnknownBlock(block.to_string()))?;
        Ok((hash, reply.call_in(block, hash)?))
    }

    async fn calls_of_whole_block(
        &self,
        block: B256,
        transactions: &[B256],
    ) -> Result<Calls, SourceError> {
        let reply: Option<BlockReply<TransactionReply>> =
            self.rpc.call(Method::GetBlockByHash, (block, true)).await?;
        let reply = reply.ok_or_else(|| SourceError::UnknownBlock(block.to_string()))?;
        Ok(reply.calls(block, transactions)?)
    }

    async fn block_by_tag(&self, tag: &str) -> Result<Option<BlockReply<B256>>, SourceError> {
        self.rpc.call(Method::GetBlockByNumber, (tag, false)).await
    }
}
