//! What the chain says, through one or several JSON-RPC endpoints.
//!
//! Reads only, each reply checked for what it can be checked for. An endpoint that does not answer, lags, does not know
//! a block, contradicts itself or hides logs behind a positive bloom is not believed before the others were asked; if
//! none knows better the caller gets an error and asks again later. Kept between two reads: how each endpoint did
//! (`health`), and nothing of the chain.

use std::{sync::Arc, time::Duration};

use alloy::primitives::{Address, B256, Log, U256};
use futures::{StreamExt, TryStreamExt, stream};
use x402_schemas::network::Network;

use crate::{
    config::IndexerConfig,
    decode::{self, Calls, TokenLog},
    metrics::Metrics,
    reorg::Header,
};

/// One endpoint, and what it says.
mod endpoint;
mod read;

/// Which endpoint is asked, and which next.
mod allowance;
mod endpoints;
mod health;

/// The wire: requests out, replies in, read strictly.
mod failure;
mod hex;
mod refusal;
mod reply;
mod socket;
mod transport;
mod wire;

/// Logs against receipts, receipts against headers.
mod verified;

/// New heads, told over WebSocket.
mod wake;

use endpoint::Endpoint;
use endpoints::{Endpoints, Needs};
pub use failure::{RpcFailure, SourceError};
pub use reply::{Block, Inconsistency};
pub use wake::NewHeads;

/// Where `finalized` is assumed on a chain or node that does not say: two epochs of Ethereum.
const FINALITY_BLOCKS: u64 = 64;

/// How often an empty reply for a block whose bloom may hold the token's logs is asked for again, each time of the next
/// endpoint. One bloom in twelve is positive by chance on mainnet, so this costs two requests every two or three minutes.
const EMPTY_ASKS: usize = 3;

/// The pause between those: time for a lagging replica to see the block.
const EMPTY_PAUSE: Duration = Duration::from_millis(25);

/// From this many transactions of one block on, one request for the whole block is cheaper than one for each.
const WHOLE_BLOCK_TRANSACTIONS: usize = 8;

/// Transactions that one batch of requests asks for: providers allow between ten and a thousand, most of them a hundred.
const BATCH_TRANSACTIONS: usize = 50;

/// Requests in flight at a time for the transactions of one read.
const IN_FLIGHT: usize = 8;

/// The logs of a range of final blocks and the range's last block, from one node.
#[derive(Clone, Debug)]
pub struct Range {
    /// The token's transfers and control events, in order.
    pub logs: Vec<TokenLog>,
    /// The first block.
    pub first: Header,
    /// The last block.
    pub end: Header,
}

/// Transactions of one block: its number, its hash, their hashes.
pub type TransactionsOf = (u64, B256, Vec<B256>);

/// Reads the chain.
#[derive(Clone, Debug)]
pub struct Source {
    endpoints: Arc<Endpoints>,
    token: Address,
    verifies: bool,
}

impl Source {
    /// A source for the configured endpoints and token.
    pub fn new(config: &IndexerConfig, metrics: Arc<Metrics>) -> Self {
        let urls = config.rpc_url.iter().cloned().enumerate();
        let endpoints = urls
            .map(|(index, url)| Endpoint::new(index, url, config, Arc::clone(&metrics)))
            .collect();
        Self {
            endpoints: Arc::new(Endpoints::new(endpoints, metrics)),
            token: config.token,
            verifies: config.verify_receipts,
        }
    }

    /// How many requests met an endpoint that had too much to do, or gave no answer.
    pub fn times_busy(&self) -> u64 {
        self.endpoints.times_busy()
    }

    /// The network that all endpoints are on.
    pub async fn network(&self) -> Result<Network, SourceError> {
        Ok(Network::from_chain_id(self.endpoints.chain_id().await?))
    }

    /// Whether there is a contract at the token's address.
    pub async fn has_code(&self) -> Result<bool, SourceError> {
        let token = self.token;
        self.endpoints
            .ask(Needs::default(), |endpoint| async move {
                endpoint.has_code(token).await
            })
            .await
    }

    /// The token's `decimals()`, or `None` if it has no such function.
    pub async fn decimals(&self) -> Result<Option<U256>, SourceError> {
        let token = self.token;
        let answer = self
            .endpoints
            .ask(Needs::default(), |endpoint| async move {
                endpoint.decimals(token).await
            })
            .await;
        match answer {
            // A node that only fails to answer says nothing about the token.
            Err(SourceError::Refused { failure, .. }) if failure.is_revert() => Ok(None),
            answer => answer,
        }
    }

    /// The newest block.
    pub async fn head(&self) -> Result<Block, SourceError> {
        let newest = self
            .endpoints
            .ask(Needs::default(), |endpoint| async move {
                endpoint.newest().await
            })
            .await;
        self.endpoints.look_at_others();
        newest
    }

    /// The number of the finalized block, given the newest: what the node says, or 64 below.
    pub async fn finalized(&self, head: u64) -> Result<u64, SourceError> {
        self.endpoints
            .ask(Needs::block(head), |endpoint| async move {
                endpoint.finalized(head).await
            })
            .await
    }

    /// The safe block, if a node says which it is. Nothing is decided by it.
    pub async fn safe(&self) -> Result<Option<u64>, SourceError> {
        self.endpoints
            .ask(
                Needs::default(),
                |endpoint| async move { endpoint.safe().await },
            )
            .await
    }

    /// The canonical block of this number, which must exist.
    pub async fn block(&self, number: u64) -> Result<Block, SourceError> {
        self.endpoints
            .ask(Needs::block(number), |endpoint| async move {
                endpoint.block(number).await
            })
            .await
    }

