//! A made-up chain of token transfers: every value follows from a block number and a place in it.
//!
//! Logs are serialised once, before anything is measured; headers and transactions when they are asked for. A block's
//! number is the end of its hash, and a transaction's place the end of its, so both are found without a table.

use std::fmt::Write as _;

/// The token, at MNEE's address.
pub(crate) const TOKEN: &str = "0x8ccedbae4916b79da7f3f612efb2eb93a2bfd6cf";

/// Blocks above the last one with logs, so that all of them are final. Nothing is in them.
pub(crate) const UNFINAL: u64 = 64;

const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const TRANSFER_FROM: &str = "0x23b872dd";
const GENESIS_TIME: u64 = 1_700_000_000;
const BLOCK_SECONDS: u64 = 12;
/// Accounts that pay each other.
const ACCOUNTS: u64 = 5_000;

/// What a chain is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The last block with logs.
    pub(crate) blocks: u64,
    /// Every how many blocks there are logs.
    pub(crate) every: u64,
    /// Logs in each of those.
    pub(crate) logs: u64,
    /// Of those, in one transaction. One alone is a payment whose calldata has a memo.
    pub(crate) per_transaction: u64,
}

/// A chain with its logs as JSON.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) shape: Shape,
    /// For each block with logs, those logs, without the brackets.
    logs: Vec<Box<[u8]>>,
}

/// One transfer.
struct Transfer {
    from: String,
    to: String,
    amount: u128,
}

fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// 40 digits of an account's address.
fn account(seed: u64) -> String {
    let (a, b) = (mix(seed), mix(seed ^ 1));
    format!("{a:016x}{b:016x}{:08x}", a & 0xffff_ffff)
}

pub(crate) fn block_hash(number: u64) -> String {
    let (a, b, c) = (mix(number), mix(number ^ 0xb10c), mix(!number));
    format!("0x{a:016x}{b:016x}{c:016x}{number:016x}")
}

fn transaction_hash(number: u64, index: u64) -> String {
    let seed = mix(number) ^ index;
    format!(
        "0x{:016x}{:016x}{number:016x}{index:016x}",
        mix(seed),
        mix(!seed)
    )
}

/// The number at the end of a hash, and the one before it.
pub(crate) fn place_in(hash: &str) -> Option<(u64, u64)> {
    let at = |range| u64::from_str_radix(hash.get(range)?, 16).ok();
    Some((at(34..50)?, at(50..66)?))
}

impl Shape {
    /// All logs.
    pub(crate) const fn total(self) -> u64 {
        self.blocks / self.every * self.logs
    }

    fn transfer(number: u64, log: u64) -> Transfer {
        let seed = mix(number * 100_003 + log);
        Transfer {
            from: account(seed % ACCOUNTS),
            to: account(ACCOUNTS + (seed >> 20) % ACCOUNTS),
            amount: u128::from(mix(seed)) * 1_000,
        }
    }

    /// The sum of all amounts of the first `blocks` blocks: what the index must add up to.
    pub(crate) fn sum(self, blocks: u64) -> u128 {
        (1..=blocks)
            .filter(|number| number.is_multiple_of(self.every))
            .flat_map(|number| (0..self.logs).map(move |log| Self::transfer(number, log).amount))
            .sum()
    }

    fn logs_json(self, number: u64) -> Box<[u8]> {
        let mut json = String::with_capacity(usize::try_from(self.logs).unwrap() * 640);
        let (hash, time) = (block_hash(number), GENESIS_TIME + number * BLOCK_SECONDS);
        for log in 0..self.logs {
            if log > 0 {
                json.push(',');
            }
            let index = log / self.per_transaction;
            let Transfer { from, to, amount } = Self::transfer(number, log);
            let transaction = transaction_hash(number, index);
            write!(
                json,
                r#"{{"address":"{TOKEN}","topics":["{TRANSFER}","0x{from:0>64}","0x{to:0>64}"],"data":"0x{amount:064x}","blockHash":"{hash}","blockNumber":"0x{number:x}","blockTimestamp":"0x{time:x}","transactionHash":"{transaction}","transactionIndex":"0x{index:x}","logIndex":"0x{log:x}","removed":false}}"#
            )
            .unwrap();
        }
        json.into_bytes().into()
    }
}

impl Chain {
    pub(crate) fn new(shape: Shape) -> Self {
        let with_logs = (1..=shape.blocks).filter(|number| number.is_multiple_of(shape.every));
        let logs = with_logs.map(|number| shape.logs_json(number)).collect();
        Self { shape, logs }
    }

    /// The logs of a range of blocks, block by block.
    pub(crate) fn logs(&self, from: u64, to: u64) -> &[Box<[u8]>] {
        let index = |blocks: u64| usize::try_from(blocks / self.shape.every).unwrap();
        let (start, end) = (
            index(from.saturating_sub(1)),
            index(to).min(self.logs.len()),
        );
        self.logs.get(start..end).unwrap_or_default()
    }

    /// A block, with its transactions if they are wanted.
    pub(crate) fn block(&self, number: u64, with_transactions: bool) -> String {
        let has_logs = !self.logs(number, number).is_empty();
        let (hash, zero) = (block_hash(number), "0".repeat(64));
        let parent = number
            .checked_sub(1)
            .map_or_else(|| format!("0x{zero}"), block_hash);
        let time = GENESIS_TIME + number * BLOCK_SECONDS;
        let bloom = if has_logs { "f" } else { "0" }.repeat(512);
        let transactions = if with_transactions && has_logs {
            let count = self.shape.logs.div_ceil(self.shape.per_transaction);
            let all: Vec<_> = (0..count)
                .map(|index| self.transaction(number, index))
                .collect();
            all.join(",")
        } else {
            String::new()
        };
        format!(
            r#"{{"number":"0x{number:x}","hash":"{hash}","parentHash":"{parent}","timestamp":"0x{time:x}","logsBloom":"0x{bloom}","transactions":[{transactions}],"nonce":"0x0000000000000000","sha3Uncles":"0x{zero}","transactionsRoot":"0x{zero}","stateRoot":"0x{zero}","receiptsRoot":"0x{zero}","miner":"{TOKEN}","difficulty":"0x0","extraData":"0x","size":"0x400","gasLimit":"0x1c9c380","gasUsed":"0x5208","uncles":[],"baseFeePerGas":"0x7","mixHash":"0x{zero}"}}"#
        )
    }

    /// A transaction: a payment with a memo where it has one log, and a call of some other contract where it has several.
    pub(crate) fn transaction(&self, number: u64, index: u64) -> String {
        let (hash, block) = (transaction_hash(number, index), block_hash(number));
        let Transfer { from, to, amount } =
            Shape::transfer(number, index * self.shape.per_transaction);
        let (target, input) = if self.shape.per_transaction == 1 {
            let memo = &hash[2..];
            (
                TOKEN.to_owned(),
                format!("{TRANSFER_FROM}{from:0>64}{to:0>64}{amount:064x}{memo}"),
            )
        } else {
            (format!("0x{to}"), "0x".to_owned())
        };
        let spender = account(index);
        format!(
            r#"{{"hash":"{hash}","blockHash":"{block}","blockNumber":"0x{number:x}","transactionIndex":"0x{index:x}","from":"0x{spender}","to":"{target}","input":"{input}","nonce":"0x0","value":"0x0","gas":"0xffff","gasPrice":"0x7","type":"0x0","v":"0x1b","r":"0x1","s":"0x1"}}"#
        )
    }
}
