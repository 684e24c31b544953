//! What one endpoint says of the chain, checked for what a single endpoint's word can be checked for.
//!
//! Each read asks one endpoint only, so that what belongs together comes from one view of the chain.

use std::{collections::HashMap, sync::atomic::Ordering};

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    rpc::types::Filter,
};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::time::Instant;

use super::{
    FINALITY_BLOCKS, IN_FLIGHT, Range, SourceError,
    endpoint::Endpoint,
    failure::{CallError, there},
    hex::Quantity,
    reply::{self, Block, BlockReply, Logs, PartOfRange, TransactionReply},
    wire::{NoResult, Request},
};
use crate::{
    decode::{Call, Calls, TokenLog},
    metrics::Method,
    reorg::Header,
};

/// How often a node may answer with nothing when it is asked what is final, before it is taken not to know.
const NULL_ASKS: usize = 3;

impl Endpoint {
    pub(super) async fn chain_id(&self) -> Result<u64, SourceError> {
        let answer = self.read::<Quantity>(Method::ChainId, ()).await?;
        let Quantity(chain_id) = there(answer, Method::ChainId)?;
        Ok(chain_id)
    }

    pub(super) async fn has_code(&self, contract: Address) -> Result<bool, SourceError> {
        let answer = self
            .read::<Bytes>(Method::GetCode, (contract, "latest"))
            .await?;
        Ok(!there(answer, Method::GetCode)?.is_empty())
    }

    pub(super) async fn decimals(&self, token: Address) -> Result<Option<U256>, SourceError> {
        const DECIMALS: &str = "0x313ce567";
        let call = HashMap::from([("to", token.to_string()), ("data", DECIMALS.to_owned())]);
        let answer = self.read::<Bytes>(Method::Call, (call, "latest")).await?;
        let word = there(answer, Method::Call)?;
        let word = <[u8; 32]>::try_from(word.as_ref()).ok();
        Ok(word.map(U256::from_be_bytes))
    }

    /// The newest block; remembered as what this endpoint can know.
    pub(super) async fn newest(&self) -> Result<Block, SourceError> {
        let asked = Instant::now();
        let block = self
            .block_by_tag("latest")
            .await?
            .ok_or_else(|| SourceError::UnknownBlock("latest".to_owned()))?;
        self.saw_head(block.header.number, asked.elapsed());
        Ok(block)
    }

    /// The last final block as this node sees it, whose newest is `head`.
    pub(super) async fn finalized(&self, head: u64) -> Result<u64, SourceError> {
        let mut asks: usize = 0;
        let finalized = loop {
            asks = asks.saturating_add(1);
            let method = Method::GetBlockByNumber;
            match self
                .call::<BlockReply<B256>>(method, ("finalized", false))
                .await
            {
                Ok(Some(block)) => {
                    self.knows_no_finality.store(false, Ordering::Relaxed);
                    break block.given_by(self.index).header.number.min(head);
                }
                // One reply without a block may be a node's hiccup, and what counts as final stays final.
                Ok(None) if asks < NULL_ASKS => (),
                Ok(None) => break self.assumed_final(head),
                Err(error) if error.knows_no_tag() => break self.assumed_final(head),
                Err(error) => return Err(error.answering(method)),
            }
        };
        self.saw_finalized(finalized);
        Ok(finalized)
    }

    fn assumed_final(&self, head: u64) -> u64 {
        self.knows_no_finality.store(true, Ordering::Relaxed);
        head.saturating_sub(FINALITY_BLOCKS)
    }

    /// The block that says what is final, and how many blocks before it that is.
    fn finality(&self) -> (&'static str, u64) {
        if self.knows_no_finality.load(Ordering::Relaxed) {
            ("latest", FINALITY_BLOCKS)
        } else {
            ("finalized", 0)
        }
    }

