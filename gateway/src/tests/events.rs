//! The outbox: an event for each step and denial, in the change of the ledger that makes it.

use std::time::Duration;

use x402_schemas::codes::PaymentError;

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
    let code = |number: usize| told[number].event.data.code.map(PaymentError::as_str);
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

/// Opens a stream and reads the events that it tells at once.
async fn told(house: &House, path: &str, key: &str, last: Option<u64>) -> (u16, Vec<Value>) {
    let mut request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = house.router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut text = String::new();
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    };
    drop(tokio::time::timeout(Duration::from_millis(300), reading).await);
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    (
        status,
        events
            .map(|data| serde_json::from_str(data).unwrap())
            .collect(),
    )
}

fn numbers(events: &[Value]) -> Vec<u64> {
    let numbers = events.iter().map(|event| event["number"].as_u64().unwrap());
    numbers.collect()
}

#[tokio::test]
async fn a_stream_resumes_after_the_last_event_and_shows_its_own_tenant_only() {
    let house = House::new().await;
    let (one, two) = (house.workspace("100").await, house.workspace("100").await);
    let first = house.agent(&one, policy("1", "1", "100")).await;
    let sibling = house.agent(&one, policy("1", "1", "100")).await;
    let other = house.agent(&two, policy("1", "1", "100")).await;
    house.quote(&first.key, "inv_1", "2").await;
    house.quote(&other.key, "inv_1", "2").await;
    house.pay(&first.key, "inv_2", "0.5").await;
    house.gateway.sending.close();
    house.gateway.sending.wait().await;

    let (_, all) = told(&house, "/events?after=0", &one.key, None).await;
    assert_eq!(numbers(&all), [1, 3, 4, 5]);
    assert_eq!(all[0]["type"], "quote.denied");
    assert_eq!(all[0]["data"]["code"], "AGENT_REQUEST_LIMIT");
    assert_eq!(
        numbers(&told(&house, "/events?after=0", &two.key, None).await.1),
        [2]
    );
    let resumed = told(&house, "/events?after=0", &one.key, Some(3)).await.1;
    assert_eq!(numbers(&resumed), [4, 5]);
    assert!(told(&house, "/events", &one.key, None).await.1.is_empty());
    let path = format!(
        "/payments/{}/events",
        all[1]["data"]["paymentId"].as_str().unwrap()
    );
    for key in [&one.key, &first.key] {
        assert_eq!(numbers(&told(&house, &path, key, None).await.1), [3, 4, 5]);
    }
    for key in [&two.key, &sibling.key, &other.key] {
        assert_eq!(told(&house, &path, key, None).await.0, 404);
    }
    for (last, status) in [(5, 200), (6, 400)] {
        assert_eq!(
            told(&house, "/events", &one.key, Some(last)).await.0,
            status
        );
    }
    // A number whose successors are no longer kept is no place to resume at.
    let mut change = house.gateway.ledger.write().await.unwrap();
    for consumer in Consumer::ALL {
        let told = Cursor {
            told: 3,
            telling: None,
        };
        event_cursors::set(&mut change, consumer, told)
            .await
            .unwrap();
    }
    let later = clock::now() + events::KEPT + SignedDuration::from_mins(1);
    event_cursors::prune(&mut change, later).await.unwrap();
    change.commit().await.unwrap();
    for (last, status) in [(1, 410), (2, 410), (3, 200)] {
        assert_eq!(
            told(&house, "/events", &one.key, Some(last)).await.0,
            status,
            "{last}"
        );
    }
}

#[tokio::test]
async fn a_workspace_has_so_many_streams_open_and_a_closed_one_makes_room() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let open = async || {
        let bearer = format!("Bearer {}", owner.key);
        let request = Request::get("/events").header(header::AUTHORIZATION, bearer);
        let request = request.body(Body::empty()).unwrap();
        house.router.clone().oneshot(request).await.unwrap()
    };
    let mut streams = Vec::new();
    for _ in 0..32 {
        let response = open().await;
        assert_eq!(response.status(), 200);
        streams.push(response);
    }
    assert_eq!(open().await.status(), 429);
    streams.pop();
    assert_eq!(open().await.status(), 200);
}

#[tokio::test]
async fn a_revoked_key_is_told_nothing_more() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "100")).await;
    house.pay(&agent.key, "inv_1", "0.5").await;
    house.gateway.sending.close();
    house.gateway.sending.wait().await;
    let (_, all) = told(&house, "/events?after=0", &owner.key, None).await;
    let path = format!(
        "/payments/{}/events?after=0",
        all[0]["data"]["paymentId"].as_str().unwrap()
    );
    let bearer = format!("Bearer {}", agent.key);
    let request = Request::get(&path).header(header::AUTHORIZATION, bearer);
    let response = house
        .router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await;
    let body = response.unwrap().into_body();
    let revoke = format!("/agents/{}/revoke", agent.id);
    assert_eq!(
        house.send("POST", &revoke, &owner.key, Value::Null).await.0,
        200
    );
    // It was opened in time and read too late.
    let read = tokio::time::timeout(Duration::from_secs(5), body.collect()).await;
    assert!(read.unwrap().unwrap().to_bytes().is_empty());
}
