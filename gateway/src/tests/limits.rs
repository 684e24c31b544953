use jiff::Timestamp;
use x402_schemas::{amount::Amount, payment::PaymentStatus};

use super::*;
use crate::ledger::{
    held::{self, Span},
    payments::Payment,
};

const RACERS: usize = 60;

async fn quotes(
    house: &House,
    agent: &AgentKey,
    invoice: impl Fn(usize) -> String,
    amount: &str,
) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..RACERS {
        let (status, body) = house.quote(&agent.key, &invoice(number), amount).await;
        assert_eq!(status, 200, "{body}");
        ids.push(text(&body, "quoteId"));
    }
    ids
}

async fn race(house: &House, who: &Agent, quotes: Vec<String>) -> Vec<Reservation> {
    let tasks: Vec<_> = quotes
        .into_iter()
        .map(|quote| {
            let (gateway, who) = (Arc::clone(&house.gateway), who.clone());
            tokio::spawn(async move { reserve(&gateway, &who, &quote).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

fn principal(owner: &Tenant, agent: &AgentKey) -> Agent {
    Agent {
        workspace_id: owner.workspace_id.clone(),
        agent_id: agent.id.clone(),
    }
}

fn is_new(outcome: &Reservation) -> bool {
    matches!(outcome, Reservation::New(payment) if payment.status == PaymentStatus::Reserved)
}

fn denied_as(outcome: &Reservation, code: &str) -> bool {
    let code_of = |payment: &Payment| {
        payment
            .failure
            .as_ref()
            .map(|failure| failure.code.as_str())
    };
    matches!(outcome, Reservation::New(payment) if code_of(payment) == Some(code))
}

/// Held by the agent this day and by the workspace this month.
async fn held_now(house: &House, who: &Agent) -> (Amount, Amount) {
    let mut conn = house.gateway.ledger.read().await.unwrap();
    let now = clock::now();
    let day = held::sum(&mut conn, &who.agent_id, Span::Day, now);
    let day = day.await.unwrap();
    let month = held::sum(&mut conn, &who.workspace_id, Span::Month, now);
    (day, month.await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reserved_plus_spent_never_passes_a_limit() {
    // Each limit in turn fits seven of sixty; every quote was allowed when it was asked for.
    for (daily, monthly, budget, code) in [
        ("0.35", "100", "100", "AGENT_DAILY_LIMIT"),
        ("100", "0.35", "100", "AGENT_MONTHLY_LIMIT"),
        ("100", "100", "0.35", "WORKSPACE_BUDGET_EXCEEDED"),
    ] {
        let house = House::new().await;
        let owner = house.workspace(budget).await;
        let agent = house.agent(&owner, policy("1", daily, monthly)).await;
        let who = principal(&owner, &agent);
        let ids = quotes(&house, &agent, |number| format!("inv_{number}"), "0.05").await;
        let outcomes = race(&house, &who, ids).await;
        assert_eq!(outcomes.iter().filter(|outcome| is_new(outcome)).count(), 7);
        let denied = outcomes.iter().filter(|outcome| denied_as(outcome, code));
        assert_eq!(denied.count(), RACERS - 7);
        let seven: Amount = "0.35".parse().unwrap();
        assert_eq!(held_now(&house, &who).await, (seven, seven));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_invoice_gets_one_payment_whatever_the_concurrency() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "100", "100")).await;
    let who = principal(&owner, &agent);
    // Sixty quotes of one invoice, and each of them twice.
    let mut ids = quotes(&house, &agent, |_| "inv_same".to_owned(), "0.05").await;
    ids.extend(ids.clone());
    let outcomes = race(&house, &who, ids).await;
    assert_eq!(outcomes.iter().filter(|outcome| is_new(outcome)).count(), 1);
    let payments: std::collections::HashSet<String> = outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Reservation::New(payment) | Reservation::Known(payment) => payment.id,
            Reservation::Refused(refusal) => panic!("{refusal:?}"),
        })
        .collect();
    assert_eq!(payments.len(), 1);
    assert_eq!(held_now(&house, &who).await.0, "0.05".parse().unwrap());
}

#[tokio::test]
async fn the_same_invoice_with_other_terms_or_by_another_agent_is_a_duplicate() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "100", "100")).await;
    let sibling = house.agent(&owner, policy("1", "100", "100")).await;
    let who = principal(&owner, &agent);
    let (_, first) = house.quote(&agent.key, "inv_1", "0.05").await;
    let (_, dearer) = house.quote(&agent.key, "inv_1", "0.06").await;
    let outcome = reserve(&house.gateway, &who, &text(&first, "quoteId")).await;
    assert!(is_new(&outcome));
    for (key, amount) in [(&agent.key, "0.06"), (&sibling.key, "0.05")] {
        let (status, body) = house.quote(key, "inv_1", amount).await;
        assert_eq!(
            (status, text(&body, "reason").as_str()),
            (403, "DUPLICATE_PAYMENT")
        );
    }
    // A quote from before is no way around it.
    let pay = json!({"quoteId": text(&dearer, "quoteId")});
    let (status, body) = house.send("POST", "/pay", &agent.key, pay).await;
    assert_eq!(
        (status, text(&body, "error").as_str()),
        (403, "DUPLICATE_PAYMENT")
    );
    // The same terms again are free, even when the day is spent.
    let path = format!("/agents/{}/policy", agent.id);
    house
        .send("PUT", &path, &owner.key, policy("1", "0.05", "100"))
        .await;
    assert_eq!(house.quote(&agent.key, "inv_1", "0.05").await.0, 200);
}

#[tokio::test]
async fn a_payment_that_cannot_be_sent_fails_and_releases_its_reservation_once() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "100", "100")).await;
    let who = principal(&owner, &agent);
    let (_, quote) = house.quote(&agent.key, "inv_1", "0.05").await;
    let pay = json!({"quoteId": text(&quote, "quoteId")});
    // No treasury is attached.
    for _ in 0..3 {
        let (status, body) = house.send("POST", "/pay", &agent.key, pay.clone()).await;
        assert_eq!(
            (status, text(&body, "error").as_str()),
            (409, "WALLET_ERROR")
        );
        assert_eq!(body["success"], json!(false));
        assert_eq!(held_now(&house, &who).await.0, Amount::ZERO);
    }
    let (_, page) = house
        .send("GET", "/payments", &owner.key, Value::Null)
        .await;
    assert_eq!(page.as_array().unwrap().len(), 1);
    assert_eq!(page[0]["status"], json!(PaymentStatus::Failed.as_str()));
    // A fresh quote is a fresh attempt.
    let (_, quote) = house.quote(&agent.key, "inv_1", "0.05").await;
    let pay = json!({"quoteId": text(&quote, "quoteId")});
    assert_eq!(house.send("POST", "/pay", &agent.key, pay).await.0, 409);
    let (_, page) = house
        .send("GET", "/payments?limit=1", &owner.key, Value::Null)
        .await;
    let newest = text(&page[0], "paymentId");
    let (_, older) = house
        .send(
            "GET",
            &format!("/payments?before={newest}"),
            &owner.key,
            Value::Null,
        )
        .await;
    assert_eq!(older.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_old_quote_pays_nothing() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "100", "100")).await;
    let (_, quote) = house.quote(&agent.key, "inv_1", "0.05").await;
    let id = text(&quote, "quoteId");
    let mut change = house.gateway.ledger.write().await.unwrap();
    sqlx::query("UPDATE quotes SET expires_at = ?")
        .bind(Timestamp::UNIX_EPOCH.as_millisecond())
        .execute(&mut *change)
        .await
        .unwrap();
    change.commit().await.unwrap();
    let (status, body) = house
        .send("POST", "/pay", &agent.key, json!({"quoteId": id}))
        .await;
    assert_eq!(
        (status, text(&body, "error").as_str()),
        (410, "QUOTE_EXPIRED")
    );
}

