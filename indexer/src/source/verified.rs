//! With `--verify-receipts`: one endpoint's logs against its own receipts, and those against the header that the block's
//! hash names.
//!
//! What an endpoint cannot prove it has not said: the error names it, and the next one is asked. Ranges are verified in
//! the blocks that have logs; that a block of a range has none stays the node's word, which `x402 audit` compares.

use alloy::{
    primitives::{Address, B256, BloomInput, Log},
    rpc::types::{Header, TransactionReceipt},
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{IN_FLIGHT, SourceError, endpoint::Endpoint, reply::Block};
use crate::{
    decode::TokenLog,
    metrics::Method,
    receipts::{self, Mismatch},
};

impl Endpoint {
    /// Whether these are all the logs of the block that were asked for.
    pub(super) async fn verify_block(
        &self,
        block: &Block,
        asked: impl Fn(&Log) -> bool,
        logs: &[TokenLog],
    ) -> Result<(), SourceError> {
        let header = self.header_by_hash(block.header.hash).await?;
        let receipts = self.receipts(block.header.hash).await?;
        let verdict = receipts::check(&header, receipts, asked, logs)
            .and_then(|()| same_header(block, &header));
        self.judged_of(block, verdict)
    }

    /// Whether the block's bloom, which shows no log of the token, is really the block's.
    pub(super) async fn verify_bloom(
        &self,
        block: &Block,
        token: Address,
    ) -> Result<(), SourceError> {
        let header = self.header_by_hash(block.header.hash).await?;
        let bloom = header.inner.logs_bloom;
        let verdict = receipts::check_hash(&header).and_then(|()| {
            if bloom.contains_input(BloomInput::Raw(token.as_slice())) {
                return Err(Mismatch::OtherHeader { what: "bloom" });
            }
            same_header(block, &header)
        });
        self.judged_of(block, verdict)
    }

    /// Whether these are all the logs that were asked for, of each block that has one.
    pub(super) async fn verify_range(
        &self,
        asked: impl Fn(&Log) -> bool,
        logs: &[TokenLog],
    ) -> Result<(), SourceError> {
        let asked = &asked;
        let blocks: Vec<_> = logs
            .chunk_by(|a, b| a.block_number == b.block_number)
            .map(|logs| self.verify_block_of_range(asked, logs))
            .collect();
        stream::iter(blocks)
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await
    }

    async fn verify_block_of_range(
        &self,
        asked: impl Fn(&Log) -> bool,
        logs: &[TokenLog],
    ) -> Result<(), SourceError> {
        let Some(number) = logs.first().map(|log| log.block_number) else {
            return Ok(());
        };
        // By number: the header must be the one that the endpoint calls canonical, whatever block the logs name.
        let header = self.header_by_number(number).await?;
        let receipts = self.receipts(header.hash).await?;
        let verdict = receipts::check(&header, receipts, asked, logs);
        self.judged(&self.name, number, verdict)
    }

    async fn header_by_hash(&self, hash: B256) -> Result<Header, SourceError> {
        let method = Method::GetBlockByHash;
        let header = self.read(method, (hash, false)).await?;
        header.ok_or_else(|| SourceError::UnknownBlock(hash.to_string()))
    }

    async fn header_by_number(&self, number: u64) -> Result<Header, SourceError> {
        let method = Method::GetBlockByNumber;
        let header = self.read(method, (format!("{number:#x}"), false)).await?;
        header.ok_or_else(|| SourceError::UnknownBlock(number.to_string()))
    }

    async fn receipts(&self, block: B256) -> Result<Vec<TransactionReceipt>, SourceError> {
        let method = Method::GetBlockReceipts;
        let receipts = self.read(method, (block,)).await?;
        receipts.ok_or_else(|| SourceError::UnknownBlock(block.to_string()))
    }

    /// A header that is proven and not what was said before was said by whoever gave the block.
    fn judged_of(&self, block: &Block, verdict: Result<(), Mismatch>) -> Result<(), SourceError> {
        let giver = block.endpoint.to_string();
        let by = match verdict {
            Err(Mismatch::OtherHeader { .. }) if block.endpoint != self.index => &giver,
            Ok(()) | Err(_) => &self.name,
        };
        self.judged(by, block.header.number, verdict)
    }

    fn judged(
        &self,
        by: &str,
        block: u64,
        verdict: Result<(), Mismatch>,
    ) -> Result<(), SourceError> {
        let Err(mismatch) = verdict else {
            self.metrics.receipts_verified_total.inc();
            return Ok(());
        };
        self.metrics.receipts_mismatch_total.inc();
        tracing::error!(
            endpoint = by,
            block,
            %mismatch,
            "a node gives logs that its block's header does not vouch for; nothing of that is stored"
        );
        Err(SourceError::Disproved {
            endpoint: by.to_owned(),
            block,
            mismatch,
        })
    }
}

/// What links the block to others must be what its hash covers.
fn same_header(block: &Block, header: &Header) -> Result<(), Mismatch> {
    let (said, inner) = (&block.header, &header.inner);
    let what = if said.hash != header.hash {
        "hash"
    } else if said.number != inner.number {
        "number"
    } else if said.parent_hash != inner.parent_hash {
        "parent"
    } else if said.time != inner.timestamp {
        "time"
    } else {
        return Ok(());
    };
    Err(Mismatch::OtherHeader { what })
}

#[cfg(test)]
mod tests;
