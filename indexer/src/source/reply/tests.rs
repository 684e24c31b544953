use alloy::primitives::{Bytes, U64};
use proptest::prelude::*;
use serde_json::json;

use super::{
    super::hex::{Data, Words},
    log::LogReply,
    *,
};

const TOKEN: Address = crate::config::MNEE;

fn header() -> Header {
    Header {
        number: 9,
        hash: B256::repeat_byte(9),
        parent_hash: B256::repeat_byte(8),
        time: 99,
    }
}

impl FromIterator<LogReply> for Logs {
    fn from_iter<I: IntoIterator<Item = LogReply>>(replies: I) -> Self {
        let mut logs = Self::default();
        replies.into_iter().for_each(|reply| logs.add(reply));
        logs
    }
}

fn reply(log_index: u64) -> LogReply {
    LogReply {
        address: Some(Fixed(TOKEN.into_array())),
        topics: Some(Words::default()),
        data: Some(Data::default()),
        block_hash: Some(Fixed([9; 32])),
        block_number: Some(Quantity(9)),
        block_timestamp: None,
        transaction_hash: Some(Fixed([1; 32])),
        transaction_index: Some(Quantity(0)),
        log_index: Some(Quantity(log_index)),
        removed: false,
    }
}

/// Two logs that pass, with one thing changed in the second.
#[track_caller]
fn check(change: impl FnOnce(&mut LogReply), expected: Result<usize, Inconsistency>) {
    let mut second = reply(2);
    change(&mut second);
    let outcome = of_block(TOKEN, &header(), [reply(1), second].into_iter().collect());
    assert_eq!(outcome.map(|logs| logs.len()), expected);
}

#[test]
fn logs_in_order_of_the_block_asked_for_are_taken() {
    check(|_| (), Ok(2));
}

#[test]
fn a_log_that_does_not_fit_makes_the_reply_unusable() {
    type Change = fn(&mut LogReply);
    let cases: [(Change, Inconsistency); 10] = [
        (|log| log.removed = true, Inconsistency::RemovedLog),
        (
            |log| log.address = Some(Fixed([0; 20])),
            Inconsistency::LogOfOtherContract,
        ),
        (
            |log| log.block_number = Some(Quantity(10)),
            Inconsistency::LogOfOtherBlock,
        ),
        (
            |log| log.block_hash = Some(Fixed([0; 32])),
            Inconsistency::TwoForks,
        ),
        (
            |log| log.log_index = Some(Quantity(1)),
            Inconsistency::LogsOutOfOrder,
        ),
        (
            |log| log.log_index = Some(Quantity(0)),
            Inconsistency::LogsOutOfOrder,
        ),
        (|log| log.log_index = None, Inconsistency::IncompleteLog),
        (
            |log| log.log_index = Some(Quantity(u64::MAX)),
            Inconsistency::IncompleteLog,
        ),
        (|log| log.block_hash = None, Inconsistency::IncompleteLog),
        (
            |log| log.transaction_hash = None,
            Inconsistency::IncompleteLog,
        ),
    ];
    for (change, inconsistency) in cases {
        check(change, Err(inconsistency));
    }
}

#[test]
fn logs_that_agree_on_another_fork_are_not_those_of_the_header() {
    let mut other = reply(1);
    other.block_hash = Some(Fixed([0; 32]));
    assert_eq!(
        of_block(TOKEN, &header(), [other].into_iter().collect()),
        Err(Inconsistency::LogOfOtherBlock)
    );
}

#[test]
fn a_transaction_counts_only_in_the_block_of_its_log() {
    let (tx, block) = (B256::repeat_byte(1), B256::repeat_byte(9));
    let reply = |block_hash: Option<B256>| TransactionReply {
        hash: Fixed(tx.0),
        block_hash: block_hash.map(|hash| Fixed(hash.0)),
        from: Fixed(TOKEN.into_array()),
        to: None,
        input: Data::default(),
    };
    assert!(reply(Some(block)).call_in(block, tx).is_ok());
    for elsewhere in [None, Some(B256::ZERO)] {
        assert_eq!(
            reply(elsewhere).call_in(block, tx),
            Err(Inconsistency::TransactionElsewhere)
        );
    }
    assert_eq!(
        reply(Some(block)).call_in(block, B256::ZERO),
        Err(Inconsistency::TransactionElsewhere)
    );
}

#[test]
fn a_bloom_without_the_token_proves_that_it_wrote_nothing() {
    let mut block = Block {
        header: header(),
        bloom: Bloom::ZERO,
        endpoint: 0,
    };
    assert!(!block.may_have_logs_of(TOKEN));
    block.bloom.accrue_raw_log(TOKEN, &[]);
    assert!(block.may_have_logs_of(TOKEN));
}

proptest! {
    #[test]
    fn a_log_is_read_as_it_was_written(topics in proptest::collection::vec(any::<[u8; 32]>(), 0..6), data: Vec<u8>, number: u32, time in proptest::option::of(any::<u64>()), hashes: [[u8; 32]; 2], places: [u32; 2]) {
        let topics: Vec<B256> = topics.into_iter().map(B256::new).collect();
        let [block_hash, tx_hash] = hashes.map(B256::new);
        let [tx_index, log_index] = places;
        let number = u64::from(number);
        let written = TokenLog {
            address: TOKEN,
            topics: topics.as_slice().into(),
            data: data.into(),
            block_number: number,
            block_hash,
            block_time: time,
            tx_hash,
            tx_index,
            log_index,
        };
        let json = json!({
            "address": written.address,
            "topics": topics,
            "data": Bytes::copy_from_slice(&written.data),
            "blockHash": block_hash,
            "blockNumber": U64::from(number),
            "blockTimestamp": time.map(U64::from),
            "transactionHash": tx_hash,
            "transactionIndex": U64::from(tx_index),
            "logIndex": U64::from(log_index),
            "unknown": {"to us": [1, null]},
        });
        let logs: Logs = serde_json::from_str(&json!([json]).to_string()).unwrap();
        prop_assert_eq!(of_range(TOKEN, number, number, logs), Ok(vec![written]));
    }

    #[test]
    fn no_reply_makes_the_reader_fail_in_another_way_than_by_an_error(text in "[\\[\\]{}\":,0-9a-fx]{0,60}", noise: Vec<u8>) {
        let _ = serde_json::from_str::<Logs>(&text);
        let _ = serde_json::from_slice::<BlockReply<TransactionReply>>(&noise);
    }
}
