//! What an honest replica answers, standing on some head.
//!
//! A replica that was left behind stands on the head that it had; of other blocks it knows those that are not newer.

use std::sync::Arc;

use alloy::{
    primitives::{Address, B256, U64, U256},
    rpc::types::{BlockNumberOrTag, Filter, FilterBlockOption, Log},
};
use serde_json::{Value, json};

use super::{
    block::Block,
    chain::{self, Chain, Line},
    limits::Limits,
};

/// A JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its code.
    pub code: i64,
    /// Its message.
    pub message: String,
}

/// A node's answer to one call.
pub type Answer = Result<Value, Refusal>;

/// One of the nodes behind an endpoint.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    /// The line on which it was left behind; the chain's own when absent.
    pub stuck_on: Option<Arc<Line>>,
    /// What it refuses.
    pub limits: Limits,
    /// Whether it knows the blocks of branches that the chain has left.
    pub keeps_side_blocks: bool,
    /// Whether it leaves out logs of blocks that it has not seen where others say so, as older gateways do. Of one block
    /// it does so only a few times; see [`super::lies`].
    pub hides_ignorance: bool,
    /// Whether it never answers.
    pub dead: bool,
}

/// A replica together with the chain that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    chain: &'a Chain,
    replica: &'a Replica,
    line: &'a Line,
}

impl Replica {
    /// Where it stands.
    pub fn on<'a>(&'a self, chain: &'a Chain) -> Standing<'a> {
        let line = self.stuck_on.as_ref().unwrap_or_else(|| chain.canonical());
        Standing {
            chain,
            replica: self,
            line,
        }
    }

    /// Leaves it behind: from now on it stands where the chain is now, `lag` blocks back.
    pub fn leave_behind(&mut self, chain: &Chain, lag: u64) {
        let mut line = chain.canonical().to_vec();
        let blocks = line.len().saturating_sub(usize::try_from(lag).unwrap());
        line.truncate(blocks.max(1));
        self.stuck_on = Some(Arc::new(line));
    }

    /// Lets it catch up if it stands on a branch that finality has ruled out.
    pub fn respect_finality(&mut self, chain: &Chain) {
        let stands = self.stuck_on.as_ref().is_none_or(|line| {
            let head = line.last().unwrap().number;
            let highest = head.min(chain.finalized());
            let hash = |line: &Line| chain::at(line, highest).map(|block| block.hash);
            hash(line) == hash(chain.canonical())
        });
        if !stands {
            self.stuck_on = None;
        }
    }
}

