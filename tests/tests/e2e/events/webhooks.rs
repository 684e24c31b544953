//! Webhooks to a real endpoint: signed, tried again, the same after a kill, none held up by another.

use std::{collections::HashSet, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use x402_schemas::api::{
    events::EventKind,
    webhooks::{CreateWebhook, DeliveryState, DeliveryView, WebhookSecret},
};
use x402_tests::{
    endpoint::Endpoint,
    shared::run,
    told,
    world::{World, eventually},
};

use crate::{EXE, crashes};

async fn webhook(world: &World, endpoint: &Endpoint, types: &[EventKind]) -> WebhookSecret {
    let request = CreateWebhook {
        url: endpoint.url(),
        types: types.to_vec(),
    };
    world.owner.create_webhook(&request).await.unwrap()
}

/// The numbers of the ledger's events after one, of one type or of all.
async fn numbers(world: &World, after: i64, kind: &str) -> HashSet<u64> {
    let numbers: Vec<i64> = sqlx::query_scalar(
        "SELECT number FROM events WHERE number > ?1 AND (kind = ?2 OR ?2 = '')",
    )
    .bind(after)
    .bind(kind)
    .fetch_all(&mut told::ledger(world).await)
    .await
    .unwrap();
    numbers
        .into_iter()
        .map(|number| number.try_into().unwrap())
        .collect()
}

/// The numbers of the events that an endpoint was told.
fn told_numbers(endpoint: &Endpoint) -> HashSet<u64> {
    let messages = endpoint.messages().into_iter();
    messages
        .map(|message| message.json()["number"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_webhook_is_signed_retried_after_a_500_and_told_each_event_under_one_id() {
    run(async {
        let world = World::new(EXE).await;
        let endpoint = Endpoint::answering(StatusCode::OK, 2, Duration::ZERO).await;
        let made = webhook(&world, &endpoint, &[EventKind::PaymentSettled]).await;
        let paid = world.settled("inv_1").await;
        eventually("the third attempt arrives", async || {
            let shown = world.owner.deliveries(&made.webhook_id).await.unwrap();
            shown
                .iter()
                .any(|one| one.state == DeliveryState::Delivered)
        })
        .await;
        let messages = endpoint.messages();
        assert_eq!(messages.len(), 3);
        let verifier = Webhook::new(&made.secret).unwrap();
        for message in &messages {
            verifier.verify(&message.body, &message.headers).unwrap();
            assert_eq!(
                message.header("webhook-id"),
                messages[0].header("webhook-id")
            );
            assert_eq!(message.body, messages[0].body);
        }
        let mut altered = messages[0].body.to_vec();
        altered[10] ^= 1;
        assert!(verifier.verify(&altered, &messages[0].headers).is_err());
        let told = messages[0].json();
        assert_eq!(told["type"], "payment.settled");
        assert_eq!(told["data"]["paymentId"], paid["paymentId"]);
        assert_eq!(told["data"]["txHash"], paid["txHash"]);
        assert!(told["data"].get("proof").is_none());
        let shown = world.owner.deliveries(&made.webhook_id).await.unwrap();
        assert_eq!((shown.len(), shown[0].attempts), (1, 3));
        assert_eq!(shown[0].message_id, messages[0].header("webhook-id"));

        // Both secrets sign while the receiver changes over.
        let rotated = world.owner.rotate_webhook(&made.webhook_id).await.unwrap();
        let test = world.owner.test_webhook(&made.webhook_id).await.unwrap();
        assert!(test.delivered && test.status == Some(200), "{test:?}");
        let message = endpoint.messages().pop().unwrap();
        for secret in [&made.secret, &rotated.secret] {
            let verifier = Webhook::new(secret).unwrap();
            verifier.verify(&message.body, &message.headers).unwrap();
        }
        assert_eq!(message.json()["type"], "webhook.test");
        world.stop().await;
    });
}

#[test]
fn an_endpoint_that_is_slow_or_dead_holds_up_no_other() {
    run(async {
        let world = World::new(EXE).await;
        let slow = Endpoint::answering(StatusCode::OK, 0, Duration::from_mins(1)).await;
        let gone = Endpoint::answering(StatusCode::GONE, 0, Duration::ZERO).await;
        let good = Endpoint::start().await;
        let dead = CreateWebhook {
            url: "http://127.0.0.1:9/".to_owned(),
            types: Vec::new(),
        };
        world.owner.create_webhook(&dead).await.unwrap();
        webhook(&world, &slow, &[]).await;
        let refusing = webhook(&world, &gone, &[]).await;
        webhook(&world, &good, &[]).await;
        let begin = numbers(&world, 0, "").await.len().try_into().unwrap();
        for number in 0..3 {
            world.settled(&format!("inv_{number}")).await;
        }
        let expected = numbers(&world, begin, "").await;
        tokio::time::timeout(Duration::from_secs(10), async {
            eventually("the good one is told everything", async || {
                told_numbers(&good).is_superset(&expected)
            })
            .await;
        })
        .await
        .expect("sooner than the slow one answers");
        assert!(good.counts().values().all(|count| *count == 1));
        let shown = world.owner.deliveries(&refusing.webhook_id).await.unwrap();
        let one = shown.iter().find(|one| one.attempts > 0).unwrap();
        assert_eq!(
            (one.state, one.last_status),
            (DeliveryState::Waiting, Some(410))
        );
        let list = world.owner.webhooks().await.unwrap();
        assert!(list.iter().any(|one| one.waiting > 0));
        let test = world
            .owner
            .test_webhook(&refusing.webhook_id)
            .await
            .unwrap();
        assert_eq!((test.delivered, test.status), (false, Some(410)));
        // As if a day had passed.
        sqlx::query("UPDATE webhook_deliveries SET created_at = 0, next_at = 0 WHERE webhook_id = ? AND next_at > 0")
            .bind(&refusing.webhook_id)
            .execute(&mut told::ledger_to_write(&world).await)
            .await
            .unwrap();
        eventually("it is given up", async || {
            let shown = world.owner.deliveries(&refusing.webhook_id).await.unwrap();
            let failed = |one: &DeliveryView| one.state == DeliveryState::Failed;
            shown.iter().any(|one| failed(one) && one.next_at.is_none())
        })
        .await;
        world.stop().await;
    });
}

#[test]
fn after_a_kill_a_webhook_is_told_the_same_again_and_nothing_is_lost() {
    run(async {
        let world = World::new(EXE).await;
        // What is on its way when the kill comes is answered later than that.
        let endpoint = Endpoint::answering(StatusCode::OK, 0, Duration::from_millis(700)).await;
        webhook(&world, &endpoint, &[]).await;
        let begin = numbers(&world, 0, "").await.len().try_into().unwrap();
        world.stop().await;
        for round in 0..3_usize {
            let mut node = crashes::start(&world).await;
            let before = endpoint.messages().len();
            crashes::start_payment(&world, round).await;
            eventually("something is on its way", async || {
                endpoint.messages().len() > before
            })
            .await;
            node.kill();
        }
        let mut node = crashes::start(&world).await;
        for round in 0..3 {
            world.settled(&format!("inv_{round}")).await;
        }
        let expected = numbers(&world, begin, "").await;
        eventually("everything has arrived", async || {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT (SELECT count(*) FROM webhook_deliveries WHERE next_at IS NOT NULL) \
                 + (SELECT seq FROM sqlite_sequence WHERE name = 'events') \
                 - (SELECT told FROM event_cursors WHERE consumer = 'webhooks')",
            )
            .fetch_one(&mut told::ledger(&world).await)
            .await
            .unwrap();
            waiting == 0
        })
        .await;
        assert!(told_numbers(&endpoint).is_superset(&expected));
        let counts = endpoint.counts();
        assert!(
            counts.values().any(|count| *count > 1),
            "a kill cut one off"
        );
        // The same id means the same bytes.
        for id in counts.keys() {
            let mut same = endpoint.messages();
            same.retain(|message| message.header("webhook-id") == *id);
            let bodies: HashSet<_> = same.iter().map(|message| &message.body).collect();
            assert_eq!(bodies.len(), 1, "{id}");
            let number = same[0].json()["number"].to_string();
            assert!(id.ends_with(&format!("_{number}")), "{id} {number}");
        }
        node.kill();
    });
}

#[test]
fn a_webhook_beside_a_local_chain_leads_to_this_machine_and_to_no_other_within() {
    run(async {
        let world = World::new(EXE).await;
        for url in [
            "http://10.0.0.1/",
            "https://169.254.169.254/",
            "http://example.com/",
        ] {
            let body = json!({ "url": url });
            let key = x402_tests::world::secret(&world.owner);
            let path = world.gateway().join("webhooks").unwrap();
            let (status, answer): (_, Value) =
                x402_tests::raw::send(reqwest::Method::POST, path.as_str(), Some(key), &body).await;
            assert_eq!(status, 400, "{url}");
            assert_eq!(answer["error"], "WEBHOOK_URL_REFUSED", "{url}");
        }
        world.stop().await;
    });
}
