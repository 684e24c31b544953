/// Finding payments by their transactions.
mod watched;

use alloy::primitives::{Bytes, U256};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use sqlx::SqliteConnection;
use x402_schemas::{
    amount::Amount,
    codes::{PaymentError, PaymentFailure},
    invoice::Invoice,
    payment::PaymentStatus,
    policy::{AllowedProvider, Policy, RollingLimit},
};

use super::*;
use crate::{
    ledger::{
        agents, held,
        payments::{self, Failure, Payment, Place},
        quotes::{self, Quote},
        replaced, steps,
        transitions::{self, Replacement, Signed},
        under_way, workspaces,
    },
    origin::Signer,
    policy::{
        Spent,
        tally::{Purchase, Tally},
    },
    spender::SignedTransaction,
};

fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn payment(number: u64, at: Timestamp) -> Payment {
    Payment {
        id: format!("pay_{number}"),
        workspace_id: "ws".into(),
        agent_id: "ag".into(),
        invoice: Invoice {
            id: format!("inv_{number}").parse().unwrap(),
            pay_to: PAYEE.parse().unwrap(),
            amount: Amount::from_base_units(U256::from(number.saturating_add(1))),
            resource: "GET https://api.example.com/report".parse().unwrap(),
        },
        memo: B256::repeat_byte(7),
        status: PaymentStatus::Reserved,
        failure: None,
        reserved_at: Some(at),
        approval_until: None,
        payer: None,
        tx_hash: None,
        gas_paid_wei: None,
        place: None,
        proof: None,
        created_at: at,
        updated_at: at,
    }
}

async fn prepare(conn: &mut SqliteConnection) {
    workspaces::insert(conn, "ws", "house", Amount::ZERO, noon())
        .await
        .unwrap();
    agents::insert(conn, "ws", "ag", "buyer", None, noon())
        .await
        .unwrap();
    let treasury = Address::repeat_byte(1);
    crate::ledger::treasuries::attach(conn, "ws", treasury, noon())
        .await
        .unwrap();
}

async fn reserve(conn: &mut SqliteConnection, payment: &Payment) {
    let quote = Quote {
        id: format!("qt_{}", payment.id),
        workspace_id: "ws".into(),
        agent_id: "ag".into(),
        invoice: payment.invoice.clone(),
        network: Network::DEVNET,
        signer: Signer::Nobody,
        created_at: noon(),
        expires_at: noon(),
    };
    quotes::insert(conn, &quote, None, None).await.unwrap();
    transitions::create(conn, payment, &quote).await.unwrap();
}

async fn sign(conn: &mut SqliteConnection, id: &str, nonce: u64) -> bool {
    let transaction = SignedTransaction {
        raw: Bytes::from(vec![1, 2, 3]),
        hash: B256::from(U256::from(nonce.saturating_add(1))),
    };
    let signed = Signed {
        payer: Address::repeat_byte(1),
        nonce,
        transaction: &transaction,
        gas_wei: Amount::from_base_units(U256::from(10)),
    };
    transitions::sign(conn, id, signed, noon()).await.unwrap()
}

fn failure() -> Failure {
    Failure {
        code: PaymentError::Failed(PaymentFailure::WalletError),
        detail: "on purpose".into(),
    }
}

const PLACE: Place = Place {
    tx_hash: B256::ZERO,
    block_number: 5,
    block_hash: B256::ZERO,
    log_index: 0,
};

#[tokio::test]
async fn a_payment_takes_only_the_steps_that_its_status_allows() {
    let house = House::new().await;
    let mut conn = house.gateway.ledger.write().await.unwrap();
    prepare(&mut conn).await;
    reserve(&mut conn, &payment(1, noon())).await;
    let id = "pay_1";
    // Nothing is settled, sent or reverted before it is signed.
    assert!(!transitions::broadcast(&mut conn, id, noon()).await.unwrap());
    assert!(
        !transitions::settle(&mut conn, id, PLACE, "proof", noon())
            .await
            .unwrap()
    );
    assert!(
        !transitions::revert(&mut conn, id, B256::ZERO, &failure(), noon())
            .await
            .unwrap()
    );
    assert!(sign(&mut conn, id, 0).await);
    // Signed once; what is signed cannot be failed as if it were not.
    assert!(!sign(&mut conn, id, 1).await);
    assert!(
        !transitions::fail_unsigned(&mut conn, id, &failure(), noon())
            .await
            .unwrap()
    );
    assert!(transitions::broadcast(&mut conn, id, noon()).await.unwrap());
    assert!(!transitions::broadcast(&mut conn, id, noon()).await.unwrap());
    assert!(
        transitions::settle(&mut conn, id, PLACE, "proof", noon())
            .await
            .unwrap()
    );
    // Settled is not failed and not sent again by itself; only a reorg takes it back.
    assert!(
        !transitions::revert(&mut conn, id, B256::ZERO, &failure(), noon())
            .await
            .unwrap()
    );
    assert!(!transitions::broadcast(&mut conn, id, noon()).await.unwrap());
    assert!(transitions::unsettle(&mut conn, id, noon()).await.unwrap());
    let back = payments::find(&mut conn, id).await.unwrap().unwrap();
    assert_eq!(
        (back.status, back.proof, back.place),
        (PaymentStatus::Broadcast, None, None)
    );
    assert!(
        transitions::revert(&mut conn, id, B256::ZERO, &failure(), noon())
            .await
            .unwrap()
    );
    for refused in [
        transitions::revert(&mut conn, id, B256::ZERO, &failure(), noon()).await,
        transitions::settle(&mut conn, id, PLACE, "proof", noon()).await,
        transitions::unsettle(&mut conn, id, noon()).await,
        transitions::finalize(&mut conn, id, noon()).await,
    ] {
        assert!(!refused.unwrap());
    }
}

