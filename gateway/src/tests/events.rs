//! The outbox: an event for each step and denial, in the change of the ledger that makes it.

use super::*;
use crate::ledger::{
    event_cursors::{self, Consumer, Cursor},
    events,
};

async fn kinds(house: &House) -> Vec<String> {
    let mut conn = house.gateway.ledger.read().await.unwrap();
    let told = events::between(&mut conn, 0, u64::from(u32::MAX))
        .await
        .unwrap();
    told.iter()
        .map(|one| one.event.kind.as_str().to_owned())
        .collect()
}

#[tokio::test]
async fn every_step_and_every_denial_is_told_with_what_it_did() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let (_, provider) = house.provider(&owner, PAYEE).await;
    let agent = house.agent(&owner, policy("1", "1", "100")).await;
    let (status, _) = house.quote(&agent.key, "inv_1", "2").await;
    assert_eq!(status, 403);
    // It finds no treasury and fails.
    house.pay(&agent.key, "inv_2", "0.5").await;
    house.gateway.sending.close();
    house.gateway.sending.wait().await;

    let expected = [
        "quote.denied",
        "payment.quoted",
        "payment.reserved",
        "payment.failed",
    ];
    assert_eq!(kinds(&house).await, expected);
    let mut conn = house.gateway.ledger.read().await.unwrap();
    let told = events::between(&mut conn, 0, 4).await.unwrap();
    let provider_id = text(&provider, "providerId");
    for (number, one) in (1..).zip(&told) {
        let event = &one.event;
        assert_eq!(event.number, number);
        assert_eq!(event.data.workspace_id, owner.workspace_id);
        assert_eq!(event.data.agent_id, agent.id);
        assert_eq!(one.provider_id.as_deref(), Some(provider_id.as_str()));
    }
    let code = |number: usize| told[number].event.data.code.map(|code| code.as_str());
    assert_eq!(code(0), Some("AGENT_REQUEST_LIMIT"));
    assert_eq!(told[0].event.data.payment_id, None);
    assert_eq!((code(1), code(2)), (None, None));
    assert!(code(3).is_some());
    assert!(told[3].event.data.payment_id.is_some());
    assert_eq!(told[3].event.data.amount, "0.5".parse().unwrap());
}

#[tokio::test]
async fn what_is_undone_is_not_told_and_its_number_is_given_again() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "100")).await;
    let (_, quote) = house.quote(&agent.key, "inv_1", "0.5").await;
    let id = text(&quote, "quoteId");
    let who = Agent {
        workspace_id: owner.workspace_id.clone(),
        agent_id: agent.id.clone(),
    };
    let mut change = house.gateway.ledger.write().await.unwrap();
    let row =
        sqlx::query("INSERT INTO events (kind, workspace_id, body, at) VALUES ('x', ?, '', 0)");
    let row = row.bind(&owner.workspace_id).execute(&mut *change).await;
    row.unwrap();
    drop(change);
    assert!(kinds(&house).await.is_empty());
    reserve(&house.gateway, &who, &id).await;
    let mut conn = house.gateway.ledger.read().await.unwrap();
    assert_eq!(events::newest(&mut conn).await.unwrap(), 2);
}

#[tokio::test]
async fn an_event_goes_when_it_is_old_and_everyone_has_been_told() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "100")).await;
    house.quote(&agent.key, "inv_1", "2").await;
    house.quote(&agent.key, "inv_2", "2").await;
    let later = clock::now() + events::KEPT + SignedDuration::from_mins(1);
    let mut change = house.gateway.ledger.write().await.unwrap();
    let told = |told| Cursor {
        told,
        telling: None,
    };
    let prune = event_cursors::prune;
    assert_eq!(prune(&mut change, later).await.unwrap(), 0);
    for (consumer, upto) in [(Consumer::ClickHouse, 2), (Consumer::Webhooks, 1)] {
        event_cursors::set(&mut change, consumer, told(upto))
            .await
            .unwrap();
    }
    assert_eq!(prune(&mut change, clock::now()).await.unwrap(), 0);
    assert_eq!(prune(&mut change, later).await.unwrap(), 1);
    let forced = sqlx::query("DELETE FROM events")
        .execute(&mut *change)
        .await;
    assert!(forced.unwrap_err().to_string().contains("every consumer"));
    let changed = sqlx::query("UPDATE events SET at = 0")
        .execute(&mut *change)
        .await;
    assert!(changed.unwrap_err().to_string().contains("only added"));
    let (waiting, _) = event_cursors::backlog(&mut change, Consumer::Webhooks)
        .await
        .unwrap();
    assert_eq!(waiting, 1);
    assert_eq!(events::newest(&mut change).await.unwrap(), 2);
}
