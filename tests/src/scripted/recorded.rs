//! Blocks that mainnet nodes once served, as they are: headers, hashes, receipts and logs of hundreds of contracts.
//!
//! What was not recorded is not invented: their transactions have no calldata here, so no transfer of them has a memo.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy::{
    primitives::{Address, B256, Bloom, U64},
    rpc::types::Log,
};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::block::{Block, Site};

/// The folder of the recorded blocks: `X402_MAINNET_DATA`, or the place where they usually are.
pub fn folder() -> PathBuf {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/mainnet");
    std::env::var_os("X402_MAINNET_DATA").map_or(usual, PathBuf::from)
}

/// The files of recorded blocks, by height.
pub fn files() -> Vec<PathBuf> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| {
        panic!(
            "the recorded mainnet blocks are not in {} ({error}); set X402_MAINNET_DATA to their folder",
            folder.display()
        )
    });
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".json.gz"))
        .collect();
    assert!(
        !files.is_empty(),
        "there is no recorded block in {}; set X402_MAINNET_DATA to the folder of block_N.json.gz",
        folder.display()
    );
    files.sort();
    files
}

/// A recorded block; which of its logs are transfers is for the caller to say.
pub fn read(path: &Path) -> Block {
    let mut text = String::new();
    GzDecoder::new(BufReader::new(File::open(path).unwrap()))
        .read_to_string(&mut text)
        .unwrap();
    let mut recorded: Value = serde_json::from_str(&text).unwrap();
    let header = recorded["header"].take();
    let Value::Array(receipts) = recorded["receipts"].take() else {
        panic!("{} has no receipts", path.display());
    };
    of(header, receipts)
}

fn of(mut header: Value, receipts: Vec<Value>) -> Block {
    let parsed = |field: &Value| serde_json::from_value::<B256>(field.clone()).unwrap();
    let number = |field: &Value| {
        let number: U64 = serde_json::from_value(field.clone()).unwrap();
        u64::try_from(number).unwrap()
    };
    let logs: Vec<Log> = receipts
        .iter()
        .flat_map(|receipt| receipt["logs"].as_array().unwrap())
        .map(|log| serde_json::from_value(log.clone()).unwrap())
        .collect();
    if header["logsBloom"].is_null() {
        // One header was recorded without its bloom.
        let bloom: Bloom = logs.iter().map(|log| &log.inner).collect();
        header["logsBloom"] = json!(bloom);
    }
    Block {
        number: number(&header["number"]),
        hash: parsed(&header["hash"]),
        parent_hash: parsed(&header["parentHash"]),
        time: number(&header["timestamp"]),
        tx_hashes: receipts
            .iter()
            .map(|receipt| parsed(&receipt["transactionHash"]))
            .collect(),
        transactions: receipts.iter().map(transaction).collect(),
        header,
        receipts,
        logs,
        transfers: Vec::new(),
        txs: Vec::new(),
    }
}

/// What is known of a transaction from its receipt.
fn transaction(receipt: &Value) -> Value {
    json!({
        "hash": receipt["transactionHash"],
        "blockHash": receipt["blockHash"],
        "blockNumber": receipt["blockNumber"],
        "transactionIndex": receipt["transactionIndex"],
        "type": receipt["type"],
        "from": receipt["from"],
        "to": receipt["to"],
        "input": "0x",
    })
}

/// An empty block under the hash that the recorded one names as its parent's, so that an index can begin there.
pub fn before(block: &Block) -> Block {
    let site = Site {
        chain_id: 1,
        token: Address::ZERO,
        number: block.number - 1,
        parent_hash: B256::ZERO,
        time: block.time - 12,
        salt: 0,
    };
    let mut before = Block::seal(&site, Vec::<Arc<_>>::new());
    before.hash = block.parent_hash;
    before.header["hash"] = json!(before.hash);
    before
}
