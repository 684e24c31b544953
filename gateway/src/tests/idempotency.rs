//! `Idempotency-Key`, over the router.

use super::*;
use crate::ledger::idempotency_keys::{self, Used};

impl House {
    /// Posts with an idempotency key.
    async fn post_once(
        &self,
        path: &str,
        key: &str,
        idempotency_key: &str,
        body: &Value,
    ) -> (u16, Value) {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", idempotency_key)
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

const REUSED: (u16, &str) = (409, "IDEMPOTENCY_KEY_REUSED");

#[tokio::test]
async fn the_same_key_and_body_get_the_same_answer_and_create_once() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, Value::Null).await;
    let (_, provider) = house.provider(&owner, PAYEE).await;
    let payee = Address::repeat_byte(9).to_checksum(None);
    let cases = [
        (
            "/workspaces".to_owned(),
            OPERATOR,
            json!({"name": "x", "monthlyBudget": "1"}),
            json!({"name": "y", "monthlyBudget": "1"}),
        ),
        (
            "/agents".to_owned(),
            &owner.key,
            json!({"name": "x"}),
            json!({"name": "y"}),
        ),
        (
            "/providers".to_owned(),
            &owner.key,
            json!({"name": "x", "payees": [payee]}),
            json!({"name": "x", "payees": [PAYEE]}),
        ),
        (
            format!("/agents/{}/rotate", agent.id),
            &owner.key,
            Value::Null,
            Value::Null,
        ),
        (
            format!("/providers/{}/rotate", text(&provider, "providerId")),
            &owner.key,
            Value::Null,
            Value::Null,
        ),
    ];
    for (number, (path, key, body, other)) in cases.into_iter().enumerate() {
        let once = format!("once-{number}");
        let first = house.post_once(&path, key, &once, &body).await;
        assert!(first.0 == 200 || first.0 == 201, "{path}: {first:?}");
        for _ in 0..2 {
            assert_eq!(house.post_once(&path, key, &once, &body).await, first);
        }
        if other != Value::Null {
            let (status, answer) = house.post_once(&path, key, &once, &other).await;
            assert_eq!((status, text(&answer, "error").as_str()), REUSED, "{path}");
        }
        // Another key is another request, as far as the route allows one.
        let (_, fresh) = house
            .post_once(&path, key, &format!("another-{number}"), &body)
            .await;
        assert_ne!(fresh["apiKey"], first.1["apiKey"]);
    }
    // A key is bound to its route, too.
    let body = json!({"name": "x", "payees": [PAYEE]});
    let (status, answer) = house
        .post_once("/providers", &owner.key, "once-1", &body)
        .await;
    assert_eq!((status, text(&answer, "error").as_str()), REUSED);
    let agents = house.get("/agents", &owner.key).await;
    assert_eq!(agents.as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_race_of_one_key_creates_once() {
    let house = Arc::new(House::new().await);
    let owner = house.workspace("100").await;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (house, key) = (Arc::clone(&house), owner.key.clone());
            let body = json!({"name": "x"});
            tokio::spawn(async move { house.post_once("/agents", &key, "same", &body).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap().1.to_string());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let agents = house.get("/agents", &owner.key).await;
    assert_eq!(agents.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_of_a_payment_pays_one_quote_and_its_answer_moves_on_with_the_payment() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let (_, one) = house.quote(&agent.key, "inv_1", "0.05").await;
    let (_, two) = house.quote(&agent.key, "inv_2", "0.05").await;
    let pay = |quote: &Value| json!({"quoteId": text(quote, "quoteId")});
    let first = house.post_once("/pay", &agent.key, "k", &pay(&one)).await;
    // There is no treasury.
    assert_eq!(
        (first.0, text(&first.1, "error").as_str()),
        (409, "WALLET_ERROR")
    );
    assert_eq!(
        house.post_once("/pay", &agent.key, "k", &pay(&one)).await,
        first
    );
    let (status, answer) = house.post_once("/pay", &agent.key, "k", &pay(&two)).await;
    assert_eq!((status, text(&answer, "error").as_str()), REUSED);
    let payments = house.get("/payments", &owner.key).await;
    assert_eq!(payments.as_array().unwrap().len(), 1);
    // A key is its caller's alone.
    let sibling = house.agent(&owner, policy("1", "1", "1")).await;
    let (_, three) = house.quote(&sibling.key, "inv_3", "0.05").await;
    let (_, answer) = house
        .post_once("/pay", &sibling.key, "k", &pay(&three))
        .await;
    assert_eq!(text(&answer, "error"), "WALLET_ERROR");
}

#[tokio::test]
async fn a_refused_request_uses_no_key_up_and_a_bad_key_is_refused() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let (status, _) = house
        .post_once("/agents", &owner.key, "k", &json!({"name": ""}))
        .await;
    assert_eq!(status, 400);
    let (status, _) = house
        .post_once("/agents", &owner.key, "k", &json!({"name": "x"}))
        .await;
    assert_eq!(status, 201);
    for key in ["", "two words", &"x".repeat(256)] {
        let (status, answer) = house
            .post_once("/agents", &owner.key, key, &json!({"name": "x"}))
            .await;
        assert_eq!(
            (status, text(&answer, "error").as_str()),
            (400, "INVALID_REQUEST")
        );
    }
}

#[tokio::test]
async fn an_answer_is_kept_encrypted_and_forgotten_after_a_day() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let body = json!({"name": "x"});
    let (_, created) = house.post_once("/agents", &owner.key, "k", &body).await;
    let secret = text(&created, "apiKey");
    let secret = secret.rsplit('_').next().unwrap();
    for file in ["ledger.sqlite", "ledger.sqlite-wal"] {
        let bytes = std::fs::read(house.folder.path().join(file)).unwrap();
        let shown = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!shown, "{file}");
    }
    let mut conn = house.gateway.ledger.write().await.unwrap();
    let later = clock::now() + idempotency_keys::KEPT;
    let found = idempotency_keys::find(&mut conn, &owner.member_id, "k", clock::now()).await;
    assert!(found.unwrap().is_some());
    let found = idempotency_keys::find(&mut conn, &owner.member_id, "k", later).await;
    assert_eq!(found.unwrap(), None);
    // Then the key may be used anew, and what is old goes.
    let used = Used {
        request: B256::ZERO,
        answer: None,
    };
    idempotency_keys::insert(&mut conn, &owner.member_id, "k", &used, later)
        .await
        .unwrap();
    let found = idempotency_keys::find(&mut conn, &owner.member_id, "k", later).await;
    assert_eq!(found.unwrap(), Some(used));
}
