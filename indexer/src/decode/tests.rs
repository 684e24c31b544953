use alloy::primitives::{address as addr, keccak256};
use proptest::prelude::*;

use super::*;

const TOKEN: Address = crate::config::MNEE;
const ALICE: Address = addr!("0x00000000000000000000000000000000000a11ce");
const BOB: Address = addr!("0x0000000000000000000000000000000000000b0b");
const SPENDER: Address = addr!("0x000000000000000000000000000000000000f00d");
const TX: B256 = B256::repeat_byte(7);
const MEMO: B256 = B256::repeat_byte(0x42);

fn place() -> Place {
    Place {
        network: Network::DEVNET,
        token: TOKEN,
        number: 9,
        hash: B256::repeat_byte(9),
        time: 1_700_000_000,
    }
}

fn word(value: u64) -> B256 {
    B256::from(U256::from(value))
}

fn log(log_index: u32, topics: &[B256], data: &[u8]) -> TokenLog {
    TokenLog {
        address: TOKEN,
        topics: Topics::from_slice(topics),
        data: Word::from_slice(data),
        block_number: 9,
        block_hash: B256::repeat_byte(9),
        block_time: None,
        tx_hash: TX,
        tx_index: 3,
        log_index,
    }
}

fn transfer(log_index: u32, from: Address, to: Address, amount: u64) -> TokenLog {
    log(
        log_index,
        &[TRANSFER, from.into_word(), to.into_word()],
        word(amount).as_slice(),
    )
}

fn confiscated(log_index: u32, from: Address, amount: u64, to: Address) -> TokenLog {
    log(
        log_index,
        &[
            FUNDS_CONFISCATED,
            from.into_word(),
            word(amount),
            to.into_word(),
        ],
        &[],
    )
}

fn decoded(logs: &[TokenLog], calls: &Calls) -> Vec<Found> {
    let mut found = Vec::new();
    decode(&place(), logs, calls, &mut found);
    found
}

fn kinds(logs: &[TokenLog]) -> Vec<TransferKind> {
    decoded(logs, &Calls::new())
        .iter()
        .map(|found| found.transfer.kind)
        .collect()
}

fn calldata(selector: [u8; 4], words: &[B256]) -> Bytes {
    selector
        .into_iter()
        .chain(words.iter().flat_map(|word| word.0))
        .collect()
}

/// A payment of 5 from Alice to Bob by a spender, with the memo behind its arguments.
fn payment() -> Call {
    Call {
        from: SPENDER,
        to: Some(TOKEN),
        input: calldata(
            memo::TRANSFER_FROM,
            &[ALICE.into_word(), BOB.into_word(), word(5), MEMO],
        ),
    }
}

fn memos(logs: &[TokenLog], change: impl FnOnce(&mut Call)) -> Vec<Option<B256>> {
    let mut call = payment();
    change(&mut call);
    decoded(logs, &HashMap::from([(TX, call)]))
        .iter()
        .map(|found| found.transfer.memo)
        .collect()
}

#[test]
fn the_signatures_are_those_of_the_events_and_functions() {
    assert_eq!(TRANSFER, keccak256("Transfer(address,address,uint256)"));
    assert_eq!(
        FUNDS_CONFISCATED,
        keccak256("FundsConfiscated(address,uint256,address)")
    );
    assert_eq!(HOLDINGS_BURNT, keccak256("HoldingsBurnt(address,uint256)"));
    assert_eq!(memo::TRANSFER, keccak256("transfer(address,uint256)")[..4]);
    assert_eq!(
        memo::TRANSFER_FROM,
        keccak256("transferFrom(address,address,uint256)")[..4]
    );
}

#[test]
fn a_transfer_is_read_exactly() {
    let found = decoded(&[transfer(4, ALICE, BOB, 5)], &Calls::new());
    let expected = Transfer {
        id: TransferId {
            network: Network::DEVNET,
            tx_hash: TX,
            log_index: 4,
        },
        block_number: 9,
        block_hash: B256::repeat_byte(9),
        block_time: 1_700_000_000,
        token: TOKEN,
        from: ALICE,
        to: BOB,
        amount: Amount::from_base_units(U256::from(5)),
        memo: None,
        kind: TransferKind::Payment,
    };
    assert_eq!(
        found,
        [Found {
            transfer: expected,
            tx_index: 3
        }]
    );
}

