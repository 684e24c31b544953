use super::*;

const TOKEN: Address = crate::config::MNEE;

fn header() -> Header {
    Header {
        number: 9,
        hash: B256::repeat_byte(9),
        parent_hash: B256::repeat_byte(8),
        time: 99,
    }
}

fn reply(log_index: u64) -> LogReply {
    LogReply {
        address: TOKEN,
        topics: vec![],
        data: Bytes::new(),
        block_hash: Some(B256::repeat_byte(9)),
        block_number: Some(U64::from(9)),
        block_timestamp: None,
        transaction_hash: Some(B256::repeat_byte(1)),
        transaction_index: Some(U64::from(0)),
        log_index: Some(U64::from(log_index)),
        removed: false,
    }
}

/// Two logs that pass, with one thing changed in the second.
#[track_caller]
fn check(change: impl FnOnce(&mut LogReply), expected: Result<usize, Inconsistency>) {
    let mut second = reply(2);
    change(&mut second);
    let outcome = of_block(TOKEN, &header(), vec![reply(1), second]);
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
            |log| log.address = Address::ZERO,
            Inconsistency::LogOfOtherContract,
        ),
        (
            |log| log.block_number = Some(U64::from(10)),
            Inconsistency::LogOfOtherBlock,
        ),
        (
            |log| log.block_hash = Some(B256::ZERO),
            Inconsistency::TwoForks,
        ),
        (
            |log| log.log_index = Some(U64::from(1)),
            Inconsistency::LogsOutOfOrder,
        ),
        (
            |log| log.log_index = Some(U64::from(0)),
            Inconsistency::LogsOutOfOrder,
        ),
        (|log| log.log_index = None, Inconsistency::IncompleteLog),
        (
            |log| log.log_index = Some(U64::MAX),
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
    other.block_hash = Some(B256::ZERO);
    assert_eq!(
        of_block(TOKEN, &header(), vec![other]),
        Err(Inconsistency::LogOfOtherBlock)
    );
}

#[test]
fn a_transaction_counts_only_in_the_block_of_its_log() {
    let (tx, block) = (B256::repeat_byte(1), B256::repeat_byte(9));
    let reply = |block_hash| TransactionReply {
        hash: tx,
        block_hash,
        from: TOKEN,
        to: None,
        input: Bytes::new(),
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
    };
    assert!(!block.may_have_logs_of(TOKEN));
    block.bloom.accrue_raw_log(TOKEN, &[]);
    assert!(block.may_have_logs_of(TOKEN));
}