    /// The block with this hash, which must exist.
    pub async fn block_by_hash(&self, hash: B256) -> Result<Block, SourceError> {
        self.endpoints
            .ask(Needs::default(), |endpoint| async move {
                endpoint.block_by_hash(hash).await
            })
            .await
    }

    /// All logs that the token wrote in this very block, in order; from the endpoint that gave the block, if it can.
    pub async fn logs_of_block(&self, block: &Block) -> Result<Vec<TokenLog>, SourceError> {
        let (token, verifies) = (self.token, self.verifies);
        if !block.may_have_logs_of(token) {
            if verifies {
                self.verify_bloom(block).await?;
            }
            return Ok(Vec::new());
        }
        let mut said_none = Vec::with_capacity(EMPTY_ASKS);
        for first in (block.endpoint..).take(EMPTY_ASKS) {
            if !said_none.is_empty() {
                tokio::time::sleep(EMPTY_PAUSE).await;
            }
            let needs = Needs {
                head: Some(block.header.number),
                first: first.checked_rem(self.endpoints.len()),
            };
            let (by, logs) = self
                .endpoints
                .ask(needs, |endpoint| async move {
                    let logs = endpoint.logs_of_block(token, block).await?;
                    if verifies {
                        let asked = |log: &Log| log.address == token;
                        endpoint.verify_block(block, asked, &logs).await?;
                    }
                    Ok((endpoint.index, logs))
                })
                .await?;
            if !logs.is_empty() {
                for index in said_none.into_iter().filter(|index| *index != by) {
                    self.endpoints.contradicted(index);
                }
                return Ok(logs);
            }
            self.endpoints.metrics.empty_with_positive_bloom.inc();
            if verifies {
                // The receipts say so too.
                return Ok(logs);
            }
            said_none.push(by);
        }
        Ok(Vec::new())
    }

    /// The token's transfers and control events in a range of finalized blocks, and the range's first and last block, all
    /// from one node that has seen the last.
    pub async fn range(&self, from: u64, to: u64) -> Result<Range, SourceError> {
        let (token, verifies) = (self.token, self.verifies);
        self.endpoints
            .ask(Needs::block(to), |endpoint| async move {
                let range = endpoint.range(token, &decode::EVENTS, from, to).await?;
                if verifies {
                    let asked = |log: &Log| {
                        log.address == token
                            && log
                                .topics()
                                .first()
                                .is_some_and(|topic| decode::EVENTS.contains(topic))
                    };
                    endpoint.verify_range(asked, &range.logs).await?;
                }
                Ok(range)
            })
            .await
    }

    /// Has the bloom that shows no log of the token proven.
    async fn verify_bloom(&self, block: &Block) -> Result<(), SourceError> {
        let token = self.token;
        let needs = Needs {
            head: Some(block.header.number),
            first: Some(block.endpoint),
        };
        self.endpoints
            .ask(needs, |endpoint| async move {
                endpoint.verify_bloom(block, token).await
            })
            .await
    }

    /// What these transactions of the block with this number and hash asked for.
    pub async fn calls(
        &self,
        number: u64,
        block: B256,
        transactions: &[B256],
    ) -> Result<Calls, SourceError> {
        self.calls_of(vec![(number, block, transactions.to_vec())])
            .await
    }

    /// The same for several blocks, in as few requests as can be.
    pub async fn calls_of(&self, blocks: Vec<TransactionsOf>) -> Result<Calls, SourceError> {
        let (whole, few): (Vec<_>, Vec<_>) = blocks
            .into_iter()
            .partition(|(_, _, hashes)| hashes.len() >= WHOLE_BLOCK_TRANSACTIONS);
        let single: Vec<(u64, B256, B256)> = few
            .iter()
            .flat_map(|(number, block, hashes)| hashes.iter().map(|hash| (*number, *block, *hash)))
            .collect();
        let whole = whole.into_iter().map(Asked::Whole);
        let batches = single
            .chunks(BATCH_TRANSACTIONS)
            .map(|batch| Asked::Batch(batch.to_vec()));
        let asked: Vec<_> = whole
            .chain(batches)
            .map(|asked| self.calls_asked(asked))
            .collect();
        stream::iter(asked)
            .buffer_unordered(IN_FLIGHT)
            .try_concat()
            .await
    }

    async fn calls_asked(&self, asked: Asked) -> Result<Calls, SourceError> {
        match &asked {
            Asked::Whole((number, block, hashes)) => {
                self.endpoints
                    .ask(Needs::block(*number), |endpoint| async move {
                        endpoint.calls_of_whole_block(*block, hashes).await
                    })
                    .await
            }
            Asked::Batch(batch) => {
                let highest = batch.iter().map(|(number, ..)| *number).max();
                let wanted: Vec<_> = batch
                    .iter()
                    .map(|(_, block, hash)| (*block, *hash))
                    .collect();
                let (needs, wanted) = (Needs::block(highest.unwrap_or_default()), &wanted);
                self.endpoints
                    .ask(
                        needs,
                        |endpoint| async move { endpoint.calls(wanted).await },
                    )
                    .await
            }
        }
    }
}

/// One request for transactions.
enum Asked {
    /// For a block with all of them.
    Whole(TransactionsOf),
    /// For single ones: number and hash of the block, hash of the transaction.
    Batch(Vec<(u64, B256, B256)>),
}

impl Needs {
    /// To have seen this block.
    const fn block(number: u64) -> Self {
        Self {
            head: Some(number),
            first: None,
        }
    }
}

/// An error with its causes, in one line.
fn told(error: &dyn std::error::Error) -> String {
    x402_service::logs::with_causes(error)
}

#[cfg(test)]
mod tests;