    /// The safe block, if the node says which it is.
    pub(super) async fn safe(&self) -> Result<Option<u64>, SourceError> {
        match self.block_by_tag("safe").await {
            Ok(block) => Ok(block.map(|block| block.header.number)),
            Err(SourceError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn block(&self, number: u64) -> Result<Block, SourceError> {
        let block = self
            .block_by_tag(&format!("{number:#x}"))
            .await?
            .ok_or_else(|| SourceError::UnknownBlock(number.to_string()))?;
        block.must_be(number)?;
        Ok(block)
    }

    pub(super) async fn block_by_hash(&self, hash: B256) -> Result<Block, SourceError> {
        let reply: BlockReply<B256> = self.whole_or_header(hash, false).await?;
        let block = reply.given_by(self.index);
        block.must_have(hash)?;
        Ok(block)
    }

    async fn block_by_tag(&self, tag: &str) -> Result<Option<Block>, SourceError> {
        let answer = self
            .read::<BlockReply<B256>>(Method::GetBlockByNumber, (tag, false))
            .await?;
        Ok(answer.map(|reply| reply.given_by(self.index)))
    }

    async fn whole_or_header<T: serde::de::DeserializeOwned>(
        &self,
        hash: B256,
        whole: bool,
    ) -> Result<BlockReply<T>, SourceError> {
        let answer = self.read(Method::GetBlockByHash, (hash, whole)).await?;
        answer.ok_or_else(|| SourceError::UnknownBlock(hash.to_string()))
    }

    /// All logs of the token in this block; by its hash, so that a node without it cannot say "none".
    pub(super) async fn logs_of_block(
        &self,
        token: Address,
        block: &Block,
    ) -> Result<Vec<TokenLog>, SourceError> {
        // Not by event: then a block in which the token only wrote approvals does not look like one whose logs are hidden.
        let filter = Filter::new()
            .address(token)
            .at_block_hash(block.header.hash);
        let answer = self.read::<Logs>(Method::GetLogs, (filter,)).await?;
        let logs = there(answer, Method::GetLogs)?;
        Ok(reply::of_block(token, &block.header, logs)?)
    }

    /// The token's logs in the range, its first and its last block: in one batch, so that they come from one node even
    /// behind a balancer. The last block must be final to that node: one that stopped below it knows no logs, and one on a
    /// dead branch others.
    pub(super) async fn range(
        &self,
        token: Address,
        events: &[B256],
        from: u64,
        to: u64,
    ) -> Result<Range, SourceError> {
        let filter = Filter::new()
            .address(token)
            .event_signature(events.to_vec())
            .from_block(from)
            .to_block(to);
        let blocks = to.saturating_sub(from).saturating_add(1);
        let (tag, above) = self.finality();
        let header =
            |id, block: &str| Request::new(id, Method::GetBlockByNumber, json!([block, false]));
        let asked = [
            Request::new(0, Method::GetLogs, json!([filter])),
            header(1, &format!("{from:#x}")),
            header(2, &format!("{to:#x}")),
            header(3, tag),
        ];
        let answers = self.batch_read(&asked, reply::answers).await;
        let answers = answers.map_err(|error| error.answering_range(blocks))?;
        let Some(Ok([logs, first, end, last])) = answers.map(<[_; 4]>::try_from) else {
            return Box::pin(self.range_one_by_one(token, &filter, from, to)).await;
        };
        let logs = logs.map_err(|why| self.refusal(why).answering_range(blocks))?;
        let (first, end) = (self.part(first, from)?, self.part(end, to)?);
        let last = last.map_err(|why| self.refusal(why));
        if above == 0 && last.as_ref().is_err_and(CallError::knows_no_tag) {
            self.knows_no_finality.store(true, Ordering::Relaxed);
            return Box::pin(self.range(token, events, from, to)).await;
        }
        let last = last.map_err(|error| error.answering(Method::GetBlockByNumber))?;
        let last = self.block_of(last, tag)?.header.number;
        must_be_final(to, last.saturating_sub(above))?;
        range_of(token, logs_of(logs)?, first.header, end.header)
    }

    /// The same of an endpoint that takes one request at a time. The blocks after the logs: it must know them by then.
    async fn range_one_by_one(
        &self,
        token: Address,
        filter: &Filter,
        from: u64,
        to: u64,
    ) -> Result<Range, SourceError> {
        let blocks = to.saturating_sub(from).saturating_add(1);
        let head = self.newest().await?.header.number;
        must_be_final(to, self.finalized(head).await?)?;
        let logs = self.call::<Logs>(Method::GetLogs, (filter,)).await;
        let logs = logs.map_err(|error| error.answering_range(blocks))?;
        let logs = there(logs, Method::GetLogs)?;
        let (first, end) = futures::try_join!(self.block(from), self.block(to))?;
        range_of(token, logs, first.header, end.header)
    }

    /// A block of a range.
    fn part(
        &self,
        answer: Result<Option<PartOfRange>, NoResult>,
        number: u64,
    ) -> Result<Block, SourceError> {
        let answer = answer.map_err(|why| self.refusal(why).answering(Method::GetBlockByNumber))?;
        let block = self.block_of(answer, &number.to_string())?;
        block.must_be(number)?;
        Ok(block)
    }

    fn block_of(&self, part: Option<PartOfRange>, asked: &str) -> Result<Block, SourceError> {
        match part {
            Some(PartOfRange::Block(block)) => Ok(block.given_by(self.index)),
            Some(PartOfRange::Logs(_)) | None => Err(SourceError::UnknownBlock(asked.to_owned())),
        }
    }

    /// What these transactions asked for, each with the block that it must be in.
    pub(super) async fn calls(&self, wanted: &[(B256, B256)]) -> Result<Calls, SourceError> {
        let requests: Vec<_> = wanted
            .iter()
            .enumerate()
            .map(|(id, (_, hash))| Request::new(id, Method::GetTransaction, (hash,)))
            .collect();
        let batched = if wanted.len() > 1 {
            match self.batch::<TransactionReply>(&requests).await {
                // They may be too long together.
                Err(CallError::TooLong(_) | CallError::Refused { .. }) => None,
                batched => batched.map_err(|error| error.answering(Method::GetTransaction))?,
            }
        } else {
            None
        };
        // Where one was refused, it will tell why when it is asked for alone.
        let batched: Option<Vec<_>> =
            batched.and_then(|answers| answers.into_iter().map(Result::ok).collect());
        if let Some(replies) = batched {
            return wanted
                .iter()
                .zip(replies)
                .map(|(wanted, reply)| call_in(*wanted, reply))
                .collect();
        }
        let one_by_one: Vec<_> = wanted
            .iter()
            .map(|wanted| async move {
                let answer = self.read(Method::GetTransaction, (wanted.1,)).await?;
                call_in(*wanted, answer)
            })
            .collect();
        stream::iter(one_by_one)
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await
    }

    /// The same, of one block with all its transactions.
    pub(super) async fn calls_of_whole_block(
        &self,
        block: B256,
        transactions: &[B256],
    ) -> Result<Calls, SourceError> {
        let reply: BlockReply<TransactionReply> = self.whole_or_header(block, true).await?;
        Ok(reply.calls(block, transactions)?)
    }

    /// Claims the right to look at this endpoint in the background; false while another look is under way.
    pub(super) fn begin_probe(&self) -> bool {
        !self.probed.swap(true, Ordering::AcqRel)
    }

    pub(super) fn end_probe(&self) {
        self.probed.store(false, Ordering::Release);
    }
}

/// A node to which the block is not final yet is behind, or on another branch.
fn must_be_final(block: u64, last_final: u64) -> Result<(), SourceError> {
    if block <= last_final {
        return Ok(());
    }
    Err(SourceError::UnknownBlock(format!("{block} as final")))
}

fn range_of(token: Address, logs: Logs, first: Header, end: Header) -> Result<Range, SourceError> {
    let logs = reply::of_range(token, first.number, end.number, logs)?;
    reply::must_end_with(&logs, &end)?;
    Ok(Range { logs, first, end })
}

fn logs_of(part: Option<PartOfRange>) -> Result<Logs, SourceError> {
    let logs = part.and_then(|part| match part {
        PartOfRange::Logs(logs) => Some(logs),
        PartOfRange::Block(_) => None,
    });
    there(logs, Method::GetLogs)
}

fn call_in(
    (block, hash): (B256, B256),
    reply: Option<TransactionReply>,
) -> Result<(B256, Call), SourceError> {
    let reply = reply.ok_or_else(|| SourceError::UnknownBlock(block.to_string()))?;
    Ok((hash, reply.call_in(block, hash)?))
}
