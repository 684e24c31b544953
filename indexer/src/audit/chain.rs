//! The chain's side of an audit: the rows that the index must have.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use futures::{StreamExt, TryStreamExt, stream};
use x402_schemas::index::TransferRow;

use crate::{
    batch,
    decode::TokenLog,
    range::RangeSize,
    run::{Reader, Times},
    source::{Block, SourceError},
};

/// Blocks that are read at a time.
const BLOCKS_IN_FLIGHT: usize = 4;

/// Reads the chain as the indexer does.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) reader: Reader,
}

/// Some blocks that follow each other, and the rows that belong to them.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) rows: Vec<TransferRow>,
    /// Their last block; nothing when there is none.
    pub(super) end: Option<B256>,
}

impl Chain {
    /// The rows of final blocks from `from` on, at most to `limit`, and the last block that was read.
    pub(super) async fn range(
        &self,
        size: &mut RangeSize,
        from: u64,
        limit: u64,
    ) -> Result<(u64, Vec<TransferRow>), SourceError> {
        loop {
            let to = size.end(from, limit);
            let asked = to.saturating_sub(from).saturating_add(1);
            let range = match self.reader.source.range(from, to).await {
                Err(SourceError::RangeRefused { fits, .. }) if size.refused(asked, fits) => {
                    continue;
                }
                Err(SourceError::Refused { .. }) if size.refused(asked, None) => continue,
                range => range?,
            };
            size.answered(asked, range.logs.len());
            let found = self.reader.transfers(&range.logs, &Times::new()).await?;
            return Ok((to, batch::rows(&found).collect()));
        }
    }

    /// The rows of blocks that a reorg may still take away, each asked for by its hash. Blocks that do not follow each
    /// other are none: the chain moved while it was read.
    pub(super) async fn branch(&self, from: u64, to: u64) -> Result<Option<Branch>, SourceError> {
        let blocks: Vec<Block> = self.headers(from..=to).await?;
        let linked = blocks
            .array_windows()
            .all(|[parent, child]| child.header.parent_hash == parent.header.hash);
        if !linked {
            return Ok(None);
        }
        Ok(Some(Branch {
            rows: self.rows(&blocks).await?,
            end: blocks.last().map(|block| block.header.hash),
        }))
    }

    /// The rows of single blocks, which may be far apart.
    pub(super) async fn blocks(
        &self,
        numbers: &BTreeSet<u64>,
    ) -> Result<Vec<TransferRow>, SourceError> {
        self.rows(&self.headers(numbers.iter().copied()).await?)
            .await
    }

    async fn headers(&self, numbers: impl Iterator<Item = u64>) -> Result<Vec<Block>, SourceError> {
        let blocks: Vec<_> = numbers
            .map(|number| self.reader.source.block(number))
            .collect();
        stream::iter(blocks)
            .buffered(BLOCKS_IN_FLIGHT)
            .try_collect()
            .await
    }

    async fn rows(&self, blocks: &[Block]) -> Result<Vec<TransferRow>, SourceError> {
        let logs: Vec<_> = blocks
            .iter()
            .map(|block| self.reader.source.logs_of_block(block))
            .collect();
        let logs: Vec<Vec<TokenLog>> = stream::iter(logs)
            .buffered(BLOCKS_IN_FLIGHT)
            .try_collect()
            .await?;
        let times: Times = blocks
            .iter()
            .map(|block| (block.header.hash, block.header.time))
            .collect();
        let found = self.reader.transfers(&logs.concat(), &times).await?;
        Ok(batch::rows(&found).collect())
    }
}