#[tokio::test]
async fn the_ledger_itself_refuses_a_second_living_payment_of_an_invoice() {
    let house = House::new().await;
    let mut conn = house.gateway.ledger.write().await.unwrap();
    prepare(&mut conn).await;
    reserve(&mut conn, &payment(1, noon())).await;
    let second = Payment {
        id: "pay_second".into(),
        ..payment(1, noon())
    };
    let insert = sqlx::query(
        "INSERT INTO payments SELECT ?, workspace_id, agent_id, 'qt_other', invoice_id, pay_to, amount, resource, memo, \
         status, NULL, NULL, reserved_at, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, created_at, \
         updated_at, NULL \
         FROM payments WHERE id = 'pay_1'",
    )
    .bind(&second.id)
    .execute(&mut *conn)
    .await;
    assert!(insert.unwrap_err().to_string().contains("UNIQUE"));
    assert!(
        transitions::fail_unsigned(&mut conn, "pay_1", &failure(), noon())
            .await
            .unwrap()
    );
    reserve(&mut conn, &second).await;
}

#[tokio::test]
async fn what_is_in_flight_is_what_the_block_has_not_mined() {
    let house = House::new().await;
    let mut conn = house.gateway.ledger.write().await.unwrap();
    prepare(&mut conn).await;
    for number in 0..3 {
        reserve(&mut conn, &payment(number, noon())).await;
        assert!(sign(&mut conn, &format!("pay_{number}"), number).await);
    }
    // Settled since, but after the block that was looked at: its balance does not show it yet.
    transitions::settle(&mut conn, "pay_2", PLACE, "proof", noon())
        .await
        .unwrap();
    let payer = Address::repeat_byte(1);
    let in_flight = under_way::in_flight(&mut conn, "ws", payer, 1)
        .await
        .unwrap();
    assert_eq!(in_flight.amount.base_units(), U256::from(2 + 3));
    assert_eq!(in_flight.gas_wei.base_units(), U256::from(20));
    // From another treasury nothing leaves, but the gas is the same spender's.
    let other = under_way::in_flight(&mut conn, "ws", Address::repeat_byte(2), 1)
        .await
        .unwrap();
    assert_eq!(
        (other.amount, other.gas_wei),
        (Amount::ZERO, in_flight.gas_wei)
    );
}

#[tokio::test]
async fn every_step_is_kept_with_its_time_and_reason() {
    let house = House::new().await;
    let mut conn = house.gateway.ledger.write().await.unwrap();
    prepare(&mut conn).await;
    reserve(&mut conn, &payment(1, noon())).await;
    let later = noon().saturating_add(SignedDuration::from_secs(5)).unwrap();
    assert!(sign(&mut conn, "pay_1", 7).await);
    transitions::broadcast(&mut conn, "pay_1", noon())
        .await
        .unwrap();
    transitions::settle(&mut conn, "pay_1", PLACE, "proof", later)
        .await
        .unwrap();
    let history = steps::of_payment(&mut conn, "pay_1").await.unwrap();
    let statuses: Vec<&str> = history.iter().map(|step| step.status.as_str()).collect();
    assert_eq!(
        statuses,
        [
            "quoted",
            "reserved",
            "signed",
            "broadcast",
            "included",
            "settled"
        ]
    );
    assert!(history[2].reason.contains("nonce 7"), "{history:?}");
    assert_eq!(history[5].at, later);
    assert!(history.iter().all(|step| !step.reason.is_empty()));
}

