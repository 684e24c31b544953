use alloy::primitives::{Address, B256, U256};
use x402_schemas::{
    amount::Amount,
    network::Network,
    transfer::{Transfer, TransferId, TransferKind},
};

use super::*;

/// A transfer of one unit in that block, at that place.
pub(super) fn row(number: u64, log_index: u32) -> TransferRow {
    let transfer = Transfer {
        id: TransferId {
            network: Network::DEVNET,
            tx_hash: B256::left_padding_from(&number.to_be_bytes()),
            log_index,
        },
        block_number: number,
        block_hash: B256::repeat_byte(7),
        block_time: 1_700_000_000,
        token: Address::repeat_byte(1),
        from: Address::repeat_byte(2),
        to: Address::repeat_byte(3),
        amount: Amount::from_base_units(U256::from(10_u64.pow(18))),
        memo: None,
        kind: TransferKind::Payment,
    };
    TransferRow::new(&transfer, 0, 5, false)
}

#[test]
fn equal_rows_of_other_batches_are_no_difference() {
    let chain = [row(1, 0), row(2, 0)];
    let index = chain.map(|row| TransferRow { version: 9, ..row });
    assert_eq!(compare(&chain, &index, &index), []);
}

#[test]
fn a_difference_is_told_once_and_names_its_table() {
    let (shared, missing, stale) = (row(1, 0), row(2, 0), row(3, 0));
    let mut altered = shared;
    altered.recipient = [9; 20];
    let told = compare(
        &[shared, missing],
        &[altered, stale],
        &[shared, missing, stale],
    );
    let lines: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("different in transfers only: block 1 log 0 tx 0x"));
    assert!(
        lines[0].ends_with(
            "1 MNEE; recipient is 0x0909090909090909090909090909090909090909, \
             should be 0x0303030303030303030303030303030303030303"
        ),
        "{}",
        lines[0]
    );
    assert!(lines[1].starts_with("missing in transfers only: block 2"));
    assert!(lines[2].starts_with("stale: block 3"), "{}", lines[2]);

    let mut report = AuditReport::default();
    report.tell(told);
    assert_eq!((report.missing, report.stale, report.different), (1, 1, 1));
    assert_eq!(report.blocks, [1, 2, 3].into());
}

#[test]
fn two_forks_of_a_block_are_two_places() {
    let ours = row(1, 0);
    let mut other = ours;
    other.block_hash = [8; 32];
    let told = compare(&[ours], &[other], &[other]);
    assert!(matches!(
        told.as_slice(),
        [
            Difference {
                tables: Tables::Both,
                what: What::Missing(_)
            },
            Difference {
                tables: Tables::Both,
                what: What::Stale(_)
            }
        ]
    ));
}
