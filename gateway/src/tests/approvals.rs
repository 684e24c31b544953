//! Payments that wait for an owner.

use super::*;
use crate::settle::recover;

/// A workspace whose agent needs an approval above 0.04 MNEE, and its payment that waits.
struct Waiting {
    house: House,
    owner: Tenant,
    agent: AgentKey,
    payment_id: String,
}

impl Waiting {
    async fn new() -> Self {
        let house = House::new().await;
        let owner = house.workspace("100").await;
        let mut policy = policy("1", "0.10", "100");
        policy["approvalAbove"] = json!("0.04");
        let agent = house.agent(&owner, policy).await;
        let (status, body) = house.pay(&agent.key, "inv_1", "0.05").await;
        assert_eq!(
            (status, &body["reason"]),
            (202, &json!("APPROVAL_REQUIRED"))
        );
        Self {
            payment_id: text(&body, "paymentId"),
            house,
            owner,
            agent,
        }
    }

    async fn decide(&self, what: &str, body: Value) -> (u16, Value) {
        let path = format!("/payments/{}/{what}", self.payment_id);
        self.house.send("POST", &path, &self.owner.key, body).await
    }

    async fn payment(&self) -> Value {
        let path = format!("/payments/{}", self.payment_id);
        self.house.get(&path, &self.agent.key).await
    }

    async fn pay_again(&self) -> (u16, Value) {
        self.house.pay(&self.agent.key, "inv_1", "0.05").await
    }

    async fn held(&self) -> Value {
        self.house.get("/agents", &self.owner.key).await[0]["dailySpent"].clone()
    }
}

#[tokio::test]
async fn a_payment_above_the_threshold_waits_and_holds_nothing() {
    let waiting = Waiting::new().await;
    let Waiting { house, agent, .. } = &waiting;
    // The quote says so beforehand, and what is below needs no approval.
    let (_, quote) = house.quote(&agent.key, "inv_2", "0.05").await;
    assert_eq!(quote["approvalRequired"], json!(true));
    let (_, quote) = house.quote(&agent.key, "inv_2", "0.04").await;
    assert_eq!(quote["approvalRequired"], json!(false));
    // Asking again is answered with the payment that waits, not with a second one.
    let (status, again) = waiting.pay_again().await;
    assert_eq!(
        (status, text(&again, "paymentId")),
        (202, waiting.payment_id.clone())
    );
    assert_eq!(
        waiting.payment().await["status"],
        json!("awaiting_approval")
    );
    let listed = house.get("/approvals", &waiting.owner.key).await;
    assert_eq!(listed[0]["paymentId"], json!(waiting.payment_id));
    assert!(listed[0]["approvalUntil"].is_string());
    assert_eq!(waiting.held().await, json!("0"));
}

#[tokio::test]
async fn an_approved_payment_is_driven_and_approved_once() {
    let waiting = Waiting::new().await;
    let (status, approved) = waiting.decide("approve", Value::Null).await;
    assert_eq!((status, &approved["status"]), (200, &json!("reserved")));
    let (status, again) = waiting.decide("approve", Value::Null).await;
    assert_eq!(
        (status, text(&again, "error").as_str()),
        (409, "NOT_AWAITING_APPROVAL")
    );
    waiting.house.gateway.sending.close();
    waiting.house.gateway.sending.wait().await;
    // There is no treasury, so it fails, as any reserved payment would.
    assert_eq!(waiting.payment().await["error"], json!("WALLET_ERROR"));
    assert_eq!(waiting.held().await, json!("0"));
}

#[tokio::test]
async fn an_approval_is_no_way_around_another_rule() {
    let waiting = Waiting::new().await;
    let Waiting {
        house,
        owner,
        agent,
        ..
    } = &waiting;
    let path = format!("/agents/{}", agent.id);
    house
        .send("POST", &format!("{path}/pause"), &owner.key, Value::Null)
        .await;
    let (status, body) = waiting.decide("approve", Value::Null).await;
    assert_eq!(
        (status, text(&body, "error").as_str()),
        (403, "AGENT_PAUSED")
    );
    house
        .send("POST", &format!("{path}/resume"), &owner.key, Value::Null)
        .await;
    // What was spent since counts.
    let spent = policy("1", "0.04", "100");
    house
        .send("PUT", &format!("{path}/policy"), &owner.key, spent)
        .await;
    let (status, body) = waiting.decide("approve", Value::Null).await;
    assert_eq!(
        (status, text(&body, "error").as_str()),
        (403, "AGENT_DAILY_LIMIT")
    );
    assert_eq!(
        waiting.payment().await["status"],
        json!("awaiting_approval")
    );
    house
        .send(
            "PUT",
            &format!("{path}/policy"),
            &owner.key,
            policy("1", "0.05", "100"),
        )
        .await;
    assert_eq!(waiting.decide("approve", Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_rejected_payment_says_why_and_frees_its_invoice() {
    let waiting = Waiting::new().await;
    let (status, rejected) = waiting
        .decide("reject", json!({"reason": "too dear"}))
        .await;
    assert_eq!((status, &rejected["status"]), (200, &json!("denied")));
    let payment = waiting.payment().await;
    assert_eq!(payment["error"], json!("APPROVAL_REJECTED"));
    assert!(text(&payment, "message").contains("too dear"));
    assert_eq!(waiting.decide("approve", Value::Null).await.0, 409);
    let (status, again) = waiting.pay_again().await;
    assert_eq!(status, 202);
    assert_ne!(text(&again, "paymentId"), waiting.payment_id);
}

#[tokio::test]
async fn a_payment_that_nobody_approves_expires() {
    let waiting = Waiting::new().await;
    let mut change = waiting.house.gateway.ledger.write().await.unwrap();
    let past = sqlx::query("UPDATE payments SET approval_until = 1");
    past.execute(&mut *change).await.unwrap();
    change.commit().await.unwrap();
    // Its time is over even before anyone has looked.
    assert_eq!(waiting.decide("approve", Value::Null).await.0, 409);
    recover::expire_unapproved(&waiting.house.gateway)
        .await
        .unwrap();
    let payment = waiting.payment().await;
    assert_eq!(
        (&payment["status"], &payment["error"]),
        (&json!("expired"), &json!("APPROVAL_EXPIRED"))
    );
    assert_eq!(waiting.pay_again().await.0, 202);
}