#[test]
fn other_shapes_with_the_same_signature_are_no_transfers() {
    let parties = [TRANSFER, ALICE.into_word(), BOB.into_word()];
    let dirty = B256::repeat_byte(0xff);
    for (what, log) in [
        (
            "ERC-721",
            log(0, &[parties[0], parties[1], parties[2], word(5)], &[]),
        ),
        ("the old form", log(0, &parties[..1], &[0; 96])),
        ("no data", log(0, &parties, &[])),
        ("31 bytes", log(0, &parties, &[0; 31])),
        ("33 bytes", log(0, &parties, &[0; 33])),
        (
            "more than an address in a topic",
            log(0, &[TRANSFER, dirty, parties[2]], &[0; 32]),
        ),
        ("no topics", log(0, &[], &[0; 32])),
        (
            "another contract",
            TokenLog {
                address: BOB,
                ..transfer(0, ALICE, BOB, 5)
            },
        ),
    ] {
        assert_eq!(kinds(std::slice::from_ref(&log)), [], "{what}");
        assert!(noteworthy(TOKEN, &[log]).is_empty(), "{what}");
    }
}

#[test]
fn mint_burn_confiscation_and_rescue_are_never_payments() {
    let burnt = |at, account: Address, amount| {
        log(
            at,
            &[HOLDINGS_BURNT, account.into_word(), word(amount)],
            &[],
        )
    };
    for (what, logs, expected) in [
        (
            "mint",
            vec![transfer(0, Address::ZERO, BOB, 5)],
            TransferKind::Mint,
        ),
        (
            "burn",
            vec![transfer(0, ALICE, Address::ZERO, 5)],
            TransferKind::Burn,
        ),
        (
            "rescue",
            vec![transfer(0, TOKEN, BOB, 5)],
            TransferKind::Rescue,
        ),
        (
            "confiscation",
            vec![transfer(0, ALICE, BOB, 5), confiscated(1, ALICE, 5, BOB)],
            TransferKind::Confiscation,
        ),
        (
            "event first",
            vec![confiscated(0, ALICE, 5, BOB), transfer(1, ALICE, BOB, 5)],
            TransferKind::Confiscation,
        ),
        (
            "holdings burnt",
            vec![transfer(0, ALICE, BOB, 5), burnt(1, ALICE, 5)],
            TransferKind::Burn,
        ),
        (
            "holdings burnt to zero",
            vec![transfer(0, ALICE, Address::ZERO, 5), burnt(1, ALICE, 5)],
            TransferKind::Burn,
        ),
    ] {
        assert_eq!(kinds(&logs), [expected], "{what}");
    }
}

#[test]
fn a_confiscation_explains_only_the_transfer_that_it_describes() {
    use TransferKind::{Confiscation, Payment};
    let (pay, seize) = (transfer(0, ALICE, BOB, 5), confiscated(2, ALICE, 5, BOB));
    // Twins: the nearer one, and of two equally near the one before.
    assert_eq!(
        kinds(&[pay.clone(), transfer(1, ALICE, BOB, 5), seize.clone()]),
        [Payment, Confiscation]
    );
    assert_eq!(
        kinds(&[
            transfer(1, ALICE, BOB, 5),
            seize.clone(),
            transfer(3, ALICE, BOB, 5)
        ]),
        [Confiscation, Payment]
    );
    // Each event explains one.
    assert_eq!(
        kinds(&[pay.clone(), seize.clone(), confiscated(3, ALICE, 5, BOB)]),
        [Confiscation]
    );
    for other in [
        confiscated(1, BOB, 5, ALICE),
        confiscated(1, ALICE, 4, BOB),
        TokenLog {
            tx_hash: B256::ZERO,
            ..seize.clone()
        },
        TokenLog {
            address: BOB,
            ..seize
        },
    ] {
        assert_eq!(kinds(&[pay.clone(), other]), [Payment]);
    }
}

#[test]
fn the_memo_is_the_word_after_the_arguments() {
    let logs = [transfer(0, ALICE, BOB, 5)];
    assert_eq!(memos(&logs, |_| ()), [Some(MEMO)]);
    let direct = |call: &mut Call| {
        call.from = ALICE;
        call.input = calldata(memo::TRANSFER, &[BOB.into_word(), word(5), MEMO]);
    };
    assert_eq!(memos(&logs, direct), [Some(MEMO)]);
}

