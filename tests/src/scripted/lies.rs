//! Untrue answers made from true ones.
//!
//! Most can be seen through by who checks replies against each other, forgeries by who checks the receipts' root. What
//! nobody could see through is not told: the logs of one block are hidden at most as often as a careful client asks
//! again, and in a range never all of a block.

use std::collections::HashMap;

use alloy::{
    primitives::{Address, B256, Bloom, U64},
    rpc::types::Log,
};
use serde_json::{Value, json};

use super::{
    chain::{self, Chain},
    weather::Fault,
};

/// How often the logs of one block are hidden; asking once more shows them.
const HIDINGS: u32 = 2;

/// What has been hidden so far.
#[derive(Clone, Debug, Default)]
pub struct Lies {
    hidings: HashMap<B256, u32>,
}

/// A true answer, and what was asked.
#[derive(Debug)]
pub struct Told<'a> {
    /// Where the truth is.
    pub chain: &'a Chain,
    /// The call's method.
    pub method: &'a str,
    /// Its parameters.
    pub params: &'a Value,
    /// The true answer.
    pub answer: &'a mut Value,
}

impl Lies {
    /// Whether the logs of this block may be hidden once more.
    pub fn may_hide(&mut self, block: B256) -> bool {
        let hidings = self.hidings.entry(block).or_default();
        *hidings += 1;
        *hidings <= HIDINGS
    }

    /// Turns a true answer into an untrue one; false if this kind of lie does not fit the question.
    pub fn tell(&mut self, fault: Fault, told: &mut Told<'_>) -> bool {
        match told.method {
            "eth_getLogs" => self.about_logs(fault, told),
            "eth_getBlockByNumber" | "eth_getBlockByHash" => about_block(fault, told),
            "eth_getTransactionByHash" => about_transaction(fault, told),
            "eth_getBlockReceipts" => about_receipts(fault, told),
            _ => false,
        }
    }

    fn about_logs(&mut self, fault: Fault, told: &mut Told<'_>) -> bool {
        let of_block = &told.params[0]["blockHash"];
        if fault == Fault::EmptyLogs {
            // A whole range that is hidden looks like a quiet one: nobody could tell.
            let block = serde_json::from_value::<B256>(of_block.clone());
            let hide = block.is_ok_and(|block| self.may_hide(block));
            if hide {
                *told.answer = json!([]);
            }
            return hide;
        }
        let Ok(mut logs) = serde_json::from_value::<Vec<Log>>(told.answer.clone()) else {
            return false;
        };
        let applies = match fault {
            Fault::HiddenLog => hide_one(&mut logs, of_block.is_null()),
            _ => distort(fault, &mut logs),
        };
        if applies {
            *told.answer = json!(logs);
        }
        applies
    }
}

fn distort(fault: Fault, logs: &mut Vec<Log>) -> bool {
    let Some(last) = logs.last().cloned() else {
        return false;
    };
    let middle = logs.len() / 2;
    match fault {
        Fault::RepeatedLog => logs.push(last),
        Fault::RepeatedIndex => {
            let mut impostor = last;
            impostor.transaction_hash = Some(B256::repeat_byte(0xab));
            logs.push(impostor);
        }
        Fault::LogOfOtherBlock => logs[middle].block_hash = Some(B256::repeat_byte(0xcd)),
        Fault::LogOfOtherContract => logs[middle].inner.address = Address::repeat_byte(0xef),
        Fault::Disorder if logs.len() > 1 => logs.reverse(),
        Fault::RemovedLog => logs[middle].removed = true,
        Fault::PendingLog => logs[middle].block_hash = None,
        Fault::AlteredLog => {
            let mut data = logs[middle].inner.data.data.to_vec();
            let Some(byte) = data.last_mut() else {
                return false;
            };
            *byte ^= 1;
            logs[middle].inner.data.data = data.into();
        }
        Fault::InventedLog => {
            let mut invented = last;
            invented.log_index = invented.log_index.map(|index| index + 1);
            logs.push(invented);
        }
        _ => return false,
    }
    true
}

/// Takes out a log; of a range only one whose block keeps another.
fn hide_one(logs: &mut Vec<Log>, range: bool) -> bool {
    let beside = |pair: &[Log]| pair[0].block_hash == pair[1].block_hash;
    let hidden = if range {
        logs.windows(2).position(beside)
    } else {
        logs.len().checked_sub(1)
    };
    hidden.map(|index| logs.remove(index)).is_some()
}

fn about_receipts(fault: Fault, told: &mut Told<'_>) -> bool {
    if fault != Fault::ForgedReceipt {
        return false;
    }
    let receipts = told.answer.as_array_mut().into_iter().flatten();
    let mut logs = receipts.filter_map(|receipt| receipt["logs"].as_array_mut());
    logs.find_map(Vec::pop).is_some()
}

fn about_block(fault: Fault, told: &mut Told<'_>) -> bool {
    let finalized = told.params[0] == "finalized";
    match fault {
        Fault::Null => *told.answer = Value::Null,
        Fault::EmptyBloom if !told.answer.is_null() => {
            told.answer["logsBloom"] = json!(Bloom::ZERO);
        }
        Fault::FinalizedGoesBack if finalized => {
            let lower = told.chain.finalized().saturating_sub(3);
            let Some(block) = chain::at(told.chain.canonical(), lower) else {
                return false;
            };
            *told.answer = block.answer(false);
        }
        // By number only: who asks for the newest or the finalized block cannot know which it is.
        Fault::OtherBlock => {
            let Some(number) = asked_number(told) else {
                return false;
            };
            let Some(other) = chain::at(told.chain.canonical(), number.saturating_sub(1)) else {
                return false;
            };
            *told.answer = other.answer(false);
            return other.number != number;
        }
        _ => return false,
    }
    true
}

fn asked_number(told: &Told<'_>) -> Option<u64> {
    let number: U64 = serde_json::from_value(told.params[0].clone()).ok()?;
    (told.method == "eth_getBlockByNumber").then(|| u64::try_from(number).unwrap())
}

fn about_transaction(fault: Fault, told: &mut Told<'_>) -> bool {
    match fault {
        Fault::Null => *told.answer = Value::Null,
        Fault::TransactionElsewhere if !told.answer.is_null() => {
            told.answer["blockHash"] = if told.chain.head().number.is_multiple_of(2) {
                Value::Null
            } else {
                json!(B256::repeat_byte(0xcd))
            };
        }
        _ => return false,
    }
    true
}
