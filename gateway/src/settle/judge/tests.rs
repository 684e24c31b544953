use alloy::primitives::{B256, address};
use jiff::Timestamp;
use x402_schemas::{invoice::Invoice, network::Network, transfer::TransferId};

use super::*;
use crate::ledger::payments::Payment;

const TOKEN: Address = address!("8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF");
const PAYER: Address = address!("00000000000000000000000000000000000000bb");
const PAYEE: Address = address!("00000000000000000000000000000000000000aa");
const TX: B256 = B256::repeat_byte(1);
/// The transaction before that one.
const REPLACED: B256 = B256::repeat_byte(9);

fn payment(status: PaymentStatus) -> Payment {
    let settled = status == PaymentStatus::Settled;
    Payment {
        id: "pay_1".into(),
        workspace_id: "ws_1".into(),
        agent_id: "ag_1".into(),
        invoice: Invoice {
            id: "inv_1".parse().unwrap(),
            pay_to: PAYEE,
            amount: "0.05".parse().unwrap(),
            resource: "GET https://api.example.com/report".parse().unwrap(),
        },
        memo: B256::repeat_byte(7),
        status,
        failure: None,
        reserved_at: Some(Timestamp::UNIX_EPOCH),
        approval_until: None,
        payer: Some(PAYER),
        tx_hash: Some(TX),
        gas_paid_wei: None,
        place: settled.then(|| place(&transfer())),
        proof: settled.then(|| "proof".into()),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

fn transfer() -> Transfer {
    Transfer {
        id: TransferId {
            network: Network::DEVNET,
            tx_hash: TX,
            log_index: 3,
        },
        block_number: 100,
        block_hash: B256::repeat_byte(2),
        block_time: 1_700_000_000,
        token: TOKEN,
        from: PAYER,
        to: PAYEE,
        amount: "0.05".parse().unwrap(),
        memo: Some(B256::repeat_byte(7)),
        kind: TransferKind::Payment,
    }
}

fn elsewhere() -> Transfer {
    Transfer {
        block_number: 101,
        block_hash: B256::repeat_byte(3),
        ..transfer()
    }
}

fn outcome(status: PaymentStatus, changes: &[Change], finalized: u64) -> Option<Step> {
    let watched = Watched {
        payment: payment(status),
        hashes: vec![TX, REPLACED],
    };
    judge(&watched, changes, TOKEN, finalized)
}

#[test]
fn the_payments_own_transfer_settles_it() {
    for status in [
        PaymentStatus::Signed,
        PaymentStatus::Broadcast,
        PaymentStatus::Included,
    ] {
        let step = outcome(status, &[Change::Added(transfer())], 0);
        assert_eq!(step, Some(Step::Settle(place(&transfer()))));
    }
}

#[test]
fn a_replaced_transaction_settles_it_all_the_same() {
    let mut transfer = transfer();
    transfer.id.tx_hash = REPLACED;
    let step = outcome(PaymentStatus::Broadcast, &[Change::Added(transfer)], 0);
    assert_eq!(step, Some(Step::Settle(place(&transfer))));
    assert_eq!(place(&transfer).tx_hash, REPLACED);
}

#[test]
fn a_transfer_that_differs_anywhere_settles_nothing() {
    let changes: [fn(&mut Transfer); 7] = [
        |transfer| transfer.id.tx_hash = B256::ZERO,
        |transfer| transfer.token = PAYEE,
        |transfer| transfer.from = PAYEE,
        |transfer| transfer.to = PAYER,
        |transfer| transfer.amount = "0.049999999999999999".parse().unwrap(),
        |transfer| transfer.memo = None,
        |transfer| transfer.kind = TransferKind::Confiscation,
    ];
    for change in changes {
        let mut altered = transfer();
        change(&mut altered);
        let step = outcome(PaymentStatus::Broadcast, &[Change::Added(altered)], 0);
        assert_eq!(step, None, "{altered:?}");
    }
}

#[test]
fn a_removed_transfer_takes_a_settled_payment_back() {
    let step = outcome(PaymentStatus::Settled, &[Change::Removed(transfer())], 0);
    assert_eq!(step, Some(Step::Unsettle));
}

#[test]
fn an_index_that_forgets_takes_nothing_back() {
    assert_eq!(outcome(PaymentStatus::Settled, &[], 0), None);
}

#[test]
fn a_transfer_that_a_reorg_moved_gets_a_new_proof() {
    let changes = [Change::Removed(transfer()), Change::Added(elsewhere())];
    let step = outcome(PaymentStatus::Settled, &changes, 0);
    assert_eq!(step, Some(Step::Move(place(&elsewhere()))));
}

#[test]
fn a_settled_payment_is_watched_until_its_block_is_final() {
    let changes = [Change::Added(transfer())];
    assert_eq!(outcome(PaymentStatus::Settled, &changes, 99), None);
    let step = outcome(PaymentStatus::Settled, &changes, 100);
    assert_eq!(step, Some(Step::Finalize));
}

#[test]
fn a_failed_payment_stays_failed_whatever_the_index_says() {
    for status in [PaymentStatus::Reserved, PaymentStatus::Failed] {
        assert_eq!(outcome(status, &[Change::Added(transfer())], 100), None);
    }
}
