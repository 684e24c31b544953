//! Payments that a run before has left reserved.

use super::*;
use crate::pay::resume::{Resumed, resume};

/// A house whose agent has asked to pay a quote, and which died before it signed.
async fn left_reserved(policy: Value) -> (House, Tenant, AgentKey, String) {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy).await;
    let (status, quote) = house.quote(&agent.key, "inv_1", "0.05").await;
    assert_eq!(status, 200, "{quote}");
    let who = Agent {
        workspace_id: owner.workspace_id.clone(),
        agent_id: agent.id.clone(),
    };
    let quote_id = text(&quote, "quoteId");
    let Reservation::New(payment) = reserve(&house.gateway, &who, &quote_id).await else {
        panic!("a new payment")
    };
    (house, owner, agent, payment.id)
}

async fn payment(house: &House, agent: &AgentKey, id: &str) -> Value {
    house.get(&format!("/payments/{id}"), &agent.key).await
}

const DRIVEN: Resumed = Resumed {
    driven_on: 1,
    ended: 0,
};
const ENDED: Resumed = Resumed {
    driven_on: 0,
    ended: 1,
};

#[tokio::test]
async fn what_still_holds_is_driven_on_and_counts_once() {
    // All of the day is reserved by the payment itself.
    let (house, owner, agent, id) = left_reserved(policy("0.05", "0.05", "0.05")).await;
    assert_eq!(resume(&house.gateway).await.unwrap(), DRIVEN);
    house.gateway.sending.close();
    house.gateway.sending.wait().await;
    let payment = payment(&house, &agent, &id).await;
    let history = payment["history"].as_array().unwrap();
    let statuses: Vec<&str> = history
        .iter()
        .filter_map(|step| step["status"].as_str())
        .collect();
    // There is no treasury, so it gets no further, and is released once.
    assert_eq!(statuses, ["quoted", "reserved", "reserved", "failed"]);
    assert_eq!(payment["error"], "WALLET_ERROR");
    let agents = house.get("/agents", &owner.key).await;
    assert_eq!(agents[0]["dailySpent"], "0");
    assert_eq!(resume(&house.gateway).await.unwrap(), Resumed::default());
}

#[tokio::test]
async fn what_policy_denies_by_now_ends_cleanly() {
    for (path, body, code) in [
        ("pause", Value::Null, "AGENT_PAUSED"),
        ("revoke", Value::Null, "AGENT_DISABLED"),
        ("policy", policy("0.01", "1", "1"), "AGENT_REQUEST_LIMIT"),
    ] {
        let (house, owner, agent, id) = left_reserved(policy("1", "1", "1")).await;
        let method = if body.is_null() { "POST" } else { "PUT" };
        let path = format!("/agents/{}/{path}", agent.id);
        let (status, answer) = house.send(method, &path, &owner.key, body).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(resume(&house.gateway).await.unwrap(), ENDED);
        let payments = house.get("/payments", &owner.key).await;
        assert_eq!(payments[0]["paymentId"], id);
        assert_eq!(payments[0]["status"], "failed");
        assert_eq!(payments[0]["error"], code);
        let agents = house.get("/agents", &owner.key).await;
        assert_eq!(agents[0]["dailySpent"], "0");
    }
}

#[tokio::test]
async fn a_policy_that_wants_an_approval_by_now_is_not_passed_by() {
    let (house, owner, agent, id) = left_reserved(policy("1", "1", "1")).await;
    let mut stricter = policy("1", "1", "1");
    stricter["approvalAbove"] = json!("0.01");
    let path = format!("/agents/{}/policy", agent.id);
    house.send("PUT", &path, &owner.key, stricter).await;
    assert_eq!(resume(&house.gateway).await.unwrap(), ENDED);
    assert_eq!(
        payment(&house, &agent, &id).await["error"],
        "APPROVAL_REQUIRED"
    );
}

#[tokio::test]
async fn a_quote_that_has_ended_meanwhile_is_not_paid() {
    let (house, _, agent, id) = left_reserved(policy("1", "1", "1")).await;
    let mut change = house.gateway.ledger.write().await.unwrap();
    sqlx::query("UPDATE quotes SET expires_at = 1")
        .execute(&mut *change)
        .await
        .unwrap();
    change.commit().await.unwrap();
    assert_eq!(resume(&house.gateway).await.unwrap(), ENDED);
    assert_eq!(payment(&house, &agent, &id).await["error"], "QUOTE_EXPIRED");
}