#[tokio::test]
async fn every_transaction_that_a_payment_had_is_remembered_and_any_may_settle_it() {
    let house = House::new().await;
    let mut conn = house.gateway.ledger.write().await.unwrap();
    prepare(&mut conn).await;
    reserve(&mut conn, &payment(1, noon())).await;
    let replace = async |conn: &mut SqliteConnection, hash: u8| {
        let payment = payments::find(conn, "pay_1").await.unwrap().unwrap();
        let transaction = SignedTransaction {
            raw: Bytes::from(vec![hash]),
            hash: B256::repeat_byte(hash),
        };
        let replacement = Replacement {
            transaction: &transaction,
            gas_wei: Amount::ZERO,
            max_fee_per_gas: 1,
        };
        transitions::replace(conn, &payment, replacement, noon())
            .await
            .unwrap()
    };
    assert!(sign(&mut conn, "pay_1", 0).await);
    let first = B256::from(U256::from(1));
    // What no node has taken is not replaced, as it may not have been sent.
    assert!(!replace(&mut conn, 7).await);
    transitions::broadcast(&mut conn, "pay_1", noon())
        .await
        .unwrap();
    assert!(replace(&mut conn, 7).await);
    assert!(replace(&mut conn, 8).await);
    let watched = under_way::watched(&mut conn).await.unwrap();
    let mut hashes = watched[0].hashes.clone();
    hashes.sort();
    assert_eq!(hashes, [first, B256::repeat_byte(7), B256::repeat_byte(8)]);
    // The second of the three is in the block.
    let place = Place {
        tx_hash: B256::repeat_byte(7),
        ..PLACE
    };
    assert!(
        transitions::settle(&mut conn, "pay_1", place, "proof", noon())
            .await
            .unwrap()
    );
    let settled = payments::find(&mut conn, "pay_1").await.unwrap().unwrap();
    assert_eq!(
        (settled.tx_hash, settled.place),
        (Some(place.tx_hash), Some(place))
    );
    let others = replaced::of_watched(&mut conn).await.unwrap();
    assert_eq!(others["pay_1"].len(), 2);
}

/// Windows of a policy that asks for everything that can be held.
fn windows() -> Policy {
    let none = Amount::ZERO;
    Policy {
        rolling: [1, 24, 100]
            .map(|hours| RollingLimit { hours, limit: none })
            .to_vec(),
        total: Some(none),
        payments_per_minute: Some(1),
        duplicate_within_seconds: Some(1),
        ..Policy::new(none, none, none, vec![AllowedProvider::Anyone])
    }
}

/// What counts, from the payments themselves.
async fn recomputed(conn: &mut SqliteConnection, of: &Payment, at: Timestamp) -> Spent {
    let mut payments = payments::page(conn, "ws", None, 1_000).await.unwrap();
    payments.sort_by_key(|payment| payment.reserved_at);
    let mut tally = Tally::default();
    for payment in payments.iter().filter(|payment| !payment.status.is_void()) {
        tally.count(&purchase(payment, payment.reserved_at.unwrap()));
    }
    let mut spent = tally.spent(Some(&windows()), &purchase(of, at));
    // The rate counts what has failed, too.
    let minute_ago = at.saturating_sub(SignedDuration::from_mins(1)).unwrap();
    let recent = payments
        .iter()
        .filter(|payment| payment.reserved_at.unwrap() > minute_ago);
    spent.last_minute = u32::try_from(recent.count()).unwrap();
    spent
}

fn purchase(payment: &Payment, at: Timestamp) -> Purchase<'_> {
    Purchase {
        pay_to: payment.invoice.pay_to,
        amount: payment.invoice.amount,
        resource: &payment.invoice.resource,
        at,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens to payments, in whatever order, what is held equals the payments that live.
    #[test]
    fn what_is_held_always_equals_the_payments(
        steps in prop::collection::vec((0_u64..8, 0_u8..6, 0_i64..20_000, prop::sample::select(vec![1_i64, 20, 300])), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let house = House::new().await;
            let mut conn = house.gateway.ledger.write().await.unwrap();
            prepare(&mut conn).await;
            let (mut nonce, mut at) = (0, noon());
            for (number, step, seconds, scale) in steps {
                let id = format!("pay_{number}");
                let later = SignedDuration::from_secs(seconds.saturating_mul(scale).saturating_div(10));
                at = at.saturating_add(later).unwrap();
                match step {
                    0 if payments::find(&mut conn, &id).await.unwrap().is_none() => {
                        reserve(&mut conn, &payment(number, at)).await;
                    }
                    1 => {
                        let signed = sign(&mut conn, &id, nonce).await;
                        nonce = nonce.saturating_add(u64::from(signed));
                    }
                    2 => { transitions::settle(&mut conn, &id, PLACE, "proof", at).await.unwrap(); }
                    3 => { transitions::unsettle(&mut conn, &id, at).await.unwrap(); }
                    4 => { transitions::fail_unsigned(&mut conn, &id, &failure(), at).await.unwrap(); }
                    5 => { transitions::revert(&mut conn, &id, B256::ZERO, &failure(), at).await.unwrap(); }
                    _ => (),
                }
                let of = payment(number, at);
                for holder in ["ag", "ws"] {
                    let spent = held::spent(&mut conn, holder, Some(&windows()), &of.invoice, at).await.unwrap();
                    assert_eq!(spent, recomputed(&mut conn, &of, at).await);
                }
            }
        });
    }
}
