//! Webhooks as their owner handles them. Deliveries have tests of their own, with a real endpoint.

use super::*;

async fn create(house: &House, key: &str, url: &str) -> (u16, Value) {
    house
        .send("POST", "/webhooks", key, json!({ "url": url }))
        .await
}

#[tokio::test]
async fn a_webhook_is_made_listed_given_a_new_secret_and_deleted() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let (status, made) = create(&house, &owner.key, "https://example.com/hook").await;
    assert_eq!(status, 201, "{made}");
    let (id, secret) = (text(&made, "webhookId"), text(&made, "secret"));
    assert!(
        secret.starts_with("whsec_") && secret.len() > 40,
        "{secret}"
    );
    let (_, list) = house
        .send("GET", "/webhooks", &owner.key, Value::Null)
        .await;
    assert_eq!(list[0]["url"], "https://example.com/hook");
    assert_eq!(list[0]["waiting"], 0);
    assert!(!list.to_string().contains(&secret));
    let path = format!("/webhooks/{id}/rotate");
    let (_, rotated) = house.send("POST", &path, &owner.key, Value::Null).await;
    assert_ne!(text(&rotated, "secret"), secret);
    let path = format!("/webhooks/{id}");
    assert_eq!(
        house.send("DELETE", &path, &owner.key, Value::Null).await.0,
        204
    );
    assert_eq!(
        house.send("DELETE", &path, &owner.key, Value::Null).await.0,
        404
    );
    let (_, list) = house
        .send("GET", "/webhooks", &owner.key, Value::Null)
        .await;
    assert_eq!(list, json!([]));
}

#[tokio::test]
async fn a_webhook_leads_to_public_https_addresses_and_there_are_ten_at_most() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    for url in [
        "http://example.com/",
        "http://127.0.0.1:1/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://user:pass@example.com/",
        "file:///etc/passwd",
        "",
    ] {
        let (status, answer) = create(&house, &owner.key, url).await;
        let code = text(&answer, "error");
        assert_eq!(
            (status, code.as_str()),
            (400, "WEBHOOK_URL_REFUSED"),
            "{url}"
        );
    }
    for number in 0..10 {
        let url = format!("https://example.com/{number}");
        assert_eq!(create(&house, &owner.key, &url).await.0, 201);
    }
    let (status, answer) = create(&house, &owner.key, "https://example.com/").await;
    assert_eq!((status, text(&answer, "error").as_str()), (409, "TOO_MANY"));
    let unknown = json!({ "url": "https://example.com/", "types": ["payment.lost"] });
    let (status, _) = house.send("POST", "/webhooks", &owner.key, unknown).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_webhooks_secret_is_nowhere_in_the_ledgers_files() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let (_, made) = create(&house, &owner.key, "https://example.com/hook").await;
    let secret = text(&made, "secret");
    let encoded = secret.strip_prefix("whsec_").unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded);
    let bytes = bytes.unwrap();
    assert_eq!(bytes.len(), 32);
    for file in std::fs::read_dir(house.folder.path()).unwrap().flatten() {
        let content = std::fs::read(file.path()).unwrap();
        for needle in [encoded.as_bytes(), &bytes] {
            let found = content.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{:?}", file.path());
        }
    }
}