impl Standing<'_> {
    /// Answers a call.
    pub fn answer(&self, method: &str, params: &Value) -> Answer {
        match method {
            "eth_chainId" => Ok(json!(U64::from(self.chain.chain_id))),
            "net_version" => Ok(json!(self.chain.chain_id.to_string())),
            "web3_clientVersion" => Ok(json!("scripted/1")),
            "eth_syncing" => Ok(json!(false)),
            "eth_blockNumber" => Ok(json!(U64::from(self.head().number))),
            "eth_getCode" => Ok(json!(if self.is_token(&params[0]) {
                "0x60"
            } else {
                "0x"
            })),
            "eth_call" => self.call(&params[0]),
            "eth_getBlockByNumber" => Ok(self
                .by_tag(&params[0])?
                .map_or(Value::Null, |block| block.answer(params[1] == true))),
            "eth_getBlockByHash" => Ok(self
                .by_hash(&params[0])?
                .map_or(Value::Null, |block| block.answer(params[1] == true))),
            "eth_getBlockReceipts" => {
                let block = if params[0].as_str().is_some_and(|text| text.len() == 66) {
                    self.by_hash(&params[0])?
                } else {
                    self.by_tag(&params[0])?
                };
                Ok(block.map_or(Value::Null, |block| block.receipts.clone().into()))
            }
            "eth_getTransactionByHash" => self.transaction(&params[0], |block| &block.transactions),
            "eth_getTransactionReceipt" => self.transaction(&params[0], |block| &block.receipts),
            "eth_getLogs" => self.logs(&params[0]).map(|logs| json!(logs)),
            _ => Err(refusal(
                -32601,
                "the method does not exist/is not available",
            )),
        }
    }

    /// The logs that a filter asks for.
    pub fn logs(&self, filter: &Value) -> Result<Vec<Log>, Refusal> {
        let filter: Filter = serde_json::from_value(filter.clone())
            .map_err(|error| refusal(-32602, &error.to_string()))?;
        let blocks: Vec<&Arc<Block>> = match &filter.block_option {
            FilterBlockOption::AtBlockHash(hash) => match self.known(*hash) {
                Some(block) => vec![block],
                None => return Err(refusal(-32000, "unknown block")),
            },
            FilterBlockOption::Range {
                from_block,
                to_block,
            } => {
                let (from, to) = (self.number(*from_block), self.number(*to_block));
                if to > self.head().number && !self.replica.hides_ignorance {
                    let message = "block range extends beyond current head block";
                    return Err(refusal(-32602, message));
                }
                let wanted = self.line.iter();
                wanted
                    .filter(|block| (from..=to).contains(&block.number))
                    .collect()
            }
        };
        let logs: Vec<Log> = blocks
            .iter()
            .flat_map(|block| &block.logs)
            .filter(|log| filter.matches(&log.inner))
            .cloned()
            .collect();
        if let FilterBlockOption::Range {
            from_block,
            to_block,
        } = filter.block_option
        {
            let (from, to) = (self.number(from_block), self.number(to_block));
            self.replica.limits.check(from, to, &logs)?;
        }
        Ok(logs)
    }

    /// The block of this hash, if the replica knows it.
    pub fn known(&self, hash: B256) -> Option<&Arc<Block>> {
        let block = self.chain.block(hash)?;
        let own = chain::at(self.line, block.number).is_some_and(|own| own.hash == hash);
        let side = self.replica.keeps_side_blocks && block.number <= self.head().number;
        (own || side).then_some(block)
    }

    fn head(&self) -> &Arc<Block> {
        self.line.last().unwrap()
    }

    fn finalized(&self) -> u64 {
        self.chain.finalized().min(self.head().number)
    }

    fn number(&self, tag: Option<BlockNumberOrTag>) -> u64 {
        match tag {
            Some(BlockNumberOrTag::Number(number)) => number,
            Some(BlockNumberOrTag::Earliest) => 0,
            Some(BlockNumberOrTag::Finalized) => self.finalized(),
            Some(BlockNumberOrTag::Safe) => self.finalized().midpoint(self.head().number),
            Some(BlockNumberOrTag::Latest | BlockNumberOrTag::Pending) | None => self.head().number,
        }
    }

    fn by_tag(&self, tag: &Value) -> Result<Option<&Arc<Block>>, Refusal> {
        let tag: BlockNumberOrTag = serde_json::from_value(tag.clone())
            .map_err(|error| refusal(-32602, &error.to_string()))?;
        if matches!(tag, BlockNumberOrTag::Finalized | BlockNumberOrTag::Safe)
            && !self.chain.says_finalized
        {
            return Err(refusal(-39001, "unknown block"));
        }
        Ok(chain::at(self.line, self.number(Some(tag))))
    }

    fn by_hash(&self, hash: &Value) -> Result<Option<&Arc<Block>>, Refusal> {
        let hash: B256 = serde_json::from_value(hash.clone())
            .map_err(|error| refusal(-32602, &error.to_string()))?;
        Ok(self.known(hash))
    }

    fn transaction(&self, hash: &Value, of: impl Fn(&Block) -> &Vec<Value>) -> Answer {
        let hash: B256 = serde_json::from_value(hash.clone())
            .map_err(|error| refusal(-32602, &error.to_string()))?;
        let found = self.line.iter().rev().find_map(|block| {
            let position = block.tx_hashes.iter().position(|own| *own == hash)?;
            of(block).get(position)
        });
        Ok(found.cloned().unwrap_or(Value::Null))
    }

    /// Every contract here is the token, and the token has 18 decimals, whatever it stands in for.
    fn call(&self, call: &Value) -> Answer {
        let data = call.get("data").or_else(|| call.get("input"));
        if self.is_token(&call["to"]) && data.is_some_and(|data| data == "0x313ce567") {
            Ok(json!(alloy::primitives::B256::from(U256::from(18))))
        } else {
            Err(refusal(3, "execution reverted"))
        }
    }

    fn is_token(&self, address: &Value) -> bool {
        serde_json::from_value::<Address>(address.clone())
            .is_ok_and(|address| address == self.chain.token)
    }
}

/// An error of a node.
pub fn refusal(code: i64, message: &str) -> Refusal {
    Refusal {
        code,
        message: message.to_owned(),
    }
}
