//! Logs in, the transfers among them out, with the memos that their transactions carry.
//!
//! Only the transactions that can carry one are fetched: see [`decode::noteworthy`].

use std::collections::HashMap;

use alloy::primitives::{Address, B256};
use futures::{StreamExt, TryStreamExt, stream};
use x402_schemas::network::Network;

use super::BLOCKS_IN_FLIGHT;
use crate::{
    decode::{self, Calls, Found, Place, TokenLog},
    source::{Source, SourceError},
};

/// What every log is read with.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) source: Source,
    pub(crate) network: Network,
    pub(crate) token: Address,
}

/// The times of blocks, by hash, where they are known already.
pub(crate) type Times = HashMap<B256, u64>;

impl Reader {
    /// The transfers among the logs of one or more blocks, in order.
    pub(crate) async fn transfers(
        &self,
        logs: &[TokenLog],
        times: &Times,
    ) -> Result<Vec<Found>, SourceError> {
        let blocks: Vec<&[TokenLog]> = logs.chunk_by(|a, b| a.block_hash == b.block_hash).collect();
        let (calls, times) = futures::try_join!(self.calls(&blocks), self.times(&blocks, times))?;
        let mut found = Vec::with_capacity(logs.len());
        for (of_block, (first, time)) in blocks.into_iter().zip(times) {
            let place = Place {
                network: self.network,
                token: self.token,
                number: first.block_number,
                hash: first.block_hash,
                time,
            };
            decode::decode(&place, of_block, &calls, &mut found);
        }
        Ok(found)
    }

    /// The calls that may note something, of all blocks together.
    async fn calls(&self, blocks: &[&[TokenLog]]) -> Result<Calls, SourceError> {
        let wanted = blocks.iter().filter_map(|of_block| {
            let first = of_block.first()?;
            let hashes = decode::noteworthy(self.token, of_block);
            (!hashes.is_empty()).then_some((first.block_number, first.block_hash, hashes))
        });
        self.source.calls_of(wanted.collect()).await
    }

    /// Each block's first log and its time: asked for where neither we nor the log know it, as not every node says it.
    async fn times<'a>(
        &self,
        blocks: &[&'a [TokenLog]],
        known: &Times,
    ) -> Result<Vec<(&'a TokenLog, u64)>, SourceError> {
        let firsts: Vec<&TokenLog> = blocks.iter().filter_map(|it| it.first()).collect();
        let time = |log: &TokenLog| known.get(&log.block_hash).copied().or(log.block_time);
        // Nothing to wait for, mostly: a request in waiting is kilobytes.
        let told: Option<Vec<_>> = firsts.iter().map(|log| Some((*log, time(log)?))).collect();
        if let Some(told) = told {
            return Ok(told);
        }
        let times: Vec<_> = firsts
            .into_iter()
            .map(|log| async move {
                if let Some(time) = time(log) {
                    return Ok((log, time));
                }
                let block = Box::pin(self.source.block_by_hash(log.block_hash)).await?;
                Ok((log, block.header.time))
            })
            .collect();
        stream::iter(times)
            .buffered(BLOCKS_IN_FLIGHT)
            .try_collect()
            .await
    }
}
