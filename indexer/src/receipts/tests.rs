//! On recorded blocks of mainnet, where USDT stands in for the token.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use alloy::primitives::{Address, Bloom, Bytes, address};
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::decode::Word;

type Change = fn(&mut TokenLog);

pub(crate) const USDT: Address = address!("0xdac17f958d2ee523a2206206994597c13d831ec7");

#[derive(Clone, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) header: Header,
    pub(crate) receipts: Vec<TransactionReceipt>,
}

fn recorded() -> Vec<Recorded> {
    let folder = std::env::var_os("X402_MAINNET_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/mainnet"),
        PathBuf::from,
    );
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| {
        panic!(
            "no recorded mainnet blocks in {}: {error}; set X402_MAINNET_DATA to their folder",
            folder.display()
        )
    });
    let blocks: Vec<Recorded> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "gz"))
        .map(|path| read(&path))
        .collect();
    assert!(
        !blocks.is_empty(),
        "no block_N.json.gz in {}",
        folder.display()
    );
    blocks
}

fn read(path: &Path) -> Recorded {
    let mut block: Value =
        serde_json::from_reader(GzDecoder::new(File::open(path).unwrap())).unwrap();
    // One was recorded without its bloom. A wrong one would not pass: the header's hash covers it.
    if block["header"]["logsBloom"].is_null() {
        let blooms = block["receipts"].as_array().unwrap().iter();
        let bloom = blooms.fold(Bloom::ZERO, |all, receipt| {
            all | serde_json::from_value::<Bloom>(receipt["logsBloom"].clone()).unwrap()
        });
        block["header"]["logsBloom"] = serde_json::to_value(bloom).unwrap();
    }
    serde_json::from_value(block).unwrap()
}

/// A block whose token wrote at least three logs.
pub(crate) fn busy() -> Recorded {
    let block = recorded().into_iter().find(|block| given(block).len() > 2);
    block.expect("one recorded block has logs of USDT")
}

fn asked(log: &Log) -> bool {
    log.address == USDT
}

/// The logs of the token as an honest node gives them.
fn given(block: &Recorded) -> Vec<TokenLog> {
    let logs = block
        .receipts
        .iter()
        .flat_map(|receipt| receipt.logs().iter());
    logs.filter(|log| log.inner.address == USDT)
        .map(|log| TokenLog {
            address: log.inner.address,
            topics: log.inner.topics().into(),
            data: log.inner.data.data.as_ref().into(),
            block_number: log.block_number.unwrap(),
            block_hash: log.block_hash.unwrap(),
            block_time: None,
            tx_hash: log.transaction_hash.unwrap(),
            tx_index: log.transaction_index.unwrap().try_into().unwrap(),
            log_index: log.log_index.unwrap().try_into().unwrap(),
        })
        .collect()
}

#[track_caller]
fn verdict(block: &Recorded, logs: &[TokenLog]) -> Result<(), Mismatch> {
    check(&block.header, block.receipts.clone(), asked, logs)
}

/// Changes the logs of one receipt that has at least two.
fn tamper(block: &mut Recorded, change: impl FnOnce(&mut Vec<alloy::rpc::types::Log>)) {
    let receipt = block
        .receipts
        .iter_mut()
        .find(|receipt| receipt.logs().len() > 1);
    let envelope = &mut receipt.unwrap().inner;
    change(&mut envelope.as_receipt_with_bloom_mut().unwrap().receipt.logs);
}

#[test]
fn the_receipts_of_every_recorded_block_are_what_its_header_says() {
    for block in recorded() {
        assert_eq!(verdict(&block, &given(&block)), Ok(()));
    }
}

#[test]
fn a_tampered_receipt_is_caught() {
    let honest = busy();
    let caught = |block: &Recorded| {
        let verdict = verdict(block, &given(block));
        assert!(
            matches!(verdict, Err(Mismatch::ReceiptsRoot { .. })),
            "{verdict:?}"
        );
    };
    let mut block = honest.clone();
    tamper(&mut block, |logs| {
        let mut data = logs[0].inner.data.data.to_vec();
        *data.last_mut().unwrap() ^= 1;
        logs[0].inner.data.data = Bytes::from(data);
    });
    caught(&block);
    let mut block = honest.clone();
    tamper(&mut block, |logs| drop(logs.remove(0)));
    caught(&block);
    let mut block = honest.clone();
    tamper(&mut block, |logs| logs.push(logs[0].clone()));
    caught(&block);
    let mut block = honest.clone();
    tamper(&mut block, |logs| logs.swap(0, 1));
    caught(&block);
    let mut block = honest.clone();
    block.receipts.swap(0, 1);
    caught(&block);
    let mut block = honest;
    block.receipts.pop();
    caught(&block);
}

#[test]
fn a_header_that_was_changed_to_fit_is_caught_by_its_own_hash() {
    let mut block = busy();
    tamper(&mut block, |logs| drop(logs.remove(0)));
    let receipts: Vec<_> = block
        .receipts
        .iter()
        .map(|receipt| receipt.clone().into_inner().into_primitives_receipt())
        .collect();
    block.header.inner.receipts_root = calculate_receipt_root(&receipts);
    assert!(matches!(
        verdict(&block, &given(&block)),
        Err(Mismatch::HeaderHash { .. })
    ));
    let mut block = busy();
    block.header.inner.logs_bloom = Bloom::ZERO;
    block.header.hash = block.header.inner.hash_slow();
    assert_eq!(verdict(&block, &given(&block)), Err(Mismatch::Bloom));
}

#[test]
fn a_log_that_the_node_hides_invents_or_alters_is_named() {
    let block = busy();
    let honest = given(&block);
    let (first, last) = (honest[0].log_index, honest[honest.len() - 1].log_index);
    assert_eq!(
        verdict(&block, &honest[1..]),
        Err(Mismatch::Hidden { log_index: first })
    );
    assert_eq!(
        verdict(&block, &honest[..honest.len() - 1]),
        Err(Mismatch::Hidden { log_index: last })
    );
    assert_eq!(
        verdict(&block, &[]),
        Err(Mismatch::Hidden { log_index: first })
    );

    let mut logs = honest.clone();
    logs.push(TokenLog {
        log_index: last + 1_000,
        ..logs[0].clone()
    });
    let log_index = last + 1_000;
    assert_eq!(
        verdict(&block, &logs),
        Err(Mismatch::Invented { log_index })
    );

    let changes: [(&'static str, Change); 7] = [
        ("block number", |log| log.block_number += 1),
        ("time", |log| log.block_time = Some(1)),
        ("contract", |log| log.address = Address::ZERO),
        ("topic", |log| log.topics[1] = B256::ZERO),
        ("data", |log| log.data = Word::from([7; 32])),
        ("transaction", |log| log.tx_hash = B256::ZERO),
        ("transaction", |log| log.tx_index += 1),
    ];
    for (what, change) in changes {
        let mut logs = honest.clone();
        change(&mut logs[1]);
        let log_index = logs[1].log_index;
        assert_eq!(
            verdict(&block, &logs),
            Err(Mismatch::Altered { log_index, what })
        );
    }
}

#[test]
fn a_log_of_another_branch_is_named() {
    let block = busy();
    let mut logs = given(&block);
    logs[0].block_hash = B256::repeat_byte(1);
    assert!(matches!(
        verdict(&block, &logs),
        Err(Mismatch::OtherBlock { .. })
    ));
}
