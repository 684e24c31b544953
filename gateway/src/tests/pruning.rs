//! What is removed, and that nothing which limits or the history need goes with it.

use jiff::{SignedDuration, Timestamp};
use x402_schemas::{amount::Amount, payment::PaymentStatus, policy::Policy};

use super::*;
use crate::{
    ledger::{check, held, payments, prune::Walked, transitions, workspaces},
    prune,
};

fn later(hours: i64) -> Timestamp {
    clock::now()
        .saturating_add(SignedDuration::from_hours(hours))
        .unwrap()
}

async fn count(house: &House, sql: &'static str) -> i64 {
    let mut conn = house.gateway.ledger.read().await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut *conn).await.unwrap()
}

async fn prune_at(house: &House, now: Timestamp) {
    prune::round(&house.gateway, &mut Walked::default(), now)
        .await
        .unwrap();
}

/// A house with a workspace and an agent, a payment that has settled and is final, or only reserved, a quote that
/// nobody paid and a denial.
async fn busy(settled: bool) -> (House, Tenant, AgentKey, String) {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "100", "100")).await;
    let who = Agent {
        workspace_id: owner.workspace_id.clone(),
        agent_id: agent.id.clone(),
    };
    let (_, quote) = house.quote(&agent.key, "inv_1", "0.05").await;
    let Reservation::New(payment) = reserve(&house.gateway, &who, &text(&quote, "quoteId")).await
    else {
        panic!("a new payment")
    };
    if settled {
        settle(&house, &owner, &payment.id).await;
    }
    assert_eq!(house.quote(&agent.key, "inv_2", "0.05").await.0, 200);
    assert_eq!(house.quote(&agent.key, "inv_3", "2").await.0, 403);
    (house, owner, agent, payment.id)
}

async fn settle(house: &House, owner: &Tenant, id: &str) {
    let mut conn = house.gateway.ledger.write().await.unwrap();
    let payer = Address::repeat_byte(1);
    crate::ledger::treasuries::attach(&mut conn, &owner.workspace_id, payer, clock::now())
        .await
        .unwrap();
    let transaction = crate::spender::SignedTransaction {
        raw: vec![1_u8].into(),
        hash: B256::repeat_byte(1),
    };
    let signed = transitions::Signed {
        payer,
        nonce: 0,
        transaction: &transaction,
        gas_wei: Amount::ZERO,
    };
    let now = clock::now();
    let place = payments::Place {
        tx_hash: transaction.hash,
        block_number: 5,
        block_hash: B256::ZERO,
        log_index: 0,
    };
    assert!(transitions::sign(&mut conn, id, signed, now).await.unwrap());
    workspaces::set_next_nonce(&mut conn, &owner.workspace_id, 1)
        .await
        .unwrap();
    assert!(
        transitions::settle(&mut conn, id, place, "proof", now)
            .await
            .unwrap()
    );
    assert!(transitions::finalize(&mut conn, id).await.unwrap());
    conn.commit().await.unwrap();
}

async fn assert_adds_up(house: &House) {
    let report = check::check(house.folder.path()).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.first);
}

const QUOTES: &str = "SELECT count(*) FROM quotes";
const HOURS: &str = "SELECT count(*) FROM held WHERE span = 'hour'";
const OTHER_SUMS: &str = "SELECT count(*) FROM held WHERE span <> 'hour'";

#[tokio::test]
async fn quotes_go_once_nobody_can_ask_for_them_and_those_of_payments_stay() {
    let (house, owner, agent, id) = busy(true).await;
    prune_at(&house, later(23)).await;
    assert_eq!(count(&house, QUOTES).await, 3);
    prune_at(&house, later(25)).await;
    assert_eq!(
        count(&house, QUOTES).await,
        2,
        "what was allowed and not paid is gone"
    );
    prune_at(&house, later(90 * 24)).await;
    // A dry run of the longest past still sees the denial.
    let draft = json!({"agentId": agent.id, "policy": policy("9", "9", "9"), "days": 90});
    let (_, report) = house
        .send("POST", "/policy/dry-run", &owner.key, draft)
        .await;
    assert_eq!(
        (&report["replayed"], &report["newlyAllowed"]),
        (&json!(2), &json!(1))
    );
    prune_at(&house, later(92 * 24)).await;
    assert_eq!(count(&house, QUOTES).await, 1);
    let payment = house.get(&format!("/payments/{id}"), &agent.key).await;
    assert_eq!(payment["history"].as_array().unwrap().len(), 5);
    assert_adds_up(&house).await;
}

#[tokio::test]
async fn sums_of_hours_go_once_no_window_reaches_them_and_the_others_stay() {
    let (house, ..) = busy(true).await;
    let others = count(&house, OTHER_SUMS).await;
    prune_at(&house, later(743)).await;
    assert_eq!(count(&house, HOURS).await, 2);
    prune_at(&house, later(747)).await;
    assert_eq!(count(&house, HOURS).await, 0);
    assert_eq!(count(&house, OTHER_SUMS).await, others);
    // The check knows that they were removed and did not get lost.
    assert_adds_up(&house).await;
}

#[tokio::test]
async fn the_longest_window_counts_the_same_before_and_after_pruning() {
    let (house, owner, ..) = busy(true).await;
    let mut widest = Policy::new(Amount::ZERO, Amount::ZERO, Amount::ZERO, Vec::new());
    widest.rolling = vec![x402_schemas::policy::RollingLimit {
        hours: x402_schemas::policy::MAX_WINDOW_HOURS,
        limit: Amount::ZERO,
    }];
    let mut conn = house.gateway.ledger.read().await.unwrap();
    let page = payments::page(&mut conn, &owner.workspace_id, None, 1).await;
    let invoice = page.unwrap().remove(0).invoice;
    drop(conn);
    for hours in [1, 700, 743, 744, 745, 746] {
        let now = later(hours);
        let spent = async || {
            let mut conn = house.gateway.ledger.read().await.unwrap();
            held::spent(&mut conn, &owner.workspace_id, Some(&widest), &invoice, now)
                .await
                .unwrap()
        };
        let before = spent().await;
        prune_at(&house, now).await;
        assert_eq!(spent().await, before, "after {hours} hours");
        assert_eq!(
            !before.rolling[0].is_zero(),
            hours < 744,
            "after {hours} hours"
        );
    }
}

#[tokio::test]
async fn what_may_still_be_released_can_be_released_however_late() {
    let (house, owner, _, id) = busy(false).await;
    prune_at(&house, later(10_000)).await;
    assert_eq!(count(&house, HOURS).await, 2);
    let mut change = house.gateway.ledger.write().await.unwrap();
    let failure = payments::Failure {
        code: x402_schemas::codes::PaymentError::Failed(
            x402_schemas::codes::PaymentFailure::WalletError,
        ),
        detail: "on purpose".into(),
    };
    let now = later(10_000);
    assert!(
        transitions::fail_unsigned(&mut change, &id, &failure, now)
            .await
            .unwrap()
    );
    change.commit().await.unwrap();
    prune_at(&house, now).await;
    assert_eq!(count(&house, HOURS).await, 0);
    assert_adds_up(&house).await;
    let mut conn = house.gateway.ledger.read().await.unwrap();
    let payment = payments::find(&mut conn, &id).await.unwrap().unwrap();
    assert_eq!(payment.status, PaymentStatus::Failed);
    let workspace = workspaces::get(&mut conn, &owner.workspace_id).await;
    assert_eq!(workspace.unwrap().id, owner.workspace_id);
}
