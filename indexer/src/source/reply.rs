//! What a node replies, read strictly.
//!
//! A log that lacks a field, stands in another block than the one asked for, or comes out of order makes the whole
//! reply unusable: such replies come from nodes in the middle of a reorg, or worse.

use std::collections::HashMap;

use alloy::primitives::{Address, B256, Bloom, BloomInput};
use serde::Deserialize;

use super::hex::{Data, Fixed, Quantity};
use crate::{
    decode::{Call, Calls, TokenLog},
    reorg::Header,
};

mod log;
mod part;
mod scan;

pub(super) use log::Logs;
pub(super) use part::{PartOfRange, answers};

/// How a node contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistency {
    /// Asked for one block, given another.
    #[error("block {asked} was asked for and block {given} given")]
    OtherBlock {
        /// The number asked for.
        asked: u64,
        /// The number given.
        given: u64,
    },
    /// Asked for one block by its hash, given another.
    #[error("another block than the one with the hash asked for")]
    OtherHash,
    /// A log that says it is of another block, or of none.
    #[error("a log of another block than asked for")]
    LogOfOtherBlock,
    /// A log of a contract that was not asked for.
    #[error("a log of another contract than asked for")]
    LogOfOtherContract,
    /// A log that a reorg removed.
    #[error("a log that is marked as removed")]
    RemovedLog,
    /// A log without its place in the block.
    #[error("a log without transaction, place or block")]
    IncompleteLog,
    /// Logs that do not ascend strictly: one is missing its turn or there twice.
    #[error("logs out of order, or one of them twice")]
    LogsOutOfOrder,
    /// Two blocks of the same number in one reply.
    #[error("logs of two blocks with the same number")]
    TwoForks,
    /// A transaction that is not, or no longer, in the block of its log.
    #[error("a transaction that is not in the block of its log")]
    TransactionElsewhere,
}

/// A block as far as an index needs it.
#[derive(Clone, Debug)]
pub struct Block {
    /// What links it to others.
    pub header: Header,
    bloom: Bloom,
    /// Who gave it: asked first for its logs.
    pub(super) endpoint: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockReply<T> {
    number: Quantity,
    hash: Fixed<32>,
    parent_hash: Fixed<32>,
    timestamp: Quantity,
    logs_bloom: Fixed<256>,
    #[serde(default = "Vec::new")]
    transactions: Vec<T>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransactionReply {
    hash: Fixed<32>,
    block_hash: Option<Fixed<32>>,
    from: Fixed<20>,
    to: Option<Fixed<20>>,
    input: Data,
}

/// The logs of one block, as promised by its header.
pub(super) fn of_block(
    token: Address,
    header: &Header,
    logs: Logs,
) -> Result<Vec<TokenLog>, Inconsistency> {
    let logs = of_range(token, header.number, header.number, logs)?;
    if logs.iter().any(|log| log.block_hash != header.hash) {
        return Err(Inconsistency::LogOfOtherBlock);
    }
    Ok(logs)
}

/// The logs of a range of blocks.
pub(super) fn of_range(
    token: Address,
    from: u64,
    to: u64,
    logs: Logs,
) -> Result<Vec<TokenLog>, Inconsistency> {
    let logs = logs.0?;
    for log in &logs {
        if log.address != token {
            return Err(Inconsistency::LogOfOtherContract);
        }
        if !(from..=to).contains(&log.block_number) {
            return Err(Inconsistency::LogOfOtherBlock);
        }
    }
    for pair in logs.array_windows() {
        let [a, b] = pair;
        if (a.block_number, a.log_index) >= (b.block_number, b.log_index) {
            return Err(Inconsistency::LogsOutOfOrder);
        }
        if a.block_number == b.block_number && a.block_hash != b.block_hash {
            return Err(Inconsistency::TwoForks);
        }
    }
    Ok(logs)
}

impl Block {
    /// A bloom without the token proves that it wrote no log here; one with it proves nothing.
    pub fn may_have_logs_of(&self, token: Address) -> bool {
        self.bloom.contains_input(BloomInput::Raw(token.as_slice()))
    }

    /// Refuses a block of another hash than was asked for.
    pub(super) fn must_have(&self, hash: B256) -> Result<(), Inconsistency> {
        if self.header.hash == hash {
            Ok(())
        } else {
            Err(Inconsistency::OtherHash)
        }
    }

    /// Refuses a block of another number than was asked for.
    pub(super) const fn must_be(&self, asked: u64) -> Result<(), Inconsistency> {
        let given = self.header.number;
        if given == asked {
            Ok(())
        } else {
            Err(Inconsistency::OtherBlock { asked, given })
        }
    }
}

/// Refuses logs of another fork than the last block of their range.
pub(super) fn must_end_with(logs: &[TokenLog], end: &Header) -> Result<(), Inconsistency> {
    match logs.last() {
        Some(log) if log.block_number == end.number && log.block_hash != end.hash => {
            Err(Inconsistency::TwoForks)
        }
        Some(_) | None => Ok(()),
    }
}

impl<T> BlockReply<T> {
    /// The block, given by this endpoint.
    pub(super) fn given_by(self, endpoint: usize) -> Block {
        Block {
            header: Header {
                number: self.number.0,
                hash: self.hash.into(),
                parent_hash: self.parent_hash.into(),
                time: self.timestamp.0,
            },
            bloom: Bloom::new(self.logs_bloom.0),
            endpoint,
        }
    }
}

impl BlockReply<TransactionReply> {
    /// What the wanted transactions asked for; each must be in this block.
    pub(super) fn calls(self, block: B256, wanted: &[B256]) -> Result<Calls, Inconsistency> {
        let mut replies: HashMap<B256, TransactionReply> = self
            .transactions
            .into_iter()
            .map(|reply| (reply.hash.into(), reply))
            .collect();
        wanted
            .iter()
            .map(|hash| {
                let reply = replies
                    .remove(hash)
                    .ok_or(Inconsistency::TransactionElsewhere)?;
                Ok((*hash, reply.call_in(block, *hash)?))
            })
            .collect()
    }
}

impl TransactionReply {
    /// What it asked for, if it is the transaction `hash` of the block `block`.
    pub(super) fn call_in(self, block: B256, hash: B256) -> Result<Call, Inconsistency> {
        if B256::from(self.hash) != hash || self.block_hash.map(B256::from) != Some(block) {
            return Err(Inconsistency::TransactionElsewhere);
        }
        Ok(Call {
            from: self.from.into(),
            to: self.to.map(Address::from),
            input: self.input.into(),
        })
    }
}

#[cfg(test)]
mod tests;