#[tokio::test]
async fn no_policy_allows_nothing_and_a_denied_quote_cannot_be_paid() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, Value::Null).await;
    let (status, body) = house.quote(&agent.key, "inv_1", "0.05").await;
    assert_eq!(
        (status, text(&body, "reason").as_str()),
        (403, "AGENT_DISABLED")
    );
    assert_eq!(body["allowed"], json!(false));
    let mut conn = house.gateway.ledger.read().await.unwrap();
    let denied: String =
        sqlx::query_scalar("SELECT id FROM quotes WHERE denial = 'AGENT_DISABLED'")
            .fetch_one(&mut *conn)
            .await
            .unwrap();
    drop(conn);
    let (status, body) = house
        .send("POST", "/pay", &agent.key, json!({"quoteId": denied}))
        .await;
    assert_eq!(
        (status, text(&body, "error").as_str()),
        (404, "QUOTE_NOT_FOUND")
    );
}

#[tokio::test]
async fn a_quote_is_decided_again_when_it_is_paid() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "100", "100")).await;
    let (_, quote) = house.quote(&agent.key, "inv_1", "0.05").await;
    house
        .send(
            "PUT",
            "/workspace/budget",
            &owner.key,
            json!({"monthlyBudget": "0"}),
        )
        .await;
    let pay = json!({"quoteId": text(&quote, "quoteId")});
    let (status, body) = house.send("POST", "/pay", &agent.key, pay).await;
    assert_eq!(
        (status, text(&body, "error").as_str()),
        (403, "WORKSPACE_BUDGET_EXCEEDED")
    );
}

#[tokio::test]
async fn what_is_reserved_and_driven_by_nobody_is_released() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "100", "100")).await;
    let who = principal(&owner, &agent);
    let (_, quote) = house.quote(&agent.key, "inv_1", "0.05").await;
    reserve(&house.gateway, &who, &text(&quote, "quoteId")).await;
    let released =
        crate::settle::recover::release_unsigned(&house.gateway, jiff::SignedDuration::ZERO).await;
    released.unwrap();
    assert_eq!(held_now(&house, &who).await.1, Amount::ZERO);
}