#[test]
fn a_call_that_is_not_exactly_this_payment_gives_no_memo() {
    type Change = fn(&mut Call);
    let logs = [transfer(0, ALICE, BOB, 5)];
    let changes: [(&str, Change); 9] = [
        ("through another contract", |call| call.to = Some(BOB)),
        ("contract creation", |call| call.to = None),
        ("no memo", |call| call.input = call.input.slice(..100)),
        ("31 bytes", |call| call.input = call.input.slice(..131)),
        ("33 bytes", |call| {
            call.input = call.input.iter().copied().chain([0]).collect();
        }),
        ("another function", |call| {
            call.input = calldata(
                [1, 2, 3, 4],
                &[ALICE.into_word(), BOB.into_word(), word(5), MEMO],
            );
        }),
        ("another amount", |call| {
            call.input = calldata(
                memo::TRANSFER_FROM,
                &[ALICE.into_word(), BOB.into_word(), word(4), MEMO],
            );
        }),
        ("another payer", |call| {
            call.input = calldata(memo::TRANSFER, &[BOB.into_word(), word(5), MEMO]);
        }),
        ("zeros", |call| {
            call.input = calldata(
                memo::TRANSFER_FROM,
                &[ALICE.into_word(), BOB.into_word(), word(5), B256::ZERO],
            );
        }),
    ];
    for (what, change) in changes {
        assert_eq!(memos(&logs, change), [None], "{what}");
    }
}

#[test]
fn only_a_transaction_with_one_transfer_and_nothing_beside_it_can_have_a_memo() {
    let pay = transfer(0, ALICE, BOB, 5);
    let of_another = |log: &TokenLog| TokenLog {
        tx_hash: B256::ZERO,
        ..log.clone()
    };
    let approval = log(1, &[B256::repeat_byte(1)], &[5; 32]);
    for alone in [
        vec![pay.clone()],
        vec![pay.clone(), approval],
        vec![of_another(&pay), of_another(&pay), pay.clone()],
    ] {
        assert_eq!(noteworthy(TOKEN, &alone), [TX]);
        assert_eq!(memos(&alone, |_| ()).last(), Some(&Some(MEMO)));
    }
    let burnt = log(1, &[HOLDINGS_BURNT, ALICE.into_word(), word(5)], &[]);
    for beside in [
        transfer(1, ALICE, BOB, 5),
        confiscated(1, ALICE, 4, BOB),
        burnt,
    ] {
        let logs = [pay.clone(), beside];
        assert!(noteworthy(TOKEN, &logs).is_empty());
        assert!(memos(&logs, |_| ()).iter().all(Option::is_none));
    }
}

fn any_topic() -> impl Strategy<Value = B256> {
    prop_oneof![
        prop::sample::select(EVENTS.to_vec()),
        prop::sample::select(vec![
            ALICE.into_word(),
            BOB.into_word(),
            TOKEN.into_word(),
            B256::ZERO,
            word(5)
        ]),
        any::<[u8; 32]>().prop_map(B256::new),
    ]
}

prop_compose! {
    fn any_log()(topics in prop::collection::vec(any_topic(), 0..6), data in prop::collection::vec(any::<u8>(), 0..100), word in any::<bool>(), ours in any::<bool>(), tx in 0_u8..3, log_index: u32) -> TokenLog {
        let data = if word { vec![5; 32] } else { data };
        TokenLog { address: if ours { TOKEN } else { BOB }, tx_hash: B256::repeat_byte(tx), ..log(log_index, &topics, &data) }
    }
}

proptest! {
    #[test]
    fn no_log_and_no_calldata_panics_the_decoder(logs in prop::collection::vec(any_log(), 0..12), selector in prop::sample::select(vec![memo::TRANSFER, memo::TRANSFER_FROM, [0; 4]]), tail in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..10) {
        let mut input = [selector.to_vec(), tail].concat();
        if cut < 4 { input.truncate(cut); }
        let call = Call { from: ALICE, to: Some(TOKEN), input: input.into() };
        let calls = (0..3).map(|tx| (B256::repeat_byte(tx), call.clone())).collect();
        let found = decoded(&logs, &calls);
        let three_topics = logs.iter().filter(|log| log.address == TOKEN && log.topics.len() == 3 && log.topics[0] == TRANSFER && log.data.len() == 32).count();
        prop_assert!(found.len() <= three_topics);
        for found in &found {
            prop_assert!(found.transfer.kind != TransferKind::Payment || !found.transfer.from.is_zero() && !found.transfer.to.is_zero() && found.transfer.from != TOKEN);
        }
    }
}
