//! Are these the logs that the block's header vouches for? Pure.
//!
//! A header's hash covers the root of its receipts, and the receipts hold every log: who invents, hides, alters or moves a
//! log must change the block's hash. What this does not prove: that the header is on the chain (its parents do), and a
//! log's transaction hash, which receipts do not hold; it is only compared with what the receipts' reply says.

use alloy::{
    consensus::{ReceiptEnvelope, proofs::calculate_receipt_root},
    primitives::{B256, Log, logs_bloom},
    rpc::types::{Header, TransactionReceipt},
};

use crate::decode::TokenLog;

/// What differs between a block's header, its receipts and the logs that the node gave for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The header is another one than its hash says.
    #[error("the header has the hash {computed}, not {said}")]
    HeaderHash {
        /// What the node calls it.
        said: B256,
        /// What its fields hash to.
        computed: B256,
    },
    /// The header says otherwise than the node did before, when it gave the block.
    #[error("the header has another {what} than the node said before")]
    OtherHeader {
        /// What about it.
        what: &'static str,
    },
    /// The logs are of another block than the header.
    #[error("log {log_index} is said to be of block {said}, not of {header}")]
    OtherBlock {
        /// Which log.
        log_index: u32,
        /// The block that the log names.
        said: B256,
        /// The header's block.
        header: B256,
    },
    /// The receipts are not this block's.
    #[error("the receipts have the root {computed}, the header has {header}")]
    ReceiptsRoot {
        /// In the header.
        header: B256,
        /// Of the receipts.
        computed: B256,
    },
    /// The header's bloom is not that of the logs.
    #[error("the header's bloom is not that of the logs in the receipts")]
    Bloom,
    /// The node's reply lacks a log.
    #[error("log {log_index} of the receipts is hidden")]
    Hidden {
        /// Which.
        log_index: u32,
    },
    /// The node's reply has a log that the block has not.
    #[error("log {log_index} is in no receipt")]
    Invented {
        /// Which.
        log_index: u32,
    },
    /// The node's reply has a log with another content.
    #[error("log {log_index} has another {what} than in the receipts")]
    Altered {
        /// Which.
        log_index: u32,
        /// What about it.
        what: &'static str,
    },
}

/// Checks a header against its receipts, and the receipts against the logs that the node gave. `asked` tells which logs were
/// asked for; `logs` ascend, as the source promises.
pub fn check(
    header: &Header,
    receipts: Vec<TransactionReceipt>,
    asked: impl Fn(&Log) -> bool,
    logs: &[TokenLog],
) -> Result<(), Mismatch> {
    check_hash(header)?;
    let hashes: Vec<B256> = receipts.iter().map(|one| one.transaction_hash).collect();
    let receipts: Vec<_> = receipts
        .into_iter()
        .map(|receipt| receipt.into_inner().into_primitives_receipt())
        .collect();
    let computed = calculate_receipt_root(&receipts);
    if header.inner.receipts_root != computed {
        let header = header.inner.receipts_root;
        return Err(Mismatch::ReceiptsRoot { header, computed });
    }
    if logs_bloom(receipts.iter().flat_map(ReceiptEnvelope::logs)) != header.inner.logs_bloom {
        return Err(Mismatch::Bloom);
    }
    let of_receipts = receipts
        .iter()
        .zip(&hashes)
        .zip(0_u32..)
        .flat_map(|((receipt, tx_hash), tx_index)| {
            let logs = receipt.logs().iter();
            logs.map(move |log| (tx_index, tx_hash, log))
        })
        .zip(0_u32..);
    let proven = of_receipts.filter(|((_, _, log), _)| asked(log)).map(
        |((tx_index, tx_hash, log), log_index)| Proven {
            log_index,
            tx_index,
            tx_hash: *tx_hash,
            log,
        },
    );
    compare(header, proven, logs)
}

/// Checks that a header is the one that its hash names.
pub fn check_hash(header: &Header) -> Result<(), Mismatch> {
    let (said, computed) = (header.hash, header.inner.hash_slow());
    if said == computed {
        Ok(())
    } else {
        Err(Mismatch::HeaderHash { said, computed })
    }
}

/// A log where the receipts have it.
struct Proven<'a> {
    log_index: u32,
    tx_index: u32,
    tx_hash: B256,
    log: &'a Log,
}

/// Both ascend by their index.
fn compare<'a>(
    header: &Header,
    proven: impl Iterator<Item = Proven<'a>>,
    given: &[TokenLog],
) -> Result<(), Mismatch> {
    let mut given = given.iter().peekable();
    for proven in proven {
        let log_index = proven.log_index;
        match given.peek() {
            Some(log) if log.log_index == log_index => proven.is(header, log)?,
            Some(log) if log.log_index < log_index => {
                return Err(Mismatch::Invented {
                    log_index: log.log_index,
                });
            }
            Some(_) | None => return Err(Mismatch::Hidden { log_index }),
        }
        given.next();
    }
    given.next().map_or(Ok(()), |log| {
        Err(Mismatch::Invented {
            log_index: log.log_index,
        })
    })
}

impl Proven<'_> {
    fn is(&self, header: &Header, given: &TokenLog) -> Result<(), Mismatch> {
        let log_index = self.log_index;
        if given.block_hash != header.hash {
            return Err(Mismatch::OtherBlock {
                log_index,
                said: given.block_hash,
                header: header.hash,
            });
        }
        let time = header.inner.timestamp;
        let what = if given.block_number != header.inner.number {
            "block number"
        } else if given.block_time.is_some_and(|said| said != time) {
            "time"
        } else if given.address != self.log.address {
            "contract"
        } else if given.topics.as_slice() != self.log.topics() {
            "topic"
        } else if given.data.as_slice() != self.log.data.data.as_ref() {
            "data"
        } else if given.tx_index != self.tx_index || given.tx_hash != self.tx_hash {
            "transaction"
        } else {
            return Ok(());
        };
        Err(Mismatch::Altered { log_index, what })
    }
}

#[cfg(test)]
pub(crate) mod tests;
